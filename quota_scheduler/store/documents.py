"""Documents of the last tick by name: readings and outlooks, for readers of the file and for a restart."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from quota_scheduler.core.instants import to_micros
from quota_scheduler.store import Transaction, turns


def body_text(body: Mapping[str, Any]) -> str:
    """A document as it is stored."""
    return msgspec.json.encode(body).decode()


def save_bodies(tx: Transaction, table: str, fresh: Mapping[str, str]) -> None:
    """Replace a table of JSON documents by name (``outlooks`` or ``readings``), writing only what changed."""
    key = {"outlooks": "instance", "readings": "name"}[table]
    stored: dict[str, str] = dict(tx.rows(f"SELECT {key}, body FROM {table}"))
    gone = [(name,) for name in stored if fresh.get(name) != stored[name]]
    tx.many(f"DELETE FROM {table} WHERE {key} = ?", gone)
    changed = [(name, body) for name, body in fresh.items() if stored.get(name) != body]
    if table == "readings":
        tx.many(
            "INSERT INTO readings (name, at, body) VALUES (?, ?, ?)", [(n, to_micros(tx.now), b) for n, b in changed]
        )
    elif gone or changed:
        turns.outlooks_moved(tx)
        rows = [(instance, body, tx.revision) for instance, body in changed]
        tx.many("INSERT INTO outlooks (instance, body, revision) VALUES (?, ?, ?)", rows)


def outlooks_since(tx: Transaction, revision: int) -> tuple[set[str], dict[str, Any]]:
    """The names of all outlooks, and by name those that were written after a revision."""
    rows = tx.rows("SELECT instance, CASE WHEN revision > ? THEN body ELSE '' END FROM outlooks", (revision,))
    return {name for name, _ in rows}, {name: json.loads(body) for name, body in rows if body}


def load_bodies(tx: Transaction, table: str) -> dict[str, Any]:
    """A table of JSON documents by name."""
    key = {"outlooks": "instance", "readings": "name"}[table]
    return {name: json.loads(body) for name, body in tx.rows(f"SELECT {key}, body FROM {table}")}
