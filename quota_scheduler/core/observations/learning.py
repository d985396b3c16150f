"""Learning: what a percent point costs, from how windows grew while it was known what was used here.

    marks of a window ──cut──► spans of a point and more ──cost of what was used here──► points a dollar ──► a rate

A quota is used elsewhere too (a browser, another machine), which makes a span look dear: the median passes over that as
long as most spans are without it. What a rate cannot explain is use elsewhere, told once two spans say so.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from quota_scheduler.core.observations.points import POINT, Rate
from quota_scheduler.core.observations.reported_window import Mark, ReportedWindow

LEAST_SPAN = 1.0
"""Points that a span has at least: many doors tell whole points only."""
LEAST_REPORTS = 3
LEAST_GROWTH = 2.0
"""A rate is learned once a window was seen to grow by so many points in so many reports (design, section 2)."""
HALF_LIFE = timedelta(days=14)
"""After this a span counts half: plans and prices change slowly."""
BLOCK = 3.0
"""Points over which an interval is measured, where there are spans enough: single ones are half rounding."""
BLOCKS_ENOUGH = 5
LOW, HIGH = 0.1, 0.9
"""Quantiles of the interval: 80 %."""
ELSEWHERE_TIMES = 2.0
"""A span this many times as dear as the median was used elsewhere as well, and says nothing about a rate."""
CHANGED = 1.15
CHANGED_SPANS = 3
CHANGED_ALIKE = 1.3
"""So many newest spans, all so many times outside the interval and like one another: what is allowed has changed."""
ELSEWHERE_SPANS = 2
ELSEWHERE_POINTS = 3.0
ELSEWHERE_EXCESS = 0.5
"""Use elsewhere is told once so many spans each exceed what was used here by half a point, together by so many."""
LATELY = timedelta(hours=2)
"""Over which use elsewhere is taken to go on."""


class GrowthSpan(NamedTuple):
    """A piece of a window: by how many points it grew, and what was used here meanwhile, in micro-dollars."""

    began_at: datetime
    ended_at: datetime
    points: float
    cost: int


class Elsewhere(NamedTuple):
    """Points of a window that nobody here used, and how many an hour lately; 0 until two spans bear it out."""

    points: float = 0.0
    per_hour: float = 0.0


class Learned(NamedTuple):
    """A rate; where what is allowed has changed, since when (earlier spans are forgotten) and the rate before."""

    rate: Rate
    since: datetime | None = None
    before: Rate | None = None


def cuts(window: ReportedWindow) -> list[tuple[Mark, Mark]]:
    """The marks of a window that bound its spans, each a point from the last at least."""
    bounds: list[tuple[Mark, Mark]] = []
    start = window.marks[0] if window.marks else None
    for mark in window.marks[1:]:
        if start and (mark.ratio - start.ratio) * 100 >= LEAST_SPAN - 0.05:
            bounds.append((start, mark))
            start = mark
    return bounds


def is_enough(window: ReportedWindow) -> bool:
    """Whether a window was seen to grow by enough to learn from it at all."""
    grew = (window.marks[-1].ratio - window.marks[0].ratio) * 100 if window.marks else 0.0
    return window.reports >= LEAST_REPORTS and grew >= LEAST_GROWTH - 0.05


def learn(spans: Iterable[GrowthSpan], now: datetime, *, before: Learned | None = None) -> Learned | None:
    """The rate that spans of one limit teach; None where none does.

    ``before`` is what was learned last: spans from before a change that it knows of are forgotten.
    """
    since, old = (before.since, before.before) if before else (None, None)
    usable = sorted(
        span for span in spans if span.cost > 0 and span.points > 0 and (not since or span.began_at >= since)
    )
    if not usable:
        return before
    newest = usable[-CHANGED_SPANS:]
    if before and len(usable) > CHANGED_SPANS and _has_changed(newest, before.rate):
        old, since, usable = before.rate, newest[0].began_at, newest
    return Learned(_rate(usable, now), since, old)


def _has_changed(newest: Sequence[GrowthSpan], rate: Rate) -> bool:
    slopes = [_slope(span) for span in newest]
    alike = max(slopes) <= CHANGED_ALIKE * min(slopes)
    less, more = (
        all(slope * CHANGED < rate.low for slope in slopes),
        all(slope > CHANGED * rate.high for slope in slopes),
    )
    return len(slopes) >= CHANGED_SPANS and (less or (more and alike))


def _slope(span: GrowthSpan) -> float:
    """Millionths of a point a dollar."""
    return span.points * POINT / span.cost * 1_000_000


def _rate(spans: Sequence[GrowthSpan], now: datetime) -> Rate:
    middle = _quantile(spans, 0.5, now)
    plain = [span for span in spans if _slope(span) <= ELSEWHERE_TIMES * middle]
    blocks = _blocks(plain)
    measured = blocks if len(blocks) >= BLOCKS_ENOUGH else plain
    doubt = 1 + 0.5 / len(measured)  # few spans say little about how different they can be
    low, middle, high = (_quantile(measured, share, now) for share in (LOW, 0.5, HIGH))
    low, high = low / doubt, high * doubt
    return Rate(max(1, round(low)), max(1, round(middle)), max(1, round(high)), len(plain), spans[-1].ended_at)


def _quantile(spans: Sequence[GrowthSpan], share: float, now: datetime) -> float:
    """A quantile of what a dollar took, weighed by dollars and by age: what was used elsewhere cost nothing here."""
    weighed = sorted((_slope(span), span.cost * 0.5 ** ((now - span.ended_at) / HALF_LIFE)) for span in spans)
    wanted, sum_ = share * sum(weight for _, weight in weighed), 0.0
    for slope, weight in weighed:
        sum_ += weight
        if sum_ >= wanted:
            return slope
    return weighed[-1][0]


def _blocks(spans: Sequence[GrowthSpan]) -> list[GrowthSpan]:
    """Spans that follow each other, put together until they have the points of a block."""
    blocks: list[GrowthSpan] = []
    open_: GrowthSpan | None = None
    for span in spans:
        follows = open_ is not None and open_.ended_at == span.began_at
        if open_ is not None and follows:
            points, cost = open_.points + span.points, open_.cost + span.cost
            open_ = GrowthSpan(open_.began_at, span.ended_at, points, cost)
        else:
            open_ = span
        if open_.points >= BLOCK:
            blocks.append(open_)
            open_ = None
    return blocks


def elsewhere(spans: Sequence[GrowthSpan], rate: Rate | None, now: datetime) -> Elsewhere:
    """What of one window's spans was used elsewhere; without a rate only what grew while nothing was used here."""
    excess = [(span, _excess(span, rate)) for span in spans]
    bearing = [(span, points) for span, points in excess if points > ELSEWHERE_EXCESS]
    total = sum(points for _, points in bearing)
    if len(bearing) < ELSEWHERE_SPANS or total < ELSEWHERE_POINTS:
        return Elsewhere()
    recent = sum(points for span, points in bearing if span.ended_at >= now - LATELY)
    return Elsewhere(total, recent / (LATELY / timedelta(hours=1)))


def _excess(span: GrowthSpan, rate: Rate | None) -> float:
    if rate is None:
        return span.points if not span.cost else 0.0
    beyond = span.points - span.cost * rate.high / POINT / 1_000_000
    return span.points - span.cost * rate.middle / POINT / 1_000_000 if beyond > ELSEWHERE_EXCESS else 0.0
