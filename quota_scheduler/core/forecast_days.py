"""The day model: what is still to come in a window of more than a day, for many limits at once.

    level   a robust mean of the last days, shrunk towards two months (more, the further the reset)
    ahead   days to the reset, by weekday and time of day as far as the history proves them
    rest    = level × ahead, between (rest + slack) × e^(∓ quantile(ahead) × volatility) - slack

Every function works on rows of limits; one limit is one row. The constants were fitted on
development traces with owners held out: docs/explanation/forecasting.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WEEK, WEEKS, CLIP = 7, 8, 3.0
LATEST, FORTNIGHT, LONG, MEMORY = 3, 14, 60, 90
WEEK_SHARE, LATEST_SHARE, FORTNIGHT_SHARE = 0.65, 0.25, 0.10
SPANS = np.array([WEEK, LATEST, FORTNIGHT, LONG, MEMORY], dtype=np.float64)
LONG_SHARE, LONG_GROWTH, LONG_MOST = 0.22, 0.107, 0.62
SLACK = 0.2
BEFORE, SURPRISE, OUTLIER = 28, 2.0, 3.0
REPLAY, ORIGINS, YOUNGEST, REPLAY_WEEK, USUAL_ERROR, PRIOR = 3, 60, 7, 0.6, 0.81, 15.0
CALM, WILD, UNSEEN = 0.3, 1.8, 1.8
DAYS_KEPT = ORIGINS + REPLAY + LONG + 1
PHASES = np.tile(np.eye(WEEK), (WEEKS, 1))
PAST = np.arange(REPLAY, REPLAY + ORIGINS)
HORIZONS = np.log(np.array([1.0, 2.0, 4.0, 8.0, 15.0, 30.0]))
LOW = np.array([-1.60, -1.48, -1.20, -1.02, -0.84, -0.70])
HIGH = np.array([1.30, 1.36, 1.28, 1.32, 1.43, 2.10])
MOST = 2.6


def rest(level: tuple[Array, Array, Array], ahead: Array, volatility: Array, spread: Array) -> Array:
    """Return the 10, 50 and 90 % quantiles of usage over ``ahead`` effective days, (limits, knots, 3).

    ``level`` as ``levels`` returns it, ``ahead`` (limits, knots) as ``effective`` does; ``spread``
    (limits, 2) are calibration factors on the lower and the upper half.
    """
    place = np.log(np.maximum(ahead, 1e-9))
    median = usual(level, place) * ahead
    slack = SLACK * level[2][:, None] * ahead
    low = np.exp(np.interp(place, HORIZONS, LOW) * (volatility * spread[:, 0])[:, None])
    up = np.interp(place, HORIZONS, HIGH) * (volatility * spread[:, 1])[:, None]
    high = np.exp(np.minimum(up, MOST))
    middle = median + slack
    out = np.empty((*ahead.shape, 3))
    np.maximum(middle * low - slack, 0.0, out=out[:, :, 0])
    out[:, :, 1] = median
    np.subtract(middle * high, slack, out=out[:, :, 2])
    return out


def usual(level: tuple[Array, Array, Array], place: Array) -> Array:
    """Blend the short and the long level for horizons of e^``place`` days, (limits, knots)."""
    share = np.minimum(LONG_SHARE + LONG_GROWTH * np.maximum(place, 0.0), LONG_MOST)
    return level[0][:, None] * (1.0 - share) + level[1][:, None] * share


def tomorrow(level: tuple[Array, Array, Array]) -> Array:
    """Return the usual usage of the next day, before weekdays."""
    return level[0] * (1.0 - LONG_SHARE) + level[1] * LONG_SHARE


def levels(days: Array, head: Array, observed: Array) -> tuple[Array, Array, Array]:
    """Return the short, the long and the memory level (usage a day) of each limit.

    ``days`` (limits, days) newest first, ``head`` the seen part of day 0, ``observed`` days of
    history. The short level averages square roots, so that one outlier day moves it little and a
    lasting change fully.
    """
    roots = np.sqrt(days[:, : WEEK + BEFORE])
    roots[:, 0] *= np.sqrt(head)
    recent, changed, believed = _judged(roots, observed)
    seen = np.maximum(np.minimum(observed[:, None], SPANS + (head[:, None] - 1.0)), 1.0).T
    short = FORTNIGHT_SHARE * days[:, :FORTNIGHT].sum(axis=1) / seen[2]
    short += WEEK_SHARE * (recent.sum(axis=1) / seen[0]) ** 2
    short += LATEST_SHARE * (recent[:, :LATEST].sum(axis=1) / seen[1]) ** 2
    long = days[:, :LONG].sum(axis=1) / seen[3]
    memory = days[:, :MEMORY].sum(axis=1) / seen[4]
    return short + believed * (changed - short), long + believed * (changed - long), memory


def _judged(roots: Array, observed: Array) -> tuple[Array, Array, Array]:
    """Judge the last week by the four before it, all in square roots.

    Returns the week without what no earlier day comes near, the level of its median day, and how sure it is
    that this is a new level (0 to 1): an outlier day is cut and moves no median, four days of seven that leave
    the scatter far behind are believed. In a series as bursty as most developers' are, neither happens often.
    """
    recent, before = roots[:, :WEEK], roots[:, WEEK:]
    enough = observed >= WEEK + BEFORE
    mean = before.sum(axis=1) / BEFORE
    scatter = np.sqrt(np.maximum((before * before).sum(axis=1) / BEFORE - mean * mean, 0.0)) + 0.02 * mean
    middle = np.sort(recent, axis=1)[:, WEEK // 2]
    distance = np.abs(middle - mean) / (scatter + 1e-12)
    believed = np.minimum(np.maximum(distance - SURPRISE, 0.0) / SURPRISE, 1.0) * enough
    top = np.where(enough & (mean > 0), mean + OUTLIER * scatter, np.inf)
    return np.minimum(recent, top[:, None]), middle * middle, believed


def volatility(whole: Array, observed: Array) -> Array:
    """Return how far simple three-day forecasts of the last 60 days were off, relative to the usual error.

    ``whole`` (limits, days) are whole days, newest first, ``observed`` how many of them have been
    seen. Each past forecast reads only days older than itself.
    """
    sums = _cumulative(whole[:, : DAYS_KEPT - 1])
    known = observed[:, None] - PAST
    seen = np.maximum(known, 1.0)
    base = sums[:, REPLAY : REPLAY + ORIGINS]
    week = (sums[:, REPLAY + WEEK : REPLAY + WEEK + ORIGINS] - base) / np.minimum(seen, WEEK)
    long = (sums[:, REPLAY + LONG : REPLAY + LONG + ORIGINS] - base) / np.minimum(seen, LONG)
    came = (base - sums[:, :ORIGINS]) / REPLAY
    slack = SLACK * long + 1e-12
    expected = REPLAY_WEEK * week + (1.0 - REPLAY_WEEK) * long
    error = np.abs(np.log((came + slack) / (expected + slack)))
    judged = known >= YOUNGEST
    total = (error * judged).sum(axis=1) / USUAL_ERROR
    ratio = (total + PRIOR) / (judged.sum(axis=1) + PRIOR)
    return np.asarray(np.minimum(np.maximum(ratio, CALM), WILD))


def weekdays(whole: Array, observed: Array) -> Array:
    """Return the factor of each of the seven phases, mean 1; phase 6 is that of the day after ``whole[0]``.

    A weekday counts as far as it stands out of its own scatter over up to 8 weeks (James-Stein),
    bursts cut.
    """
    weeks = np.minimum(np.floor(observed / WEEK), WEEKS)[:, None]
    count = np.maximum(weeks, 2.0)
    days = whole[:, : WEEK * WEEKS]
    if weeks.min() < WEEKS:
        days = days * (np.arange(WEEK * WEEKS) < WEEK * weeks)
    top = (CLIP / WEEK) * days.sum(axis=1, keepdims=True) / count
    days = np.minimum(days, top)
    means = days @ PHASES / count
    centre = np.maximum(means.sum(axis=1, keepdims=True) / WEEK, 1e-100)
    means /= centre
    squares = (days * days).sum(axis=1, keepdims=True) / (centre * centre)
    spread = (means * means).sum(axis=1, keepdims=True)
    noise = (squares - count * spread) / (WEEK * (count - 1.0) * count)
    signal = np.maximum((spread - WEEK) / (WEEK - 1) - noise, 0.0) * (weeks >= 2)
    share = signal / (signal + np.maximum(noise, 0.0) + 1e-9)
    factor = np.maximum(1.0 + share * (means - 1.0), 0.05)
    return np.asarray(WEEK * factor / factor.sum(axis=1, keepdims=True))


def effective(ahead: Array, factors: Array, begun: Array, shape: Array | None) -> Array:
    """Return ``ahead`` (limits, knots; days from now) as days of the usual size.

    ``begun`` is the part of the first day ahead that has passed (0 when days end now); ``shape``
    (limits, 25) the cumulative usual share of a day by hours, None for even days.
    """
    rows = np.arange(len(ahead))[:, None]
    order = factors[:, ::-1]
    sums = _cumulative(order)
    places = np.concatenate((begun[:, None], begun[:, None] + ahead), axis=1)
    whole = np.floor(places)
    part = places - whole
    if shape is not None:
        hour = np.minimum((part * 24).astype(np.int64), 23)
        base = shape[rows, hour]
        part = base + (part * 24 - hour) * (shape[rows, hour + 1] - base)
    day = whole.astype(np.int64)
    weeks = day // WEEK
    day -= WEEK * weeks
    total = WEEK * weeks + sums[rows, day] + order[rows, day] * part
    return np.asarray(total[:, 1:] - total[:, :1])


def _cumulative(values: Array) -> Array:
    out = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out
