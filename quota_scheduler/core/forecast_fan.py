"""The fan of a forecast: what is to come, by instants ahead, with what is known already and what the rate allows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from quota_scheduler.core.forecast_series import DAY
from quota_scheduler.core.forecast_shape import Knot, Quantiles

LARGEST = 1e300


def mixed(first: Sequence[Quantiles], second: Sequence[Quantiles], share: float) -> list[Quantiles]:
    """Return ``share`` of the first fan and the remainder of the second."""
    if share >= 1:
        return list(first)
    rest = 1.0 - share
    return [
        (share * a[0] + rest * b[0], share * a[1] + rest * b[1], share * a[2] + rest * b[2])
        for a, b in zip(first, second, strict=True)
    ]


def bounded(seconds: Sequence[float], fan: Sequence[Quantiles], known: float, cap: float | None) -> tuple[Knot, ...]:
    """Put in what is known already and what the rate allows.

    Known usage arrives within a day; what it adds to the day's median was not expected and comes on top.
    """
    if known <= 0 and cap is None:
        return tuple(
            (at, min(low, LARGEST), min(middle, LARGEST), min(high, LARGEST))
            for at, (low, middle, high) in zip(seconds, fan, strict=True)
        )
    most = [min(cap * at, LARGEST) if cap is not None else LARGEST for at in seconds]
    soon = max(min(DAY, seconds[-1]), 1.0)
    surprise = max(0.0, known - _median_at(soon, seconds, fan)) if known > 0 else 0.0
    knots = []
    for at, top, quantiles in zip(seconds, most, fan, strict=True):
        arrived = min(1.0, at / soon)
        floor, more = known * arrived, surprise * arrived
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
