"""The day model: what is still to come in a window of more than a day.

    level   usage a day, its long part counting more the further the reset                     level.py
    ahead   days to the reset, by weekday and time of day as far as the history proves them
    to come = level × ahead, between (to come + slack) × e^(∓ quantile(ahead) × volatility) - slack

Lists of a few dozen numbers are quicker in plain Python; the volatility, which replays 60 past forecasts, is
computed for all limits at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.level import LONG, LONG_GROWTH, LONG_MOST, LONG_SHARE, WEEK, UsageLevel
from quota_scheduler.core.forecast.shape import Quantiles

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers


# Numbers without another source were fitted on development traces with owners held out: "The method" and "What helped"
# in docs/explanation/forecasting.md; ``quota-scheduler backtest TRACES`` measures them again.
WEEKS = 8
"""Weeks that a weekday's factor is the mean of."""
CLIP = 3.0
"""A day counts for at most so many times the mean of its days in a weekday's factor."""
SMALLEST = 0.05
"""Least factor of a weekday before scaling, as a share of a usual day: none is ruled out."""
SLACK = 0.2
"""Slack of the band, as a share of the usage a day over three months: an idle spell does not promise zero."""
SKEW = 0.2
"""How far the median of few days lies below their mean at the usual volatility, as a share of the mean."""
SKEW_DAYS = math.log(8.0)
"""Logarithm of the days from which on the median is the mean: sums of many days are not skewed."""
REPLAY = 3
"""Days that each replayed forecast looks ahead: measured where there is the most evidence."""
ORIGINS = 60
"""Replayed forecasts, one a day back: the newest that two months hold."""
YOUNGEST = 7
"""Days of history that a replayed forecast needs to count."""
REPLAY_WEEK = 0.6
"""Weight of the last week in a replayed forecast; its long mean has the other 0.4."""
USUAL_ERROR = 0.81
"""Mean absolute error of replayed forecasts over all traces, in logarithms: volatility 1."""
PRIOR = 8.0
"""Replayed forecasts of the usual error that every series starts with."""
CALM = 0.15
"""Least volatility: even a series without any scatter may change tomorrow."""
WILD = 1.8
"""Largest volatility: beyond it the band says no more."""
UNSEEN = 1.8
"""Volatility of a series under seven days old: the widest band there is."""
FADE = 14.0
"""Days after which a replayed forecast counts half as much: how wild a series is comes in spells of weeks."""
DAYS_KEPT = ORIGINS + REPLAY + LONG + 1
"""Days that the replay reads: the oldest forecast's own two months too."""
HORIZONS = tuple(math.log(days) for days in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0))
"""Logarithms of the usual days ahead at which the band is tabled."""
LOW = (-4.00, -2.60, -1.80, -1.68, -1.26, -1.05, -1.00, -0.90)
"""The 10 % quantile of the error at these horizons, in logarithms at volatility 1."""
HIGH = (1.40, 1.32, 1.24, 1.34, 1.26, 1.31, 1.43, 2.10)
"""The 90 % quantile of the error at these horizons, in logarithms at volatility 1."""
LOW_POWER = 0.75
"""The lower half follows the volatility less: usage cannot fall below nothing, however wild it is."""
MOST = 1.7
"""Largest upper half, in logarithms: five and a half times the mean."""


@cache
def _past() -> Integers:
    """How many days ago each replayed forecast was made."""
    return np.arange(REPLAY, REPLAY + ORIGINS)


@cache
def _weight() -> Array:
    """Weight of each replayed forecast in the mean error."""
    return 0.5 ** (np.arange(ORIGINS) / FADE)


@cache
def _ahead() -> Array:
    """For each weekday and past forecast, the part of the three days ahead of it that falls on that weekday."""
    days = (_past() - np.arange(1, REPLAY + 1)[:, None]) % WEEK
    return np.array([(days == day).sum(axis=0) for day in range(WEEK)]) / REPLAY


def to_come(
    level: UsageLevel,
    ahead: Sequence[float],
    volatility: float,
    spread: tuple[float, float],
    times: Sequence[float],
) -> list[Quantiles]:
    """Return the 10, 50 and 90 % quantiles of usage over each of ``ahead`` days of the usual size.

    ``spread`` are calibration factors on the lower and the upper half; ``times`` says for each of ``ahead`` how many
    times the usual is expected, after the last hours (``burst.times_usual``).
    """
    quantiles = []
    skew = SKEW * (volatility - CALM) / (1.0 - CALM) / SKEW_DAYS
    wide, deep = volatility * spread[1], volatility**LOW_POWER * spread[0]
    for days, more in zip(ahead, times, strict=True):
        if days <= 0:
            quantiles.append((0.0, 0.0, 0.0))
            continue
        log_days = math.log(days)
        share = min(LONG_SHARE + LONG_GROWTH * max(log_days, 0.0), LONG_MOST)
        mean, slack = level.over(share) * days * more, SLACK * level.memory * days
        low, high = _table(log_days)
        median = mean * (1.0 - skew * min(max(SKEW_DAYS - log_days, 0.0), SKEW_DAYS))
        below = max((mean + slack) * math.exp(low * deep) - slack, 0.0)
        quantiles.append((min(below, median), median, (mean + slack) * math.exp(min(high * wide, MOST)) - slack))
    return quantiles


def volatility(whole: Array, observed: Array, factors: Array) -> Array:
    """Return how far simple three-day forecasts were off lately, relative to the usual error.

    ``whole`` (limits, days) are whole days, newest first, ``observed`` how many of them have been seen, ``factors``
    (limits, 7) those of their weekdays, all for many limits at once. Each past level reads only days older than itself.
    """
    sums = np.zeros((whole.shape[0], DAYS_KEPT))
    whole[:, : DAYS_KEPT - 1].cumsum(axis=1, out=sums[:, 1:])
    seen = observed[:, None] - _past()
    base = sums[:, REPLAY : REPLAY + ORIGINS]
    least = 1e-12 * sums[:, -1:] + 1e-300
    week = (sums[:, REPLAY + WEEK : REPLAY + WEEK + ORIGINS] - base) * (REPLAY_WEEK / WEEK)
    long = (sums[:, REPLAY + LONG : REPLAY + LONG + ORIGINS] - base) / np.minimum(np.maximum(seen, 1.0), LONG)
    came = (base - sums[:, :ORIGINS]) * (1.0 / REPLAY) + SLACK * long + least
    expected = (week + (1.0 - REPLAY_WEEK) * long) * (factors @ _ahead()) + SLACK * long + least
    weight = _weight() * (seen >= YOUNGEST)
    error = (np.abs(np.log(came / expected)) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0)
    verified = np.minimum(np.maximum(observed - (REPLAY + YOUNGEST - 1), 0.0), ORIGINS)
    ratio = (verified * error * (1.0 / USUAL_ERROR) + PRIOR) / (verified + PRIOR)
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


def _table(log_days: float) -> tuple[float, float]:
    """Return the lower and upper quantile of the error e^``log_days`` days ahead."""
    i = bisect_right(HORIZONS, log_days)
    if i == 0 or i == len(HORIZONS):
        return (LOW[0], HIGH[0]) if i == 0 else (LOW[-1], HIGH[-1])
    part = (log_days - HORIZONS[i - 1]) / (HORIZONS[i] - HORIZONS[i - 1])
    return LOW[i - 1] + part * (LOW[i] - LOW[i - 1]), HIGH[i - 1] + part * (HIGH[i] - HIGH[i - 1])
