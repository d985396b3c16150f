"""The spool's file: bodies in the order in which they came, on this host's disk while the database is away.

A SQLite file of its own, locked by the one process that uses it; what was put is on the disk before anybody is told.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from quota_scheduler.core.instants import to_micros
from quota_scheduler.errors import StoreError
from quota_scheduler.store.database import Clock

_MAKE = """
PRAGMA auto_vacuum = FULL;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, body BLOB NOT NULL,
                                  aside INTEGER NOT NULL DEFAULT 0);
"""
OWNER_ONLY = 0o600


class SpooledBody(NamedTuple):
    """One body: its number, when it came in microseconds, and what it holds."""

    number: int
    at: int
    body: bytes


class SpoolFile:
    """Holds ``most`` bytes of bodies. Any thread may use it."""

    def __init__(self, path: Path, most: int, clock: Clock) -> None:
        """Open or make the file. Raises StoreError where it cannot be used, or another process does."""
        self.path, self._most, self._clock = path, most, clock
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
            self._file = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
            self._file.executescript(_MAKE)
            self._count()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot hold the spool: {error}; name another file with spool.file") from None

    def _count(self) -> None:
        counted = "SELECT COALESCE(SUM(LENGTH(body)), 0), COALESCE(MIN(at), 0), COUNT(*) FROM spool WHERE aside = 0"
        self.size, self.oldest_at, self.entries = self._file.execute(counted).fetchone()

    def put(self, body: bytes) -> bool:
        """Keep a body behind all others; False where there is no room for it, here or on the disk."""
        with self._lock:
            if self.size + len(body) > self._most:
                return False
            at = to_micros(self._clock())
            try:
                self._file.execute("INSERT INTO spool (at, body) VALUES (?, ?)", (at, body))
            except sqlite3.Error:
                return False
            self.size, self.entries, self.oldest_at = self.size + len(body), self.entries + 1, self.oldest_at or at
            return True

    def first(self, most: int) -> list[SpooledBody]:
        """The oldest bodies, in order."""
        with self._lock:
            rows = self._file.execute("SELECT id, at, body FROM spool WHERE aside = 0 ORDER BY id LIMIT ?", (most,))
            return [SpooledBody(*row) for row in rows]

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget bodies that are stored elsewhere by now."""
        self._change("DELETE FROM spool WHERE id = ?", numbers)

    def set_aside(self, numbers: Sequence[int]) -> None:
        """Keep bodies that nobody can read out of the way of the others."""
        self._change("UPDATE spool SET aside = 1 WHERE id = ?", numbers)

    def _change(self, sql: str, numbers: Sequence[int]) -> None:
        with self._lock:
            self._file.execute("BEGIN")
            self._file.executemany(sql, [(number,) for number in numbers])
            self._file.execute("COMMIT")
            self._count()

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._file.close()
