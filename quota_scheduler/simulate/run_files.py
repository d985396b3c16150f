"""Files to be replayed: of runs, or of totals that are cut into runs as teams have them (world.py).

A line that cannot be meant is left out, and the answer says so; a header that lacks a column is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from quota_scheduler.core.history.recorded_runs import RecordedRun, Recording
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import CLASSES
from quota_scheduler.core.usage import Usage
from quota_scheduler.recorded.runs import gaps, runs_of
from quota_scheduler.recorded.table import TOTALS, Notes, WrongFile, table_of
from quota_scheduler.recorded.totals import DAY, SeriesOfTotals, file_of, read_totals, totals_of
from quota_scheduler.simulate.world import DailyTrace, Run, single


def read_runs(path: Path) -> Recording:
    """Return the runs of a file, or of a folder with daily.csv or hourly.csv. Raises WrongFile with a sentence."""
    path = file_of(path)
    notes = Notes(path.name)
    header, rows = table_of(path, notes)
    if column := next((name for name in TOTALS if name in header), None):
        series, said = totals_of(rows, column, notes, path)
        return _cut(series, said, path)
    return runs_of(header, rows, notes, path)


def read_fleet(paths: Sequence[Path]) -> Recording:
    """Return the runs of several files as those of one fleet, in order of time. Raises WrongFile."""
    recordings = [read_runs(path) for path in paths]
    if len(recordings) == 1:
        return recordings[0]
    named = [
        replace(run, name=f"{path.name}/{run.name}")
        for path, recording in zip(paths, recordings, strict=True)
        for run in recording.runs
    ]
    said = dict.fromkeys(sentence for recording in recordings for sentence in recording.assumed)
    return Recording(tuple(sorted(named, key=lambda run: run.at)), tuple(said))


def read_traces(path: Path) -> tuple[list[DailyTrace], list[str]]:
    """Return the series of a file of totals, by day, and what is to be said of it. Raises WrongFile."""
    series, said = read_totals(file_of(path))
    return [_by_day(one) for one in series], said


def is_of_totals(path: Path) -> bool:
    """Tell whether a file, or folder, holds totals by day or hour and no runs. Raises WrongFile."""
    path = file_of(path)
    return any(name in table_of(path, Notes(path.name))[0] for name in TOTALS)


def _by_day(series: SeriesOfTotals) -> DailyTrace:
    return DailyTrace(series.name, series.start.date(), series.by(DAY))


def _cut(series: Sequence[SeriesOfTotals], said: Sequence[str], path: Path) -> Recording:
    """Totals as runs of made-up class, hour, size and patience."""
    runs: list[RecordedRun] = []
    for trace in map(_by_day, series):
        mean = sum(trace.days) / len(trace.days)
        runs += [_recorded(run, trace.name, mean) for run in single(trace).runs]
    if not runs:
        raise WrongFile(f"{path}: no tokens on any day")
    runs.sort(key=lambda run: run.at)
    step = "day" if series[0].step == DAY else "hour"
    cut = (
        f"{path.name} holds totals by {step}: each day was cut into runs of made-up class, hour, size and patience, "
        "the same each time; every series is a team of its name."
    )
    return Recording(tuple(runs), (*said, *gaps(runs), cut))


def _recorded(run: Run, team: str, mean: float) -> RecordedRun:
    return RecordedRun(
        f"{team}/{run.number}",
        Labels(provider="trace", team=team),
        CLASSES[run.rank],
        datetime.fromtimestamp(run.at, UTC),
        timedelta(seconds=run.size / run.rate),
        Usage(output=max(1, round(run.size * mean)), requests=1),
        Usage(output=max(1, round(run.reserve * mean)), requests=1),
        None if run.patience is None else timedelta(seconds=run.patience),
    )
