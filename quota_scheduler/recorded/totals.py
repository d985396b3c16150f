"""Totals: traces of usage by day (series_id, date, tokens) or by hour (series_id, hour_utc, tokens)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct, field

from quota_scheduler.recorded import cells
from quota_scheduler.recorded.table import TOTALS, Notes, Row, Rows, WrongFile, counted, read_each, table_of

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
STEPS = {"date": DAY, "hour_utc": HOUR}
"""What a line is about, by its column."""
FILES = ("daily.csv", "hourly.csv")
"""What a folder of traces holds, or one of them."""


class SeriesOfTotals(Struct):
    """One series: usage by ``step``, from the first line of it to the last."""

    name: str
    step: timedelta
    by_step: dict[datetime, float] = field(default_factory=dict)

    @property
    def start(self) -> datetime:
        """The first step that has a line; naive, as recorded."""
        return min(self.by_step)

    def by(self, step: timedelta) -> tuple[float, ...]:
        """Return usage by days or hours, idle ones as zero, from the day or hour of the first line on."""
        first = self._floor(self.start, step)
        values = [0.0] * ((self._floor(max(self.by_step), step) - first) // step + 1)
        for at, tokens in self.by_step.items():
            values[(at - first) // step] += tokens
        return tuple(values)

    @staticmethod
    def _floor(at: datetime, step: timedelta) -> datetime:
        return at.replace(hour=0) if step == DAY else at


def file_of(path: Path) -> Path:
    """Return the file of a folder of traces, or the file that was named. Raises WrongFile."""
    if not path.is_dir():
        return path
    name = next((name for name in FILES if (path / name).exists()), None)
    if name is None:
        raise WrongFile(f"{path} holds neither daily.csv nor hourly.csv (series_id, date or hour_utc, tokens)")
    return path / name


def read_totals(path: Path) -> tuple[list[SeriesOfTotals], list[str]]:
    """Return the series of a file, and what is to be said of it. Raises WrongFile."""
    notes = Notes(path.name)
    header, rows = table_of(path, notes)
    column = next((name for name in TOTALS if name in header), None)
    if column is None:
        raise WrongFile(f"{path}: no column date or hour_utc, so it holds no totals (series_id, date, tokens)")
    return totals_of(rows, column, notes, path)


def totals_of(rows: Rows, column: str, notes: Notes, path: Path) -> tuple[list[SeriesOfTotals], list[str]]:
    """Return the series of the lines of a file, and what is to be said of it. Raises WrongFile."""
    by_name: dict[str, SeriesOfTotals] = {}
    added = 0

    def read(row: Row) -> None:
        nonlocal added
        at, tokens = cells.step_of(row[column], column), cells.total(row["tokens"])
        name = row.get("series_id") or "series"
        series = by_name.setdefault(name, SeriesOfTotals(name, STEPS[column]))
        added += at in series.by_step
        series.by_step[at] = series.by_step.get(at, 0.0) + tokens

    read_each(rows, read, notes)
    if not by_name:
        raise WrongFile(f"{path}: no days{notes.why()}")
    said = notes.sentences()
    if added:
        said.append(f"{notes.name}: {counted(added, 'line')} about a time that the series has already: added up.")
    return list(by_name.values()), [*said, *_gaps(list(by_name.values()), notes)]


def _gaps(series: Sequence[SeriesOfTotals], notes: Notes) -> list[str]:
    """Tell of days without a line; hours without use have none in any case."""
    missing = [
        (one.name, len(one.by(DAY)) - len(one.by_step), one.by_step)
        for one in series
        if one.step == DAY and len(one.by(DAY)) > len(one.by_step)
    ]
    days = sum(count for _, count, _ in missing)
    if not days:
        return []
    name = max(missing, key=lambda gap: gap[1])[0]
    return [f"{notes.name}: {counted(days, 'day')} without a line, most of series {name}: taken as idle."]
