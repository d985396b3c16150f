"""The audit log: who changed what by hand."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Transaction


class Entry(NamedTuple):
    """One deed."""

    at: datetime
    who: str
    what: str
    detail: Mapping[str, Any]


def entries(tx: Transaction, most: int) -> list[Entry]:
    """The newest deeds, newest first."""
    rows = tx.rows("SELECT at, who, what, detail FROM audit ORDER BY id DESC LIMIT ?", (most,))
    return [Entry(from_micros(at), who, what, json.loads(detail)) for at, who, what, detail in rows]


def latest(tx: Transaction, what: str) -> Entry | None:
    """The newest deed of a kind."""
    row = tx.row("SELECT at, who, what, detail FROM audit WHERE what = ? ORDER BY id DESC LIMIT 1", (what,))
    return Entry(from_micros(row[0]), row[1], row[2], json.loads(row[3])) if row else None


def write(tx: Transaction, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Write down who changed what by hand."""
    values = (to_micros(tx.now), who, what, json.dumps(detail, default=str))
    tx.execute("INSERT INTO audit (at, who, what, detail) VALUES (?, ?, ?, ?)", values)
