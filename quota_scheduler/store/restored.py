"""What has to be put right in a backup before it is used: time has gone on, and others remember what it does not."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.instants import from_micros, instant_or_none, to_micros
from quota_scheduler.store import Row, Transaction

SPARE = 1_000_000
"""Numbers of tickets and fences that are left out at least, in case what was handed out since is not known."""
SPARE_EACH_SECOND = 1_000
"""The same for each second since the backup; a fleet of 60,000 that starts once a minute needs as many."""
CARRIED = ("alert_states", "outbox", "silences")
"""What was told to people since: carried over, so that nothing is told twice."""


class Reaching(NamedTuple):
    """What a database holds, as far as a restore can lose it."""

    events: int
    newest_event: datetime | None
    newest_ticket: datetime | None
    deeds: int
    numbers: Mapping[str, int]


def extent(tx: Transaction) -> Reaching:
    """How much there is, and up to when. ``newest_event`` is by when it was recorded."""
    event = tx.scalar("SELECT max(recorded_at) FROM events")
    ticket = tx.scalar("SELECT max(created_at) FROM tickets")
    return Reaching(
        tx.scalar("SELECT count(*) FROM events"),
        instant_or_none(event),
        instant_or_none(ticket),
        tx.scalar("SELECT count(*) FROM audit"),
        dict(tx.rows("SELECT name, next FROM sequences")),
    )


def recorded_after(tx: Transaction, event: datetime | None, ticket: datetime | None) -> tuple[int, int]:
    """How many events were recorded, and tickets submitted, after instants; all where there is none."""
    early = from_micros(0)
    return (
        tx.scalar("SELECT count(*) FROM events WHERE recorded_at > ?", (to_micros(event or early),)),
        tx.scalar("SELECT count(*) FROM tickets WHERE created_at > ?", (to_micros(ticket or early),)),
    )


def jump(tx: Transaction, here: Mapping[str, int], *, since: datetime) -> None:
    """Let no number of a ticket or a lease be handed out again that was since the backup, known or not."""
    spare = max(SPARE, SPARE_EACH_SECOND * max(0, int((tx.now - since).total_seconds())))
    for name, number in tx.rows("SELECT name, next FROM sequences"):
        tx.send("UPDATE sequences SET next = ? WHERE name = ?", (max(number, here.get(name, 0)) + spare, name))


def extend_leases(tx: Transaction) -> int:
    """Give every lease that runs in the backup its full term from now, to renew or to end; returns how many."""
    now = to_micros(tx.now)
    return tx.execute(
        "UPDATE leases SET expires_at = ? + ttl WHERE ended_at IS NULL AND expires_at < ? + ttl", (now, now)
    )


def told(tx: Transaction) -> dict[str, tuple[Sequence[str], list[Row]]]:
    """The rows of what people have been told, with the names of their columns."""
    tables: dict[str, tuple[Sequence[str], list[Row]]] = {}
    for table in CARRIED:
        columns = [row[0] for row in tx.rows("SELECT name FROM pragma_table_info(?)", (table,))]
        tables[table] = columns, tx.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY id")
    return tables


def carry(tx: Transaction, tables: Mapping[str, tuple[Sequence[str], list[Row]]]) -> None:
    """Put what people have been told in the place of what the backup knows; columns that it lacks are left out."""
    for table, (columns, rows) in tables.items():
        known = {row[0] for row in tx.rows("SELECT name FROM pragma_table_info(?)", (table,))}
        kept = [number for number, name in enumerate(columns) if name in known]
        names = [columns[number] for number in kept]
        tx.send(f"DELETE FROM {table}")
        tx.many(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            [[row[number] for number in kept] for row in rows],
        )
