"""How efficiency moves: what the span before came to, told apart from the two spans together."""

from collections.abc import Mapping, Sequence
from typing import Any

Document = dict[str, Any]


def with_trend(recent: Sequence[Document], longer: Sequence[Document]) -> list[Document]:
    """Add ``before`` to rows of ``/v1/efficiency`` by workflow: what the span before the recent one came to.

    ``recent`` is of the newer span, ``longer`` of both. Tokens and dollars as the rows have them, the hit rate 0 to 1.
    """
    both = {row["workflow"]: row for row in longer}
    return [{**row, "before": _before(row, both.get(row["workflow"]))} for row in recent]


def _before(recent: Mapping[str, Any], both: Mapping[str, Any] | None) -> Document | None:
    """What the earlier span came to, cost in dollars; None where nothing ran in it."""
    runs = both["runs"] - recent["runs"] if both else 0
    if both is None or runs <= 0:
        return None
    fresh, read = (both[kind] - recent[kind] for kind in ("input", "cache_read"))
    written = sum(both[kind] - recent[kind] for kind in ("cache_write_5m", "cache_write_1h"))
    whole = fresh + read + written
    return {
        "runs": runs,
        "tokens_per_run": round((both["tokens"] - recent["tokens"]) / runs),
        "cost_usd": round(both["cost_usd"] - recent["cost_usd"], 6),
        "cache_hit_rate": round(read / whole, 4) if whole else None,
    }
