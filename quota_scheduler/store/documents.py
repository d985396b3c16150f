"""What the last tick left by name: readings of limits and outlooks, for readers of the file and for a restart.

A reading is stored as the value it is. Its document is made by whoever reads it: of a thousand that each tick
writes, few are ever looked at.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.readings.documents import limit_document
from quota_scheduler.core.readings.readings import LimitReading
from quota_scheduler.store import Transaction, turns


def body_text(body: Mapping[str, Any] | LimitReading) -> str:
    """A document or a reading as it is stored."""
    return msgspec.json.encode(body).decode()


def limit_documents(tx: Transaction) -> dict[str, dict[str, Any]]:
    """Every limit as the last tick read it, by name, as ``limit_document`` has it."""
    return {name: _limit_document(body) for name, body in tx.rows("SELECT name, body FROM readings")}


def _limit_document(body: str) -> dict[str, Any]:
    try:
        return limit_document(msgspec.json.decode(body, type=LimitReading))
    except msgspec.ValidationError:  # builds before this one stored the document itself
        document: dict[str, Any] = json.loads(body)
        return document


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


def outlooks(tx: Transaction) -> dict[str, Any]:
    """The documents of all outlooks by limit instance."""
    return {name: json.loads(body) for name, body in tx.rows("SELECT instance, body FROM outlooks")}
