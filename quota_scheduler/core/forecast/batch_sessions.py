"""What is still to come in many sessions at once: ``session_model.py`` over rows of one matrix.

What these compute and why stands there, in words and for one session; a test compares both on made-up histories.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.batch_series import HistoryRows
from quota_scheduler.core.forecast.series import DAY
from quota_scheduler.core.forecast.session_model import (
    ALIKE,
    BEYOND,
    ENOUGH,
    FIFTH,
    FLOOR,
    FORGET,
    HIGH,
    LN_2,
    LOOKBACK,
    LOW,
    NEIGHBOURS,
    SAME_WEEKDAY,
    SESSIONS,
    STRANGER,
    WHOLE_DAY,
)

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers, Truths

RATE_BUCKETS = 48
"""Newest buckets of an hour that the rate of the last minutes reads: 8 half-lives of the longest session, and more."""


@cache
def _age() -> Integers:
    """How many sessions ago each was, newest first."""
    return np.arange(SESSIONS)


class SessionSpans(Struct, frozen=True):
    """Sessions to forecast, one a row: whose history, from when, for how long, and what was used in it."""

    row: Integers
    start: Array
    length: Array
    used: Array


class SessionFans(Struct, frozen=True):
    """What is to come by past sessions before calibration, some moments a row; ``share`` is 0 where there are none."""

    low: Array
    median: Array
    high: Array
    share: Array

    def quantiles(self, rows: slice | Integers, spread: Array) -> Array:
        """Return the 10, 50 and 90 % quantiles of some rows (rows, moments, 3); ``spread`` is of both halves."""
        low, median, high = self.low[rows], self.median[rows], self.high[rows]
        below = np.minimum(median, np.maximum(median - low, 0.0) * spread[:, :1])
        above = np.maximum(high - median, 0.0) * spread[:, 1:]
        return np.stack((median - below, median, median + above), axis=-1)


def session_fans(rows: HistoryRows, spans: SessionSpans, seconds: Array) -> SessionFans:
    """Return what is to come within so many ``seconds`` (some a row), told from the past sessions of each."""
    opened, count = _sessions(rows, spans)
    now = rows.now[spans.row]
    elapsed = np.maximum(now - spans.start, 0.0)
    length = spans.length[:, None]
    moments = np.concatenate(
        (np.zeros_like(length), np.maximum(elapsed[:, None] - length / FIFTH, 0.0), elapsed[:, None] + seconds), axis=1
    )
    paths = rows.total(spans.row, opened[:, :, None] + np.minimum(moments, length)[:, None, :])
    paths -= paths[:, :, :1].copy()
    came = paths[:, :, 2:] - paths[:, :, 2:3]
    past = count[:, None] > _age()
    weight = _likeness(rows, spans, paths, past, now, elapsed)
    low, middle, high = _quantiles(np.where(past[:, :, None], came, np.inf), weight, (LOW, 0.5, HIGH))
    # a burst that is under way goes on for a while, but not for longer than past sessions allow
    kept_up = np.minimum(np.maximum(_rate(rows, spans, now)[:, None] * seconds, low), BEYOND * high)
    median = NEIGHBOURS * middle + (1.0 - NEIGHBOURS) * kept_up
    return SessionFans(low, median, high, np.minimum(1.0, count / ENOUGH))


def _sessions(rows: HistoryRows, spans: SessionSpans) -> tuple[Array, Integers]:
    """Return when the last whole sessions before each opened, newest first, and how many there are."""
    whole = np.minimum(np.floor((spans.start - rows.starts[spans.row, 0]) / spans.length), SESSIONS)
    count = np.where(rows.counts[spans.row] > 0, np.maximum(whole, 0), 0).astype(np.int64)
    opened = spans.start[:, None] - spans.length[:, None] * (_age() + 1)
    for i in np.flatnonzero(spans.length < WHOLE_DAY * DAY).tolist():
        row = int(spans.row[i])
        starts = rows.starts[row, : rows.counts[row]]
        found = _opened_by_use(starts, float(spans.start[i]), float(spans.length[i]))
        count[i] = len(found)
        opened[i, : len(found)] = found
    return opened, count


def _opened_by_use(starts: Array, start: float, length: float) -> list[float]:
    """Return when sessions opened, each by the first use after the one before, newest first."""
    recent = starts[bisect_left(starts, start - LOOKBACK) :]
    following = np.maximum(recent.searchsorted(recent + length), np.arange(1, recent.size + 1)).tolist()
    begins, opened, i = recent.tolist(), [], 0
    while i < len(begins) and begins[i] + length <= start:
        opened.append(begins[i])
        i = following[i]
    return opened[: -SESSIONS - 1 : -1]


def _likeness(rows: HistoryRows, spans: SessionSpans, paths: Array, past: Truths, now: Array, elapsed: Array) -> Array:
    """Return the weight of each past session: alike at this point, recent, and on the same weekday."""
    fifth = spans.length / FIFTH
    in_all = np.where(past, paths[:, :, -1], 0.0).sum(axis=1) / np.maximum(past.sum(axis=1), 1)
    slack = (FLOOR * in_all + 1e-300)[:, None]
    before_fifth, so_far = np.where(past, paths[:, :, 1], 0.0), np.where(past, paths[:, :, 2], 0.0)
    distance = np.log((so_far + slack) / (spans.used[:, None] + slack)) ** 2
    ends = rows.total(spans.row, np.stack((now - fifth, now), axis=1))
    lately = (ends[:, 1] - ends[:, 0])[:, None]
    compared = np.log((so_far - before_fifth + slack) / (lately + slack)) ** 2
    distance += np.where((elapsed > fifth)[:, None], compared, 0.0)
    weight = (np.exp(distance / (-2 * ALIKE**2)) + STRANGER) * 0.5 ** (_age() / FORGET)
    again = (_age() + 1) % 7 == 0
    weight = np.where((spans.length >= WHOLE_DAY * DAY)[:, None] & again, weight * SAME_WEEKDAY, weight)
    return np.where(past, weight, 0.0)


def _rate(rows: HistoryRows, spans: SessionSpans, now: Array) -> Array:
    """Return usage per second lately, older usage counting half as much each half-life, a fifth of the session."""
    half_life = (spans.length / FIFTH)[:, None]
    back = rows.counts[spans.row][:, None] - 1 - np.arange(RATE_BUCKETS)
    place, line = np.maximum(back, 0), spans.row[:, None]
    starts = rows.starts[line, place]
    ages = np.maximum(now[:, None] - starts - rows.step / 2, 0.0)
    counts = (back >= 0) & (starts >= now[:, None] - 8 * half_life)
    faded = np.where(counts, rows.values[line, place] * 0.5 ** (np.where(counts, ages, 0.0) / half_life), 0.0)
    return np.asarray(faded.sum(axis=1) * LN_2 / half_life[:, 0])


def _quantiles(samples: Array, weight: Array, points: tuple[float, ...]) -> list[Array]:
    """Return weighted quantiles over the second axis; 0 where nothing weighs anything."""
    order = samples.argsort(axis=1)
    ranked = np.take_along_axis(samples, order, axis=1)
    mass = np.take_along_axis(np.broadcast_to(weight[:, :, None], samples.shape), order, axis=1).cumsum(axis=1)
    mass /= np.where(mass[:, -1:] > 0, mass[:, -1:], 1.0)
    found = []
    for q in points:
        place = np.minimum((mass < q - 1e-9).sum(axis=1), samples.shape[1] - 1)[:, None]
        found.append(np.take_along_axis(ranked, place, axis=1)[:, 0])
    return [np.where(np.isfinite(values), values, 0.0) for values in found]
