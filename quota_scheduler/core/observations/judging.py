"""Judging reports: which window each is about, and how much of it is used.

    reports in order of their own time ──► window, window, … the newest

The same reports give the same windows, in whatever order they arrived: they are judged anew from their own times.

same reset, give or take two minutes  one window, however the stamp jitters
    not lower                         it counts
    lower                             an echo (idle clients repeat what they heard last), unless two doors agree, or one
                                      door's lower reports grow for half an hour with nothing against them
a reset that has passed               says nothing
a later reset, and lower              the window was reset early
a later reset, and not lower          the window is longer than was said, once two reports say so
an earlier reset                      the same; and an echo where it is that of a window before
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.observations.observation import Observation, Standing
from quota_scheduler.core.observations.reported_window import Mark, Noticed, ReportedWindow, WindowChange

SAME_RESET = SKEW
"""Resets nearer to each other than this are one: stamps jitter around whole minutes and ten-minute marks."""
ROUNDING = 0.0005
"""Ratios nearer than this are the same: half of a tenth of a point, the finest that any door tells."""
AGREED = 0.02
"""Two doors agree when they are at most two points apart: each rounds, and they speak at different times."""
SUSTAINED = timedelta(minutes=30)
SUSTAINED_REPORTS = 3
SUSTAINED_GROWTH = 0.01
"""One door is believed a fall when this many reports over this time grow by this much: no echo grows."""
LONGEST = 2
"""A reset further ahead than so many lengths of the window is none that can be meant."""
MONTH = timedelta(days=31)


def judge(reports: Iterable[Observation], length: timedelta | None) -> list[ReportedWindow]:
    """The windows that reports about one account's window are of, oldest first; ``length`` None is a month."""
    judging = _Judging(length)
    for report in sorted(
        reports, key=lambda r: (r.observed_at, r.source, -1.0 if r.used_ratio is None else r.used_ratio)
    ):
        judging.take(report)
    return [*judging.closed, *([judging.window] if judging.window else [])]


def longest(length: timedelta | None) -> timedelta:
    """How far ahead of its report the reset of a window of this length may lie to be one that can be meant."""
    return LONGEST * (length or MONTH)


def month_before(at: datetime) -> datetime:
    """The same day of the month before, or its last one."""
    last = at.replace(day=1) - timedelta(days=1)
    return at.replace(year=last.year, month=last.month, day=min(at.day, last.day))


class _Judging(Struct):
    """The windows so far, and what was said once and needs to be said again."""

    length: timedelta | None
    window: ReportedWindow | None = None
    closed: list[ReportedWindow] = field(default_factory=list)
    lower: list[Observation] = field(default_factory=list)
    other_reset: Observation | None = None

    def take(self, report: Observation) -> None:
        """Take in the next report."""
        resets_at = self._plausible(report)
        if report.resets_at is not None and (resets_at is None or resets_at <= report.observed_at):
            return  # its window has passed, or there is none like that
        window = self.window
        if window is None:
            self._open(report, resets_at, begins=self._start(report, resets_at))
        elif resets_at is not None and self._is_echo(resets_at):
            return
        elif window.resets_at is None or resets_at is None or abs(resets_at - window.resets_at) <= SAME_RESET:
            self._same_or_next(window, report, resets_at)
        elif report.observed_at >= window.ends_at:
            self._open(report, resets_at, begins=max(window.ends_at, self._start(report, resets_at)))
        elif resets_at > window.resets_at:
            self._later(window, window.resets_at, report, resets_at)
        else:
            self._moved(window, window.resets_at, report, resets_at)

    def _plausible(self, report: Observation) -> datetime | None:
        at = report.resets_at
        return at if at is not None and at <= report.observed_at + longest(self.length) else None

    def _start(self, report: Observation, resets_at: datetime | None) -> datetime:
        """When a window began, from when it resets, by its first report at the latest: what is used of it has begun."""
        if resets_at is None:
            return report.observed_at
        return min(resets_at - self.length if self.length else month_before(resets_at), report.observed_at)

    def _is_echo(self, resets_at: datetime) -> bool:
        """Whether a reset is that of a window that has ended already, early or not."""
        return any(old.resets_at and abs(resets_at - old.resets_at) <= SAME_RESET for old in self.closed[-3:])

    def _open(
        self, report: Observation, resets_at: datetime | None, *, begins: datetime, follows: datetime | None = None
    ) -> None:
        if self.window:
            self.closed.append(replace(self.window, ends_at=min(self.window.ends_at, begins)))
        self.lower, self.other_reset = [], None
        ends_at = resets_at or begins + (self.length or MONTH)
        at = report.observed_at
        fresh = ReportedWindow(begins, ends_at, resets_at, at, at, at, report.source, reports=0, follows=follows)
        self.window = self._counted(fresh, report)

    def _same_or_next(self, window: ReportedWindow, report: Observation, resets_at: datetime | None) -> None:
        if report.observed_at >= window.ends_at:
            if resets_at is None:  # the window that was is over, and when this one ends nobody says
                self._open(report, None, begins=report.observed_at)
            elif window.resets_at is None:
                self._open(report, resets_at, begins=max(window.ends_at, self._start(report, resets_at)))
            return
        if window.resets_at is None and resets_at is not None:
            if self._start(report, resets_at) >= window.heard_at:
                self._open(report, resets_at, begins=self._start(report, resets_at))
                return
            begins = min(window.began_at, self._start(report, resets_at))
            begins = max(begins, self.closed[-1].ends_at) if self.closed else begins
            window = replace(window, resets_at=resets_at, ends_at=resets_at, began_at=begins)
        if resets_at is not None:
            self.other_reset = None
        self.window = self._counted(window, report)

    # what a report says about its window

    def _counted(self, window: ReportedWindow, report: Observation) -> ReportedWindow:
        was_exhausted = window.exhausted
        window = _standing(replace(window, reports=window.reports + 1, heard_at=report.observed_at), report)
        if window.reports == 2 and window.follows and window.resets_at:
            first = window.marks[0].at if window.marks else window.began_at
            notice = Noticed(WindowChange.EARLY_RESET, first, window.follows, window.resets_at)  # fmt: skip
            window = replace(window, notices=(*window.notices, notice))
        ratio = 1.0 if report.used_ratio is None and window.exhausted else report.used_ratio
        if ratio is None:
            return window
        if was_exhausted and not window.exhausted and window.ratio is not None and ratio < window.ratio:
            window = replace(window, ratio=None, marks=())  # who allows again after a refusal knows better than it
        if window.ratio is None or ratio >= window.ratio - ROUNDING:
            self.lower = []
            return _grown(window, ratio, report)
        self.lower.append(report)
        return self._lowered(window, window.ratio) if self._is_believed() else window

    def _lowered(self, window: ReportedWindow, before: float) -> ReportedWindow:
        """Less is used than was told: growth is measured anew from there, and what grows is refused no more."""
        newest, first = self.lower[-1], self.lower[0].observed_at
        ratios = [report.used_ratio or 0.0 for report in self.lower[-2:]]
        ratio, self.lower = max(ratios), []
        notices = (*window.notices, Noticed(WindowChange.LOWERED, first, before, ratio))
        return _grown(replace(window, ratio=None, marks=(), notices=notices, exhausted=False), ratio, newest)

    def _is_believed(self) -> bool:
        newest = self.lower[-1]
        ratio = newest.used_ratio or 0.0
        if any(r.source != newest.source and abs((r.used_ratio or 0.0) - ratio) <= AGREED for r in self.lower[-4:]):
            is_refused = self.window is not None and self.window.exhausted
            return not is_refused or self._has_grown()  # idle clients repeat what was before the refusal
        return self._has_grown()

    def _has_grown(self) -> bool:
        series = [r.used_ratio or 0.0 for r in self.lower]
        newest = self.lower[-1]
        lasted = newest.observed_at - self.lower[0].observed_at
        grew = series == sorted(series) and series[-1] - series[0] >= SUSTAINED_GROWTH - ROUNDING
        return len(series) >= SUSTAINED_REPORTS and lasted >= SUSTAINED and grew

    # resets that were not announced

    def _later(self, window: ReportedWindow, known: datetime, report: Observation, resets_at: datetime) -> None:
        ratio, begins = report.used_ratio, self._start(report, resets_at)
        fell = ratio is not None and window.ratio is not None and ratio < window.ratio - ROUNDING
        if fell or begins >= window.heard_at:
            self._open(report, resets_at, begins=max(begins, window.heard_at), follows=known)
        else:
            self._moved(window, known, report, resets_at)

    def _moved(self, window: ReportedWindow, known: datetime, report: Observation, resets_at: datetime) -> None:
        """Another reset for what must be the same window: believed when it is said twice, with nothing against it."""
        before, self.other_reset = self.other_reset, report
        confirmed = before is not None and before.resets_at is not None
        if confirmed and before and before.resets_at and abs(before.resets_at - resets_at) <= SAME_RESET:
            notices = (*window.notices, Noticed(WindowChange.MOVED_RESET, before.observed_at, known, resets_at))
            moved = replace(window, resets_at=resets_at, ends_at=resets_at, notices=notices)
            ratio = report.used_ratio
            if ratio is not None and moved.ratio is not None and ratio < moved.ratio - ROUNDING:
                moved = replace(moved, ratio=None, marks=())
            self.other_reset = None
            self.window = self._counted(moved, report)
        elif resets_at > known:
            self.window = self._counted(window, report)  # whatever its end, that much of it is used


def _standing(window: ReportedWindow, report: Observation) -> ReportedWindow:
    match report.standing:
        case Standing.REJECTED:
            return replace(window, exhausted=not report.overage, overage=report.overage)
        case Standing.ALLOWED | Standing.WARNING:
            return replace(window, exhausted=False, overage=report.overage)
        case _:
            return replace(window, overage=True, exhausted=False) if report.overage else window


def _grown(window: ReportedWindow, ratio: float, report: Observation) -> ReportedWindow:
    at = report.observed_at
    if window.ratio is not None and ratio <= window.ratio + ROUNDING:
        return replace(window, observed_at=at, source=report.source)
    marks = (*window.marks, Mark(at, ratio))
    return replace(window, ratio=ratio, observed_at=at, first_at=at, source=report.source, marks=marks)
