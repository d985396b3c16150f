"""Backtest: every forecasting method over recorded usage, leak-free, in one table.

    folder (daily.csv, hourly.csv) or the own ledger ─► traces ─► cases ─► methods ─► scores ─► Result
                                     (each method sees a fresh copy of the history cut at the case's moment)

``forecast`` is the adapter for harnesses that call ``f(history, now, window_start, window_end)`` with naive instants.
What the measures mean: docs/explanation/forecasting.md.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, to_builtins

from quota_scheduler.backtest.chart import bars
from quota_scheduler.backtest.scores import Honesty, Projection, ScoreRow, honesty, measure
from quota_scheduler.backtest.traces import DAY, HOUR, QUARTERS, Case, Pairs, Trace, cases_of, cycles, moments
from quota_scheduler.core.forecast.baselines import BASELINES, OLD_NAMES
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import project
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.recorded.totals import FILES, read_totals

EPOCH = datetime(1970, 1, 1)
SESSION_HISTORY = 60 * DAY
"""As much history as says all there is to say about a session; reading more only takes time."""
LAST_DAYS = (27, 28, 29)
"""Days of a 30-day cycle that have passed in its last three days, when a confidence should be high."""
METHODS = ("weighted-mean", "pro-rata", "mean-7", "ours")


Method = Callable[[Pairs, datetime, datetime, datetime], Projection]


class Result(Struct, frozen=True):
    """The whole table, the honesty of the confidence, and whether no method saw the future.

    ``assumed`` are sentences on how the files were understood.
    """

    rows: tuple[ScoreRow, ...]
    leak_free: Mapping[str, bool]
    honesty: Honesty | None
    assumed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        told: dict[str, Any] = to_builtins(self)
        return told | {"leak_free": dict(self.leak_free)}

    def to_json(self) -> str:
        """Return the result as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    def to_text(self) -> str:
        """Return the table for a terminal."""
        head = "".join([f"{'cases':<12}{'method':<15}{'n':>5}", *(f"{name:>8}" for name, _ in COLUMNS)])
        lines = [head, "-" * len(head), *map(_line, self.rows), ""]
        leaks = ", ".join(f"{name} {'yes' if ok else 'NO'}" for name, ok in self.leak_free.items())
        lines.append(f"leak-free: {leaks}")
        if self.honesty:
            honesty = self.honesty
            lines.append(f"calibration error of confidence (25/50/75 % of 30 days): {honesty.error:.3f}")
            came = "-" if honesty.true is None else f"{honesty.true:.0%}"
            lines.append(
                f"confidence of .85 or more: {honesty.claims} claims, {came} within 10 %; "
                f"claimed for {honesty.share:.0%} of the last three days"
            )
        return "\n".join([*lines, *self.assumed])

    def to_svg(self) -> str:
        """Return a picture of the error of each method by group of cases."""
        return bars(self.rows)


COLUMNS = (
    ("WAPE", 3),
    ("mdAPE", 3),
    ("±10 %", 2),
    ("exceed", 2),
    ("cover", 2),
    ("pinball", 3),
    ("width", 2),
    ("ms", 2),
)
"""The columns of the table beside the case, and their digits, in the order of a row's measures."""


def forecast(history: Pairs, now: datetime, window_start: datetime, window_end: datetime) -> Projection:
    """Return our median and 80 % interval of a window's total, for naive instants taken as UTC."""
    projected = _project(history, now, window_start, window_end)
    return projected.expected, projected.low, projected.high


def evaluate(folder: Path | str, methods: Sequence[str] = METHODS) -> Result:
    """Run ``methods`` over the traces in ``folder`` and return the table.

    Raises KeyError for an unknown method and FileNotFoundError when the folder holds no trace.
    """
    for name in methods:
        _method(current_name(name))
    traces = read(folder)
    if not traces:
        raise FileNotFoundError(f"no daily.csv or hourly.csv in {folder}")
    return verify(traces, methods)


def verify(traces: Sequence[Trace], methods: Sequence[str] = METHODS) -> Result:
    """Run ``methods`` over recorded series and return the table; without rows when they are too short to say anything.

    Raises KeyError for an unknown method.
    """
    chosen = {name: _method(name) for name in map(current_name, methods)}
    cases = [case for trace in traces for case in cases_of(trace)]
    kinds = list(dict.fromkeys(case.kind for case in cases))
    groups = sorted({case.group for case in cases}, key=lambda group: (kinds.index(group[0]), int(group[1][:-1])))
    rows = [
        _run(name, method, [case for case in cases if case.group == group])
        for group in groups
        for name, method in chosen.items()
    ]
    leaks = {name: leak_free(method, cases) for name, method in chosen.items()}
    return Result(tuple(rows), leaks, _honesty(traces) if "ours" in chosen else None)


def read(folder: Path | str) -> list[Trace]:
    """Return the series of ``daily.csv`` and ``hourly.csv``, whichever exist. Raises WrongFile."""
    return read_said(folder)[0]


def read_said(folder: Path | str) -> tuple[list[Trace], list[str]]:
    """Return the series of a folder, and in sentences what is to be said of its files. Raises WrongFile."""
    traces: list[Trace] = []
    said: list[str] = []
    for path in (Path(folder) / name for name in FILES):
        if path.exists():
            series, sentences = read_totals(path)
            traces += [Trace(one.name, one.start, one.step, one.by(one.step)) for one in series]
            said += sentences
    return traces, said


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


class _Span(Struct, frozen=True):
    starts_at: datetime
    ends_at: datetime


def _project(history: Pairs, now: datetime, start: datetime, end: datetime) -> Forecast:
    """Project a case; a history is daily when all of it begins at midnight and the window is not a session."""
    session = end - start < DAY
    if session:  # two months of hours say all there is to say about a session
        history = history[bisect_left(history, now - SESSION_HISTORY, key=itemgetter(0)) :]
    starts = np.array([(at - EPOCH).total_seconds() for at, _ in history], dtype=np.float64)
    values = np.array([usage for _, usage in history], dtype=np.float64)
    hourly = session or bool((starts % 86_400 != starts[:1] % 86_400).any())
    window = _Span(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))
    return project(Buckets(starts, values), window, now=now.replace(tzinfo=UTC), step=HOUR if hourly else DAY)


def current_name(method: str) -> str:
    """Return the name of a method that may be given by its old one: ``seed`` is ``weighted-mean``."""
    return OLD_NAMES.get(method, method)


def _method(name: str) -> Method:
    if name == "ours":
        return forecast
    baseline = BASELINES[name]
    return lambda history, now, start, end: (baseline(history, now, start, end), None, None)


def _run(name: str, method: Method, cases: Sequence[Case]) -> ScoreRow:
    """Ask a method for every case, and measure and time its answers."""
    inputs = [(case.trace.history(case.now), case.now, case.start, case.end) for case in cases]
    began = time.perf_counter()
    answers = [method(*given) for given in inputs]
    return measure(name, cases, answers, (time.perf_counter() - began) / len(cases) * 1000)


def _honesty(traces: Sequence[Trace]) -> Honesty | None:
    """Ask for the confidence in the middle of 30-day cycles and in their last three days."""
    daily = [trace for trace in traces if trace.step == DAY]
    early, late = (
        [_claim(case) for trace in daily for case in moments(trace, "30 days", cycles(trace), parts)]
        for parts in (QUARTERS, [day / 30 for day in LAST_DAYS])
    )
    return honesty(early, late)


def _claim(case: Case) -> tuple[float, bool]:
    projected = _project(case.trace.history(case.now), case.now, case.start, case.end)
    return projected.confidence or 0.0, abs(projected.expected - case.actual) <= 0.1 * case.actual


def _line(row: ScoreRow) -> str:
    values = (row.wape, row.mdape, row.within_10, row.exceed, row.coverage, row.pinball, row.width, row.ms)
    cells = [
        f"{'-':>8}" if value is None else f"{value:>8.{digits}f}"
        for value, (_, digits) in zip(values, COLUMNS, strict=True)
    ]
    return "".join([f"{row.cases:<12}{row.method:<15}{row.n:>5}", *cells])
