"""The store: opening it, transactions, migrations. Queries live beside this file, grouped by what they are about."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from quota_scheduler.store import engine
from quota_scheduler.store.database import PATIENCE_SECONDS, About, Address, Asked, Clock, Connection, Question
from quota_scheduler.store.database import utc_now as utc_now

Row = tuple[Any, ...]
Timed = Callable[[str, float], None]
"""Told an operation (``read``: a view, ``write``: a transaction, ``commit``: the end of one) and its seconds."""


class Transaction:
    """What a journey sees of the database: constant SQL in, rows out, and the one ``now`` of this transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.revision = 0

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        rows: list[Row] = self.connection.execute(sql, params).fetchall()
        return rows

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Ask for the rows of a query, and take them later: several that are asked together share a journey."""
        return self.connection.ask(sql, params)

    def row(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self.connection.execute(sql, params).fetchone()
        return row

    def scalar(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        row = self.row(sql, params)
        return row[0] if row else None

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        count: int = self.connection.execute(sql, params).rowcount
        return count

    def send(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run one statement about which nobody asks; on a server its trouble is told by the commit at the latest."""
        self.connection.execute(sql, params)

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT; returns the new row's id."""
        return self.connection.insert(sql, params)

    def many(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters; nothing for none."""
        if params := list(params):
            self.connection.executemany(sql, params)

    def many_whole(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Like ``many``, at once where the database can: an INSERT of rows, or an UPDATE by key, no key twice."""
        if rows:
            self.connection.execute_whole(sql, rows)

    def about(self) -> About:
        """What the database says of itself; looks through all of it."""
        return self.connection.about()


class Foreseen(Transaction):
    """Notes what a transaction will ask first, so that the questions travel with its beginning (``Store.transaction``).

    Whatever is asked of it brings nothing.
    """

    def __init__(self, now: datetime) -> None:
        """``now`` is any instant: what depends on that of the transaction cannot be foreseen."""
        self.now = now
        self.questions: list[Question] = []

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Note a query."""
        self.questions.append((sql, params))
        return list


class Store:
    """One database. ``transaction()`` is the only way to write, ``reading()`` never waits for it."""

    def __init__(self, address: Address, *, clock: Clock = utc_now, patience: float = PATIENCE_SECONDS) -> None:
        """Take the right to write a database, open it and bring its schema up to date.

        ``clock`` says what time it is where the database has none of its own, or always where it is not the usual one;
        ``patience`` is how many seconds a server may answer nothing before what was asked of it is broken off.
        Raises DatabaseBusy when another process writes the file, NotOurDatabase, or StoreError.
        """
        self.address = address
        self.timed: Timed = lambda *_: None
        self.wrote: Callable[[Exception | None], None] = lambda _: None
        self._mutex = threading.RLock()
        self._engine = engine.open_engine(address, clock, patience)
        self.clock = self._engine.clock
        try:
            self._engine.migrate()
        except BaseException:
            self._engine.close()
            raise

    @contextmanager
    def transaction(self, along: Sequence[Question] = ()) -> Iterator[Transaction]:
        """One read-write transaction, alone; commits at the end, rolls back on any exception.

        ``along`` are queries (``Foreseen``) that will be asked in it, word for word, before anything is written.
        """
        with self._mutex:
            began = time.perf_counter()
            try:
                with self._engine.writing(along) as (connection, now):
                    yield Transaction(connection, now)
                    done = time.perf_counter()
            except Exception as error:
                self.wrote(error)
                raise
            self.wrote(None)
            self.timed("commit", time.perf_counter() - done)
            self.timed("write", time.perf_counter() - began)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent read-only view."""
        began = time.perf_counter()
        with self._engine.reading() as (connection, now):
            yield Transaction(connection, now)
        self.timed("read", time.perf_counter() - began)

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write it too; a SQLite file is locked by the one that does."""
        return self._engine.is_shared

    def listen(self, hint: Callable[[], None]) -> None:
        """Call ``hint`` when another process has written, where that can be heard; who must know looks all the same."""
        self._engine.listen(hint)

    def is_replaced(self) -> bool:
        """Whether the file was removed or replaced under us: what is written now is lost."""
        return self._engine.is_replaced()

    def close(self) -> None:
        """Close every connection and give the right to write back."""
        with self._mutex:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def read_only(address: Address, *, clock: Clock = utc_now) -> Iterator[Transaction]:
    """Look into a database that another process may be writing. Raises StoreError when it is not there or ours."""
    view = engine.open_view(address, clock)
    try:
        with view.reading() as (connection, now):
            yield Transaction(connection, now)
    finally:
        view.close()
