"""The shape of a forecast between and beyond its three quantiles, and the confidence that follows from it.

    low (10 %)      expected (50 %)            high (90 %)
······├──────────────────┼───────────────────────┤·················
          LOWER                    UPPER: positions pooled over development traces
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from quota_scheduler.core.forecast.series import DAY

Knot = tuple[float, float, float, float]
"""Seconds from now, then the 10 %, 50 % and 90 % quantiles of usage up to there."""
Quantiles = tuple[float, float, float]
"""The 10 %, 50 % and 90 % quantiles."""

# Three tables of (probability, position) and (claimed, came true), pooled over development traces: docs/explanation/
# forecasting.md, "The method"; ``quota-scheduler backtest TRACES`` measures what they give.
UPPER = (
    (0.5, 0.0),
    (0.6, 0.11),
    (0.7, 0.24),
    (0.8, 0.46),
    (0.9, 1.0),
    (0.95, 2.2),
    (0.99, 7.0),
    (0.999, 14.0),
)
"""Position between expected (0) and high (1) at each probability: at 95 % it lies 2.2 times as far out as at 90 %."""
LOWER = (
    (0.5, 0.0),
    (0.4, 0.12),
    (0.3, 0.4),
    (0.2, 0.72),
    (0.1, 1.0),
    (0.05, 1.14),
    (0.01, 1.3),
    (0.001, 1.4),
)
"""Position between expected (0) and low (1) at each probability."""
CLAIMED = (
    (0.0, 0.0),
    (0.1, 0.05),
    (0.2, 0.15),
    (0.3, 0.27),
    (0.5, 0.47),
    (0.75, 0.72),
    (0.85, 0.82),
    (0.92, 0.91),
    (1.0, 0.99),
)
"""Claimed by the raw distribution, and came true (held-out owners agree within .05)."""
LARGEST = 1e300
"""Largest quantile: what is used may be added to it, and the sum is still finite."""


def spread(q: float, knot: Knot) -> float:
    """Read the ``q``-quantile from the three quantiles of a knot."""
    if q >= 0.5:
        return knot[2] + _position(q) * (knot[3] - knot[2])
    return max(0.0, knot[2] - _position(q) * (knot[2] - knot[1]))


def spreads(points: Sequence[float], knot: Knot) -> tuple[float, ...]:
    """Read several quantiles at once."""
    _, low, middle, high = knot
    up, down = high - middle, middle - low
    return tuple(middle + _position(q) * up if q >= 0.5 else max(0.0, middle - _position(q) * down) for q in points)


def probability(value: float, knot: Knot) -> float:
    """Read the probability that what comes up to a knot is at most ``value``; inverse of ``spread``."""
    if value < 0:
        return 0.0
    if value >= knot[2]:
        return _inverse((value - knot[2]) / (knot[3] - knot[2]), UPPER) if knot[3] > knot[2] else 1.0
    return _inverse((knot[2] - value) / (knot[2] - knot[1]), LOWER) if knot[2] > knot[1] else 0.0


def confidence(used: float, knot: Knot) -> float:
    """Return the calibrated probability that the total lands within 10 % of ``used`` plus the median of a knot."""
    expected = used + knot[2]
    raw = probability(1.1 * expected - used, knot) - probability(0.9 * expected - used, knot)
    for (x0, y0), (x1, y1) in pairwise(CLAIMED):
        if raw <= x1:
            return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)
    return CLAIMED[-1][1]


@lru_cache(maxsize=256)
def _position(q: float) -> float:
    """Return how far out a quantile lies; everybody asks for the same few."""
    shape = UPPER if q >= 0.5 else LOWER
    for (p0, x0), (p1, x1) in pairwise(shape):
        if abs(q - 0.5) <= abs(p1 - 0.5):
            return x0 + (x1 - x0) * (q - p0) / (p1 - p0)
    return shape[-1][1]


def _inverse(x: float, shape: tuple[tuple[float, float], ...]) -> float:
    for (p0, x0), (p1, x1) in pairwise(shape):
        if x <= x1:
            return p0 + (p1 - p0) * (x - x0) / (x1 - x0)
    return 1.0 if shape is UPPER else 0.0


def mixed(first: Sequence[Quantiles], second: Sequence[Quantiles], share: float) -> list[Quantiles]:
    """Return ``share`` of the first fan and the remainder of the second."""
    if share >= 1:
        return list(first)
    other_share = 1.0 - share
    return [
        (share * a[0] + other_share * b[0], share * a[1] + other_share * b[1], share * a[2] + other_share * b[2])
        for a, b in zip(first, second, strict=True)
    ]


def bounded(seconds: Sequence[float], fan: Sequence[Quantiles], certain: float, cap: float | None) -> tuple[Knot, ...]:
    """Put in what is certain already and what the rate allows.

    Committed usage arrives within a day; what it adds to the day's median was not expected and comes on top.
    """
    if certain <= 0 and cap is None:
        return tuple(
            (at, min(low, LARGEST), min(middle, LARGEST), min(high, LARGEST))
            for at, (low, middle, high) in zip(seconds, fan, strict=True)
        )
    most = [min(cap * at, LARGEST) if cap is not None else LARGEST for at in seconds]
    soon = max(min(DAY, seconds[-1]), 1.0)
    surprise = max(0.0, certain - _median_at(soon, seconds, fan)) if certain > 0 else 0.0
    knots = []
    for at, top, quantiles in zip(seconds, most, fan, strict=True):
        arrived = min(1.0, at / soon)
        floor, more = certain * arrived, surprise * arrived
        low, middle, high = (min(max(value + more, floor), top) for value in quantiles)
        knots.append((at, low, middle, high))
    return tuple(knots)


def _median_at(moment: float, seconds: Sequence[float], fan: Sequence[Quantiles]) -> float:
    """Return the median of what comes before ``moment``, between the knots."""
    i = bisect_left(seconds, moment)
    if i == 0 or i == len(seconds):
        return fan[i - 1 if i else 0][1]
    part = (moment - seconds[i - 1]) / (seconds[i] - seconds[i - 1])
    return fan[i - 1][1] + part * (fan[i][1] - fan[i - 1][1])
