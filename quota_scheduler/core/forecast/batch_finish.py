"""Finish many forecasts at once: what is certain, what past forecasts taught, how sure it is, as ``shape.py`` has it.

    fans of days and of sessions ─spread by calibration─► mixed ─► bounded by what is certain ─► forecasts

What is asked stands in rows that are worked out once (``batch.py``); which of them are finished, and by which
calibration, may be asked again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.batch_days import DayFans
from quota_scheduler.core.forecast.batch_sessions import SessionFans
from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.forecast import SUFFICIENT_DAYS, Forecast, PastAccuracy
from quota_scheduler.core.forecast.project import Projectable
from quota_scheduler.core.forecast.series import DAY
from quota_scheduler.core.forecast.shape import CLAIMED, LARGEST, LOWER, UPPER

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers


class AskedWindow(Struct, frozen=True):
    """One window to forecast as of ``now``; ``history`` is the number of its own, ``like`` of the one it is like."""

    window: Projectable
    now: datetime
    history: int
    like: int


class Prospects(Struct, frozen=True):
    """Everything about some windows that does not depend on how past forecasts fared, one a row."""

    asked: Sequence[AskedWindow]
    seconds: Array
    length: Array
    used: Array
    rate: Array
    level: Array
    trend: Array
    observed: Array
    days: DayFans
    sessions: SessionFans

    def forecasts(self, rows: Integers, calibrations: Sequence[Calibration | None]) -> list[Forecast]:
        """Finish the forecasts of some rows, each by what its own past forecasts taught."""
        spread = np.array([one.spread if one else (1.0, 1.0) for one in calibrations])
        fan, share = self.days.quantiles(rows, spread), self.sessions.share[rows][:, None, None]
        with_sessions = share * self.sessions.quantiles(rows, spread) + (1.0 - share) * fan
        fan = np.where(share > 0, with_sessions, fan)
        windows = [self.asked[row].window for row in rows.tolist()]
        seconds, used, observed = self.seconds[rows], self.used[rows], self.observed[rows]
        knots = _bounded(seconds, fan, windows)
        table = zip(
            rows.tolist(), windows, calibrations, np.concatenate((seconds[:, :, None], knots), axis=2).tolist(),
            used.tolist(), self.rate[rows].tolist(), self.level[rows].tolist(), self.trend[rows].tolist(),
            observed.tolist(), _confidence(used, knots[:, -1]).tolist(), (share[:, 0, 0] > 0).tolist(),
            (seconds[:, -1] / self.length[rows]).tolist(),
            strict=True,
        )  # fmt: skip
        return [
            Forecast(
                now=self.asked[row].now,
                starts_at=window.window.starts_at,
                ends_at=window.window.ends_at,
                used=spent,
                certain=float(window.certain),
                knots=tuple(map(tuple, points)),
                rate=rate,
                level=level,
                trend=trend if math.isfinite(trend) else None,
                observed_days=seen,
                confidence=confident if seen >= SUFFICIENT_DAYS else None,
                method=("sessions" if by_sessions else "days") if seen >= SUFFICIENT_DAYS else "insufficient history",
                record=calibration.record(left) if calibration else _NO_RECORD,
                rate_cap=window.rate_cap,
            )
            for row, window, calibration, points, spent, rate, level, trend, seen, confident, by_sessions, left in table
        ]


_NO_RECORD = PastAccuracy()


def _bounded(seconds: Array, fan: Array, windows: Sequence[Projectable]) -> Array:
    """Put in what is certain already and what the rate allows, as ``shape.bounded`` does."""
    certain = np.array([float(window.certain) for window in windows])
    caps = np.array([np.inf if window.rate_cap is None else window.rate_cap for window in windows])
    fan = np.minimum(fan, LARGEST)
    bound = np.flatnonzero((certain > 0) | np.isfinite(caps))
    if not bound.size:
        return fan
    at, sure, quantiles = seconds[bound], certain[bound], fan[bound]
    with np.errstate(invalid="ignore"):
        most = np.where(np.isfinite(caps[bound])[:, None], np.minimum(caps[bound][:, None] * at, LARGEST), LARGEST)
    soon = np.maximum(np.minimum(DAY, at[:, -1]), 1.0)
    surprise = np.where(sure > 0, np.maximum(sure - _median_at(soon, at, quantiles[:, :, 1]), 0.0), 0.0)
    arrived = np.minimum(1.0, at / soon[:, None])
    floor, more = (sure[:, None] * arrived)[:, :, None], (surprise[:, None] * arrived)[:, :, None]
    fan[bound] = np.minimum(np.maximum(quantiles + more, floor), most[:, :, None])
    return fan


def _median_at(moment: Array, seconds: Array, median: Array) -> Array:
    """Return the median of what comes before a moment of each row, between the knots."""
    rows, last = np.arange(len(moment)), seconds.shape[1] - 1
    right = (seconds < moment[:, None]).sum(axis=1)
    left, right = np.clip(right - 1, 0, last), np.minimum(right, last)
    width = seconds[rows, right] - seconds[rows, left]
    part = np.where(width > 0, (moment - seconds[rows, left]) / np.where(width > 0, width, 1.0), 0.0)
    return np.asarray(median[rows, left] + part * (median[rows, right] - median[rows, left]))


def _confidence(used: Array, knots: Array) -> Array:
    """Return the calibrated probability of landing within 10 % of what is expected, as ``shape.confidence`` does."""
    expected = used + knots[:, 1]
    raw = _probability(1.1 * expected - used, knots) - _probability(0.9 * expected - used, knots)
    return np.interp(raw, *_table(CLAIMED))


def _probability(value: Array, knots: Array) -> Array:
    low, middle, high = knots[:, 0], knots[:, 1], knots[:, 2]
    above, below = high - middle, middle - low
    with np.errstate(divide="ignore", invalid="ignore"):
        up = _inverse((value - middle) / above, UPPER, 1.0)
        down = _inverse((middle - value) / below, LOWER, 0.0)
    up, down = np.where(above > 0, up, 1.0), np.where(below > 0, down, 0.0)
    return np.where(value < 0, 0.0, np.where(value >= middle, up, down))


def _inverse(x: Array, shape: Sequence[tuple[float, float]], beyond: float) -> Array:
    """Read the probability of a position from one of the tables of ``shape``."""
    probabilities, positions = _table(shape)
    return np.asarray(np.interp(x, positions, probabilities, right=beyond))


def _table(shape: Sequence[tuple[float, float]]) -> Array:
    return np.array(shape).T
