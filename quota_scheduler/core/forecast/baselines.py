"""The methods a forecast has to beat, by name: the weighted mean, pro rata, and the mean of seven days.

Each takes the same input as ``project`` and returns only a number, the expected usage at the reset.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import mul

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.series import Buckets

Pairs = Sequence[tuple[datetime, float]]
Baseline = Callable[[Pairs, datetime, datetime, datetime], float]

DAY = timedelta(days=1)
DAY_SECONDS = 86_400.0
MICROSECOND = 1e-6
"""Seconds: the smallest step of an instant."""


def weighted_mean(history: Pairs, now: datetime, starts_at: datetime, ends_at: datetime) -> float:
    """Return the founding documents' projection: a weighted mean of the newest days, kept up to the end.

    The days *with use* among the last seven are weighted 1, 1/2, 1/3 …, newest first: 300 today and 600 yesterday make
    (300 + 600/2) / (1 + 1/2) = 400 a day. Leaving out idle days is its fault, kept here on purpose.
    """
    by_day: dict[int, float] = {}
    for at, tokens in history:
        if now - at <= 7 * DAY:
            back = (now - at - timedelta(microseconds=1)) // DAY
            by_day[back] = by_day.get(back, 0.0) + tokens
    newest = [by_day[back] for back in sorted(by_day) if by_day[back] > 0]
    weights = [1 / (i + 1) for i in range(len(newest))]
    mean = sum(w * v for w, v in zip(weights, newest, strict=True)) / sum(weights) if newest else 0.0
    return _used(history, starts_at) + mean * ((ends_at - now) / DAY)


def weighted_mean_to_come(history: Buckets, now: datetime, ends_at: datetime) -> float:
    """Return what ``weighted_mean`` adds to what is used now, of a history kept as arrays: ticks ask it of each."""
    moment = now.timestamp()
    first = bisect_left(history.starts, moment - 7 * DAY_SECONDS)
    starts, values = history.starts[first:], history.values[first:]
    back = np.floor((moment - starts - MICROSECOND) / DAY_SECONDS).astype(np.int64) + 1  # 0: an hour yet to begin
    by_day = [0.0] * (7 + 2)  # seven days and a part of one more, and the hour yet to begin
    for day, usage in zip(np.maximum(back, 0).tolist(), values.tolist(), strict=True):
        by_day[day] += usage
    newest = [usage for usage in by_day if usage > 0]
    weights = [1 / (i + 1) for i in range(len(newest))]
    mean = sum(map(mul, weights, newest)) / sum(weights) if newest else 0.0
    return float(values[starts >= moment].sum()) + mean * ((ends_at - now) / DAY)


def pro_rata(history: Pairs, now: datetime, starts_at: datetime, ends_at: datetime) -> float:
    """Return the usage so far, kept up at the same rate to the end."""
    elapsed = now - starts_at
    return _used(history, starts_at) * ((ends_at - starts_at) / elapsed) if elapsed > timedelta(0) else 0.0


def mean_7(history: Pairs, now: datetime, starts_at: datetime, ends_at: datetime) -> float:
    """Return the usage so far plus the mean of the last seven days, idle ones included, for what remains."""
    week = sum(tokens for at, tokens in history if at >= now - 7 * DAY)
    return _used(history, starts_at) + week / 7 * ((ends_at - now) / DAY)


def _used(history: Pairs, starts_at: datetime) -> float:
    return float(sum(tokens for at, tokens in history if at >= starts_at))


BASELINES: dict[str, Baseline] = {"weighted-mean": weighted_mean, "pro-rata": pro_rata, "mean-7": mean_7}
OLD_NAMES = {"seed": "weighted-mean"}
"""What a method was called at first, and is still understood."""
