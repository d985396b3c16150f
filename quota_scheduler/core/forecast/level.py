"""The level of usage: how much a usual day of a series takes now.

    days ─► cut what no other day comes near ─► square-root averages of the last days ─► short ─┐
                    │                        ─► mean of two months ───────────────────► long  ─┼─► UsageLevel
                    └─► the last 4, 7, 14, 28 days against the 28 before ─► new level ─────────┘

A day that stands alone is cut and moves little; a change that lasts leaves the scatter of the days before it behind and
is believed, also by the long part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from msgspec import Struct

# Numbers without another source were chosen on development traces, where their optimum is flat (changing a weight by a
# third moves the error by less than .01): docs/explanation/forecasting.md, "Level" and "Change points".
WEEK = 7
"""Days of the short level's first average."""
LATEST = 3
"""Days of its second: more than that over-weights yesterday."""
FORTNIGHT = 14
"""Days of its third, a plain mean."""
LONG = 56
"""Days of the long level."""
MEMORY = 90
"""Days of the memory, which only the slack of the band reads."""
WEEK_SHARE = 0.65
"""Weight of the last week's square-root average in the short level."""
LATEST_SHARE = 0.25
"""Weight of the last three days' square-root average in the short level."""
FORTNIGHT_SHARE = 0.10
"""Weight of the last fortnight's mean in the short level."""
LONG_SHARE = 0.22
"""Weight of the long level for tomorrow."""
LONG_GROWTH = 0.107
"""How much that weight grows with the logarithm of the days to the reset: .55 for 22 days."""
LONG_MOST = 0.62
"""Largest weight of the long level."""
OUTLIER = 3.0
"""Standard deviations, in square roots, at which a day is cut."""
STEADY = 0.05
"""Scatter that even the steadiest series is granted, as a share of its mean root."""
BEFORE = 28
"""Days that a change is measured against, and whose scatter cuts outliers."""
LEAST_BEFORE = 14
"""Least days to measure a change against."""
RECENT = (4, 5, 7, 10, 14, 21, 28)
"""How long ago a new level may have begun, in days."""
DOUBT = 3.0
"""Standard errors up to which a change is not believed at all."""
SURE = 6.0
"""Standard errors from which on a change is believed fully; in proportion between."""
QUIET = 0.25
"""A weekday with less than this part of a usual day says nothing about a change."""


class UsageLevel(Struct, frozen=True):
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


def level(
    days: Sequence[float], head: float, observed: float, factors: Sequence[float], begun: float = 0.0
) -> UsageLevel:
    """Return the level of usage.

    ``days`` are newest first, ``head`` the seen part of day 0, ``begun`` above zero when day 0 is an unfinished
    calendar day, ``observed`` the days of history, ``factors`` those of the weekdays (``day_model.weekdays``).
    """
    roots = list(map(math.sqrt, days[:LONG]))
    seen = min(math.ceil(observed), LONG)
    _cut_the_largest(roots, seen)
    used = list(map(mul, roots, roots))
    size = [*factors[6:], *factors[:6]] if begun else factors
    scale = [1.0 / math.sqrt(factor) if factor >= QUIET else 0.0 for factor in size] * (LONG // WEEK)
    even = [root * by for root, by in zip(roots[:seen], scale, strict=False) if by]
    part = head if scale[0] else 1.0
    fortnight = _mean(used, FORTNIGHT, head, observed)
    short = _short(_within_scatter(even, part), part, observed, fortnight)
    long = _mean(used, LONG, head, observed)
    whole = 1 if begun and part < 1.0 else 0
    recent, belief = _change(even[whole:])
    if belief > 0:
        weights = [factor for factor in size if factor >= QUIET] * (LONG // WEEK)
        new = _even_mean(even[whole : whole + recent], weights[whole : whole + recent])
        lately = new if recent < WEEK else _short(even, part, observed, fortnight)
        short += belief * (lately - short)
        long += belief * (new - long)
    return UsageLevel(short, long, _mean(days, MEMORY, head, observed))


def _mean(values: Sequence[float], span: int, head: float, observed: float) -> float:
    return sum(values[:span]) / max(min(observed, span - 1 + head), 1.0)


def _even_mean(even: Sequence[float], weights: Sequence[float]) -> float:
    """Return the usage a day over some usual days, each weighing as much as its weekday takes."""
    return sum([root * root * weight for root, weight in zip(even, weights, strict=True)]) / sum(weights)


def _short(even: Sequence[float], part: float, observed: float, fortnight: float) -> float:
    """Average the last usual days, most of it in square roots: one large day counts little, a lasting change fully.

    Of day 0 only ``part`` has been seen, so its root counts as that part of a day.
    """
    if not even:
        return fortnight
    seen = [even[0] * math.sqrt(part), *even[1:WEEK]]
    week, latest = (_mean(seen, min(span, len(even)), part, observed) for span in (WEEK, LATEST))
    return WEEK_SHARE * week * week + LATEST_SHARE * latest * latest + FORTNIGHT_SHARE * fortnight


def _cut_the_largest(roots: list[float], seen: int) -> None:
    """Cut the largest of the ``seen`` days to what the scatter of all others allows, from four weeks on."""
    if seen < BEFORE:
        return
    scattered = roots[:seen]
    top = max(scattered)
    mean = (sum(scattered) - top) / (seen - 1)
    squares = (sum(map(mul, scattered, scattered)) - top * top) / (seen - 1)
    allowed = mean + OUTLIER * (math.sqrt(max(squares - mean * mean, 0.0)) + STEADY * mean)
    if top > allowed > 0:
        roots[scattered.index(top)] = allowed


def _within_scatter(even: Sequence[float], part: float) -> Sequence[float]:
    """Return the last seven usual days, each cut to what the scatter of the four weeks before allows, up and down."""
    before = even[WEEK : WEEK + BEFORE]
    if len(before) < BEFORE - WEEK:
        return even
    mean = sum(before) / len(before)
    squares = sum(map(mul, before, before)) / len(before)
    most = OUTLIER * (math.sqrt(max(squares - mean * mean, 0.0)) + STEADY * mean)
    if most <= 0:
        return even
    low, high = mean - most, mean + most
    newest = min(max(even[0], low * math.sqrt(part)), high)
    return [newest, *(low if root < low else high if root > high else root for root in even[1:WEEK])]


def _change(even: Sequence[float]) -> tuple[int, float]:
    """Compare the last usual days with the four weeks before them: how many a new level has lasted, and how sure it is.

    In square roots, each day by its weekday, and without the day that speaks most for the change: neither a burst nor
    a weekend nor a day off looks like one; the newer half must bear it out, so that what was taken back is no change.
    Of the lengths in ``RECENT`` the one that stands out most is taken.
    """
    sums, squares = [0.0, *accumulate(even)], [0.0, *accumulate(map(mul, even, even))]
    most, lasted = 0.0, 0
    for recent in RECENT:
        end = min(len(even), recent + BEFORE)
        old = end - recent
        if old < LEAST_BEFORE:
            break  # longer spans leave even fewer days to compare with
        mean = (sums[end] - sums[recent]) / old
        scatter = math.sqrt(max((squares[end] - squares[recent]) / old - mean * mean, 0.0)) + STEADY * mean
        rises = sums[recent] > recent * mean
        # without the day that speaks most for the change: one burst, one day off, is not a new level
        away = (sums[recent] - (max if rises else min)(even[:recent])) / (recent - 1) - mean
        # the newer half bounds it: what has been taken back since is no change, however large it was
        newest = sums[recent // 2] / (recent // 2) - mean
        away = max(min(away, 2.0 * newest) if rises else min(-away, -2.0 * newest), 0.0)
        # both means scatter, so both lengths are in the error of their difference
        errors = away / (scatter * math.sqrt(1.0 / recent + 1.0 / old)) if scatter > 0 else 0.0
        if errors > most:
            most, lasted = errors, recent
    return lasted, min(max((most - DOUBT) / (SURE - DOUBT), 0.0), 1.0)
