"""The store: opening it, transactions, migrations. Queries live beside this file, grouped by what they are about."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import peewee
from playhouse.migrations import MigrationError, Runner

from quota_scheduler.errors import NotOurDatabase, StoreError
from quota_scheduler.store import engine

Clock = Callable[[], datetime]
Row = tuple[Any, ...]
Timed = Callable[[str, float], None]
"""Told an operation (``read``: a view, ``write``: a transaction, ``commit``: the end of one) and its seconds."""
MIGRATIONS = Path(__file__).parent / "migrations"


def utc_now() -> datetime:
    """The wall clock, the only one in the product; tests pass their own."""
    return datetime.now(UTC)


class Transaction:
    """What a journey sees of the database: constant SQL in, rows out, and the one ``now`` of this transaction."""

    def __init__(self, database: peewee.Database, now: datetime) -> None:
        self.database = database
        self.now = now

    def at_once(self) -> AbstractContextManager[object]:
        """Let everything that is read inside be of one instant, beside a writer too."""
        return self.database.atomic()

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        rows: list[Row] = self.database.execute_sql(sql, params).fetchall()
        return rows

    def row(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self.database.execute_sql(sql, params).fetchone()
        return row

    def scalar(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        row = self.row(sql, params)
        return row[0] if row else None

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        count: int = self.database.execute_sql(sql, params).rowcount
        return count

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT; returns the new row's id."""
        key: int = self.database.execute_sql(sql, params).lastrowid
        return key

    def many(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters; nothing for none."""
        if params := list(params):
            self.database.connection().executemany(sql, params)


class Store:
    """One database. ``transaction()`` is the only way to write, ``reading()`` never waits for it."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        """Take the right to write ``path``, open it and bring its schema up to date.

        Raises DatabaseBusy when another process writes it, NotOurDatabase, or StoreError.
        """
        self.path = path
        self.clock = clock
        self.timed: Timed = lambda *_: None
        self.wrote: Callable[[Exception | None], None] = lambda _: None
        self._lock = engine.Lock(path)
        self._mutex = threading.RLock()
        self._local = threading.local()
        self._readers: list[peewee.Database] = []
        try:
            self._writer = engine.open_writer(path)
            self._migrate()
        except BaseException:
            self._lock.release()
            raise

    def _migrate(self) -> None:
        runner = Runner(self._writer, str(MIGRATIONS))
        refuse_newer(self._writer, self.path)
        try:
            runner.up()
        except (MigrationError, peewee.DatabaseError) as error:
            raise StoreError(
                f"cannot bring {self.path} up to date: {error}; nothing was changed by the failed step"
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One read-write transaction, alone; commits at the end, rolls back on any exception."""
        with self._mutex:
            began = time.perf_counter()
            try:
                with self._writer.atomic("IMMEDIATE"):
                    yield Transaction(self._writer, self.clock())
                    done = time.perf_counter()
            except Exception as error:
                self.wrote(error)
                raise
            self.wrote(None)
            self.timed("commit", time.perf_counter() - done)
            self.timed("write", time.perf_counter() - began)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent read-only view, on a connection of this thread's own."""
        database = getattr(self._local, "database", None)
        if database is None:
            database = self._local.database = engine.open_reader(self.path)
            self._readers.append(database)
        began = time.perf_counter()
        with database.atomic():
            yield Transaction(database, self.clock())
        self.timed("read", time.perf_counter() - began)

    def is_replaced(self) -> bool:
        """Whether the file was removed or replaced under us: what is written now is lost."""
        return not self._lock.is_of(self.path)

    def close(self) -> None:
        """Close every connection and give the right to write back."""
        with self._mutex:
            for database in (*self._readers, self._writer):
                database.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def refuse_newer(database: peewee.Database, path: Path) -> None:
    """Raise NotOurDatabase for a schema that a newer version has made."""
    runner = Runner(database, str(MIGRATIONS))
    ours = {migration.name for migration in runner.migrations()}
    if newer := sorted(set(runner.applied()) - ours):
        raise NotOurDatabase(f"{path} was written by a newer version (schema {newer[-1]}): update this program")


@contextmanager
def read_only(path: Path, *, clock: Clock = utc_now) -> Iterator[Transaction]:
    """Look into a database file that another process may be writing. Raises StoreError when it is not there or ours."""
    database = engine.open_reader(path)
    try:
        yield Transaction(database, clock())
    finally:
        database.close()
