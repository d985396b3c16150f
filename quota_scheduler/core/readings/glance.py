"""What is read first: limits in the order in which they need somebody, and reasons in a few words."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

STOPPED = ("exhausted", "paused")
"""Throttle levels at which a limit holds everybody."""
REASONS: Mapping[str, str] = {
    "fits": "starts next",
    "no_headroom": "no room left for it",
    "throttled": "its class is held back",
    "paced": "waits its turn",
    "paused": "the limit is paused",
    "exhausted": "the limit is used up",
    "concurrency": "too many run at once",
    "never_fits": "never fits",
    "run_cap": "above the cap of a run",
    "unpriced_model": "no price is known for its model",
    "provider_throttled": "the provider refuses for a moment",
    "catching_up": "usage is still being read",
    "held": "held by hand",
}
"""Reasons of verdicts, as ``GET /v1/queue`` has them, in words that fit a column."""


def loan_words(row: Mapping[str, Any], said: Callable[[float], str]) -> str:
    """Say what a limit has borrowed and lent: ``10 lent by marketing; lends 5 to growth``; empty where no loan stands.

    ``said`` writes an amount in the unit of the limit.
    """
    lenders = ", ".join(f"{said(loan['amount'])} lent by {loan['from']}" for loan in row.get("borrowed") or ())
    borrowers = ", ".join(f"{said(loan['amount'])} to {loan['to']}" for loan in row.get("lent") or ())
    return "; ".join(part for part in (lenders, f"lends {borrowers}" if borrowers else "") if part)


def has_run_out(row: Mapping[str, Any]) -> bool:
    """Whether nobody can start in a limit before its reset; who is beyond its amount by a loan still may."""
    return bool(row["level"] == "exhausted" or (row["usage_ratio"] >= 1 and not row.get("borrowed")))


def by_urgency(rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Sort documents of limits: those that hold everybody, then those that run out soonest, then the fullest."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        forecast = row["forecast"] or {}
        out = forecast.get("exhaustion_at") if forecast.get("sufficient") else None
        fullness = max(row["usage_ratio"], forecast.get("expected_ratio") or 0)
        return row["level"] not in STOPPED, out is None, out or "", -fullness, row["limit"]

    return sorted(rows, key=key)
