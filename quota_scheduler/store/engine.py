"""Which database this is, and every difference between databases.

SQLite: one read-write connection per file, in one process, held by a lock file beside it; write-ahead log with
``synchronous=FULL``, so that what was answered survives a power cut; readers open the file read-only. Versions before
3.51.3 can corrupt a write-ahead log when two connections write or checkpoint at once: the single writer is the remedy.
"""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

import peewee

from quota_scheduler.errors import DatabaseBusy, NotOurDatabase, StoreError

APPLICATION_ID = 0x51534348
"""SQLite's ``application_id`` of our files ("QSCH"): tells them from other people's databases."""
BUSY_TIMEOUT_SECONDS = 5.0
FIXED_IN = (3, 51, 3)
"""First SQLite without the write-ahead-log reset bug."""


class Lock:
    """The right to write one database file; released when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self.path.open("a+")
        except OSError as error:
            raise StoreError(
                f"cannot create {self.path}: {error.strerror}; choose another place with --database"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise DatabaseBusy(f"{path} is in use by process {holder}: stop it, or use another --database") from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Give the right back."""
        self._file.close()


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
            ("cache_size", -32_000),
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
        f"file:{path}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        thread_safe=False,
        check_same_thread=False,
        autoconnect=False,
    )
    return _connect(database, path)


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
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            (mark,) = database.execute("PRAGMA application_id").fetchone()
            return bool(mark == APPLICATION_ID) or database.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone() == (0,)
    except sqlite3.Error:
        return False


def is_disk_full(error: Exception) -> bool:
    """Whether a database error says that the disk is full or cannot be written."""
    return any(text in str(error).lower() for text in ("disk is full", "disk i/o error", "readonly database"))


def is_refusal(error: BaseException) -> bool:
    """Whether the database itself refused what was asked: locked, damaged, or out of reach."""
    return isinstance(error, sqlite3.OperationalError)


def version() -> tuple[str, bool]:
    """Which SQLite this is, and whether it is free of the write-ahead-log reset bug."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= FIXED_IN
