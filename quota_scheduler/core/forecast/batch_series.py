"""Many hourly histories cut into days at once: ``series.py`` over rows of one matrix.

    histories, an instant each ─► starts │ values │ running sums, a row each ─► days, usual day, last hours of every row

A tick forecasts every limit that has changed. One at a time, most of that is the price of calling numpy for a few dozen
numbers; a hundred rows at a time cost little more than one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.burst import DOUBT, HOURS, MOST, coming, past
from quota_scheduler.core.forecast.series import DAY, KEEP_DAYS, LARGEST, SHAPE_DAYS, SHAPE_WEIGHT, Buckets

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers

HOUR = 3_600.0
"""Seconds."""
SPAN = 2.0**31
"""Seconds between two rows where all are searched as one: sixty years, more than any history has."""


class HistoryRows(Struct, frozen=True):
    """One history a row, each cut at its own ``now`` (seconds since 1970); what the names mean, ``Series`` tells.

    ``starts``, ``values`` and ``sums`` are filled from the left, ``counts`` tells how far; what is behind that is
    infinitely late, and nothing.
    """

    now: Array
    step: float
    days: Array
    head: Array
    observed: Array
    ahead: Array
    came: Array
    usual: Array
    fading: Array
    counts: Integers
    starts: Array
    values: Array
    sums: Array
    newest: Array

    @property
    def complete(self) -> Array:
        """How many whole days of each row have been seen."""
        return np.asarray(np.floor(self.observed + 1e-6))

    def ratio(self, level: Array) -> Array:
        """Return how many times the usual the last hours of each row used, when ``level`` a day is usual."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            more = np.minimum((self.came / level + DOUBT) / (self.usual + DOUBT), MOST)
        return np.where(level > 0, more, 1.0)

    def total(self, row: Integers, moments: Array) -> Array:
        """Return the usage of some rows before ``moments`` (as many as rows, by any), a cut bucket in proportion."""
        place = self._place(row, moments)
        line = row.reshape(row.shape + (1,) * (moments.ndim - 1))
        at = np.maximum(place, 0)
        long = np.where(at == self.counts[line] - 1, self.newest[line], self.step)
        begun = self.starts[line, at]
        inside = np.minimum((moments - np.where(place >= 0, begun, 0.0)) / long, 1.0)
        return np.where(place >= 0, self.sums[line, at] + inside * self.values[line, at], 0.0)

    def _place(self, row: Integers, moments: Array) -> Integers:
        """Return the bucket in which each moment lies, -1 before the first: one search through all rows, end to end."""
        size, width = self.starts.shape
        base = self.now.max() - SPAN / 2
        lines = np.arange(size)[:, None] * SPAN
        keys = (np.minimum(self.starts - base, SPAN - 1.0) + lines).ravel()
        line = row.reshape(row.shape + (1,) * (moments.ndim - 1))
        wanted = np.clip(moments - base, -1.0, SPAN - 2.0) + line * SPAN
        return np.asarray(keys.searchsorted(wanted.ravel(), side="right").reshape(moments.shape) - 1 - line * width)


def cut(histories: Sequence[Buckets], now: Array, since: Array, step: float = HOUR) -> HistoryRows:
    """Cut histories whose buckets are ``step`` long, an hour at most, into days that end at ``now``.

    ``since`` is from when on each is complete, infinitely late where its first bucket says so.
    """
    bounds = [
        (bisect_left(history.starts, at - KEEP_DAYS * DAY), bisect_left(history.starts, at))
        for history, at in zip(histories, now.tolist(), strict=True)
    ]
    first = np.array([history.starts[0] if history.starts.size else np.inf for history in histories])
    counts = np.array([j - i for i, j in bounds])
    flat = np.concatenate([history.starts[i:j] for history, (i, j) in zip(histories, bounds, strict=True)])
    used = np.concatenate([history.values[i:j] for history, (i, j) in zip(histories, bounds, strict=True)])
    used = np.minimum(np.maximum(used, 0.0), LARGEST)
    size, width = len(histories), int(counts.max(initial=1))
    filled = np.arange(width) < counts[:, None]
    starts, values = np.full((size, width), np.inf), np.zeros((size, width))
    starts[filled], values[filled] = flat, used
    row = np.repeat(np.arange(size), counts)
    ages = now[row] - flat
    youngest = np.zeros(size)
    youngest[counts > 0] = ages[counts.cumsum()[counts > 0] - 1]
    part = np.fmod(youngest, step)
    part = np.where(part > 1e-3, part, step)
    back = np.clip(np.ceil(ages / DAY - 1e-9) - 1.0, 0, KEEP_DAYS).astype(np.int64)
    shares, came = _shape(row, size, ages, used)
    sums = np.zeros((size, width))
    values[:, :-1].cumsum(axis=1, out=sums[:, 1:])
    return HistoryRows(
        now=now,
        step=step,
        days=_counted(row, back, used, (size, KEEP_DAYS + 1))[:, :KEEP_DAYS],
        head=1.0 - (step - part) / DAY,
        observed=np.maximum(now - np.minimum(np.minimum(first, since), now), 0.0) / DAY,
        ahead=_from_nothing(shares),
        came=came,
        usual=shares[:, ::-1] @ past() - (1.0 - part / step) * (shares[:, -1] * past()[0]),
        fading=_from_nothing(shares * coming()),
        counts=counts,
        starts=starts,
        values=values,
        sums=sums,
        newest=np.where(counts > 0, np.minimum(step, youngest), step),
    )


def _shape(row: Integers, size: int, ages: Array, used: Array) -> tuple[Array, Array]:
    """Return the usual share of a day in each of the hours ahead, and what the last day of each row brought."""
    hours = np.maximum(np.ceil(ages / HOUR - 1e-9) - 1, 0).astype(np.int64)
    recent = hours < 24 * SHAPE_DAYS
    row, back, usage = row[recent], hours[recent], used[recent]
    day = _counted(row, back // 24, usage, (size, SHAPE_DAYS))
    share = usage / np.maximum(day[row, back // 24], 1e-300)
    profile = _counted(row, 23 - back % 24, share, (size, HOURS)) + SHAPE_WEIGHT / 24
    lately = back < HOURS
    came = np.bincount(row[lately], weights=usage[lately] * past()[back[lately]], minlength=size).astype(np.float64)
    return profile / profile.sum(axis=1, keepdims=True), came


def _counted(row: Integers, column: Integers, weights: Array, shape: tuple[int, int]) -> Array:
    """Add up weights by row and column."""
    sums = np.bincount(row * shape[1] + column, weights=weights, minlength=shape[0] * shape[1])
    return sums.astype(np.float64, copy=False).reshape(shape)


def _from_nothing(shares: Array) -> Array:
    """Return running sums along each row, 0 first."""
    sums = np.zeros((shares.shape[0], shares.shape[1] + 1))
    shares.cumsum(axis=1, out=sums[:, 1:])
    return sums
