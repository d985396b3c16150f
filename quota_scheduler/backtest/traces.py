"""Recorded usage as a backtest reads it: series, and the moments in their past windows whose end is known.

    Trace ─► complete 30-day cycles, calendar months, weeks, five-hour sessions ─► Case: a moment in one of them

Instants are naive, as recorded: a day of a trace is its owner's day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SESSION = 5 * HOUR
"""Length of the sessions of hourly traces: a subscription's."""
MIN_HISTORY = 7 * DAY
"""History that a moment needs: under seven days no forecast is named anywhere."""
QUARTERS = (0.25, 0.5, 0.75)
"""Parts of a 30-day cycle, month or week at which methods are asked."""
FIFTHS = (0.2, 0.4, 0.6, 0.8)
"""Parts of a session at which methods are asked: its full hours."""

Pairs = Sequence[tuple[datetime, float]]
Bounds = tuple[datetime, datetime]


class Trace(Struct, frozen=True):
    """One series: usage by ``step`` from ``start`` on, idle steps as zero."""

    name: str
    start: datetime
    step: timedelta
    values: tuple[float, ...]

    @property
    def end(self) -> datetime:
        """The instant up to which it was recorded."""
        return self.start + len(self.values) * self.step

    def history(self, now: datetime) -> Pairs:
        """Return what was recorded before ``now``, idle steps left out."""
        n = max(0, (now - self.start) // self.step)
        return [(self.start + i * self.step, v) for i, v in enumerate(self.values[:n]) if v > 0]

    def total(self, start: datetime, end: datetime) -> float:
        """Return the usage of ``[start, end)``."""
        i, j = (start - self.start) // self.step, (end - self.start) // self.step
        return float(sum(self.values[max(0, i) : max(0, j)]))


class Case(Struct, frozen=True):
    """A moment in a window whose total is known; ``scale`` is the series' mean total of such windows."""

    trace: Trace
    kind: str
    at: str
    start: datetime
    end: datetime
    now: datetime
    actual: float
    scale: float

    @property
    def group(self) -> tuple[str, str]:
        """The kind of window and the part of it that has passed."""
        return self.kind, self.at

    @property
    def used(self) -> float:
        """What had been used at the moment."""
        return self.trace.total(self.start, self.now)


def cases_of(trace: Trace) -> list[Case]:
    """Return the moments to verify: quarters of 30-day cycles, months and weeks, or hours of sessions."""
    if trace.step == HOUR:
        return moments(trace, "5h", [(opened, opened + SESSION) for opened in _opened(trace)], FIFTHS)
    kinds: dict[str, Callable[[Trace], Iterable[Bounds]]] = {"30 days": cycles, "month": _months, "week": _weeks}
    return [case for kind, windows in kinds.items() for case in moments(trace, kind, windows(trace), QUARTERS)]


def moments(trace: Trace, kind: str, windows: Iterable[Bounds], parts: Iterable[float]) -> list[Case]:
    """Return the moments at ``parts`` of these windows, those with a week of history in windows that saw any use."""
    spans = list(windows)
    totals = [trace.total(*span) for span in spans]
    scale = sum(totals) / len(totals) if totals else 0.0
    cases = []
    for (start, end), total in zip(spans, totals, strict=True):
        for part in parts:
            now = start + max(1, round(part * ((end - start) / trace.step))) * trace.step
            if total > 0 and now - trace.start >= MIN_HISTORY:
                cases.append(Case(trace, kind, f"{part:.0%}", start, end, now, total, scale))
    return cases


def cycles(trace: Trace) -> Iterator[Bounds]:
    """Yield complete 30-day billing cycles, one for each anchor five days apart."""
    start = trace.start
    while start + 30 * DAY <= trace.end:
        yield start, start + 30 * DAY
        start += 5 * DAY


def _months(trace: Trace) -> Iterator[Bounds]:
    start = trace.start if trace.start.day == 1 else _next_month(trace.start)
    while (end := _next_month(start)) <= trace.end:
        yield start, end
        start = end


def _next_month(day: datetime) -> datetime:
    return (day.replace(day=1) + 32 * DAY).replace(day=1)


def _weeks(trace: Trace) -> Iterator[Bounds]:
    start = trace.start + DAY * (-trace.start.weekday() % 7)
    while start + 7 * DAY <= trace.end:
        yield start, start + 7 * DAY
        start += 7 * DAY


def _opened(trace: Trace) -> list[datetime]:
    """Return when five-hour sessions opened: at the first use after the previous one had ended."""
    opened, i = [], 0
    while i + 5 <= len(trace.values):
        if trace.values[i] > 0:
            opened.append(trace.start + i * HOUR)
            i += 5
        else:
            i += 1
    return opened
