"""Backtest: every forecasting method over a folder of recorded usage, leak-free, in one table.

    folder (daily.csv, hourly.csv) ─► cases: a window, a moment in it, its total ─► methods ─► Result
                                      (each method sees a fresh copy of the history cut at that
                                      moment)

``forecast`` is the adapter for harnesses that call ``f(history, now, window_start, window_end)``
with naive instants. The measures are those of docs/explanation/forecasting.md.
"""

from __future__ import annotations

import csv
import json
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from quota_scheduler.core.forecast import Buckets, Forecast, project
from quota_scheduler.core.forecast_baselines import BASELINES

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EPOCH = datetime(1970, 1, 1)
SESSION = 5 * HOUR
SESSION_HISTORY = 60 * DAY
MIN_HISTORY = 7 * DAY
QUARTERS = (0.25, 0.5, 0.75)
LAST_DAYS = (24, 26, 27, 28, 29)
METHODS = ("seed", "pro-rata", "mean-7", "ours")

History = Sequence[tuple[datetime, float]]
Answer = tuple[float, float | None, float | None]
Method = Callable[[History, datetime, datetime, datetime], Answer]


@dataclass(frozen=True, slots=True)
class Trace:
    """One series: usage by ``step`` from ``start`` on, idle steps as zero."""

    name: str
    start: datetime
    step: timedelta
    values: tuple[float, ...]

    def history(self, now: datetime) -> History:
        """Return what was recorded before ``now``, idle steps left out."""
        n = max(0, (now - self.start) // self.step)
        return [(self.start + i * self.step, v) for i, v in enumerate(self.values[:n]) if v > 0]

    def total(self, start: datetime, end: datetime) -> float:
        i, j = (start - self.start) // self.step, (end - self.start) // self.step
        return float(sum(self.values[max(0, i) : max(0, j)]))


@dataclass(frozen=True, slots=True)
class Case:
    """A moment in a window whose total is known; ``scale`` is the series' mean total of such windows."""

    trace: Trace
    kind: str
    at: str
    start: datetime
    end: datetime
    now: datetime
    actual: float
    scale: float


@dataclass(frozen=True, slots=True)
class Row:
    """The measures of one method over one group of cases; None where a method gives no interval."""

    method: str
    cases: str
    n: int
    wape: float
    within_10: float
    coverage: float | None
    pinball: float | None
    width: float | None
    ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """The whole table, the honesty of the confidence, and whether no method saw the future."""

    rows: tuple[Row, ...]
    leak_free: Mapping[str, bool]
    calibration_error: float | None
    confident: int
    confident_within_10: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"leak_free": dict(self.leak_free)}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    def to_text(self) -> str:
        """Return the table for a terminal."""
        head = (
            f"{'cases':<12}{'method':<10}{'n':>5}{'WAPE':>8}{'±10 %':>8}{'cover':>8}{'pinball':>9}{'width':>8}{'ms':>7}"
        )
        lines = [head, "-" * len(head)]
        for r in self.rows:
            lines.append(
                f"{r.cases:<12}{r.method:<10}{r.n:>5}{r.wape:>8.3f}{r.within_10:>8.2f}"
                f"{_cell(r.coverage, 8, 2)}{_cell(r.pinball, 9, 3)}{_cell(r.width, 8, 2)}{r.ms:>7.2f}"
            )
        leaks = ", ".join(f"{name} {'yes' if ok else 'NO'}" for name, ok in self.leak_free.items())
        lines += ["", f"leak-free: {leaks}"]
        if self.calibration_error is not None:
            lines.append(f"calibration error of confidence (25/50/75 %): {self.calibration_error:.3f}")
        if self.confident_within_10 is not None:
            share = self.confident_within_10
            lines.append(f"confidence of .85 or more: {self.confident} claims, {share:.0%} within 10 %")
        return "\n".join(lines)

    def to_svg(self) -> str:
        """Return a picture of the error of each method by group of cases."""
        return _picture(self.rows)


def forecast(history: History, now: datetime, window_start: datetime, window_end: datetime) -> Answer:
    """Return our median and 80 % interval of a window's total, for naive instants taken as UTC."""
    found = _project(history, now, window_start, window_end)
    return found.expected, found.low, found.high


def evaluate(folder: Path | str, methods: Sequence[str] = METHODS) -> Result:
    """Run ``methods`` over the traces in ``folder`` and return the table.

    Raises KeyError for an unknown method and FileNotFoundError when the folder holds no trace.
    """
    for name in methods:
        _method(name)
    traces = [*read(folder)]
    if not traces:
        raise FileNotFoundError(f"no daily.csv or hourly.csv in {folder}")
    return judge(traces, methods)


def judge(traces: Sequence[Trace], methods: Sequence[str] = METHODS) -> Result:
    """Run ``methods`` over recorded series and return the table; without rows when they are too short to judge by.

    Raises KeyError for an unknown method.
    """
    chosen = {name: _method(name) for name in methods}
    cases = [case for trace in traces for case in cases_of(trace)]
    rows = [
        row
        for kind in _groups(cases)
        for name, method in chosen.items()
        for row in [_measure(name, method, [c for c in cases if (c.kind, c.at) == kind])]
    ]
    leaks = {name: leak_free(method, cases) for name, method in chosen.items()}
    gap, sure, right = _honesty(traces) if "ours" in chosen else (None, 0, None)
    return Result(tuple(rows), leaks, gap, sure, right)


def read(folder: Path | str) -> Iterator[Trace]:
    """Yield the series of ``daily.csv`` and ``hourly.csv``, whichever exist."""
    for name, column, step in (("daily.csv", "date", DAY), ("hourly.csv", "hour_utc", HOUR)):
        path = Path(folder) / name
        if not path.exists():
            continue
        found: dict[str, dict[datetime, float]] = {}
        with path.open(newline="") as file:
            for record in csv.DictReader(file):
                series = found.setdefault(record["series_id"], {})
                at = datetime.fromisoformat(record[column])
                series[at] = series.get(at, 0.0) + float(record["tokens"])
        for series_id, series in found.items():
            start, end = min(series), max(series)
            count = (end - start) // step + 1
            yield Trace(
                series_id,
                start,
                step,
                tuple(series.get(start + i * step, 0.0) for i in range(count)),
            )


def cases_of(trace: Trace) -> list[Case]:
    """Return the moments to judge: quarters of 30-day cycles, months and weeks, or hours of sessions."""
    if trace.step == HOUR:
        return _cases(trace, "5h", [(b, b + SESSION) for b in _sessions(trace)], (0.2, 0.4, 0.6))
    end = trace.start + len(trace.values) * trace.step
    cycles = [(s, s + 30 * DAY) for s in _every(trace.start, 5 * DAY) if s + 30 * DAY <= end]
    monday = trace.start + DAY * (-trace.start.weekday() % 7)
    weeks = [(s, s + 7 * DAY) for s in _every(monday, 7 * DAY) if s + 7 * DAY <= end]
    return _cases(trace, "30 days", cycles, QUARTERS) + _cases(trace, "week", weeks, QUARTERS)


def leak_free(method: Method, cases: Sequence[Case], sample: int = 40) -> bool:
    """Tell whether answers stay the same when everything after ``now`` is something else."""
    picked = cases[:: max(1, len(cases) // sample)]
    first = [method(c.trace.history(c.now), c.now, c.start, c.end) for c in picked]
    for case, before in reversed(list(zip(picked, first, strict=True))):
        trace = case.trace
        n = (case.now - trace.start) // trace.step
        other = tuple(3 * v + 1 for v in reversed(trace.values[n:]))
        changed = Trace(trace.name, trace.start, trace.step, trace.values[:n] + other)
        after = method(changed.history(case.now), case.now, case.start, case.end)
        if not np.allclose([v or 0.0 for v in before], [v or 0.0 for v in after], rtol=1e-9):
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Span:
    starts_at: datetime
    ends_at: datetime


def _project(history: History, now: datetime, start: datetime, end: datetime) -> Forecast:
    """Project a case; a history is daily when all of it begins at midnight and the window is not a session."""
    session = end - start < DAY
    if session:  # two months of hours say all there is to say about a session
        history = history[bisect_left(history, now - SESSION_HISTORY, key=itemgetter(0)) :]
    starts = np.array([(at - EPOCH).total_seconds() for at, _ in history], dtype=np.float64)
    values = np.array([usage for _, usage in history], dtype=np.float64)
    hourly = session or bool((starts % 86_400 != starts[:1] % 86_400).any())
    window = _Span(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))
    return project(Buckets(starts, values), window, now=now.replace(tzinfo=UTC), step=HOUR if hourly else DAY)


def _method(name: str) -> Method:
    if name == "ours":
        return forecast
    baseline = BASELINES[name]
    return lambda history, now, start, end: (baseline(history, now, start, end), None, None)


def _groups(cases: Sequence[Case]) -> list[tuple[str, str]]:
    """Return the kinds of cases and moments, in the order of a window."""
    kinds = list(dict.fromkeys(case.kind for case in cases))
    return sorted({(c.kind, c.at) for c in cases}, key=lambda group: (kinds.index(group[0]), int(group[1][:-1])))


def _every(start: datetime, step: timedelta) -> Iterator[datetime]:
    for i in range(10_000):
        yield start + i * step


def _sessions(trace: Trace) -> list[datetime]:
    """Return when five-hour sessions opened: at the first use after the previous one had ended."""
    opened, i = [], 0
    while i + 5 <= len(trace.values):
        if trace.values[i] > 0:
            opened.append(trace.start + i * HOUR)
            i += 5
        else:
            i += 1
    return opened


def _cases(trace: Trace, kind: str, spans: Sequence[tuple[datetime, datetime]], parts: Iterable[float]) -> list[Case]:
    totals = [trace.total(*span) for span in spans]
    scale = float(np.mean(totals)) if totals else 0.0
    found = []
    for (start, end), total in zip(spans, totals, strict=True):
        for part in parts:
            now = start + max(1, round(part * ((end - start) / trace.step))) * trace.step
            if total > 0 and now - trace.start >= MIN_HISTORY:
                found.append(Case(trace, kind, f"{part:.0%}", start, end, now, total, scale))
    return found


def _measure(name: str, method: Method, cases: Sequence[Case]) -> Row:
    inputs = [(c.trace.history(c.now), c.now, c.start, c.end) for c in cases]
    began = time.perf_counter()
    answers = [method(*given) for given in inputs]
    ms = (time.perf_counter() - began) / len(cases) * 1000
    actual = np.array([c.actual for c in cases])
    scale = np.array([c.scale for c in cases])
    median = np.array([a[0] for a in answers])
    error = np.abs(median - actual)
    coverage = pinball = width = None
    if all(a[1] is not None for a in answers):
        low, high = (np.array([a[i] for a in answers], dtype=np.float64) for i in (1, 2))
        coverage = float(np.mean((low <= actual + 1e-9) & (actual <= high + 1e-9)))
        width = float(np.mean((high - low) / scale))
        losses = [_pinball(q, actual, p) for q, p in ((0.1, low), (0.5, median), (0.9, high))]
        pinball = float(np.mean(np.mean(losses, axis=0) / scale))
    return Row(
        method=name,
        cases=f"{cases[0].kind} {cases[0].at}",
        n=len(cases),
        wape=float((error / scale).sum() / (actual / scale).sum()),
        within_10=float(np.mean(error <= 0.1 * actual)),
        coverage=coverage,
        pinball=pinball,
        width=width,
        ms=ms,
    )


def _pinball(q: float, actual: np.ndarray[Any, Any], said: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.maximum(q * (actual - said), (q - 1) * (actual - said)))


def _honesty(traces: Sequence[Trace]) -> tuple[float | None, int, float | None]:
    """Return the calibration error of confidence mid-window, and how claims of .85 or more came out."""
    early: list[tuple[float, bool]] = []
    sure: list[bool] = []
    for trace in traces:
        if trace.step != DAY:
            continue
        end = trace.start + len(trace.values) * DAY
        cycles = [(s, s + 30 * DAY) for s in _every(trace.start, 5 * DAY) if s + 30 * DAY <= end]
        for case in _cases(trace, "30 days", cycles, (*QUARTERS, *(day / 30 for day in LAST_DAYS))):
            found = _project(trace.history(case.now), case.now, case.start, case.end)
            claim = found.confidence or 0.0
            right = abs(found.expected - case.actual) <= 0.1 * case.actual
            if case.at in ("25%", "50%", "75%"):
                early.append((claim, right))
            if claim >= 0.85:
                sure.append(right)
    if not early:
        return None, 0, None
    claims, rights = np.array(early, dtype=np.float64).T
    bins = np.minimum((claims * 5).astype(int), 4)
    gaps = [abs(claims[bins == b].sum() - rights[bins == b].sum()) for b in range(5)]
    return sum(gaps) / len(early), len(sure), float(np.mean(sure)) if sure else None


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


COLOURS = {"seed": "#b0b7c3", "pro-rata": "#8f9bb3", "mean-7": "#5b7db1", "ours": "#d1495b"}


def _picture(rows: Sequence[Row]) -> str:
    """Draw bars of WAPE, one group per kind of case."""
    groups = list(dict.fromkeys(row.cases for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    bar, gap, height = 14, 26, 180
    wide = len(groups) * (len(names) * bar + gap) + 60
    top = max(row.wape for row in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {height + 70}" '
        'font-family="sans-serif" font-size="10">',
        '<text x="8" y="14">WAPE by method (lower is better)</text>',
    ]
    for g, group in enumerate(groups):
        left = 30 + g * (len(names) * bar + gap)
        for row in (r for r in rows if r.cases == group):
            x, tall = left + names.index(row.method) * bar, height * row.wape / top
            fill = COLOURS.get(row.method, "#444")
            parts.append(
                f'<rect x="{x}" y="{height + 24 - tall:.1f}" width="{bar - 2}" height="{tall:.1f}" fill="{fill}">'
                f"<title>{row.method} {group}: {row.wape:.3f}</title></rect>"
            )
        parts.append(f'<text x="{left}" y="{height + 38}">{group}</text>')
    for i, name in enumerate(names):
        fill = COLOURS.get(name, "#444")
        parts.append(f'<rect x="{30 + i * 80}" y="{height + 50}" width="10" height="10" fill="{fill}"/>')
        parts.append(f'<text x="{44 + i * 80}" y="{height + 59}">{name}</text>')
    return "\n".join([*parts, "</svg>"])
