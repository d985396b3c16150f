"""Counters that never fall and survive restarts, meta facts, outlooks, readings, and the audit log."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.readings.readings import Counter
from quota_scheduler.store import Transaction


def add(tx: Transaction, name: str, labels: tuple[str, ...], amount: int = 1) -> None:
    """Raise a counter."""
    if amount > 0:
        tx.execute(
            "INSERT INTO counters (name, labels, value) VALUES (?, ?, ?) "
            "ON CONFLICT (name, labels) DO UPDATE SET value = value + excluded.value",
            (name, json.dumps(labels), amount),
        )


def all_counters(tx: Transaction) -> list[Counter]:
    """Every counter, in a stable order."""
    rows = tx.rows("SELECT name, labels, value FROM counters ORDER BY name, labels")
    return [Counter(name, tuple(json.loads(labels)), value) for name, labels, value in rows]


def fact(tx: Transaction, name: str) -> str | None:
    """A remembered fact, None when there is none."""
    found: str | None = tx.scalar("SELECT value FROM meta WHERE name = ?", (name,))
    return found


def remember(tx: Transaction, name: str, value: str) -> None:
    """Remember a fact."""
    tx.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def save_bodies(tx: Transaction, table: str, bodies: Mapping[str, Any]) -> None:
    """Replace a table of JSON documents by name (``outlooks`` or ``readings``), writing only what changed."""
    key = {"outlooks": "instance", "readings": "name"}[table]
    stored: dict[str, str] = dict(tx.rows(f"SELECT {key}, body FROM {table}"))
    fresh = {name: json.dumps(body, separators=(",", ":")) for name, body in bodies.items()}
    tx.many(f"DELETE FROM {table} WHERE {key} = ?", [(name,) for name in stored if fresh.get(name) != stored[name]])
    changed = [(name, body) for name, body in fresh.items() if stored.get(name) != body]
    if table == "readings":
        tx.many(
            "INSERT INTO readings (name, at, body) VALUES (?, ?, ?)", [(n, to_micros(tx.now), b) for n, b in changed]
        )
    else:
        tx.many("INSERT INTO outlooks (instance, body) VALUES (?, ?)", changed)


def load_bodies(tx: Transaction, table: str) -> dict[str, Any]:
    """A table of JSON documents by name."""
    key = {"outlooks": "instance", "readings": "name"}[table]
    return {name: json.loads(body) for name, body in tx.rows(f"SELECT {key}, body FROM {table}")}


def audit(tx: Transaction, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Write down who changed what by hand."""
    values = (to_micros(tx.now), who, what, json.dumps(detail, default=str))
    tx.execute("INSERT INTO audit (at, who, what, detail) VALUES (?, ?, ?, ?)", values)


def names(counters: Iterable[Counter]) -> set[str]:
    """The names that occur."""
    return {counter.name for counter in counters}
