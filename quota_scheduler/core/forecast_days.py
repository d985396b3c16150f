"""The day model: what is still to come in a window of more than a day.

    level   a robust mean of the last days, shrunk towards two months (more, the further the reset)
    ahead   days to the reset, by weekday and time of day as far as the history proves them
    rest    = level × ahead, between (rest + slack) × e^(∓ quantile(ahead) × volatility) - slack

Lists of a few dozen numbers are quicker in plain Python; the volatility, which replays 60 past forecasts, is
computed for all limits at once. The constants were fitted on development traces with owners held out:
docs/explanation/forecasting.md.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Quantiles = tuple[float, float, float]

WEEK, WEEKS, CLIP, SMALLEST = 7, 8, 3.0, 0.05
LATEST, FORTNIGHT, LONG, MEMORY = 3, 14, 60, 90
WEEK_SHARE, LATEST_SHARE, FORTNIGHT_SHARE = 0.65, 0.25, 0.10
LONG_SHARE, LONG_GROWTH, LONG_MOST = 0.22, 0.107, 0.62
SLACK = 0.2
BEFORE, SURPRISE, OUTLIER = 28, 2.0, 3.0
REPLAY, ORIGINS, YOUNGEST, REPLAY_WEEK, USUAL_ERROR, PRIOR = 3, 60, 7, 0.6, 0.81, 15.0
CALM, WILD, UNSEEN = 0.3, 1.8, 1.8
DAYS_KEPT = ORIGINS + REPLAY + LONG + 1
PAST = np.arange(REPLAY, REPLAY + ORIGINS)
HORIZONS = tuple(math.log(days) for days in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0))
LOW = (-4.00, -2.60, -1.60, -1.48, -1.20, -1.02, -0.84, -0.70)
HIGH = (1.45, 1.38, 1.30, 1.36, 1.28, 1.32, 1.43, 2.10)
MOST = 2.6


@dataclass(frozen=True, slots=True)
class Level:
    """Usage a day: lately, over two months, over three."""

    short: float
    long: float
    memory: float

    def over(self, share: float) -> float:
        """Return the level when the long part has this ``share``."""
        return self.short * (1.0 - share) + self.long * share

    @property
    def tomorrow(self) -> float:
        """The usual usage of the next day, before weekdays."""
        return self.over(LONG_SHARE)


def rest(level: Level, ahead: Sequence[float], volatility: float, spread: tuple[float, float]) -> list[Quantiles]:
    """Return the 10, 50 and 90 % quantiles of usage over each of ``ahead`` days of the usual size.

    ``spread`` are calibration factors on the lower and the upper half.
    """
    found = []
    for days in ahead:
        if days <= 0:
            found.append((0.0, 0.0, 0.0))
            continue
        place = math.log(days)
        share = min(LONG_SHARE + LONG_GROWTH * max(place, 0.0), LONG_MOST)
        median, slack = level.over(share) * days, SLACK * level.memory * days
        low, high = _table(place)
        down = math.exp(low * volatility * spread[0])
        up = math.exp(min(high * volatility * spread[1], MOST))
        found.append((max((median + slack) * down - slack, 0.0), median, (median + slack) * up - slack))
    return found


def level(days: Sequence[float], head: float, observed: float) -> Level:
    """Return the level of usage.

    ``days`` are newest first, ``head`` the seen part of day 0, ``observed`` the days of history. The short level
    averages square roots, so that one outlier day moves it little and a lasting change fully.
    """

    def mean(values: Sequence[float], span: int) -> float:
        return sum(values[:span]) / max(min(observed, span - 1 + head), 1.0)

    roots = [math.sqrt(usage) for usage in days[: WEEK + BEFORE]]
    roots[0] *= math.sqrt(head)
    recent, changed, believed = _judged(roots) if observed >= WEEK + BEFORE else (roots, 0.0, 0.0)
    short = WEEK_SHARE * mean(recent, WEEK) ** 2 + LATEST_SHARE * mean(recent, LATEST) ** 2
    short += FORTNIGHT_SHARE * mean(days, FORTNIGHT)
    long = mean(days, LONG)
    return Level(short + believed * (changed - short), long + believed * (changed - long), mean(days, MEMORY))


def _judged(roots: Sequence[float]) -> tuple[Sequence[float], float, float]:
    """Judge the last week by the four before it, all in square roots.

    Returns the week without what no earlier day comes near, the level of its median day, and how sure it is
    that this is a new level (0 to 1): an outlier day is cut and moves no median, four days of seven that leave
    the scatter far behind are believed. In a series as bursty as most developers' are, neither happens often.
    """
    recent, before = roots[:WEEK], roots[WEEK:]
    mean = sum(before) / BEFORE
    if mean <= 0:
        return recent, 0.0, 0.0
    scatter = math.sqrt(sum((root - mean) ** 2 for root in before) / BEFORE) + 0.02 * mean
    middle = sorted(recent)[WEEK // 2]
    believed = min(max(abs(middle - mean) / scatter - SURPRISE, 0.0) / SURPRISE, 1.0)
    top = mean + OUTLIER * scatter
    return [min(root, top) for root in recent], middle * middle, believed


def volatility(whole: Array, observed: Array) -> Array:
    """Return how far simple three-day forecasts of the last 60 days were off, relative to the usual error.

    ``whole`` (limits, days) are whole days, newest first, ``observed`` how many of them have been seen, both for
    many limits at once. Each past forecast reads only days older than itself.
    """
    sums = np.zeros((whole.shape[0], DAYS_KEPT))
    np.cumsum(whole[:, : DAYS_KEPT - 1], axis=1, out=sums[:, 1:])
    known = observed[:, None] - PAST
    seen = np.maximum(known, 1.0)
    base = sums[:, REPLAY : REPLAY + ORIGINS]
    week = (sums[:, REPLAY + WEEK : REPLAY + WEEK + ORIGINS] - base) / np.minimum(seen, WEEK)
    long = (sums[:, REPLAY + LONG : REPLAY + LONG + ORIGINS] - base) / np.minimum(seen, LONG)
    came = (base - sums[:, :ORIGINS]) / REPLAY
    slack = SLACK * long + 1e-12 * sums[:, -1:] + 1e-300
    expected = REPLAY_WEEK * week + (1.0 - REPLAY_WEEK) * long
    error = np.abs(np.log((came + slack) / (expected + slack)))
    judged = known >= YOUNGEST
    total = (error * judged).sum(axis=1) / USUAL_ERROR
    ratio = (total + PRIOR) / (judged.sum(axis=1) + PRIOR)
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
    cut = [min(usage / usual, CLIP) for usage in days]
    centre = sum(cut) / len(cut)
    means = [sum(cut[phase::WEEK]) / weeks / centre for phase in range(WEEK)]
    between = sum(mean * mean for mean in means)
    squares = sum(usage * usage for usage in cut) / centre**2
    noise = max((squares - weeks * between) / (WEEK * (weeks - 1) * weeks), 0.0)
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
