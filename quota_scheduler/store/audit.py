"""The audit log: who changed what by hand."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Transaction

_COLUMNS = "at, who, what, detail"
_ENTRIES = (
    f"SELECT {_COLUMNS} FROM audit WHERE at >= ? AND at < ? AND (? = '' OR who = ?) AND what LIKE ? ESCAPE '!' "
    "ORDER BY id DESC LIMIT ?"
)
_BEGINNING, _END = -(2**62), 2**62


class Entry(NamedTuple):
    """One deed."""

    at: datetime
    who: str
    what: str
    detail: Mapping[str, Any]


class Wanted(NamedTuple):
    """Which deeds: from ``since`` until before ``until``, of ``who``, with a ``what`` that fits; ``*`` is any text."""

    most: int = 100
    since: datetime | None = None
    until: datetime | None = None
    who: str = ""
    what: str = "*"


def entries(tx: Transaction, wanted: Wanted) -> list[Entry]:
    """The newest deeds of those, newest first."""
    since = to_micros(wanted.since) if wanted.since else _BEGINNING
    until = to_micros(wanted.until) if wanted.until else _END
    values = (since, until, wanted.who, wanted.who, _like(wanted.what or "*"), wanted.most)
    return [_entry(row) for row in tx.rows(_ENTRIES, values)]


def _like(pattern: str) -> str:
    for sign in "!%_":
        pattern = pattern.replace(sign, f"!{sign}")
    return pattern.replace("*", "%")


def _entry(row: Any) -> Entry:
    return Entry(from_micros(row[0]), row[1], row[2], json.loads(row[3]))


def latest(tx: Transaction, what: str) -> Entry | None:
    """The newest deed of a kind."""
    row = tx.row(f"SELECT {_COLUMNS} FROM audit WHERE what = ? ORDER BY id DESC LIMIT 1", (what,))
    return _entry(row) if row else None


def write(tx: Transaction, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Write down who changed what by hand."""
    values = (to_micros(tx.now), who, what, json.dumps(detail, default=str))
    tx.send("INSERT INTO audit (at, who, what, detail) VALUES (?, ?, ?, ?)", values)
