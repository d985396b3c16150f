"""A write at one replica is a hint at the others, unless a pooler stands between."""

import threading
from collections.abc import Callable

import psycopg

from quota_scheduler.store import Store, turns
from quota_scheduler.store.postgres_ear import CHANNEL, is_pooled
from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.system.service_process import until
from tests.torture.postgres_faults import pgbouncer


def write(store: Store) -> None:
    with store.transaction() as tx:
        turns.take(tx)


def listening(dsn: str) -> bool:
    """Whether anybody listens on the server."""
    with psycopg.connect(dsn) as connection:
        asked = f"SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN {CHANNEL}'"
        return connection.execute(asked.encode()).fetchone() == (1,)


def test_a_write_is_heard_by_the_other_and_not_by_its_writer(postgres_dsn: str):
    heard = threading.Event()
    with Store(postgres_dsn) as here, Store(postgres_dsn) as there:
        here.listen(heard.set)
        until(lambda: heard.is_set() and listening(postgres_dsn), what="an ear")
        heard.clear()
        write(here)
        with there.transaction() as tx:
            tx.row("SELECT 1")  # nothing that others must see
        assert not heard.wait(0.3)
        write(there)
        assert heard.wait(5)


def test_an_ear_that_lost_its_connection_listens_again(postgres_dsn: str):
    hints: list[int] = []
    with Store(postgres_dsn) as here:
        here.listen(lambda: hints.append(1))
        until(lambda: listening(postgres_dsn), what="an ear")
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            asked = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN {CHANNEL}'"
            connection.execute(asked.encode())
        until(lambda: len(hints) == 2, what="another ear")  # each tells when it begins
        write(here)


def test_nobody_listens_through_a_pooler(postgres: Postgres, program: Callable[[str], str]):
    del postgres
    with PostgresProcess() as server, pgbouncer(server, program) as pooled:
        with psycopg.connect(pooled) as through, psycopg.connect(server.dsn()) as directly:
            assert (is_pooled(through), is_pooled(directly)) == (True, False)
        with Store(pooled) as store:
            store.listen(lambda: None)
            write(store)
