"""The PostgreSQL of the tests: shared, copied from templates, and able to come back after every kind of end."""

import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres
from tests.postgres_process import STILL_HELD, PostgresProcess


def ask(dsn: str, statement: str) -> list[tuple[object, ...]]:
    """The rows of one statement."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_template_is_filled_once_and_its_copies_are_apart(postgres: Postgres) -> None:
    fills: list[str] = []

    def fill(dsn: str) -> None:
        fills.append(dsn)
        ask(dsn, "CREATE TABLE t AS SELECT 1 AS n")

    name = postgres.template("numbers", fill)
    assert postgres.template("numbers", fill) == name
    assert len(fills) <= 1
    first, second = postgres.database(name), postgres.database(name)
    ask(first, "INSERT INTO t VALUES (2)")
    assert [sorted(ask(dsn, "SELECT n FROM t")) for dsn in (first, second)] == [[(1,), (2,)], [(1,)]]
    postgres.drop(first)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        ask(first, "SELECT 1")


def test_an_empty_database_is_empty(postgres_dsn: str) -> None:
    assert ask(postgres_dsn, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_what_was_committed_is_there_after_every_kind_of_end(postgres: Postgres) -> None:
    del postgres  # where no server can be had this is skipped as the others are
    with PostgresProcess() as server:
        ask(server.dsn(), "CREATE TABLE t (n int)")
        for number, mode in enumerate(("smart", "fast", "immediate", "kill")):
            ask(server.dsn(), f"INSERT INTO t VALUES ({number})")
            server.stop(mode)
            server.start()
        assert ask(server.dsn(), "SELECT n FROM t ORDER BY n") == [(0,), (1,), (2,), (3,)]
        folder = server.folder
    assert not Path(folder).exists()


def test_a_start_waits_for_the_children_of_a_server_that_was_killed(postgres: Postgres) -> None:
    del postgres
    with PostgresProcess() as server:
        (row,) = ask(server.dsn(), "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        child = int(str(row[0]))
        os.kill(child, signal.SIGSTOP)  # it cannot notice that its server has gone

        def let_go() -> None:
            deadline = time.monotonic() + 20
            while STILL_HELD not in server.said and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(child, signal.SIGCONT)

        server.stop("kill")
        releasing = threading.Thread(target=let_go)
        releasing.start()
        server.start()
        releasing.join()
        assert STILL_HELD in server.said
        assert ask(server.dsn(), "SELECT 1") == [(1,)]
