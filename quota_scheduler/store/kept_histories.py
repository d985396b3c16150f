"""Histories of limit instances as the last service left them, written some at a time.

What the bytes say is known to ``core.forecast.packing``, what may be gone on from to ``service.tick.kept_histories``.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Transaction

_SAVE = (
    "INSERT INTO kept_histories (instance, as_of, counting, body) VALUES (?, ?, ?, ?) ON CONFLICT (instance) "
    "DO UPDATE SET as_of = excluded.as_of, counting = excluded.counting, body = excluded.body"
)


class KeptHistory(NamedTuple):
    """One history, as of when it stands, and how limits counted then."""

    as_of: datetime
    counting: str
    body: bytes


def save(tx: Transaction, histories: Mapping[str, KeptHistory]) -> None:
    """Keep some histories in place of what was kept of these instances."""
    rows = [
        (instance, to_micros(one.as_of), one.counting, b64encode(one.body).decode())
        for instance, one in sorted(histories.items())
    ]
    tx.many(_SAVE, rows)


def forget_others(tx: Transaction, instances: Collection[str]) -> None:
    """Forget what is kept of instances that are not among these."""
    gone = [row for row in tx.rows("SELECT instance FROM kept_histories") if row[0] not in instances]
    tx.many("DELETE FROM kept_histories WHERE instance = ?", gone)


def load(tx: Transaction) -> dict[str, KeptHistory]:
    """All that is kept, by instance."""
    rows = tx.rows("SELECT instance, as_of, counting, body FROM kept_histories ORDER BY instance")
    return {
        instance: KeptHistory(from_micros(as_of), counting, b64decode(body)) for instance, as_of, counting, body in rows
    }
