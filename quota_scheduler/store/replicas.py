"""Replicas: one row for each process on the database, as it said last of itself."""

import json
from datetime import datetime

from msgspec.structs import astuple

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.core.replicas.replica import Replica
from quota_scheduler.store import Row, Transaction

_COLUMNS = "name, host, pid, address, version, rules, started_at, seen_at, problem, sources"


def load(tx: Transaction) -> list[Replica]:
    """Every replica that has not left in good order, oldest first."""
    return [_replica(row) for row in tx.rows(f"SELECT {_COLUMNS} FROM replicas ORDER BY started_at, name")]


def save(tx: Transaction, replica: Replica) -> None:
    """Keep what a replica says of itself, seen at the transaction's now."""
    sources = json.dumps([astuple(source) for source in replica.sources], separators=(",", ":"))
    tx.send(
        f"INSERT INTO replicas ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET rules = excluded.rules, seen_at = excluded.seen_at, "
        "problem = excluded.problem, sources = excluded.sources",
        (
            replica.name, replica.host, replica.pid, replica.address, replica.version, replica.rules,
            to_micros(replica.started_at), to_micros(tx.now), replica.problem, sources,
        ),
    )  # fmt: skip


def leave(tx: Transaction, name: str) -> None:
    """Forget a replica that ends in good order."""
    tx.send("DELETE FROM replicas WHERE name = ?", (name,))


def forget(tx: Transaction, before: datetime) -> None:
    """Forget replicas that were seen last before an instant."""
    tx.send("DELETE FROM replicas WHERE seen_at < ?", (to_micros(before),))


def _replica(row: Row) -> Replica:
    name, host, pid, address, version, rules, started_at, seen_at, problem, sources = row
    return Replica(
        name, host, pid, address, version, rules, from_micros(started_at), from_micros(seen_at), problem,
        tuple(SourceReading(*fields) for fields in json.loads(sources)),
    )  # fmt: skip
