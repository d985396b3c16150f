"""The turn goes on before the disk where several write, and nobody is told what a crash could take away."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from quota_scheduler.store import Store, facts, turns
from tests.postgres_process import DURABLE, MISSING, PostgresProcess, programs
from tests.system.service_process import until

LAZY = {**DURABLE, "wal_writer_delay": "10s", "commit_delay": "100000", "commit_siblings": "0"}
"""Nothing reaches the disk but by a commit that waits for it, which takes 0.1 s."""
LOST = "SET synchronous_commit = off; UPDATE meta SET value = 'unwritten' WHERE name = 'a'"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    if programs() is None:
        pytest.skip(MISSING)
    with PostgresProcess(LAZY) as server:
        yield server


def ask(server: PostgresProcess, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg.connect(server.dsn(), autocommit=True)) as connection:
        cursor = connection.execute(statement)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


def crash(server: PostgresProcess) -> None:
    """What the server had not brought to the disk is gone."""
    server.stop("kill")
    server.start()


def write(store: Store, value: str) -> None:
    with store.transaction() as tx:
        facts.remember(tx, "a", value)
        turns.take(tx)


def look(store: Store) -> str | None:
    with store.reading() as tx:
        return facts.fact(tx, "a")


def test_who_waits_for_the_disk_holds_up_nobody_who_writes(server: PostgresProcess) -> None:
    order: list[str] = []
    with Store(server.dsn()) as here, Store(server.dsn()) as there, ThreadPoolExecutor(1) as pool:
        write(here, "1")
        write(there, "2")
        held = threading.Event()

        def write_here() -> None:
            with here.transaction() as tx:
                held.set()
                until(lambda: ask(server, WAITING))
                facts.remember(tx, "a", "3")
                turns.take(tx)
            order.append("here is told that it is stored")

        first = pool.submit(write_here)
        held.wait(30)
        with there.transaction() as tx:
            order.append("there has the turn")
            assert facts.fact(tx, "a") == "3"
        first.result(30)
    assert order == ["there has the turn", "here is told that it is stored"]


@pytest.mark.parametrize("sync", [pytest.param("on", id="as servers come"), pytest.param("local", id="on this disk")])
def test_what_is_told_to_be_stored_outlives_the_server(server: PostgresProcess, sync: str) -> None:
    ask(server, f"ALTER DATABASE postgres SET synchronous_commit = {sync}")
    with Store(server.dsn()) as here, Store(server.dsn()) as there:
        for number in range(4):
            write((here, there)[number % 2], str(number))
        crash(server)
        assert look(here) == "3"


def test_who_writes_nothing_remembers_nothing_that_a_crash_takes_away(server: PostgresProcess) -> None:
    with Store(server.dsn()) as store:
        write(store, "written")
        ask(server, LOST)
        with store.transaction() as tx:
            seen = facts.fact(tx, "a")
        crash(server)
        assert (seen, look(store)) == ("unwritten", "unwritten")


def test_what_a_view_has_shown_outlives_the_server(server: PostgresProcess) -> None:
    with Store(server.dsn()) as store:
        write(store, "written")
        ask(server, LOST)
        seen = look(store)
        crash(server)
        assert (seen, look(store)) == ("unwritten", "unwritten")


def test_a_server_that_waits_for_standbys_keeps_the_turn_and_so_does_who_writes_alone(server: PostgresProcess) -> None:
    url = f"{server.dsn()}?options=-csynchronous_commit%3Dlocal"  # so that nothing here waits for a standby
    with Store(url) as here, Store(url) as there:
        seen = []
        for standbys in ("", "nobody", ""):
            ask(server, f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'")
            ask(server, "SELECT pg_reload_conf()")
            until(lambda names=standbys: ask(server, "SHOW synchronous_standby_names") == [(names,)])
            write(there, "then")
            write(here, "others")
            seen.append(commits_of(there))
        write(there, "alone")
        seen.append(commits_of(there))
    assert seen == ["off", "local", "off", "local"]


def commits_of(store: Store) -> str:
    with store.transaction() as tx:
        return str(tx.scalar("SELECT current_setting('synchronous_commit')"))
