"""Files of recorded runs: a CSV with a run or a call a line, or a trace of daily or hourly totals.

    at, tokens                                          is enough; a zone is taken for UTC where an instant has none
    run, class, length, patience, reserve               which run a line belongs to, and how it asked
    provider, model, team, … input, cache_read, …       labels and kinds of tokens, as `usage export --csv` writes them
    series_id, date, tokens  or  hour_utc, tokens       totals, cut into runs as teams have them (world.py)

A line that cannot be meant is left out, and the answer says so; a header that lacks a column is an error.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from quota_scheduler.core.history.recorded_runs import Piece, RecordedRun, Recording, stitched
from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.labels import LABEL_NAMES, Labels
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.units import LARGEST_EVENT, MICRO, PICO, parse_amount
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.simulate.world import DailyTrace, single

MOST_LINES = 1_000_000
"""Lines that are read of one file: a year of calls of a team."""
SHOWN = 3
"""Lines that are left out and shown with their reason; the others are counted."""
IDLE = timedelta(days=2)
"""A longer time without any run is told: the file may have a gap."""
LARGEST_TOTAL = 10**15
"""Most tokens of a day of a trace: the largest amount there is."""
TOTALS = ("date", "hour_utc")
Row = Mapping[str, str]


class WrongFile(ValueError):
    """The file as a whole is not what can be replayed."""


@dataclass(slots=True)
class _Notes:
    """What is said of a file: lines that were left out, and what was assumed."""

    name: str
    wrong: list[str] = field(default_factory=list)
    twice: int = 0
    without_zone: int = 0

    def sentences(self) -> list[str]:
        said = []
        if self.wrong:
            more = f" and {len(self.wrong) - SHOWN:,} more" if len(self.wrong) > SHOWN else ""
            shown = "; ".join(self.wrong[:SHOWN])
            said.append(f"{self.name}: {_count(len(self.wrong), 'line')} left out: {shown}{more}.")
        if self.twice:
            said.append(f"{self.name}: {_count(self.twice, 'line')} there twice, and counted once.")
        if self.without_zone:
            said.append(f"{self.name}: {_count(self.without_zone, 'instant')} without a zone, taken for UTC.")
        return said


def _count(number: int, what: str) -> str:
    return f"{number:,} {what} is" if number == 1 else f"{number:,} {what}s are"


def read_runs(path: Path) -> Recording:
    """Return the runs of a file, or of a folder with daily.csv or hourly.csv. Raises WrongFile with a sentence."""
    notes = _Notes(path.name)
    if path.is_dir():
        names = [name for name in ("daily.csv", "hourly.csv") if (path / name).exists()]
        if not names:
            raise WrongFile(f"{path} holds neither daily.csv nor hourly.csv (series_id, date or hour_utc, tokens)")
        path = path / names[0]
        notes.name = path.name
    header, rows = _table(path, notes)
    if column := next((name for name in TOTALS if name in header), None):
        return _of_totals(rows, column, notes, path)
    return _of_runs(header, rows, notes, path)


def read_traces(path: Path) -> tuple[list[DailyTrace], list[str]]:
    """Return the series of a file of totals, by day, and what is to be said of it. Raises WrongFile."""
    path = path / "daily.csv" if path.is_dir() and (path / "daily.csv").exists() else path
    path = path / "hourly.csv" if path.is_dir() else path
    notes = _Notes(path.name)
    header, rows = _table(path, notes)
    column = next((name for name in TOTALS if name in header), None)
    if column is None:
        raise WrongFile(f"{path}: no column date or hour_utc, so it holds no totals (series_id, date, tokens)")
    return _traces(rows, column, notes, path), notes.sentences()


def is_of_totals(path: Path) -> bool:
    """Tell whether a file, or folder, holds totals by day or hour and no runs. Raises WrongFile."""
    if path.is_dir():
        return True
    return any(name in _table(path, _Notes(path.name))[0] for name in TOTALS)


def _table(path: Path, notes: _Notes) -> tuple[list[str], Iterator[tuple[int, Row]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = [name.strip().lower() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongFile(f"cannot read {path}: {error}") from None
    named = Counter(name for name in header if name)
    if doubled := [name for name, count in named.items() if count > 1]:
        raise WrongFile(f"{path}: the header has the column {doubled[0]!r} twice")
    needed = "tokens" if "tokens" in header or any(name in header for name in TOTALS) else None
    instant = next((name for name in ("at", *TOTALS) if name in header), None)
    if instant is None or not (needed in header or any(kind in header for kind in KINDS)):
        shown = ", ".join(header)[:120] or "empty"
        raise WrongFile(
            f"{path}: the first line must name the columns at and tokens (or date, or hour_utc, and tokens), "
            f"and is: {shown}"
        )
    return header, _rows(path, header, notes)


def _rows(path: Path, header: list[str], notes: _Notes) -> Iterator[tuple[int, Row]]:
    """The lines of a file with their numbers, each line that is there twice once."""
    seen: set[tuple[str, ...]] = set()
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            next(reader, None)
            for cells in reader:
                number = reader.line_num
                if number > MOST_LINES:
                    raise WrongFile(f"{path} has more than {MOST_LINES:,} lines: give it in parts")
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    notes.wrong.append(f"line {number} has {len(cells)} cells, the header {len(header)}")
                elif tuple(cells) in seen:
                    notes.twice += 1
                else:
                    seen.add(tuple(cells))
                    yield number, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise WrongFile(f"{path}: {error}") from None


def _each(rows: Iterator[tuple[int, Row]], read: Callable[[Row], None], notes: _Notes) -> None:
    """Read every line; one that cannot be meant is noted."""
    for number, row in rows:
        try:
            read(row)
        except (ValueError, OverflowError) as error:
            notes.wrong.append(f"line {number}: {error}")


def _of_runs(header: list[str], rows: Iterator[tuple[int, Row]], notes: _Notes, path: Path) -> Recording:
    pieces: list[Piece] = []
    asked: dict[str, tuple[Usage | None, timedelta | None]] = {}

    def read(row: Row) -> None:
        at = _instant(row["at"], notes)
        length = _span(row.get("length", ""), "length") or timedelta(0)
        name = row.get("run") or row.get("session") or ""
        key = name or f"line {len(pieces)}"
        usage = _usage(row)
        patience = _span(row.get("patience", ""), "patience")
        reserve = Usage(output=_whole(row["reserve"], "reserve")) if row.get("reserve") else None
        if name not in asked or not name:
            asked[key] = reserve, patience
        pieces.append(Piece(key, _labels(row), _class(row.get("class", "")), at, at + length, usage))

    _each(rows, read, notes)
    runs = [_as_written(run, asked) for run in stitched(pieces)]
    if not runs:
        raise WrongFile(f"{path}: no runs{_why(notes)}")
    missing = {
        "class": "no class, so every run is normal",
        "length": "no length, so a run lasts from its first line to its last, three minutes at least",
        "patience": "no patience, so people wait 0, high 4 h, normal 72 h, low 1.2 windows",
        "reserve": "no reserve, so every run asks for exactly what it used",
    }
    assumed = [f"{notes.name}: {text}." for name, text in missing.items() if name not in header]
    return Recording(tuple(runs), (*notes.sentences(), *_gaps(runs), *assumed))


def _as_written(run: RecordedRun, asked: Mapping[str, tuple[Usage | None, timedelta | None]]) -> RecordedRun:
    reserve, patience = asked[run.name]
    return replace(run, reserve=reserve, patience=patience)


def _why(notes: _Notes) -> str:
    return f": {notes.wrong[0]}" if notes.wrong else " after the header"


def _gaps(runs: list[RecordedRun]) -> list[str]:
    """The longest time without any run, where it is longer than a weekend."""
    idle = [(later.at - run.at, run.at, later.at) for run, later in pairwise(runs)]
    longest, begin, end = max(idle, default=(timedelta(0), None, None))
    if longest <= IDLE or begin is None or end is None:
        return []
    days = longest / timedelta(days=1)
    return [f"No run between {begin:%Y-%m-%d %H:%M}Z and {end:%Y-%m-%d %H:%M}Z ({days:.1f} days): taken as idle."]


def _of_totals(rows: Iterator[tuple[int, Row]], column: str, notes: _Notes, path: Path) -> Recording:
    runs: list[RecordedRun] = []
    traces = _traces(rows, column, notes, path)
    for trace in traces:
        mean = sum(trace.days) / len(trace.days)
        for run in single(trace).runs:
            labels = Labels(provider="trace", team=trace.name)
            used = Usage(output=max(1, round(run.size * mean)), requests=1)
            asks = Usage(output=max(1, round(run.reserve * mean)), requests=1)
            patience = None if run.patience is None else timedelta(seconds=run.patience)
            at, length = datetime.fromtimestamp(run.at, UTC), timedelta(seconds=run.size / run.rate)
            name = f"{trace.name}/{run.number}"
            runs.append(RecordedRun(name, labels, CLASSES[run.rank], at, length, used, asks, patience))
    if not runs:
        raise WrongFile(f"{path}: no tokens on any day")
    runs.sort(key=lambda run: run.at)
    total = "hour" if column == "hour_utc" else "day"
    said = (
        f"{notes.name} holds totals by {total}: each day was cut into runs of made-up class, hour, size and patience, "
        "the same each time; every series is a team of its name."
    )
    return Recording(tuple(runs), (*notes.sentences(), *_gaps(runs), said))


def _traces(rows: Iterator[tuple[int, Row]], column: str, notes: _Notes, path: Path) -> list[DailyTrace]:
    by_series: dict[str, dict[date, float]] = {}

    def read(row: Row) -> None:
        day = _day(row[column], column)
        tokens = _total(row["tokens"])
        days = by_series.setdefault(row.get("series_id") or "series", {})
        days[day] = days.get(day, 0.0) + tokens

    _each(rows, read, notes)
    if not by_series:
        raise WrongFile(f"{path}: no days{_why(notes)}")
    return [DailyTrace(name, min(days), _filled(days)) for name, days in by_series.items()]


def _filled(days: Mapping[date, float]) -> tuple[float, ...]:
    first, last = min(days), max(days)
    return tuple(days.get(first + timedelta(days=n), 0.0) for n in range((last - first).days + 1))


def _day(text: str, column: str) -> date:
    try:
        day = datetime.fromisoformat(text).date()
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no {column}: write 2026-11-27") from None
    if not 2000 <= day.year < 2200:
        raise ValueError(f"{text[:40]!r} is no day that can be meant")
    return day


def _total(text: str) -> float:
    try:
        tokens = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number of tokens") from None
    if not (math.isfinite(tokens) and 0 <= tokens <= LARGEST_TOTAL):
        raise ValueError(f"{text[:40]!r} tokens: it must be 0 to 10^15")
    return tokens


def _instant(text: str, notes: _Notes) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no instant: write 2026-11-27T09:00Z") from None
    if at.tzinfo is None:
        notes.without_zone += 1
        at = at.replace(tzinfo=UTC)
    at = at.astimezone(UTC)
    if not is_plausible(at):
        raise ValueError(f"{text[:40]!r} is no time that can be meant")
    return at


def _span(text: str, what: str) -> timedelta | None:
    if not text:
        return None
    try:
        return parse_span(f"{float(text)}s" if _is_number(text) and float(text) else text)
    except ValueError:
        if _is_number(text) and float(text) == 0:
            return timedelta(0)
        raise ValueError(f"{text[:40]!r} is no {what}: write seconds, or 40m") from None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _whole(text: str, what: str) -> int:
    try:
        number = parse_amount(text)
    except ValueError:
        raise ValueError(f"{what} {text[:40]!r} is no number of tokens: write 0 or more") from None
    if number > LARGEST_EVENT:
        raise ValueError(f"{what} {text[:40]!r} is more than a run can use")
    return number


def _usage(row: Row) -> Usage:
    kinds = tuple(_whole(row[kind], kind) if row.get(kind) else 0 for kind in KINDS)
    if row.get("tokens"):
        if any(kinds) and sum(kinds) != _whole(row["tokens"], "tokens"):
            raise ValueError("tokens are not the sum of their kinds")
        kinds = kinds if any(kinds) else (0, 0, 0, 0, _whole(row["tokens"], "tokens"))
    elif not any(kinds):
        raise ValueError("it has no tokens")
    requests = _whole(row["requests"], "requests") if row.get("requests") else 1
    return Usage(*kinds)._replace(requests=requests).costing(_cost(row.get("cost_usd", "")))


def _cost(text: str) -> int:
    try:
        cost = Decimal(text or 0)
    except InvalidOperation:
        raise ValueError(f"cost_usd {text[:40]!r} is no number") from None
    if not (cost.is_finite() and 0 <= cost <= 10**6):
        raise ValueError(f"cost_usd {text[:40]!r} must be 0 to a million dollars")
    return round(cost * MICRO * PICO)


def _labels(row: Row) -> Labels:
    values = {name: row.get(name, "").removeprefix("'") for name in LABEL_NAMES}
    return Labels(**{**values, "provider": values["provider"] or "file"})


def _class(text: str) -> Priority:
    if not text:
        return Priority.NORMAL
    try:
        return Priority(text.lower())
    except ValueError:
        raise ValueError(f"there is no class {text[:40]!r}: there are {', '.join(Priority)}") from None
