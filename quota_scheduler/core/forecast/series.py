"""Series: a usage history cut into days that end now, newest first, as the forecast reads it.

No calendar is needed. Days are counted back from ``now``, so weekday and time of day are phases:
the 24 hours after now belong to the same phase as block 6, 13, 20 … and the first hour ahead to the
oldest hour of each block.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.burst import Burst, burst_of

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array


DAY = 86_400.0
"""Seconds."""
KEEP_DAYS = 124
"""Days of history that are read: three months for the level, and as long as its replay looks back."""
SHAPE_DAYS = 28
"""Days whose hours make up the usual day."""
SHAPE_WEIGHT = 4.0
"""Even days that the usual day is shrunk by: a few busy hours are no habit yet."""
LARGEST = 1e100
"""No bucket counts for more, so that squares and sums of any finite history are finite."""


class Buckets(Struct, frozen=True):
    """A history as two arrays, for callers that keep one: bucket starts in seconds since 1970, and usage."""

    starts: Array
    values: Array


History = Sequence[tuple[datetime, float]] | Buckets


def buckets(history: Sequence[tuple[datetime, float]], since: datetime | None = None) -> Buckets:
    """Turn (instant, usage) pairs in ascending order into arrays, only those at or after ``since``."""
    old = since is not None and bool(history) and history[0][0] < since
    recent = history[bisect_left(history, since, key=itemgetter(0)) :] if old else history
    if not recent:
        return Buckets(np.empty(0), np.empty(0))
    instants, usage = zip(*recent, strict=True)
    return Buckets(np.array(list(map(datetime.timestamp, instants))), np.array(usage, dtype=np.float64))


class Series(Struct, frozen=True):
    """``days``: usage by day, newest first, ``KEEP_DAYS`` long. ``head``: how much of day 0 has been seen.

    ``begun``: the passed part of a calendar day of a daily history, 0 when day 0 is whole or ends
    now. ``observed``: days since the first record. ``ahead``: the usual share of a day that falls
    before each hour ahead (25 values from 0 to 1), None when the history is daily. ``burst``: the
    state of the last hours, None where ``ahead`` is. ``starts``,
    ``values``, ``sums``: the buckets and their running sum; each is ``step`` seconds long, the last
    at most until now (``newest``).
    """

    days: Array
    head: float
    begun: float
    observed: float
    ahead: list[float] | None
    burst: Burst | None
    starts: Array
    values: Array
    sums: Array
    step: float
    newest: float

    @property
    def whole(self) -> Array:
        """The whole days, newest first."""
        return self.days[1:] if self.begun else self.days[:-1]

    @property
    def complete(self) -> float:
        """How many whole days have been seen."""
        return math.floor(self.observed - self.begun + 1e-6)

    def total(self, moments: Array) -> Array:
        """Return the usage before each of ``moments`` (seconds since 1970), a cut bucket in proportion."""
        if not self.starts.size:
            return np.zeros(moments.shape)
        i = self.starts.searchsorted(moments, side="right") - 1
        long = np.where(i == self.starts.size - 1, self.newest, self.step)
        inside = np.minimum((moments - self.starts[i]) / long, 1.0)
        return np.where(i >= 0, self.sums[i] + inside * self.values[i], 0.0)

    def between(self, start: float, end: float) -> float:
        """Return the usage of ``[start, end)`` (seconds since 1970)."""
        if not self.starts.size or end <= start:
            return 0.0
        return self._before(end) - self._before(start)

    def _before(self, moment: float) -> float:
        i = bisect_right(self.starts, moment) - 1
        if i < 0:
            return 0.0
        long = self.newest if i == self.starts.size - 1 else self.step
        return float(self.sums[i] + min((moment - self.starts[i]) / long, 1.0) * self.values[i])


def series(history: History, now: datetime, step: timedelta, since: datetime | None = None) -> Series:
    """Cut ``history`` into days that end at ``now``; what lies at or after ``now`` is not looked at."""
    moment, width = now.timestamp(), step.total_seconds()
    if isinstance(history, Buckets):
        begun = float(history.starts[0]) if history.starts.size else moment
        cut = history
    else:
        begun = history[0][0].timestamp() if history else moment
        cut = buckets(history, now - timedelta(days=KEEP_DAYS))
    if since is not None:
        begun = min(begun, since.timestamp())
    i, j = bisect_left(cut.starts, moment - KEEP_DAYS * DAY), bisect_left(cut.starts, moment)
    starts, values = cut.starts[i:j], np.minimum(np.maximum(cut.values[i:j], 0.0), LARGEST)
    ages = moment - starts
    newest = math.fmod(ages[-1], width) if ages.size else 0.0
    newest = newest if newest > 1e-3 else width
    daily = width >= 0.8 * DAY
    back = np.rint((ages - newest) / DAY) if daily else np.ceil(ages / DAY - 1e-9) - 1.0
    places = np.clip(back, 0, KEEP_DAYS).astype(np.int64)  # an hour that has hardly begun is of today
    ahead, burst = (None, None) if width > 3_600 else _shape(ages, values, newest / width)
    days = np.bincount(places, weights=values, minlength=KEEP_DAYS + 1)[:KEEP_DAYS]
    return Series(
        days=days.astype(np.float64, copy=False),
        head=newest / width if daily else 1.0 - (width - newest) / DAY,
        begun=newest / width if daily and newest < 0.999 * width else 0.0,
        observed=max(0.0, (moment - begun) / DAY),
        ahead=ahead,
        burst=burst,
        starts=starts,
        values=values,
        sums=np.concatenate((np.zeros(1), values.cumsum()[:-1])) if values.size else values,
        step=width,
        newest=min(width, ages[-1]) if ages.size else width,
    )


def _shape(ages: Array, values: Array, part: float) -> tuple[list[float], Burst]:
    """Return the usual cumulative share of a day by hours ahead of now, shrunk towards an even day, and the last hours.

    ``part`` is how much of the newest hour has passed.
    """
    hours = np.ceil(ages / 3_600.0 - 1e-9) - 1
    first = bisect_right(-hours, -24 * SHAPE_DAYS)
    back, usage = np.maximum(hours[first:], 0).astype(np.int64), values[first:]
    day = np.bincount(back // 24, weights=usage, minlength=SHAPE_DAYS)
    share = usage / np.maximum(day[back // 24], 1e-300)
    profile = np.bincount(23 - back % 24, weights=share, minlength=24) + SHAPE_WEIGHT / 24
    shares = profile / profile.sum()
    return [0.0, *np.cumsum(shares).tolist()], burst_of(back, usage, part, shares)
