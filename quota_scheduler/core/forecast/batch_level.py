"""Many levels at once: ``level.py`` and the weekdays of ``day_model.py`` over rows of one matrix.

What these compute and why stands there, in words and for one series; a test compares both on made-up histories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.day_model import CLIP, SMALLEST, WEEKS
from quota_scheduler.core.forecast.level import (
    BEFORE,
    DOUBT,
    FORTNIGHT,
    FORTNIGHT_SHARE,
    LATEST,
    LATEST_SHARE,
    LEAST_BEFORE,
    LONG,
    LONG_SHARE,
    MEMORY,
    OUTLIER,
    QUIET,
    RECENT,
    STEADY,
    SURE,
    WEEK,
    WEEK_SHARE,
)

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers


class UsageLevels(Struct, frozen=True):
    """Usage a day of each row: lately, over two months, over three."""

    short: Array
    long: Array
    memory: Array

    def over(self, share: Array | float) -> Array:
        """Return the levels when the long part has this ``share``."""
        return self.short * (1.0 - share) + self.long * share

    @property
    def tomorrow(self) -> Array:
        """The usual usage of the next day, before weekdays."""
        return self.over(LONG_SHARE)

    def of(self, rows: Integers) -> UsageLevels:
        """Return the levels of some rows, a column to be held against others."""
        return UsageLevels(self.short[rows][:, None], self.long[rows][:, None], self.memory[rows][:, None])


def weekdays(whole: Array, complete: Array) -> Array:
    """Return the factors of the seven phases for each row of whole days, newest first."""
    weeks = np.minimum(complete // WEEK, WEEKS)[:, None]
    days = np.where(np.arange(WEEK * WEEKS) < WEEK * weeks, whole[:, : WEEK * WEEKS], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = days.sum(axis=1, keepdims=True) / (WEEK * weeks)
        cut = np.minimum(days, CLIP * usual)
        shares = cut / (cut.sum(axis=1, keepdims=True) / (WEEK * weeks))
        means = shares.reshape(-1, WEEKS, WEEK).sum(axis=1) / weeks
        between = (means * means).sum(axis=1, keepdims=True)
        scatter = (shares * shares).sum(axis=1, keepdims=True) - weeks * between
        noise = np.maximum(scatter / (WEEK * (weeks - 1) * weeks), 0.0)
        signal = np.maximum((between - WEEK) / (WEEK - 1) - noise, 0.0)
        factors = np.maximum(1.0 + signal / (signal + noise + 1e-9) * (means - 1.0), SMALLEST)
    proven = (weeks >= 2) & (usual > 0)
    factors = np.where(proven, factors, 1.0)
    return np.asarray(np.where(proven, WEEK * factors / factors.sum(axis=1, keepdims=True), 1.0))


def levels(days: Array, head: Array, observed: Array, factors: Array) -> UsageLevels:
    """Return the level of each row of ``days``, newest first, day 0 of which ends now and was seen up to ``head``."""
    roots = np.sqrt(days[:, :LONG])
    seen = np.minimum(np.ceil(observed), LONG).astype(np.int64)
    roots = _without_the_largest(roots, seen)
    used = roots * roots
    usual = _Usual.of(roots, seen, factors)
    part = np.where(factors[:, 0] >= QUIET, head, 1.0)
    fortnight = _mean(used, FORTNIGHT, head, observed)
    short = usual.within_scatter(part).short(part, observed, fortnight)
    long = _mean(used, LONG, head, observed)
    recent, belief = usual.change()
    new = usual.mean_of(recent)
    lately = np.where(recent < WEEK, new, usual.short(part, observed, fortnight))
    changed = belief > 0
    short = np.where(changed, short + belief * (lately - short), short)
    long = np.where(changed, long + belief * (new - long), long)
    return UsageLevels(short, long, _mean(days, MEMORY, head, observed))


def _mean(values: Array, span: int, head: Array, observed: Array) -> Array:
    return np.asarray(values[:, :span].sum(axis=1) / np.maximum(np.minimum(observed, span - 1 + head), 1.0))


def _without_the_largest(roots: Array, seen: Integers) -> Array:
    """Cut the largest of the days seen to what the scatter of all others allows, from four weeks on."""
    rows = np.arange(len(roots))
    scattered = np.where(np.arange(LONG) < seen[:, None], roots, 0.0)
    place = scattered.argmax(axis=1)
    top = scattered[rows, place]
    others = np.maximum(seen - 1, 1)
    mean = (scattered.sum(axis=1) - top) / others
    squares = ((scattered * scattered).sum(axis=1) - top * top) / others
    allowed = mean + OUTLIER * (np.sqrt(np.maximum(squares - mean * mean, 0.0)) + STEADY * mean)
    cut = roots.copy()
    cut[rows, place] = np.where((seen >= BEFORE) & (top > allowed) & (allowed > 0), allowed, cut[rows, place])
    return cut


class _Usual(Struct, frozen=True):
    """Days made even by their weekday, those of quiet weekdays left out: from the left, ``count`` of each row."""

    even: Array
    weights: Array
    count: Integers

    @staticmethod
    def of(roots: Array, seen: Integers, factors: Array) -> _Usual:
        size = np.tile(factors, LONG // WEEK)
        kept = (size >= QUIET) & (np.arange(LONG) < seen[:, None])
        order = np.argsort(~kept, axis=1, kind="stable")
        even = np.where(kept, roots / np.sqrt(np.maximum(size, QUIET)), 0.0)
        weights = np.where(kept, size, 0.0)
        return _Usual(
            np.take_along_axis(even, order, axis=1), np.take_along_axis(weights, order, axis=1), kept.sum(axis=1)
        )

    def short(self, part: Array, observed: Array, fortnight: Array) -> Array:
        """Average the last usual days, most of it in square roots."""
        last = self.even[:, :WEEK].copy()
        last[:, 0] *= np.sqrt(part)

        def mean(span: int) -> Array:
            days = np.minimum(self.count, span)
            return np.asarray(last[:, :span].sum(axis=1) / np.maximum(np.minimum(observed, days - 1 + part), 1.0))

        week, latest = mean(WEEK), mean(LATEST)
        short = WEEK_SHARE * week * week + LATEST_SHARE * latest * latest + FORTNIGHT_SHARE * fortnight
        return np.where(self.count > 0, short, fortnight)

    def within_scatter(self, part: Array) -> _Usual:
        """Cut each of the last seven to what the scatter of the four weeks before allows, up and down."""
        before = self.even[:, WEEK : WEEK + BEFORE]
        long = np.clip(self.count - WEEK, 0, BEFORE)
        at_least = np.maximum(long, 1)
        mean = before.sum(axis=1) / at_least
        squares = (before * before).sum(axis=1) / at_least
        most = OUTLIER * (np.sqrt(np.maximum(squares - mean * mean, 0.0)) + STEADY * mean)
        low, high = mean - most, mean + most
        cut = self.even.copy()
        cut[:, 0] = np.minimum(np.maximum(cut[:, 0], low * np.sqrt(part)), high)
        cut[:, 1:WEEK] = np.minimum(np.maximum(cut[:, 1:WEEK], low[:, None]), high[:, None])
        known = (long >= BEFORE - WEEK) & (most > 0)
        return _Usual(np.where(known[:, None], cut, self.even), self.weights, self.count)

    def change(self) -> tuple[Integers, Array]:
        """Return how many days a new level has lasted, and how sure it is, of each row."""
        sums, squares = _sums(self.even), _sums(self.even * self.even)
        rows = np.arange(len(self.even))
        most, lasted = np.zeros(len(self.even)), np.zeros(len(self.even), dtype=np.int64)
        for recent in RECENT:
            end = np.minimum(self.count, recent + BEFORE)
            old = end - recent
            days = np.maximum(old, 1)
            mean = (sums[rows, end] - sums[:, recent]) / days
            spread = np.maximum((squares[rows, end] - squares[:, recent]) / days - mean * mean, 0.0)
            scatter = np.sqrt(spread) + STEADY * mean
            last = self.even[:, :recent]
            rises = sums[:, recent] > recent * mean
            loudest = np.where(rises, last.max(axis=1), last.min(axis=1))
            away = (sums[:, recent] - loudest) / (recent - 1) - mean
            newest = sums[:, recent // 2] / (recent // 2) - mean
            away = np.maximum(np.where(rises, np.minimum(away, 2.0 * newest), np.minimum(-away, -2.0 * newest)), 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                errors = np.where(scatter > 0, away / (scatter * np.sqrt(1.0 / recent + 1.0 / days)), 0.0)
            more = (old >= LEAST_BEFORE) & (errors > most)
            most, lasted = np.where(more, errors, most), np.where(more, recent, lasted)
        return lasted, np.minimum(np.maximum((most - DOUBT) / (SURE - DOUBT), 0.0), 1.0)

    def mean_of(self, recent: Integers) -> Array:
        """Return the usage a day over the last usual days, each weighing as much as its weekday takes."""
        weights = np.where(np.arange(LONG) < recent[:, None], self.weights, 0.0)
        of_all = weights.sum(axis=1)
        return np.asarray((self.even * self.even * weights).sum(axis=1) / np.where(of_all > 0, of_all, 1.0))


def _sums(values: Array) -> Array:
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    values.cumsum(axis=1, out=sums[:, 1:])
    return sums
