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
        _read_only(path),
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        thread_safe=False,
        check_same_thread=False,
        autoconnect=False,
    )
    return _connect(database, path)


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


def is_disk_full(error: Exception) -> bool:
    """Whether a database error says that the disk is full or cannot be written."""
    return any(text in str(error).lower() for text in ("disk is full", "disk i/o error", "readonly database"))


def is_refusal(error: BaseException) -> bool:
    """Whether the database itself refused what was asked: locked, damaged, or out of reach."""
    return isinstance(error, sqlite3.OperationalError)


def is_damage(error: BaseException) -> bool:
    """Whether the database says that its file is damaged, or lacks what each of ours has."""
    return isinstance(error, (sqlite3.DatabaseError, peewee.DatabaseError))


def version() -> tuple[str, bool]:
    """Which SQLite this is, and whether it is free of the write-ahead-log reset bug."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= FIXED_IN
