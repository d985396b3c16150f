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
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.series import DAY, Series
from quota_scheduler.core.forecast.shape import Quantiles

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array


# Numbers without another source were chosen on the hourly development trace and on sessions simulated from daily ones:
# docs/explanation/forecasting.md, "Sessions" and "What did not help".
FIFTH = 5.0
"""Parts of a session; the last part before now is compared, and sets how fast the rate forgets."""
SESSIONS = 64
"""Newest past sessions that are compared."""
FORGET = 40.0
"""Sessions after which one counts half as much."""
LOOKBACK = 45 * DAY
"""Seconds of history in which sessions are looked for."""
ALIKE = 0.6
"""Standard deviation of the likeness of two sessions, in logarithms of usage."""
STRANGER = 0.001
"""Weight of a session that stood quite elsewhere: enough to say something when there is no other."""
FLOOR = 0.05
"""Slack in the likeness, as a share of the mean session: two that have hardly begun are alike."""
NEIGHBOURS = 0.6
"""Weight of the neighbours in the median; the rate kept up has the other 0.4 (.45 to .6 is within .01)."""
ENOUGH = 24.0
"""Past sessions from which on they are trusted alone; below, the day model fills in."""
SAME_WEEKDAY = 2.0
"""How much more a day counts that lies whole weeks back."""
BEYOND = 3.0
"""The rate kept up gives at most so many times the upper quantile of the neighbours."""
LOW = 0.07
"""Quantile of the neighbours taken for the 10 %: so few of them lie too close together."""
HIGH = 0.93
"""Quantile of the neighbours taken for the 90 %."""
LN_2 = 0.6931
"""Natural logarithm of 2: a rate that halves each half-life has a mean age of half-life / ln 2."""
LONGEST_SHARE = 1.05
"""Days that a window may last to be a session: a day of 25 hours is one."""
WHOLE_DAY = 0.8
"""Days from which on a window is a day of the calendar: they are laid back to back."""


def applies(length: float, step: float) -> bool:
    """Tell whether a window of ``length`` seconds is a session for a history of ``step``-long buckets."""
    return length <= LONGEST_SHARE * DAY and step <= length / 4


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
    seconds, elapsed = np.array(ahead), max(0.0, now - start)
    past = _Paths.of(row, opened, elapsed, seconds, length)
    low, middle, high = _quantiles(past.came, _likeness(past, row, now, used, elapsed, length), (LOW, 0.5, HIGH))
    # a burst that is under way goes on for a while, but not for longer than past sessions allow
    kept_up = np.clip(_rate(row, now, length / FIFTH) * seconds, low, BEYOND * high)
    median = NEIGHBOURS * middle + (1.0 - NEIGHBOURS) * kept_up
    below = np.minimum(median, np.maximum(median - low, 0.0) * spread[0])
    above = np.maximum(high - median, 0.0) * spread[1]
    fan = zip((median - below).tolist(), median.tolist(), (median + above).tolist(), strict=True)
    return list(fan), min(1.0, opened.size / ENOUGH)


class _Paths(Struct, frozen=True):
    """Usage in past sessions, one a row: up to a fifth before this moment, up to it, by each moment ahead, in all."""

    before_fifth: Array
    so_far: Array
    came: Array
    mean: float

    @staticmethod
    def of(row: Series, opened: Array, elapsed: float, seconds: Array, length: float) -> _Paths:
        """Read every session at the moments that this one is asked about, counted from its own start."""
        moments = np.concatenate(([0.0, max(0.0, elapsed - length / FIFTH)], elapsed + seconds))
        paths = row.total(opened[:, None] + np.minimum(moments, length))
        paths -= paths[:, :1].copy()
        return _Paths(paths[:, 1], paths[:, 2], paths[:, 2:] - paths[:, 2:3], float(paths[:, -1].mean()))


def _likeness(past: _Paths, row: Series, now: float, used: float, elapsed: float, length: float) -> Array:
    """Return the weight of each past session: alike at this point, recent, and on the same weekday."""
    fifth, slack = length / FIFTH, FLOOR * past.mean + 1e-300
    distance = np.log((past.so_far + slack) / (used + slack)) ** 2
    if elapsed > fifth:
        lately = float(row.total(np.array(now)) - row.total(np.array(now - fifth)))
        distance += np.log((past.so_far - past.before_fifth + slack) / (lately + slack)) ** 2
    weight = np.exp(distance / (-2 * ALIKE**2)) + STRANGER
    age = np.arange(distance.size - 1, -1, -1)
    weight *= 0.5 ** (age / FORGET)
    if length >= WHOLE_DAY * DAY:
        weight = np.where((age + 1) % 7 == 0, weight * SAME_WEEKDAY, weight)
    return np.asarray(weight)


def _sessions(row: Series, start: float, length: float) -> Array:
    """Return when the last whole sessions before ``start`` opened, oldest first."""
    starts = row.starts
    if not starts.size:
        return np.empty(0)
    if length >= WHOLE_DAY * DAY:
        count = min(SESSIONS, int((start - starts[0]) // length))
        return np.asarray(start - length * np.arange(count, 0, -1), dtype=np.float64)
    begins = starts[bisect_left(starts, start - LOOKBACK) :].tolist()
    opened: list[float] = []
    i = 0
    while i < len(begins) and begins[i] + length <= start:
        opened.append(begins[i])
        i = bisect_left(begins, begins[i] + length, i + 1)
    return np.array(opened[-SESSIONS:], dtype=np.float64)


def _rate(row: Series, now: float, half_life: float) -> float:
    """Return usage per second lately, older usage counting half as much each ``half_life``."""
    i = bisect_left(row.starts, now - 8 * half_life)
    ages = np.maximum(now - row.starts[i:] - row.step / 2, 0.0)
    return float(np.dot(row.values[i:], 0.5 ** (ages / half_life))) * LN_2 / half_life


def _quantiles(samples: Array, weight: Array, points: tuple[float, ...]) -> list[Array]:
    order = np.argsort(samples, axis=0)
    ranked = np.take_along_axis(samples, order, axis=0)
    mass = np.cumsum(weight[order], axis=0)
    mass /= mass[-1]
    columns = np.arange(samples.shape[1])
    return [ranked[(mass < q - 1e-9).sum(axis=0), columns] for q in points]
