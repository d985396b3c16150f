"""Which database this is: the only file that knows that there are two.

SQLite (``store.sqlite``) is a file, written by one process; PostgreSQL (``store.postgres``) is a server, written by any
number of replicas in turn. Both offer the same: a connection that takes our statements, a way to begin a write, and
what they call their troubles.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Address = Path | str
"""The file of a SQLite database, or the URL of a PostgreSQL database."""
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, the only one in the product; tests pass their own."""
    return datetime.now(UTC)


class About(NamedTuple):
    """What a database says of itself; ``trouble`` is empty where its pages and indexes hold together."""

    name: str
    version: str
    note: str
    trouble: str


class Cursor(Protocol):
    """What a statement brought."""

    rowcount: int

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class Connection(Protocol):
    """Takes statements as SQLite reads them."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT into a table with an ``id``; returns that of the new row."""

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""

    def about(self) -> About:
        """What the database says of itself; looks through all of it."""


class Engine(Protocol):
    """One database, open."""

    clock: Clock

    def migrate(self) -> None:
        """Bring the schema up to date. Raises NotOurDatabase or StoreError."""

    def writing(self) -> AbstractContextManager[tuple[Connection, datetime]]:
        """A write transaction that no other runs beside, and its instant; commits, or rolls back on any exception."""

    def reading(self) -> AbstractContextManager[tuple[Connection, datetime]]:
        """One consistent view that cannot write, and its instant."""

    def is_replaced(self) -> bool:
        """Whether what is written now is lost, since the file lies there no more."""

    def close(self) -> None:
        """Let everything go."""


def open_engine(address: Address, clock: Clock) -> Engine:
    """Open a database to write it. Raises DatabaseBusy, NotOurDatabase or StoreError."""
    if isinstance(address, str):
        from quota_scheduler.store.postgres import Postgres

        return Postgres(address, clock)
    from quota_scheduler.store.sqlite import Sqlite

    return Sqlite(address, clock)


def open_view(address: Address, clock: Clock) -> Engine:
    """Open a database only to look into it. Raises NotOurDatabase or StoreError."""
    if isinstance(address, str):
        from quota_scheduler.store.postgres import Postgres

        return Postgres(address, clock, read_only=True)
    from quota_scheduler.store.sqlite import SqliteView

    return SqliteView(address, clock)


def is_disk_full(error: Exception) -> bool:
    """Whether a database error says that the disk is full or cannot be written."""
    texts = ("disk is full", "disk i/o error", "readonly database", "no space left on device")
    return any(text in str(error).lower() for text in texts)


def is_refusal(error: BaseException) -> bool:
    """Whether the database itself refused what was asked: locked, damaged, or out of reach."""
    psycopg = sys.modules.get("psycopg")
    kinds = (sqlite3.OperationalError, psycopg.OperationalError) if psycopg else (sqlite3.OperationalError,)
    return isinstance(error, kinds)
