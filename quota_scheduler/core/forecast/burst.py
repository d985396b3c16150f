"""The state of a burst: whether the last hours used more or less than usual at this time, and for how long that lasts.

    last 24 hours, newest most ──÷ the same hours of a usual day──► ratio ──fades over the next day──► times usual ahead

Work comes in spells of hours: who is busy this morning is busy this afternoon, whatever the mean of the week says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers


# Chosen on hours simulated from the daily development traces of tuning owners, confirmed on held-out owners and on the
# one recorded hourly trace: docs/explanation/forecasting.md, "Bursts". The optimum is flat.
HOURS = 24
"""Hours of a day."""
REMEMBER = 6.0
"""Hours after which usage counts e times less in the state of a burst (4 to 12 are alike)."""
LASTS = 16.0
"""Hours after which e times less is left of it (at 8 it helps less)."""
DOUBT = 0.1
"""Usual days that what came and what is usual both start with: a quiet hour at night proves nothing."""
MOST = 8.0
"""Largest ratio: beyond it nothing was seen."""
OVERNIGHT = math.exp(-HOURS / LASTS)
"""What is left of it a day later."""


@cache
def past() -> Array:
    """Weight of each past hour, newest first."""
    weights: Array = np.exp((np.arange(HOURS) + 0.5) / -REMEMBER)
    return weights


@cache
def coming() -> Array:
    """What is left of a burst in each hour ahead."""
    left: Array = np.exp((np.arange(HOURS) + 0.5) / -LASTS)
    return left


class Burst(Struct, frozen=True):
    """The last day of an hourly history: what came and what a usual day of 1 would have brought, newest hours most.

    ``fading`` is the share of a usual day before each hour ahead (25 values), weighed by what is left of a burst then.
    """

    came: float
    usual: float
    fading: list[float]

    def ratio(self, level: float) -> float:
        """Return how many times the usual the last hours used, when ``level`` a day is usual: 1 without any burst."""
        if level <= 0:
            return 1.0
        return min((self.came / level + DOUBT) / (self.usual + DOUBT), MOST)


def burst_of(back: Integers, values: Array, part: float, shares: Array) -> Burst:
    """Read the last day of a history.

    ``back`` is how many whole hours ago each bucket began, ascending in time, ``part`` how much of the newest hour has
    passed, ``shares`` what a usual day uses in each of the next 24 hours.
    """
    newest = bisect_left(-back, 1 - HOURS)
    came = float(values[newest:] @ past()[back[newest:]])
    usual = float(shares[::-1] @ past()) - (1.0 - part) * float(shares[-1] * past()[0])
    return Burst(came, usual, [0.0, *(shares * coming()).cumsum().tolist()])


def times_usual(ratio: float, fading: Sequence[float], shape: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """Return what comes within so many ``seconds``, over what usually would; ``shape`` is the usual day by hours."""
    more = ratio - 1.0
    return [1.0 + more * _left(fading, shape, at / 3_600.0) for at in seconds]


def _left(fading: Sequence[float], shape: Sequence[float], hours: float) -> float:
    """Return the mean of what is left of a burst over the usage of the next ``hours``."""
    if hours <= 0:
        return 1.0
    days, into = divmod(hours, HOURS)
    hour = min(int(into), HOURS - 1)
    part = into - hour
    usual = days + shape[hour] + part * (shape[hour + 1] - shape[hour])
    if usual <= 0:
        return 1.0
    kept = math.exp(-HOURS * days / LASTS)
    today = kept * (fading[hour] + part * (fading[hour + 1] - fading[hour]))
    before = fading[HOURS] * (1.0 - kept) / (1.0 - OVERNIGHT)
    return min((before + today) / usual, 1.0)
