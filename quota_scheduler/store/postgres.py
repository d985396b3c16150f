"""PostgreSQL: a server that any number of replicas write in turn.

Every write begins by locking one row, so that the writes of all replicas have one order and each sees all before it;
views are consistent (repeatable read) and never wait. The time is the server's. Nothing is kept in a session (no
settings, no session locks), so that a pooler that hands out connections by the transaction may stand between; plans of
statements are kept where none does.

A replica that is stopped while it holds the row would hold up all others: the server ends its transaction after
``IDLE_SECONDS``, and what it does afterwards is refused. A server that answers nothing is noticed by the watch
(``store.postgres_pulse``): what waits for it breaks off, and whoever asks then is refused at once.
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from quota_scheduler.addresses import without_password
from quota_scheduler.errors import DatabaseAway, MaybeStored, StoreError, first_line
from quota_scheduler.store import postgres_schema
from quota_scheduler.store.database import PATIENCE_SECONDS, TURN, Clock, Connection, Question, utc_now
from quota_scheduler.store.postgres_connection import (
    PostgresConnection,
    WatchedConnection,
    away,
    configure,
    conninfo,
    prepare,
    reachable,
)
from quota_scheduler.store.postgres_ear import CHANNEL, Ear
from quota_scheduler.store.postgres_pulse import Watch

IDLE_SECONDS = 5
"""How long a write may pause between two statements: longer than any of ours, shorter than runners' patience."""
POOL_SECONDS = 3.0
"""How long a view waits for a connection."""
MOST_VIEWS = 8
"""Connections of one replica for views: they are short, and a server has a hundred for all."""
SILENT = "it answers nothing, on any connection"
RETRY_SECONDS = 0.5
"""After a connection could not be made, the next is tried no sooner: who asks meanwhile is told at once."""
_LOCK = (
    f"WITH turn AS MATERIALIZED (SELECT {TURN} FROM turns FOR UPDATE) SELECT {TURN}, clock_timestamp(), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_SECONDS}s', true) FROM turn"
)
"""The turn, and when it was given: what stands beside a row that is locked is worked out before it is waited for."""
_VIEW = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT clock_timestamp()"


class Postgres:
    """A database on a server. ``read_only`` leaves its schema as it is."""

    is_shared = True

    def __init__(self, url: str, clock: Clock, patience: float = PATIENCE_SECONDS, *, read_only: bool = False) -> None:
        self._url, self._conninfo = url, conninfo(url)
        self._given_clock = None if clock is utc_now else clock
        self.clock: Clock = self._given_clock or self._server_time
        self._seen = (utc_now(), time.monotonic())
        self._writer: WatchedConnection | None = None
        self._tried_at = -RETRY_SECONDS
        self._is_away = False
        self._name = secrets.token_hex(4)
        self._ear: Ear | None = None
        self._hint = f"NOTIFY {CHANNEL}, '{self._name}'".encode()
        self._watch = Watch(lambda: reachable(url), patience)
        logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns at each try; we say it once ourselves
        with contextlib.closing(self._connect()) as connection:
            try:
                postgres_schema.check(connection, without_password(url), read_only=read_only)
            except psycopg.OperationalError as error:  # it was cut off while it was asked
                raise away(url, first_line(error)) from None
        self._views = ConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=0 if read_only else 1,
            max_size=MOST_VIEWS,
            timeout=POOL_SECONDS,
            connection_class=WatchedConnection,
            configure=self._configure,
            reconnect_timeout=RETRY_SECONDS,
            name="views",
            open=True,
        )
        self._watch.start()

    def _server_time(self) -> datetime:
        """The server's time, by what it said last and the time that has passed here since."""
        said, at = self._seen
        return said + timedelta(seconds=time.monotonic() - at)

    def _now(self, said: datetime) -> datetime:
        now = said.astimezone(UTC)
        self._seen = (now, time.monotonic())
        return self._given_clock() if self._given_clock else now

    def _connect(self) -> WatchedConnection:
        self._refuse_at_once()
        try:
            connection = reachable(self._url)
        except DatabaseAway:
            self._tried_at, self._is_away = time.monotonic(), True
            raise
        connection.watch = self._watch
        try:
            prepare(connection)
        except psycopg.OperationalError as error:
            connection.close()
            raise self._missed(first_line(error)) from None
        return connection

    def _configure(self, connection: WatchedConnection) -> None:
        """What the pool has made, as ``_connect`` makes it."""
        configure(connection)
        connection.watch = self._watch

    def _refuse_at_once(self) -> None:
        """Raise while the server was away a moment ago, so that a crowd does not wait for it one after another."""
        if self._watch.is_silent:
            raise away(self._url, SILENT)
        if time.monotonic() - self._tried_at < RETRY_SECONDS:
            raise away(self._url, "it could not be reached a moment ago")

    def _missed(self, why: str) -> DatabaseAway:
        """What to raise when the server could not be reached; whoever asks within a moment is told at once."""
        self._tried_at, self._is_away = time.monotonic(), True
        return away(self._url, why)

    def migrate(self) -> None:
        """Bring the schema up to date; of several replicas that start at once, one does."""
        postgres_schema.migrate(self._conninfo, without_password(self._url))

    @contextlib.contextmanager
    def writing(self, along: Sequence[Question] = ()) -> Iterator[tuple[Connection, datetime]]:
        """A write transaction in its turn among all replicas."""
        stack = contextlib.ExitStack()
        connection, taking, said = self._begin(stack, along)
        commits = False
        try:
            with stack:
                yield taking, self._now(said)
                taking.send()
                if taking.moved:
                    connection.execute(self._hint, prepare=False)
                commits = True
                ended = connection.execute("COMMIT", prepare=False)
        except psycopg.OperationalError as error:
            is_cut = commits and connection.broken
            self._roll_back(connection)
            if is_cut:
                where = without_password(self._url)
                raise MaybeStored(
                    f"PostgreSQL at {where} was cut off before it said that this is stored ({first_line(error)})"
                ) from None
            raise
        except BaseException:
            self._roll_back(connection)
            raise
        if ended.statusmessage != "COMMIT":  # a statement had failed, and whoever ran it went on
            raise StoreError("the database took the write back, since a part of it had failed; nothing was changed")

    def _begin(
        self, stack: contextlib.ExitStack, along: Sequence[Question]
    ) -> tuple[WatchedConnection, PostgresConnection, datetime]:
        """A connection whose turn it is. One that has broken meanwhile is replaced once: nothing was done on it yet."""
        if self._watch.is_silent:
            raise away(self._url, SILENT)
        if self._writer is not None:
            with contextlib.suppress(psycopg.OperationalError):
                return self._writer, *_turn(stack, self._writer, along)
            self._let_go()
        self._writer = self._connect()
        try:
            taking, said = _turn(stack, self._writer, along)
        except psycopg.OperationalError as error:
            self._let_go()
            raise self._missed(first_line(error)) from None
        except BaseException:
            self._let_go()  # it may hold the turn
            raise
        self._is_away = False
        return self._writer, taking, said

    def _roll_back(self, connection: WatchedConnection) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self._let_go()

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(psycopg.Error):
                writer.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view."""
        with self._view() as (connection, said):
            try:
                yield PostgresConnection(connection), self._now(said)
            except psycopg.OperationalError as error:
                if connection.broken:
                    raise self._missed(first_line(error)) from None
                raise
            finally:
                with contextlib.suppress(psycopg.Error):
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _view(self) -> Iterator[tuple[WatchedConnection, datetime]]:
        """A connection of the pool with a view begun; those that have broken while they lay there are passed over."""
        for _ in range(MOST_VIEWS + 1):
            self._refuse_at_once()
            seconds = RETRY_SECONDS if self._is_away else POOL_SECONDS
            try:
                connection = self._views.getconn(seconds)
            except PoolTimeout:
                raise self._missed(f"no connection within {seconds:g} s") from None
            try:
                said = _last_value(connection.execute(_VIEW))
            except psycopg.OperationalError:
                self._is_away = True  # until another answers: the next is waited for no longer than it takes to connect
                self._views.putconn(connection)
                continue
            self._is_away = False
            try:
                yield connection, said
            finally:
                self._views.putconn(connection)
            return
        raise self._missed("every connection has broken")

    def listen(self, hint: Callable[[], None]) -> None:
        """Hear when others have written; nothing is heard through a pooler."""
        self._ear = Ear(lambda: reachable(self._url), self._name, hint)
        self._ear.start()

    def is_replaced(self) -> bool:
        """A server keeps what it has."""
        return False

    def close(self) -> None:
        """Let every connection go."""
        self._watch.stop()
        if self._ear:
            self._ear.stop()
        self._let_go()
        if hasattr(self, "_views"):
            self._views.close(timeout=1.0)


def _last_value(cursor: "psycopg.Cursor[Any]") -> datetime:
    """The one value of the last of several statements."""
    while cursor.nextset():
        pass
    (value,) = cursor.fetchone() or (None,)
    assert isinstance(value, datetime)
    return value


def _turn(
    stack: contextlib.ExitStack, connection: WatchedConnection, along: Sequence[Question]
) -> tuple[PostgresConnection, datetime]:
    """Begin a transaction, wait for its turn with what is asked along, and leave a pipeline open for what comes.

    Each statement sees what was committed when it begins, so that what is asked behind the lock is what is there.
    """
    with contextlib.ExitStack() as opened:
        pipeline = opened.enter_context(connection.pipeline())
        taking = PostgresConnection(connection, pipeline)
        connection.execute("BEGIN", prepare=False)
        locked = connection.execute(_LOCK)
        taking.ask_along(along)
        taking.settle(always=True)
        row = locked.fetchone()
        assert row is not None
        taking.turn = tuple(row[:-2])
        stack.push(opened.pop_all())
    return taking, row[-2]
