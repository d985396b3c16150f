"""Where the price table that ships is behind what the vendor says: few rows, each with its source.

docs/explanation/prices.md has them all, with those where tables disagree and the one that ships is followed.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal

Prices = Mapping[str, Decimal]
"""Dollars per million tokens, by the table's own names."""

DEEPSEEK = "deepseek"
DEEPSEEK_BY_THE_HOUR = ("deepseek-v4", "deepseek-flash")
"""How the names begin of the models that DeepSeek sells at two prices."""
PEAK_SINCE = datetime(2026, 8, 16, 16, tzinfo=UTC)
"""Before it DeepSeek had one price. Source of this and the next two: api-docs.deepseek.com/quick_start/pricing."""
WEEKENDS_SINCE = date(2026, 8, 22)
"""From this Saturday on weekends are off-peak; so are Chinese holidays, which are not known here."""
PEAK_HOURS = ((time(1), time(4)), (time(6), time(10)))
"""UTC; in them everything costs twice the off-peak price. The same civil day in Beijing."""
PEAK_FACTOR = 2
OFF_PEAK = time(12)
"""An hour at which the table has the off-peak price of the day."""
V3_2 = date(2025, 9, 29)
_V3_2_PRICES: Prices = {
    "input_mtok": Decimal("0.28"),
    "cache_read_mtok": Decimal("0.028"),
    "output_mtok": Decimal("0.42"),
}
"""What DeepSeek asks since its V3.2; the table has what it asked before. Source: LiteLLM's map of November 2026."""
SINCE: Mapping[tuple[str, str], tuple[date, Prices]] = {
    (DEEPSEEK, "deepseek-chat"): (V3_2, _V3_2_PRICES),
    (DEEPSEEK, "deepseek-reasoner"): (V3_2, _V3_2_PRICES),
}
"""Prices that hold from a day on, whatever the table says."""
CLAUDE_HOUR = 2
"""Times the fresh input that writing to a cache for an hour costs for Claude; resellers list the five minutes alone.

Source: platform.claude.com/docs/en/build-with-claude/prompt-caching, and openrouter.ai/docs on prompt caching.
"""


def stated(seller: str, model: str, at: datetime) -> Prices | None:
    """What holds instead of the table's row; None where the table is right."""
    since, prices = SINCE.get((seller, model), (None, None))
    return prices if since and at.date() >= since else None


def instant_and_factor(seller: str, model: str, at: datetime) -> tuple[datetime, int]:
    """When to ask the table for the price of an instant, and what to multiply its answer by."""
    if seller != DEEPSEEK or not model.startswith(DEEPSEEK_BY_THE_HOUR):
        return at, 1
    return datetime.combine(at.date(), OFF_PEAK, UTC), PEAK_FACTOR if _is_peak(at) else 1


def _is_peak(at: datetime) -> bool:
    is_off_day = at.date() >= WEEKENDS_SINCE and at.isoweekday() in (6, 7)
    return at >= PEAK_SINCE and not is_off_day and any(start <= at.time() < end for start, end in PEAK_HOURS)
