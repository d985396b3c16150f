"""The day model: what is still to come in a window of more than a day.

    level   usage a day, its long part counting more the further the reset                     forecast_level
    ahead   days to the reset, by weekday and time of day as far as the history proves them
    to come = level × ahead, between (to come + slack) × e^(∓ quantile(ahead) × volatility) - slack

Lists of a few dozen numbers are quicker in plain Python; the volatility, which replays 60 past forecasts, is
computed for all limits at once. The constants were fitted on development traces with owners held out:
docs/explanation/forecasting.md.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import numpy as np
from numpy.typing import NDArray

from quota_scheduler.core.forecast.level import LONG, LONG_GROWTH, LONG_MOST, LONG_SHARE, WEEK, UsageLevel
from quota_scheduler.core.forecast.shape import Quantiles

Array = NDArray[np.float64]
WEEKS, CLIP, SMALLEST = 8, 3.0, 0.05
SLACK = 0.2
SKEW, SKEW_DAYS = 0.2, math.log(8.0)
"""How far the median of few bursty days lies below their mean, for usual bursts; nothing from eight days on."""
REPLAY, ORIGINS, YOUNGEST, REPLAY_WEEK, USUAL_ERROR, PRIOR = 3, 60, 7, 0.6, 0.81, 8.0
CALM, WILD, UNSEEN = 0.15, 1.8, 1.8
DAYS_KEPT = ORIGINS + REPLAY + LONG + 1
PAST = np.arange(REPLAY, REPLAY + ORIGINS)
AHEAD = np.array(
    [[np.isin((past - np.arange(1, REPLAY + 1)) % WEEK, day).sum() for past in PAST] for day in range(WEEK)]
)
AHEAD = AHEAD / REPLAY
"""For each weekday and past forecast, the part of the three days ahead of it that falls on that weekday."""
HORIZONS = tuple(math.log(days) for days in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0))
LOW = (-4.00, -2.60, -1.65, -1.52, -1.22, -1.02, -0.86, -0.76)
HIGH = (1.40, 1.32, 1.24, 1.34, 1.26, 1.31, 1.43, 2.10)
LOW_POWER = 0.75
"""The lower half follows the volatility less: usage cannot fall below nothing, however wild it is."""
MOST = 2.1


def to_come(
    level: UsageLevel, ahead: Sequence[float], volatility: float, spread: tuple[float, float]
) -> list[Quantiles]:
    """Return the 10, 50 and 90 % quantiles of usage over each of ``ahead`` days of the usual size.

    ``spread`` are calibration factors on the lower and the upper half.
    """
    quantiles = []
    skew = SKEW * (volatility - CALM) / (1.0 - CALM) / SKEW_DAYS
    wide, deep = volatility * spread[1], volatility**LOW_POWER * spread[0]
    for days in ahead:
        if days <= 0:
            quantiles.append((0.0, 0.0, 0.0))
            continue
        place = math.log(days)
        share = min(LONG_SHARE + LONG_GROWTH * max(place, 0.0), LONG_MOST)
        mean, slack = level.over(share) * days, SLACK * level.memory * days
        low, high = _table(place)
        median = mean * (1.0 - skew * min(max(SKEW_DAYS - place, 0.0), SKEW_DAYS))
        below = max((mean + slack) * math.exp(low * deep) - slack, 0.0)
        quantiles.append((min(below, median), median, (mean + slack) * math.exp(min(high * wide, MOST)) - slack))
    return quantiles


def volatility(whole: Array, observed: Array, factors: Array) -> Array:
    """Return how far simple three-day forecasts of the last 60 days were off, relative to the usual error.

    ``whole`` (limits, days) are whole days, newest first, ``observed`` how many of them have been seen, ``factors``
    (limits, 7) those of their weekdays, all for many limits at once. Each past level reads only days older than itself.
    """
    sums = np.zeros((whole.shape[0], DAYS_KEPT))
    whole[:, : DAYS_KEPT - 1].cumsum(axis=1, out=sums[:, 1:])
    seen = observed[:, None] - PAST
    base = sums[:, REPLAY : REPLAY + ORIGINS]
    least = 1e-12 * sums[:, -1:] + 1e-300
    week = (sums[:, REPLAY + WEEK : REPLAY + WEEK + ORIGINS] - base) * (REPLAY_WEEK / WEEK)
    long = (sums[:, REPLAY + LONG : REPLAY + LONG + ORIGINS] - base) / np.minimum(np.maximum(seen, 1.0), LONG)
    came = (base - sums[:, :ORIGINS]) * (1.0 / REPLAY) + SLACK * long + least
    expected = (week + (1.0 - REPLAY_WEEK) * long) * (factors @ AHEAD) + SLACK * long + least
    error = np.abs(np.log(came / expected)) * (seen >= YOUNGEST)
    verified = np.minimum(np.maximum(observed - (REPLAY + YOUNGEST - 1), 0.0), ORIGINS)
    ratio = (error.sum(axis=1) * (1.0 / USUAL_ERROR) + PRIOR) / (verified + PRIOR)
    return np.asarray(np.minimum(np.maximum(ratio, CALM), WILD))


def weekdays(whole: Sequence[float], observed: float) -> list[float]:
    """Return the factor of each of the seven phases, mean 1; phase 6 is that of the day after ``whole[0]``.

    A weekday counts as far as it stands out of its own scatter over up to 8 weeks (James-Stein), bursts cut.
    """
    weeks = min(int(observed // WEEK), WEEKS)
    days = whole[: WEEK * weeks]
    usual = sum(days) / len(days) if weeks >= 2 else 0.0
    if usual <= 0:
        return [1.0] * WEEK
    top = CLIP * usual
    cut = [usage if usage < top else top for usage in days]
    centre = sum(cut) / len(cut)
    shares = [usage / centre for usage in cut]
    means = [sum(shares[phase::WEEK]) / weeks for phase in range(WEEK)]
    between = sum(map(mul, means, means))
    noise = max((sum(map(mul, shares, shares)) - weeks * between) / (WEEK * (weeks - 1) * weeks), 0.0)
    signal = max((between - WEEK) / (WEEK - 1) - noise, 0.0)
    share = signal / (signal + noise + 1e-9)
    factors = [max(1.0 + share * (mean - 1.0), SMALLEST) for mean in means]
    total = sum(factors)
    return [WEEK * factor / total for factor in factors]


def effective(
    ahead: Sequence[float], factors: Sequence[float], begun: float, shape: Sequence[float] | None
) -> list[float]:
    """Return ``ahead`` (days from now) as days of the usual size.

    ``begun`` is the part of the first day ahead that has passed (0 when days end now); ``shape`` the cumulative
    usual share of a day by hours (25 values), None for even days.
    """
    order = factors[::-1]
    sums = [0.0, *accumulate(order)]

    def until(place: float) -> float:
        whole = int(place)
        part = place - whole
        if shape is not None:
            hour = min(int(part * 24), 23)
            part = shape[hour] + (part * 24 - hour) * (shape[hour + 1] - shape[hour])
        weeks, day = divmod(whole, WEEK)
        return WEEK * weeks + sums[day] + order[day] * part

    first = until(begun)
    return [until(begun + days) - first for days in ahead]


def _table(place: float) -> tuple[float, float]:
    """Return the lower and upper quantile of the error e^``place`` days ahead."""
    i = bisect_right(HORIZONS, place)
    if i == 0 or i == len(HORIZONS):
        return (LOW[0], HIGH[0]) if i == 0 else (LOW[-1], HIGH[-1])
    part = (place - HORIZONS[i - 1]) / (HORIZONS[i] - HORIZONS[i - 1])
    return LOW[i - 1] + part * (LOW[i] - LOW[i - 1]), HIGH[i - 1] + part * (HIGH[i] - HIGH[i - 1])
