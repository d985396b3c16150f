"""Runs of a file: a CSV with a run or a call a line.

at, tokens                                          is enough; a zone is taken for UTC where an instant has none
run, class, length, patience, reserve               which run a line belongs to, and how it asked
provider, model, team, … input, cache_read, …       labels and kinds of tokens, as `usage export --csv` writes them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from quota_scheduler.core.history.recorded_runs import Piece, RecordedRun, Recording, stitched
from quota_scheduler.core.labels import LABEL_NAMES, Labels
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.recorded import cells
from quota_scheduler.recorded.table import Notes, Row, Rows, WrongFile, read_each

IDLE = timedelta(days=2)
"""A longer time without any run is told: the file may have a gap."""
MISSING = {
    "class": "no class, so every run is normal",
    "length": "no length, so a run lasts from its first line to its last, three minutes at least",
    "patience": "no patience, so people wait 0, high 4 h, normal 72 h, low 1.2 windows",
    "reserve": "no reserve, so every run asks for exactly what it used",
}
"""Columns that may lack, and what is taken for granted then."""
Asked = dict[str, tuple[Usage | None, timedelta | None]]


def runs_of(header: Sequence[str], rows: Rows, notes: Notes, path: Path) -> Recording:
    """Return the runs of the lines of a file, in order of time, and what is to be said of it. Raises WrongFile."""
    pieces: list[Piece] = []
    asked: Asked = {}
    read_each(rows, lambda row: pieces.append(_piece(row, len(pieces), asked, notes)), notes)
    runs = [_as_written(run, asked) for run in stitched(pieces)]
    if not runs:
        raise WrongFile(f"{path}: no runs{notes.why()}")
    assumed = [f"{notes.name}: {text}." for name, text in MISSING.items() if name not in header]
    early = sum(later.first < piece.first for piece, later in pairwise(pieces))
    order = [f"{notes.name}: lines are not in order of time, and were put in order."] if early else []
    return Recording(tuple(runs), (*notes.sentences(), *order, *gaps(runs), *assumed))


def _piece(row: Row, number: int, asked: Asked, notes: Notes) -> Piece:
    at = cells.instant(row["at"], notes)
    length = cells.span(row.get("length", ""), "length") or timedelta(0)
    name = row.get("run") or row.get("session") or ""
    key = name or f"line {number}"
    usage = _usage(row)
    patience = cells.span(row.get("patience", ""), "patience")
    reserve = Usage(output=cells.whole(row["reserve"], "reserve")) if row.get("reserve") else None
    piece = Piece(key, _labels(row), cells.priority(row.get("class", "")), at, at + length, usage)
    if name not in asked or not name:
        asked[key] = reserve, patience
    return piece


def _as_written(run: RecordedRun, asked: Mapping[str, tuple[Usage | None, timedelta | None]]) -> RecordedRun:
    reserve, patience = asked[run.name]
    return replace(run, reserve=reserve, patience=patience)


def gaps(runs: Sequence[RecordedRun]) -> list[str]:
    """Tell of the longest time without any run, where it is longer than a weekend."""
    idle = [(later.at - run.at, run.at, later.at) for run, later in pairwise(runs)]
    longest, begin, end = max(idle, default=(timedelta(0), None, None))
    if longest <= IDLE or begin is None or end is None:
        return []
    days = longest / timedelta(days=1)
    return [f"No run between {begin:%Y-%m-%d %H:%M}Z and {end:%Y-%m-%d %H:%M}Z ({days:.1f} days): taken as idle."]


def _usage(row: Row) -> Usage:
    kinds = tuple(cells.whole(row[kind], kind) if row.get(kind) else 0 for kind in KINDS)
    if row.get("tokens"):
        tokens = cells.whole(row["tokens"], "tokens")
        if any(kinds) and sum(kinds) != tokens:
            raise ValueError("tokens are not the sum of their kinds")
        kinds = kinds if any(kinds) else (0, 0, 0, 0, tokens)
    elif not any(kinds):
        raise ValueError("it has no tokens")
    requests = cells.whole(row["requests"], "requests") if row.get("requests") else 1
    return Usage(*kinds)._replace(requests=requests).costing(cells.cost(row.get("cost_usd", "")))


def _labels(row: Row) -> Labels:
    values = {name: row.get(name, "").removeprefix("'") for name in LABEL_NAMES}
    return Labels(**{**values, "provider": values["provider"] or "file"})
