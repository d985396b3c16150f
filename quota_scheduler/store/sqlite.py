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

import peewee

from quota_scheduler.errors import DatabaseBusy, NotOurDatabase, StoreError
from quota_scheduler.store.database import About, Asked, Clock, Connection, Cursor
from quota_scheduler.store.migrate import bring_up_to_date

APPLICATION_ID = 0x51534348
"""SQLite's ``application_id`` of our files ("QSCH"): tells them from other people's databases."""
BUSY_TIMEOUT_SECONDS = 5.0
CACHE_KIB = 8_000
"""Pages that the writer keeps. Recording into a million events took as long with 32 MB of them (measured): what it does
not keep the system does, for all processes together."""
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


def open_writer(path: Path) -> peewee.SqliteDatabase:
    """Open the one read-write connection, creating the file if there is none.

    Raises NotOurDatabase for a file that something else made, StoreError when it cannot be opened.
    """
    check_ours(path)
    database = peewee.SqliteDatabase(
        str(path),
        pragmas=(
            ("journal_mode", "wal"),
            ("synchronous", "full"),
            ("foreign_keys", 1),
            ("cache_size", -CACHE_KIB),
            ("application_id", APPLICATION_ID),
        ),
        timeout=BUSY_TIMEOUT_SECONDS,
        thread_safe=False,
        check_same_thread=False,
        autoconnect=False,
    )
    return _connect(database, path)


def open_reader(path: Path) -> peewee.SqliteDatabase:
    """Open the file read-only; works beside a running writer. Raises StoreError when there is no such file."""
    if not path.exists():
        raise StoreError(f"no database at {path}: start the service once, or name the file with --database")
    check_ours(path)
    database = peewee.SqliteDatabase(
        _read_only(path),
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        thread_safe=False,
        check_same_thread=False,
        autoconnect=False,
    )
    return _connect(database, path)


@lru_cache(64)
def of_rows(sql: str, rows: int) -> str:
    """An INSERT of one row as one of so many."""
    return _VALUES.sub(lambda one: f"VALUES {', '.join([one[1]] * rows)}", sql, count=1)


class SqliteConnection:
    """Statements to one connection."""

    moved = False
    turn: Any = None
    """Rows cost no journey here: ``turns`` is looked at when it is asked for."""

    def __init__(self, database: peewee.SqliteDatabase) -> None:
        self.database = database
        self._plain: sqlite3.Connection = database.connection()
        """Past the library, which takes 5 us for a statement: a cycle has a dozen."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        return self._plain.execute(sql, params)

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Run one query; it costs no journey, and is asked before what is written next."""
        rows = self.execute(sql, params).fetchall()
        return lambda: rows

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT; returns the new row's id."""
        return self._plain.execute(sql, params).lastrowid or 0

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""
        self._plain.executemany(sql, params)

    def execute_whole(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for many rows where it inserts: it takes two thirds of the time, and other threads, which
        may go on at each statement, do so seldom."""
        start = 0
        for some in SETS if _VALUES.search(sql) else ():
            whole = of_rows(sql, some)
            while len(rows) - start >= some:
                self._plain.execute(whole, [value for row in rows[start : start + some] for value in row])
                start += some
        self._plain.executemany(sql, rows[start:])

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
        self._readers: list[peewee.Database] = []
        try:
            self._writer = open_writer(path)
        except BaseException:
            self._lock.release()
            raise
        self._connection = SqliteConnection(self._writer)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        bring_up_to_date(self._writer, str(self._path))

    @contextlib.contextmanager
    def writing(self) -> Iterator[tuple[Connection, datetime]]:
        """A write transaction; the caller sees to it that there is one at a time."""
        with self._writer.atomic("IMMEDIATE"):
            yield self._connection, self.clock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view, on a connection of this thread's own."""
        database = getattr(self._local, "database", None)
        if database is None:
            database = self._local.database = open_reader(self._path)
            self._readers.append(database)
        with database.atomic():
            yield SqliteConnection(database), self.clock()

    def listen(self, hint: Callable[[], None]) -> None:
        """Nobody else writes it."""

    def is_replaced(self) -> bool:
        """Whether the file was removed or replaced under us."""
        return not self._lock.is_of(self._path)

    def close(self) -> None:
        """Close every connection and give the right to write back."""
        for database in (*self._readers, self._writer):
            database.close()
        self._lock.release()


class SqliteView:
    """A file that another process may be writing."""

    is_shared = True

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock, self._database = clock, open_reader(path)

    def migrate(self) -> None:
        """Whoever only looks changes nothing."""

    @contextlib.contextmanager
    def writing(self) -> Iterator[tuple[Connection, datetime]]:
        """Whoever only looks cannot write."""
        raise StoreError("this view of the database cannot write")
        yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view, beside a writer too."""
        with self._database.atomic():
            yield SqliteConnection(self._database), self.clock()

    def listen(self, hint: Callable[[], None]) -> None:
        """Nobody else writes it."""

    def is_replaced(self) -> bool:
        """Nothing is written here."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _read_only(path: Path) -> str:
    """The address of a file to look into; ``#``, ``?`` and ``%`` of its name are quoted."""
    return f"{path.absolute().as_uri()}?mode=ro"


def _connect(database: peewee.SqliteDatabase, path: Path) -> peewee.SqliteDatabase:
    try:
        database.connect()
        database.execute_sql("SELECT count(*) FROM sqlite_master")
    except (peewee.DatabaseError, sqlite3.Error) as error:
        raise StoreError(f"cannot open {path}: {error}; see that its folder exists and is writable") from None
    return database


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
