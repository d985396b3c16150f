"""Counters that never fall and survive restarts."""

import json

from quota_scheduler.core.readings.readings import Counter
from quota_scheduler.store import Transaction


def add(tx: Transaction, name: str, labels: tuple[str, ...], amount: int = 1) -> None:
    """Raise a counter."""
    if amount > 0:
        tx.send(
            "INSERT INTO counters (name, labels, value) VALUES (?, ?, ?) "
            "ON CONFLICT (name, labels) DO UPDATE SET value = counters.value + excluded.value",
            (name, json.dumps(labels), amount),
        )


def all_counters(tx: Transaction) -> list[Counter]:
    """Every counter, in a stable order."""
    rows = tx.rows("SELECT name, labels, value FROM counters ORDER BY name, labels")
    return [Counter(name, tuple(json.loads(labels)), value) for name, labels, value in rows]
