"""Risk of a limit as people see it, and whether today is a spike.

unknown ◄─ under 7 observed days
low ──70 %──► medium ──85 %──► high ──95 %──► critical      by P80 at the reset ÷ amount;
                                                            back down only 2 points below the mark
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds

DAY = timedelta(days=1)
SPIKE_DAYS = 14
"""Days that say what is usual by this time of day."""


class Risk(StrEnum):
    """The band of a limit's 80th percentile at the reset."""

    UNKNOWN = "unknown"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


HYSTERESIS = 0.02
"""How far below its mark P80 ÷ amount must fall for a band to be left: two points (design, section 4)."""


def risk_band(
    p80_ratio: float | None, previous: Risk | str = Risk.UNKNOWN, *, thresholds: Thresholds = DEFAULT
) -> Risk:
    """Return the band of ``p80_ratio`` (P80 at the reset ÷ amount), None when history is insufficient.

    A band is entered at its mark and left downwards only 2 points below it.
    """
    if p80_ratio is None:
        return Risk.UNKNOWN
    fresh = _band(p80_ratio, thresholds)
    order = list(Risk)
    before = order.index(Risk(previous))
    if order.index(fresh) >= before:
        return fresh
    return order[min(before, order.index(_band(p80_ratio + HYSTERESIS, thresholds)))]


def is_spike(
    history: Sequence[tuple[datetime, float]],
    now: datetime,
    step: timedelta,
    *,
    begins: Sequence[datetime] = (),
    factor: float = DEFAULT.spike_factor,
) -> bool:
    """Tell whether today's usage so far is above ``factor`` times what is usual at this time of day.

    Usual is the 80th percentile over the last 14 days of the usage between their start and the same time of day; False
    until 14 days have been seen. ``begins`` are the instants at which today and those days began where the limit
    lives, newest first (default: 00:00 UTC): across a change of clocks they are not 24 hours apart. Days without use
    count as zero.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = list(begins) or [midnight - back * DAY for back in range(SPIKE_DAYS + 1)]
    if len(days) <= SPIKE_DAYS or not history or history[0][0] > days[SPIKE_DAYS]:
        return False
    passed = max(now - days[0], timedelta(0))
    seen, back = [0.0] * (SPIKE_DAYS + 1), 0
    for at, tokens in reversed(history):
        if at >= now:
            continue
        while back <= SPIKE_DAYS and at < days[back]:
            back += 1
        if back > SPIKE_DAYS:
            break
        share = min(1.0, max(0.0, (days[back] + passed - at) / step)) if back else 1.0
        seen[back] += tokens * share
    usual = sorted(seen[1:])[round(0.8 * (SPIKE_DAYS - 1))]
    return seen[0] > factor * usual and seen[0] > 0


def _band(ratio: float, thresholds: Thresholds) -> Risk:
    bands = (
        (Risk.LOW, thresholds.risk_medium),
        (Risk.MEDIUM, thresholds.risk_high),
        (Risk.HIGH, thresholds.risk_critical),
    )
    return next((name for name, mark in bands if ratio < mark), Risk.CRITICAL)
