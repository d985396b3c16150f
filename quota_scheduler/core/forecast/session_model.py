"""The session model: what is still to come in a window of at most a day, told from the series' past ones.

    past sessions ─► those that stood where this one stands (used, last fifth) weigh most ─► quantiles of their rest
    the rate of the last minutes, kept up ─────────────────────────────────────────────────► mixed into the median

A session that opens with first use is found again in the history by the same rule; windows of a day
are laid back to back. Nothing is learned from other owners, because bursts of one do not calibrate
another.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quota_scheduler.core.forecast.series import DAY, Series
from quota_scheduler.core.forecast.shape import Quantiles

Array = NDArray[np.float64]

FIFTH = 5.0
SESSIONS, FORGET, LOOKBACK = 64, 40.0, 45 * DAY
ALIKE, STRANGER, FLOOR = 0.6, 0.001, 0.05
NEIGHBOURS, ENOUGH = 0.6, 24.0
SAME_WEEKDAY = 2.0
BEYOND = 3.0
LOW, HIGH = 0.07, 0.93


def applies(length: float, step: float) -> bool:
    """Tell whether a window of ``length`` seconds is a session for a history of ``step``-long buckets."""
    return length <= 1.05 * DAY and step <= length / 4


def to_come(
    row: Series,
    start: float,
    now: float,
    used: float,
    ahead: Sequence[float],
    length: float,
    spread: tuple[float, float],
) -> tuple[list[Quantiles], float] | None:
    """Return the 10, 50 and 90 % quantiles of usage in the seconds ``ahead``, and how much to trust them (0–1).

    ``start`` and ``now`` are seconds since 1970, ``spread`` the calibration factors of both halves.
    None when no whole session lies in the past.
    """
    opened = _sessions(row, start, length)
    if not opened.size:
        return None
    seconds = np.array(ahead)
    elapsed = max(0.0, now - start)
    fifth = length / FIFTH
    moments = np.concatenate(([0.0, max(0.0, elapsed - fifth)], elapsed + seconds))
    paths = row.total(opened[:, None] + np.minimum(moments, length))
    paths -= paths[:, :1].copy()
    so_far, came = paths[:, 2], paths[:, 2:] - paths[:, 2:3]
    slack = FLOOR * paths[:, -1].mean() + 1e-300
    distance = np.log((so_far + slack) / (used + slack)) ** 2
    if elapsed > fifth:
        lately = float(row.total(np.array(now)) - row.total(np.array(now - fifth)))
        distance += np.log((so_far - paths[:, 1] + slack) / (lately + slack)) ** 2
    weight = np.exp(distance / (-2 * ALIKE**2)) + STRANGER
    age = np.arange(opened.size - 1, -1, -1)
    weight *= 0.5 ** (age / FORGET)
    if length >= 0.8 * DAY:
        weight = np.where((age + 1) % 7 == 0, weight * SAME_WEEKDAY, weight)
    low, middle, high = _quantiles(came, weight, (LOW, 0.5, HIGH))
    kept_up = np.clip(_rate(row, now, fifth) * seconds, low, BEYOND * high)
    median = NEIGHBOURS * middle + (1.0 - NEIGHBOURS) * kept_up
    below = np.minimum(median, np.maximum(median - low, 0.0) * spread[0])
    above = np.maximum(high - median, 0.0) * spread[1]
    fan = zip((median - below).tolist(), median.tolist(), (median + above).tolist(), strict=True)
    return list(fan), min(1.0, opened.size / ENOUGH)


def _sessions(row: Series, start: float, length: float) -> Array:
    """Return when the last whole sessions before ``start`` opened, oldest first."""
    starts = row.starts
    if not starts.size:
        return np.empty(0)
    if length >= 0.8 * DAY:
        count = min(SESSIONS, int((start - starts[0]) // length))
        return np.asarray(start - length * np.arange(count, 0, -1), dtype=np.float64)
    begins = starts[np.searchsorted(starts, start - LOOKBACK) :].tolist()
    opened: list[float] = []
    i = 0
    while i < len(begins) and begins[i] + length <= start:
        opened.append(begins[i])
        i = bisect_left(begins, begins[i] + length, i + 1)
    return np.array(opened[-SESSIONS:], dtype=np.float64)


def _rate(row: Series, now: float, half_life: float) -> float:
    """Return usage per second lately, older usage counting half as much each ``half_life``."""
    i = int(np.searchsorted(row.starts, now - 8 * half_life))
    ages = np.maximum(now - row.starts[i:] - row.step / 2, 0.0)
    return float(np.dot(row.values[i:], 0.5 ** (ages / half_life))) * 0.6931 / half_life


def _quantiles(samples: Array, weight: Array, points: tuple[float, ...]) -> list[Array]:
    order = np.argsort(samples, axis=0)
    ranked = np.take_along_axis(samples, order, axis=0)
    mass = np.cumsum(weight[order], axis=0)
    mass /= mass[-1]
    columns = np.arange(samples.shape[1])
    return [ranked[(mass < q - 1e-9).sum(axis=0), columns] for q in points]
