"""What is still to come in many windows at once: ``day_model.py`` and ``burst.py`` over rows of one matrix.

What these compute and why stands there, in words and for one window; a test compares both on made-up histories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.batch_level import UsageLevels
from quota_scheduler.core.forecast.burst import HOURS, LASTS, OVERNIGHT
from quota_scheduler.core.forecast.day_model import (
    CALM,
    HIGH,
    HORIZONS,
    LOW,
    LOW_POWER,
    MOST,
    SKEW,
    SKEW_DAYS,
    SLACK,
)
from quota_scheduler.core.forecast.level import LONG_GROWTH, LONG_MOST, LONG_SHARE, WEEK

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers, Truths


def effective(ahead: Array, factors: Array, shape: Array) -> Array:
    """Return ``ahead`` (days from now, some a row) as days of the usual size.

    ``shape`` is the cumulative usual share of a day by hours (25 values a row).
    """
    order = factors[:, ::-1]
    sums = np.zeros((len(factors), WEEK + 1))
    order.cumsum(axis=1, out=sums[:, 1:])
    rows = np.arange(len(ahead))[:, None]
    whole = ahead.astype(np.int64)
    weeks, day = whole // WEEK, whole % WEEK
    return np.asarray(WEEK * weeks + sums[rows, day] + order[rows, day] * _by_hour(shape, ahead - whole))


def times_usual(ratio: Array, fading: Array, shape: Array, seconds: Array) -> Array:
    """Return what comes within so many ``seconds``, over what usually would, when a burst is ``ratio`` times usual."""
    days, part = np.divmod(seconds / 3_600.0, HOURS)
    usual = days + _by_hour(shape, part / HOURS)
    kept = np.exp(-HOURS * days / LASTS)
    came = fading[:, HOURS:] * (1.0 - kept) / (1.0 - OVERNIGHT) + kept * _by_hour(fading, part / HOURS)
    left = np.where(usual > 0, np.minimum(came / np.where(usual > 0, usual, 1.0), 1.0), 1.0)
    return 1.0 + (ratio[:, None] - 1.0) * left


def _by_hour(sums: Array, part: Array) -> Array:
    """Read running sums by hours (25 a row) at parts of a day, in proportion between."""
    rows = np.arange(len(part))[:, None]
    place = part * HOURS
    hour = np.minimum(place.astype(np.int64), HOURS - 1)
    return np.asarray(sums[rows, hour] + (place - hour) * (sums[rows, hour + 1] - sums[rows, hour]))


class DayFans(Struct, frozen=True):
    """What is to come by the day model before calibration: some moments a row."""

    is_ahead: Truths
    mean: Array
    median: Array
    slack: Array
    low: Array
    high: Array
    volatility: Array

    @staticmethod
    def of(levels: UsageLevels, ahead: Array, volatility: Array, times: Array) -> DayFans:
        """Work out everything that does not depend on how past forecasts fared."""
        is_ahead = ahead > 0
        days = np.where(is_ahead, ahead, 1.0)
        log_days = np.log(days)
        share = np.minimum(LONG_SHARE + LONG_GROWTH * np.maximum(log_days, 0.0), LONG_MOST)
        mean = levels.over(share) * days * times
        skew = SKEW * (volatility[:, None] - CALM) / (1.0 - CALM) / SKEW_DAYS
        return DayFans(
            is_ahead=is_ahead,
            mean=mean,
            median=mean * (1.0 - skew * np.minimum(np.maximum(SKEW_DAYS - log_days, 0.0), SKEW_DAYS)),
            slack=SLACK * levels.memory * days,
            low=np.interp(log_days, HORIZONS, LOW),
            high=np.interp(log_days, HORIZONS, HIGH),
            volatility=volatility,
        )

    def quantiles(self, rows: slice | Integers, spread: Array) -> Array:
        """Return the 10, 50 and 90 % quantiles of some rows (rows, moments, 3); ``spread`` is of both halves."""
        volatility = self.volatility[rows][:, None]
        wide, deep = volatility * spread[:, 1:], volatility**LOW_POWER * spread[:, :1]
        median, slack = self.median[rows], self.slack[rows]
        usual = self.mean[rows] + slack
        below = np.maximum(usual * np.exp(self.low[rows] * deep) - slack, 0.0)
        above = usual * np.exp(np.minimum(self.high[rows] * wide, MOST)) - slack
        fan = np.stack((np.minimum(below, median), median, above), axis=-1)
        return np.where(self.is_ahead[rows][:, :, None], fan, 0.0)
