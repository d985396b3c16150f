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
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from quota_scheduler.addresses import without_password
from quota_scheduler.errors import DatabaseAway, MaybeStored, StoreError, first_line
from quota_scheduler.store import postgres_schema, postgres_wal
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
from quota_scheduler.store.postgres_journey import Journeys
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
_WIDTH = len(TURN.split(","))
_LOCK = (
    f"WITH turn AS MATERIALIZED (SELECT {TURN} FROM turns FOR UPDATE) SELECT {TURN}, clock_timestamp(), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE_SECONDS}s', true), {postgres_wal.LETS_GO}{{}} FROM turn"
)
_TURN = _LOCK.format("").encode()
"""The turn, and when it was given: what stands beside a row that is locked is worked out before it is waited for."""
_TURN_FOR_QUESTIONS = _LOCK.format(", set_config('enable_seqscan', 'off', true)").encode()
"""The same for a cycle, whose questions find what they look for by an index, and keep their plans: a plan that was made
while a table was empty would read all of it, and be kept while a million rows come."""


class _Writer(NamedTuple):
    """The connection that writes, and the conversation with it."""

    connection: WatchedConnection
    journeys: Journeys


class Postgres:
    """A database on a server. ``read_only`` leaves its schema as it is."""

    is_shared = True

    def __init__(self, url: str, clock: Clock, patience: float = PATIENCE_SECONDS, *, read_only: bool = False) -> None:
        self._url, self._conninfo = url, conninfo(url)
        self._given_clock = None if clock is utc_now else clock
        self.clock: Clock = self._given_clock or self._server_time
        self._seen = (utc_now(), time.monotonic())
        self._writer: _Writer | None = None
        self._tried_at = -RETRY_SECONDS
        self._is_away = False
        self._name = secrets.token_hex(4)
        self._ear: Ear | None = None
        self._hint = f"NOTIFY {CHANNEL}, '{self._name}'".encode()
        self._left: int | None = None
        self._watch = Watch(lambda: reachable(url), patience)
        logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns at each try; we say it once ourselves
        with contextlib.closing(self._connect()) as connection:
            try:
                postgres_schema.check(connection, without_password(url), read_only=read_only)
                self._log_is_known = postgres_wal.is_known(connection)
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
        writer, taking, said = self._begin(along)
        before = taking.turn[0] if taking.turn else None
        commits = False
        try:
            yield taking, self._now(said)
            writer.journeys.hear()
            if taking.moved:
                writer.journeys.add(self._hint)
            ended = writer.journeys.add(b"COMMIT")
            if taking.lets_go:
                writer.journeys.add(postgres_wal.FLUSH, keep=True)
            commits = True
            writer.journeys.go()
            writer.journeys.end()
        except psycopg.OperationalError as error:
            is_cut = commits and writer.connection.broken
            self._roll_back(writer)
            if is_cut:
                where = without_password(self._url)
                raise MaybeStored(
                    f"PostgreSQL at {where} was cut off before it said that this is stored ({first_line(error)})"
                ) from None
            raise
        except BaseException:
            self._roll_back(writer)
            raise
        if ended.word != b"COMMIT":  # a statement had failed, and whoever ran it went on
            raise StoreError("the database took the write back, since a part of it had failed; nothing was changed")
        self._left = None if before is None or not self._log_is_known else before + taking.moved

    def _begin(self, along: Sequence[Question]) -> tuple[_Writer, PostgresConnection, datetime]:
        """A connection whose turn it is. One that has broken meanwhile is replaced once: nothing was done on it yet."""
        if self._watch.is_silent:
            raise away(self._url, SILENT)
        if self._writer is not None:
            with contextlib.suppress(psycopg.OperationalError):
                return self._writer, *_turn(self._writer, along, self._left)
            self._let_go()
        connection = self._connect()
        self._writer = _Writer(connection, Journeys(connection, self._watch))
        try:
            taking, said = _turn(self._writer, along, self._left)
        except psycopg.OperationalError as error:
            self._let_go()
            raise self._missed(first_line(error)) from None
        except BaseException:
            self._let_go()  # it may hold the turn
            raise
        self._is_away = False
        return self._writer, taking, said

    def _roll_back(self, writer: _Writer) -> None:
        try:
            writer.journeys.end()
            writer.connection.execute("ROLLBACK")
        except psycopg.Error:
            self._let_go()

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(psycopg.Error):
                writer.connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, datetime]]:
        """One consistent view. What was seen is durable when it ends."""
        with self._view() as (connection, said, log):
            try:
                yield PostgresConnection(connection), self._now(said)
                if log:
                    connection.execute("ROLLBACK")
                    postgres_wal.wait_for(connection, log)
            except psycopg.OperationalError as error:
                if connection.broken:
                    raise self._missed(first_line(error)) from None
                raise
            finally:
                with contextlib.suppress(psycopg.Error):
                    if connection.info.transaction_status:
                        connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _view(self) -> Iterator[tuple[WatchedConnection, datetime, str | None]]:
        """A connection of the pool with a view begun; those that have broken while they lay there are passed over."""
        begin = postgres_wal.VIEW_OF_LOG if self._log_is_known else postgres_wal.VIEW
        for _ in range(MOST_VIEWS + 1):
            self._refuse_at_once()
            seconds = RETRY_SECONDS if self._is_away else POOL_SECONDS
            try:
                connection = self._views.getconn(seconds)
            except PoolTimeout:
                raise self._missed(f"no connection within {seconds:g} s") from None
            try:
                said, log = _last_row(connection.execute(begin))
            except psycopg.OperationalError:
                self._is_away = True  # until another answers: the next is waited for no longer than it takes to connect
                self._views.putconn(connection)
                continue
            self._is_away = False
            try:
                yield connection, said, log
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


def _last_row(cursor: "psycopg.Cursor[Any]") -> tuple[datetime, str | None]:
    """The one row of the last of several statements."""
    while cursor.nextset():
        pass
    said, log = cursor.fetchone() or (None, None)
    assert isinstance(said, datetime)
    return said, log


def _turn(writer: _Writer, along: Sequence[Question], left: int | None) -> tuple[PostgresConnection, datetime]:
    """Begin a transaction, and wait for its turn with what is asked along.

    Each statement sees what was committed when it begins, so that what is asked behind the lock is what is there.
    """
    taking = PostgresConnection(writer.connection, writer.journeys)
    writer.journeys.begin()
    writer.journeys.add(b"BEGIN")
    locked = writer.journeys.add(_TURN_FOR_QUESTIONS if along else _TURN, (left,), keep=True)
    taking.ask_along(writer.journeys, along)
    writer.journeys.go()
    row = locked.fetchone()
    said, _, lets_go = row[_WIDTH:][:3]
    taking.turn, taking.lets_go = row[:_WIDTH], lets_go is not None
    return taking, said
