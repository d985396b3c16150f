"""SQLite: one file.

One read-write connection per file, in one process, held by a lock file beside it; write-ahead log with
``synchronous=FULL``, so that what was answered survives a power cut; readers open the file read-only. Versions before
3.51.3 can corrupt a write-ahead log when two connections write or checkpoint at once: the single writer is the remedy.
"""

import contextlib
import fcntl
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from quota_scheduler.errors import DatabaseBusy, NotOurDatabase, StoreError
from quota_scheduler.store.database import About, Asked, Clock, Connection, Cursor, Question
from quota_scheduler.store.steps import NOTED, missing

APPLICATION_ID = 0x51534348
"""SQLite's ``application_id`` of our files ("QSCH"): tells them from other people's databases."""
BUSY_TIMEOUT_SECONDS = 5.0
CACHE_KIB = 8_000
"""Pages that the writer keeps. Recording into a million events took as long with 32 MB of them (measured): what it does
not keep the system does, for all processes together."""
CHECKPOINT_PAGES = 4_000
"""Pages of the write-ahead log (16 MB) after which a commit takes them into the file. A cycle for one ticket writes 16:
one commit of 250 has this to do; with SQLite's own 1,000 pages it was one of 60, and ruled the slowest hundredth."""
FIXED_IN = (3, 51, 3)
"""First SQLite without the write-ahead-log reset bug."""


SETS = (64, 16, 4)
"""Rows that one statement inserts; a few numbers, so that each is compiled once."""
_VALUES = re.compile(r"VALUES (\(\?(?:, \?)*\))")
OWNER_ONLY = 0o600
"""Who may read and write what we create: labels and keys are nobody else's business."""


class Lock:
    """The right to write one database file; released when the process ends, however it ends.

    The file itself is locked, so that a link to it or another name for it is the same database. A second file beside it
    says which process holds it. ``flock`` and SQLite's own locks do not touch each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._holder: IO[str] = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, OWNER_ONLY), "r+")
        except OSError as error:
            raise StoreError(
                f"cannot create {self.path}: {error.strerror}; choose another place with --database"
            ) from None
        try:
            self._file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY), "rb+", buffering=0)
        except OSError as error:
            self._holder.close()
            raise StoreError(f"cannot open {path}: {error.strerror}; choose another file with --database") from None
        try:
            fcntl.flock(self._holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._holder.read().strip() or "of another name or lock file"
            self.release()
            raise DatabaseBusy(f"{path} is in use by process {holder}: stop it, or use another --database") from None
        self._holder.truncate(0)
        self._holder.write(f"{os.getpid()}\n")
        self._holder.flush()

    def is_of(self, path: Path) -> bool:
        """Whether the file that lies at ``path`` now is still the one that is locked."""
        try:
            there, ours = path.stat(), os.fstat(self._file.fileno())
        except (OSError, ValueError):  # gone, or closed
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        """Give the right back. The database must be closed: closing a file lets go of SQLite's locks on it too."""
        self._file.close()
        self._holder.close()


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one read-write connection, creating the file if there is none.

    Raises NotOurDatabase for a file that something else made, StoreError when it cannot be opened.
    """
    check_ours(path)
    return _connect(
        str(path),
        path,
        "PRAGMA journal_mode = wal",
        "PRAGMA synchronous = full",
        "PRAGMA foreign_keys = 1",
        f"PRAGMA cache_size = {-CACHE_KIB}",
        f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"PRAGMA application_id = {APPLICATION_ID}",
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file read-only; works beside a running writer. Raises StoreError when there is no such file."""
    if not path.exists():
        raise StoreError(f"no database at {path}: start the service once, or name the file with --database")
    check_ours(path)
    return _connect(_read_only(path), path)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "") -> Iterator[None]:
    """One transaction, IMMEDIATE where it writes; commits, or rolls back on any exception."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a commit that fails may have rolled back already
            connection.execute("ROLLBACK")
        raise


@lru_cache(64)
def of_rows(sql: str, rows: int) -> str:
    """An INSERT of one row as one of so many."""
    return _VALUES.sub(lambda one: f"VALUES {', '.join([one[1]] * rows)}", sql, count=1)


class SqliteConnection:
    """Statements to one connection."""

    moved = False
    turn: Any = None
    """Kept from write to write: nobody else writes the file. One that comes to nothing takes it along."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        return self._connection.execute(sql, params)

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Run one query; it costs no journey, and is asked before what is written next."""
        rows = self.execute(sql, params).fetchall()
        return lambda: rows

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT; returns the new row's id."""
        key = self._connection.execute(sql, params).lastrowid
        return key or 0

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""
        self._connection.executemany(sql, params)

    def execute_whole(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for many rows where it inserts: it takes two thirds of the time, and other threads, which
        may go on at each statement, do so seldom."""
        start = 0
        for some in SETS if _VALUES.search(sql) else ():
            whole = of_rows(sql, some)
            while len(rows) - start >= some:
                self._connection.execute(whole, [value for row in rows[start : start + some] for value in row])
                start += some
        self._connection.executemany(sql, rows[start:])

    def about(self) -> About:
        """The version, and whether pages and indexes hold together."""
        is_sound = sqlite3.sqlite_version_info >= FIXED_IN
        note = "" if is_sound else "can corrupt a file that two programs write; this one sees to it that only one does"
        answer: str = self.execute("PRAGMA quick_check").fetchone()[0]
        return About("SQLite", sqlite3.sqlite_version, note, "" if answer == "ok" else answer)

    def damage(self) -> list[str]:
        """What is wrong with pages and indexes, ten things at most."""
        lines = [str(row[0]) for row in self.execute("PRAGMA integrity_check(10)").fetchall()]
        return [] if lines == ["ok"] else lines

    def dangling(self) -> list[str]:
        """Tables with rows that point nowhere, and at what."""
        return sorted({f"{row[0]} at {row[2]}" for row in self.execute("PRAGMA foreign_key_check").fetchall()})


class Sqlite:
    """A file that this process alone writes."""

    is_shared = False

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock, self._path = clock, path
        self._lock = Lock(path)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            self._writer = open_writer(path)
        except BaseException:
            self._lock.release()
            raise
        self._connection = SqliteConnection(self._writer)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        if missing(noted_steps(self._writer), str(self._path)):
            from quota_scheduler.store.migrate import bring_file_up_to_date  # and with it peewee, and its drivers

            bring_file_up_to_date(self._writer, str(self._path))

    @contextlib.contextmanager
    def writing(self, _along: Sequence[Question] = (), /) -> Iterator[tuple[Connection, datetime]]:
        """A write transaction; the caller sees to it that there is one at a time."""
        try:
            with transaction(self._writer, "IMMEDIATE"):
                yield self._connection, self.clock()
        except BaseException:
            self._connection.turn = None
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view, on a connection of this thread's own; one within another is the same."""
        reader = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = open_reader(self._path)
            self._readers.append(reader)
        with contextlib.nullcontext() if reader.in_transaction else transaction(reader):
            yield SqliteConnection(reader), self.clock()

    def listen(self, hint: Callable[[], None]) -> None:
        """Nobody else writes it."""

    def is_replaced(self) -> bool:
        """Whether the file was removed or replaced under us."""
        return not self._lock.is_of(self._path)

    def close(self) -> None:
        """Close every connection and give the right to write back."""
        for connection in (*self._readers, self._writer):
            connection.close()
        self._lock.release()


class SqliteView:
    """A file that another process may be writing."""

    is_shared = True

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock, self._connection = clock, open_reader(path)

    def migrate(self) -> None:
        """Whoever only looks changes nothing."""

    @contextlib.contextmanager
    def writing(self, _along: Sequence[Question] = (), /) -> Iterator[tuple[Connection, datetime]]:
        """Whoever only looks cannot write."""
        raise StoreError("this view of the database cannot write")
        yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view, beside a writer too."""
        with transaction(self._connection):
            yield SqliteConnection(self._connection), self.clock()

    def listen(self, hint: Callable[[], None]) -> None:
        """Nobody else writes it."""

    def is_replaced(self) -> bool:
        """Nothing is written here."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _read_only(path: Path) -> str:
    """The address of a file to look into; ``#``, ``?`` and ``%`` of its name are quoted."""
    return f"{path.absolute().as_uri()}?mode=ro"


def _connect(address: str, path: Path, *settings: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            address,
            uri=address.startswith("file:"),
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,  # nothing begins by itself
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise StoreError(_cannot_open(path, error)) from None
    try:
        for statement in (*settings, "SELECT count(*) FROM sqlite_master"):
            connection.execute(statement)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(_cannot_open(path, error)) from None
    return connection


def _cannot_open(path: Path, error: sqlite3.Error) -> str:
    return f"cannot open {path}: {error}; see that its folder exists and is writable"


def noted_steps(connection: sqlite3.Connection) -> set[str]:
    """The steps of the schema that a file says were made; none where it is new."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (NOTED,)).fetchone():
        return set()
    return {name for (name,) in connection.execute(f"SELECT name FROM {NOTED}")}


def check_ours(path: Path) -> None:
    """Refuse a file that another program made; an absent or empty file is fine."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    if not header:
        return
    mark = int.from_bytes(header[68:72])
    if not header.startswith(b"SQLite format 3\0") or not (
        mark == APPLICATION_ID or (mark == 0 and _is_unmarked(path))
    ):
        raise NotOurDatabase(f"{path} is not a Quota Scheduler database; name another file with --database")


def _is_unmarked(path: Path) -> bool:
    """Whether a database whose header lacks our mark is ours all the same.

    The mark may still stand in the write-ahead log, or the creation was cut short and there is nothing in it yet.
    """
    try:
        with contextlib.closing(sqlite3.connect(_read_only(path), uri=True)) as database:
            (mark,) = database.execute("PRAGMA application_id").fetchone()
            return bool(mark == APPLICATION_ID) or database.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone() == (0,)
    except sqlite3.Error:
        return False
