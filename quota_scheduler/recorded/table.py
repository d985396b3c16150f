"""Tables: a CSV file as numbered lines by column name, and in sentences what is wrong with it.

Spreadsheets save with ; or tabs between cells, with a mark at the beginning and other ends of lines: all are read.
What cannot be meant is left out with its line number, and a file without a usable header is an error.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from quota_scheduler.core.usage import KINDS

MOST_LINES = 1_000_000
"""Lines that are read of one file: a year of calls of a team."""
SHOWN = 3
"""Lines that are left out and shown with their reason; the others are counted."""
TOTALS = ("date", "hour_utc")
"""Columns that make a file one of totals by day or hour."""
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between cells, and what it is called."""
Row = Mapping[str, str]
Rows = Iterator[tuple[int, Row]]


class WrongFile(ValueError):
    """The file as a whole is not what can be read."""


class Notes(Struct):
    """What is said of a file: lines that were left out, and what was assumed."""

    name: str
    wrong: list[str] = field(default_factory=list)
    twice: int = 0
    without_zone: int = 0
    delimiter: str = ","

    def sentences(self) -> list[str]:
        """Say it, a sentence for each kind of flaw."""
        said = []
        if self.delimiter != ",":
            said.append(f"{self.name}: cells are parted by {DELIMITERS[self.delimiter]}.")
        if self.wrong:
            more = f" and {len(self.wrong) - SHOWN:,} more" if len(self.wrong) > SHOWN else ""
            shown = "; ".join(self.wrong[:SHOWN])
            said.append(f"{self.name}: {counted(len(self.wrong), 'line')} left out: {shown}{more}.")
        if self.twice:
            said.append(f"{self.name}: {counted(self.twice, 'line')} there twice, and counted once.")
        if self.without_zone:
            said.append(f"{self.name}: {counted(self.without_zone, 'instant')} without a zone, taken for UTC.")
        return said

    def why(self) -> str:
        """Say why nothing is left of a file."""
        return f": {self.wrong[0]}" if self.wrong else " after the header"


def counted(number: int, what: str) -> str:
    """Return ``1 line is``, ``2 lines are``."""
    return f"{number:,} {what} is" if number == 1 else f"{number:,} {what}s are"


def table_of(path: Path, notes: Notes) -> tuple[list[str], Rows]:
    """Return the column names of a file and its lines with their numbers. Raises WrongFile."""
    header, notes.delimiter = _header(path)
    named = Counter(name for name in header if name)
    if doubled := [name for name, count in named.items() if count > 1]:
        raise WrongFile(f"{path}: the header has the column {doubled[0]!r} twice: rename or remove one")
    if not _is_usable(header):
        shown = ", ".join(header)[:120] or "empty"
        raise WrongFile(
            f"{path}: the first line must name the columns at and tokens (or date, or hour_utc, and tokens), "
            f"and is: {shown}"
        )
    return header, _rows(path, header, notes)


def read_each(rows: Rows, read: Callable[[Row], None], notes: Notes) -> None:
    """Read every line; one that cannot be meant is noted."""
    for number, row in rows:
        try:
            read(row)
        except (ValueError, OverflowError) as error:
            notes.wrong.append(f"line {number}: {error}")


def _header(path: Path) -> tuple[list[str], str]:
    """The first line as column names, parted by whatever makes a usable header of it."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            line = file.readline()
        parted = {sign: _names(line, sign) for sign in DELIMITERS}
    except UnicodeDecodeError:
        raise WrongFile(f"{path} is no text in UTF-8: save it as CSV (UTF-8), with commas between cells") from None
    except (OSError, csv.Error) as error:
        raise WrongFile(f"cannot read {path}: {error}") from None
    sign = next((sign for sign, names in parted.items() if _is_usable(names)), ",")
    return parted[sign], sign


def _names(line: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]


def _is_usable(header: list[str]) -> bool:
    instant = next((name for name in ("at", *TOTALS) if name in header), None)
    kinds = () if instant in TOTALS else KINDS
    return instant is not None and ("tokens" in header or any(kind in header for kind in kinds))


def _rows(path: Path, header: list[str], notes: Notes) -> Rows:
    """The lines of a file with their numbers, each line that is there twice once."""
    seen: set[tuple[str, ...]] = set()
    number = 1
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file, delimiter=notes.delimiter)
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
        raise WrongFile(f"{path}, after line {number}: {error}") from None
