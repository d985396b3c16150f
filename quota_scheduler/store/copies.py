"""A copy of the database in one file: taken beside a running service, checked against it, and never half there.

    source ──pages of one snapshot──► NAME.partial ──checked, finished, on the disk──► NAME

A process that is killed on the way leaves ``NAME.partial``, which the next copy overwrites, and ``NAME`` as it was.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quota_scheduler.errors import DatabaseBusy, StoreError
from quota_scheduler.store import Transaction, sqlite, steps, utc_now
from quota_scheduler.store.database import Clock
from quota_scheduler.store.engine import is_disk_full
from quota_scheduler.store.sqlite import SqliteConnection
from quota_scheduler.store.usage_columns import summed

PAGES_AT_ONCE = 4_096
"""Pages between two words on how far it is: 16 MiB."""
PARTIAL = ".partial"
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database."""
Further = Callable[[int, int], None]
"""Told how many pages are done, of how many."""
Finish = Callable[[Transaction], None]
"""Writes into a copy that has been checked, in one transaction."""


def copy(source: Path, target: Path, *, finish: Finish, further: Further, clock: Clock = utc_now) -> None:
    """Copy a database as it is at one instant, check the copy, and put it in the place of ``target``.

    The copy is a single file of mode 0600, and on the disk when this returns. Raises StoreError when the source cannot
    be read or the target not be written, DatabaseBusy when another process is writing the same target.
    """
    partial = target.with_name(target.name + PARTIAL)
    try:
        with _alone(partial):
            _fill(source, partial, finish, further, clock)
            os.replace(partial, target)
            to_disk(target)
            to_disk(target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}; choose another place") from None


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Make an empty file that no other process fills meanwhile; it goes when what is done with it fails."""
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, sqlite.OWNER_ONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseBusy(f"another process is writing {partial}: wait for it, or name another file") from None
        os.fchmod(descriptor, sqlite.OWNER_ONLY)
        os.ftruncate(descriptor, 0)
        remove_beside(partial)
        try:
            yield
        except BaseException:
            partial.unlink(missing_ok=True)
            remove_beside(partial)
            raise
    finally:
        os.close(descriptor)


def _fill(source: Path, partial: Path, finish: Finish, further: Further, clock: Clock) -> None:
    reader = sqlite.open_reader(source)
    database = sqlite3.connect(partial, isolation_level=None)
    try:
        with sqlite.transaction(reader):
            before = _sums(
                Transaction(SqliteConnection(reader), clock())
            )  # pins the snapshot: what is written meanwhile is not in it
            reader.backup(database, pages=PAGES_AT_ONCE, progress=lambda _, left, all_: further(all_ - left, all_))
        database.execute("PRAGMA journal_mode = delete")  # one file, nothing beside it
        copied = Transaction(SqliteConnection(database), clock())
        check_whole(copied, source)
        if (after := _sums(copied)) != before:
            raise StoreError(f"the copy of {source} does not add up: {_difference(before, after)}")
        with sqlite.transaction(database, "IMMEDIATE"):
            finish(copied)
    except sqlite3.Error as error:
        full = "; make room, or choose another place" if is_disk_full(error) else ""
        raise StoreError(f"cannot copy {source} to {partial}: {error}{full}") from None
    finally:
        database.close()
        reader.close()


def refuse_newer(path: Path) -> None:
    """Raise NotOurDatabase for a file that a newer version wrote, StoreError for one that cannot be read."""
    reader = sqlite.open_reader(path)
    try:
        steps.missing(sqlite.noted_steps(reader), str(path))
    except sqlite3.Error as error:
        raise StoreError(f"cannot read {path}: {error}") from None
    finally:
        reader.close()


def check_whole(tx: Transaction, path: Path) -> None:
    """Raise StoreError for a database with damaged pages or indexes."""
    try:
        damage = [row[0] for row in tx.rows("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        damage = [str(error)]
    if damage != ["ok"]:
        raise StoreError(f"{path} is damaged ({'; '.join(damage)}): use another backup")


def _sums(tx: Transaction) -> dict[str, object]:
    """What a copy must agree in: the rows of every table, and what usage and windows add up to."""
    tables = [row[0] for row in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    sums: dict[str, object] = {name: tx.scalar(f'SELECT count(*) FROM "{name}"') for name in tables}
    there = {"events", "rollups", "label_totals"} & set(tables)
    if tx.scalar("SELECT count(*) FROM pragma_table_info('events') WHERE name = 'cost_rest'"):
        sums |= {f"usage of {name}": tx.row(f"SELECT {summed()} FROM {name}") for name in sorted(there)}
    if "windows" in tables:
        sums["windows"] = tx.row("SELECT total(used), total(reported), total(reserved) FROM windows")
    return sums


def _difference(before: dict[str, object], after: dict[str, object]) -> str:
    return "; ".join(f"{name} {before.get(name)} and {after.get(name)}" for name in before | after
                     if before.get(name) != after.get(name))  # fmt: skip


def remove_beside(path: Path) -> None:
    """Remove what SQLite kept beside a file that is gone or new: it would be taken for the new one's."""
    for ending in BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Let a file, or what a folder lists, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path, aside: Path) -> None:
    """Give a database that nobody uses a second name, with all that it holds in that one file.

    Raises StoreError while a process reads it. A damaged one keeps its log under the second name.
    """
    try:
        database = sqlite.open_writer(path)
        try:
            mode = database.execute("PRAGMA journal_mode = delete").fetchone()[0]
        finally:
            database.close()
        if mode != "delete":
            raise sqlite3.OperationalError("database is locked")
    except (sqlite3.Error, StoreError) as error:
        if "locked" in str(error):
            raise StoreError(f"{path} is being read by another process: end it, then try again") from None
        for ending in BESIDE:
            with suppress(FileNotFoundError):
                os.replace(path.with_name(path.name + ending), aside.with_name(aside.name + ending))
    os.link(path, aside)
    to_disk(path.parent)


def is_damage(error: BaseException) -> bool:
    """Whether a file says that it is damaged, or lacks what each of ours has."""
    return isinstance(error, sqlite3.DatabaseError)
