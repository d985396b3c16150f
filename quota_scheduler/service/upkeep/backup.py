"""Backup and restore: what is copied beside a running service, and put back while none runs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from quota_scheduler.core.instants import iso, parse_instant
from quota_scheduler.errors import StoreError
from quota_scheduler.store import (
    Row,
    Store,
    Transaction,
    audit,
    copies,
    engine,
    facts,
    read_only,
    restored,
    sqlite,
    utc_now,
)
from quota_scheduler.store.copies import Further
from quota_scheduler.store.database import Clock

TAKEN_AT = "backup.taken_at"
RESTORED_AT = "backup.restored_at"
RESTORING = ".restoring"


class Backup(Struct, frozen=True):
    """A backup that was written: where, how large in bytes, and what is in it."""

    file: Path
    size: int
    taken_at: datetime
    events: int


class Loss(Struct, frozen=True):
    """What a restore takes away: ``events`` and ``tickets`` that the backup does not have, and up to when each goes."""

    there: restored.Reaching
    here: restored.Reaching | None
    events: int
    tickets: int
    deeds: int
    problem: str = ""
    """Why the present database cannot be compared; empty where it was, or there is none."""

    @property
    def is_any(self) -> bool:
        """Whether anything known would be lost, or nobody can say."""
        return bool(self.events or self.tickets or self.deeds or self.problem)


def backup(database: Path, file: Path, *, further: Further = lambda *_: None, clock: Clock = utc_now) -> Backup:
    """Write a checked copy of a database, also while a service writes it. Raises StoreError."""
    if file.exists() and database.exists() and file.samefile(database):
        raise StoreError(f"{file} is the database itself: name another file for the backup")
    taken, events = clock(), 0

    def finish(tx: Transaction) -> None:
        nonlocal events
        events = restored.extent(tx).events
        facts.remember(tx, TAKEN_AT, iso(taken))

    copies.copy(database, file, finish=finish, further=further, clock=clock)
    return Backup(file, file.stat().st_size, taken, events)


def loss(database: Path, file: Path, *, clock: Clock = utc_now) -> Loss:
    """What putting a backup in the place of a database takes away; reads both, changes nothing.

    Raises NotOurDatabase for a file that is not ours or newer, StoreError for one that cannot be read.
    """
    if not file.exists():
        raise StoreError(f"there is no backup at {file}: name one that `quota-scheduler backup` wrote")
    copies.refuse_newer(file)
    with _reading(file, clock) as tx:
        there = restored.extent(tx)
    if not database.exists() or not database.stat().st_size:
        return Loss(there, None, 0, 0, 0)
    sqlite.check_ours(database)
    try:
        with _reading(database, clock) as tx:
            here = restored.extent(tx)
            events, tickets = restored.recorded_after(tx, there.newest_event, there.newest_ticket)
    except StoreError as error:
        return Loss(there, None, 0, 0, 0, str(error))
    return Loss(there, here, events, tickets, max(0, here.deeds - there.deeds))


def restore(database: Path, file: Path, *, further: Further = lambda *_: None, clock: Clock = utc_now) -> Path | None:
    """Put a backup in the place of a database that no service holds; returns where the replaced one lies now.

    Numbers of tickets and leases go on behind all that may have been handed out since, leases that ran have their full
    term to renew, and what was told to people since is not told again. Killed on the way, the present database stays.
    Raises DatabaseBusy while a service holds it, NotOurDatabase, or StoreError.
    """
    lock = sqlite.Lock(database)
    try:
        seen = loss(database, file, clock=clock)
        staged = database.with_name(database.name + RESTORING)
        copies.remove_beside(staged)
        copies.copy(file, staged, finish=lambda _: None, further=further, clock=clock)
        told = _told(database, clock) if seen.here else {}
        _put_right(staged, file, seen, told, clock)
        return _exchange(database, staged, clock())
    finally:
        lock.release()


def _put_right(
    staged: Path, file: Path, seen: Loss, told: Mapping[str, tuple[Sequence[str], list[Row]]], clock: Clock
) -> None:
    with Store(staged, clock=clock) as store, store.transaction() as tx:
        taken = facts.fact(tx, TAKEN_AT)
        since = parse_instant(taken) if taken else seen.there.newest_event or seen.there.newest_ticket or tx.now
        restored.jump(tx, seen.here.numbers if seen.here else {}, since=since)
        restored.extend_leases(tx)
        restored.carry(tx, told)
        facts.remember(tx, RESTORED_AT, iso(tx.now))
        detail = {"file": file.name, "taken_at": iso(since), "events_lost": seen.events, "tickets_lost": seen.tickets}
        audit.write(tx, "restore", "restore", detail)
    staged.with_name(staged.name + ".lock").unlink(missing_ok=True)


def _exchange(database: Path, staged: Path, now: datetime) -> Path | None:
    """The one instant at which the backup is in force: a file takes the place of another."""
    aside = None
    if database.stat().st_size:
        aside = _free(database.with_name(f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}"))
        copies.set_aside(database, aside)
    else:
        copies.remove_beside(database)
    copies.to_disk(staged)
    os.replace(staged, database)
    copies.to_disk(database.parent)
    return aside


def _free(path: Path) -> Path:
    """A name that nothing has yet."""
    names = (path if number == 0 else path.with_name(f"{path.name}-{number}") for number in range(1_000))
    return next(name for name in names if not name.exists())


@contextmanager
def _reading(path: Path, clock: Clock) -> Iterator[Transaction]:
    """A read-only view; whatever the database itself refuses is one sentence."""
    try:
        with read_only(path, clock=clock) as tx:
            yield tx
    except StoreError:
        raise
    except Exception as error:
        if not engine.is_refusal(error) and not copies.is_damage(error):
            raise
        raise StoreError(f"cannot read {path}: {error}") from None


def _told(database: Path, clock: Clock) -> dict[str, tuple[Sequence[str], list[Row]]]:
    with suppress(StoreError), _reading(database, clock) as tx:
        return restored.told(tx)
    return {}
