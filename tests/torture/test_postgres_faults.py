"""Every fault of a database that the tests can bring about, proved on a probe in place of the service."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.system.service_process import until
from tests.torture.postgres_faults import (
    SLOW_DISK,
    Probe,
    either,
    fill,
    judge,
    make_room,
    pgbouncer,
    promote,
    small_disk,
    standby_of,
    wait_for_standby,
)
from tests.torture.proxy import Proxy

pytestmark = pytest.mark.system


@pytest.fixture
def server(postgres: Postgres) -> Iterator[PostgresProcess]:
    """A server of a test's own, with the tables of the probe; skipped where there is none to be had."""
    del postgres
    with PostgresProcess() as server:
        Probe.prepare(server.dsn())
        yield server


def begun(*dsns: str) -> list[Probe]:
    """Probes at work."""
    probes = [Probe(dsn, f"p{number}") for number, dsn in enumerate(dsns)]
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.more()
    return probes


def test_a_server_that_is_stopped_hard_and_started_again(server: PostgresProcess) -> None:
    probes = begun(server.dsn(), server.dsn())
    for mode in ("immediate", "kill"):
        server.stop(mode)
        server.start()
        probes[0].more()
    judge(server.dsn(), probes)


def test_a_standby_takes_over_and_nothing_that_was_answered_is_lost(server: PostgresProcess) -> None:
    with standby_of(server) as standby:
        wait_for_standby(server)
        dsn = either(server, standby)
        probes = begun(dsn, dsn)
        server.stop("kill")
        promote(standby)
        probes[0].more()
        judge(standby.dsn(), probes)


def test_connections_that_are_cut_after_the_commit(server: PostgresProcess) -> None:
    with Proxy(("127.0.0.1", server.port)) as proxy:
        proxy.cut_share, proxy.cut_wanted = 0.3, lambda request: b"COMMIT" in request
        probes = begun(server.dsn().replace(f":{server.port}/", f":{proxy.port}/"))
        until(lambda: proxy.cuts >= 5, what="cuts")
        proxy.heal()
        probes[0].more()
        judge(server.dsn(), probes)


def test_a_partition_between_one_of_two_and_the_database(server: PostgresProcess) -> None:
    with Proxy(("127.0.0.1", server.port)) as proxy:
        probes = begun(server.dsn().replace(f":{server.port}/", f":{proxy.port}/"), server.dsn())
        proxy.black_hole = True
        before = len(probes[0].answered)
        proxy.cut_now()
        probes[1].more()
        assert len(probes[0].answered) <= before + 1
        proxy.heal()
        probes[0].more()
        judge(server.dsn(), probes)


def test_a_slow_disk(postgres: Postgres) -> None:
    del postgres
    with PostgresProcess(SLOW_DISK) as server:
        Probe.prepare(server.dsn())
        judge(server.dsn(), begun(server.dsn()))


def test_a_disk_that_is_full_and_has_room_again(postgres: Postgres) -> None:
    del postgres
    with small_disk(150) as disk, PostgresProcess(folder=disk) as server:
        Probe.prepare(server.dsn())
        probes = begun(server.dsn())
        fill(disk)
        with (
            psycopg.connect(server.dsn(), autocommit=True) as connection,
            pytest.raises(psycopg.Error, match="No space"),
        ):
            connection.execute("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        make_room(disk)
        if server.process and server.process.poll() is not None:
            server.start()
        probes[0].more()
        judge(server.dsn(), probes)


def test_behind_transaction_pooling(server: PostgresProcess, program: Callable[[str], str]) -> None:
    with pgbouncer(server, program) as dsn:
        judge(server.dsn(), begun(dsn, dsn))
