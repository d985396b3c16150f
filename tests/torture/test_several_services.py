"""Several real services on a real PostgreSQL under kills, stops, cuts and its absence, judged by their clients."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.system.service_process import Reply, ServiceProcess, until
from tests.torture.postgres_faults import either, pgbouncer, promote, standby_of, wait_for_standby
from tests.torture.proxy import Proxy
from tests.torture.replicas import Replicas, kill_at_random, stop_at_random
from tests.torture.runners import Group
from tests.torture.test_one_service import all_used, assert_judged, at_work, finished

pytestmark = pytest.mark.system


@pytest.fixture
def server(postgres: Postgres) -> Iterator[PostgresProcess]:
    """A server of a test's own; skipped where there is none to be had."""
    del postgres
    with PostgresProcess() as server:
        yield server


def stored(dsn: str) -> dict[str, tuple[int, int]]:
    """Used and reserved by limit, as the database has them."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT rule, used + reported, reserved FROM windows WHERE closed = 0").fetchall()
    return {rule: (int(total), int(held)) for rule, total, held in rows}


def assert_all_is_well(groups: list[Group], replicas: Replicas, dsn: str) -> None:
    """What clients were told, what the services show, and what is stored, are one."""
    for number in range(len(replicas.ports)):
        assert_judged(groups, replicas[number].ready())
    assert stored(dsn) == all_used(groups)
    checked = replicas.places[0].run("doctor")
    assert checked.returncode == 0, checked.stdout


KILLS = [
    pytest.param(2, 1, 4, id="four kills of two"),
    pytest.param(3, 2, 300, id="300 kills of three", marks=pytest.mark.torture),
]


@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("count", "providers", "kills"), KILLS)
def test_kills_at_random(postgres_dsn: str, tmp_path: Path, count: int, providers: int, kills: int) -> None:
    groups = [Group(f"p{number}") for number in range(providers)]
    with Replicas(tmp_path, groups, count=count, database=postgres_dsn) as replicas:
        runners = at_work(groups, replicas.ports, 1_000_000)
        kill_at_random(replicas, kills, random.Random(kills), runners)
        finished(runners)
        assert_all_is_well(groups, replicas, postgres_dsn)


STOPS = [
    pytest.param(2, 1.0, id="two stops"),
    pytest.param(20, 9.0, id="twenty stops", marks=pytest.mark.torture),
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("stops", "seconds"), STOPS)
def test_replicas_that_stand_still(postgres_dsn: str, tmp_path: Path, stops: int, seconds: float) -> None:
    groups = [Group("p0")]
    with Replicas(tmp_path, groups, count=2, database=postgres_dsn) as replicas:
        runners = at_work(groups, replicas.ports, 1_000_000)
        stop_at_random(replicas, stops, random.Random(stops), seconds=seconds)
        for runner in runners:
            runner.enough = True
        finished(runners)
        assert_all_is_well(groups, replicas, postgres_dsn)


CUTS = [
    pytest.param(150, id="150 requests"),
    pytest.param(6_000, id="six thousand requests", marks=pytest.mark.torture),
]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("operations", CUTS)
def test_commits_whose_answer_is_cut_off(server: PostgresProcess, tmp_path: Path, operations: int) -> None:
    groups = [Group("p0")]
    with (
        Proxy(("127.0.0.1", server.port), seed=1) as proxy,
        Replicas(tmp_path, groups, count=2, database=_through(proxy)) as replicas,
    ):
        proxy.cut_wanted, proxy.cut_share = (lambda said: b"COMMIT" in said), 0.1
        finished(at_work(groups, replicas.ports, operations))
        proxy.heal()
        assert proxy.cuts > operations // 100
        assert_all_is_well(groups, replicas, server.dsn())


def _through(proxy: Proxy) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"


@pytest.mark.torture  # the judge cannot always decide among so many answers that nobody heard
@pytest.mark.timeout(300)
def test_a_database_that_is_away_is_said_at_once_and_its_return_noticed(
    server: PostgresProcess, tmp_path: Path
) -> None:
    groups = [Group("p0")]
    with Replicas(tmp_path, groups, count=2, database=server.dsn()) as replicas:
        both = replicas[0], replicas[1]
        for service in both:
            until(lambda service=service: len(service.get("/v1/limits")["limits"]) == 2, what="readings")
        runners = at_work(groups, replicas.ports, 1_000_000)
        until(lambda: len(groups[0].history) > 40, what="work")
        server.stop("immediate")
        for service in both:
            until(lambda service=service: service.ask("GET", "/readyz").status == 503, seconds=5, what="not ready")
            assert_refused_at_once(service)
            shown = service.get("/v1/limits")
            assert len(shown["limits"]) == 2
            assert "quota_scheduler_snapshot_timestamp_seconds" in service.get("/metrics")
        server.start()
        until(lambda: submitted(both[0], "again").status == 200, seconds=3, what="a ticket")
        for runner in runners:
            runner.enough = True
        withdraw(both[0], "again")
        finished(runners)
        for service in both:
            service.ready()
        assert_all_is_well(groups, replicas, server.dsn())
        for service in both:
            assert service.said.count("writes.refused") == 1, service.said
            assert "Traceback" not in service.said, service.said


def submitted(service: ServiceProcess, key: str) -> Reply:
    return service.ask("POST", "/v1/tickets", {"key": key, "labels": {"provider": "z"}, "estimate": {"output": 1}})


def withdraw(service: ServiceProcess, key: str) -> None:
    service.ask("DELETE", f"/v1/tickets/{submitted(service, key).body['id']}")


def assert_refused_at_once(service: ServiceProcess, crowd: int = 60, within: float = 2.0) -> None:
    """A crowd that asks together while the database is away is sent away within about a second, each with a time."""
    answers: list[tuple[int, bool, float]] = []

    def ask(number: int) -> None:
        began = time.monotonic()
        reply = submitted(service, f"crowd-{number}")
        answers.append((reply.status, "retry-after" in reply.headers, time.monotonic() - began))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(status, again) for status, again, _ in answers} == {(503, True)}
    assert max(seconds for _, _, seconds in answers) < within  # a second, and a busy machine's second


def test_a_stopped_leader_is_followed_and_writes_nothing(postgres_dsn: str, tmp_path: Path) -> None:
    with Replicas(tmp_path, [Group("p0")], count=2, database=postgres_dsn) as replicas:
        leader = 0 if _leader(replicas, 1).endswith(f":{replicas.ports[0]}") else 1
        other = 1 - leader
        replicas.stop(leader)
        began = time.monotonic()
        until(lambda: _leader(replicas, other).endswith(f":{replicas.ports[other]}"), what="another leader")
        assert time.monotonic() - began < 2 * 5 + 1
        epoch = replicas[other].get("/v1/limits")["replica"]["epoch"]
        replicas.go_on(leader)
        until(lambda: _leader(replicas, leader).endswith(f":{replicas.ports[other]}"), what="a follower")
        replicas[leader].ready()
        replica = replicas[other].get("/v1/limits")["replica"]
        assert (replica["epoch"], _leader(replicas, other).endswith(f":{replicas.ports[other]}")) == (epoch, True)


def _leader(replicas: Replicas, number: int) -> str:
    return str(replicas[number].get("/v1/limits")["replica"]["leader"])


PARTITIONS = [
    pytest.param(2, 1, 0.0, id="one of two"),
    pytest.param(3, 6, 8.0, id="one of three, six times", marks=pytest.mark.torture),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("count", "times", "seconds"), PARTITIONS)
def test_a_partitioned_replica_refuses_and_comes_back(
    server: PostgresProcess, tmp_path: Path, count: int, times: int, seconds: float
) -> None:
    groups, rng = [Group("p0")], random.Random(times)
    with (
        Proxy(("127.0.0.1", server.port)) as proxy,
        Replicas(tmp_path, groups, count=count, database=server.dsn(), last=_through(proxy)) as replicas,
    ):
        cut_off, other = replicas[count - 1], replicas[0]
        until(lambda: cut_off.get("/v1/limits")["limits"], what="readings")
        runners = at_work(groups, replicas.ports, 1_000_000)
        until(lambda: len(groups[0].history) > 40, what="work")
        for _ in range(times):
            proxy.black_hole = True
            assert_is_not_ready_within(cut_off, 3.0)
            assert_refused_at_once(cut_off, 10, within=5.0)
            assert_refused_at_once(cut_off, 10)
            assert_shows_its_age(cut_off)
            assert other.ask("GET", "/readyz").status == 200
            time.sleep(rng.random() * seconds)
            proxy.heal()
            cut_off.ready()
            until(lambda: submitted(cut_off, "again").status == 200, seconds=5, what="a ticket")
        for runner in runners:
            runner.enough = True
        finished(runners)
        withdraw(cut_off, "again")
        assert_all_is_well(groups, replicas, server.dsn())
        assert cut_off.said.count("database.silent") == cut_off.said.count("database.answers_again") == times
        assert "Traceback" not in cut_off.said, cut_off.said


def assert_is_not_ready_within(service: ServiceProcess, seconds: float) -> None:
    """``/readyz`` says so, with a reason; it never leaves the probe waiting."""
    began = time.monotonic()
    until(lambda: service.ask("GET", "/readyz").status == 503, seconds=seconds, what="not ready")
    assert time.monotonic() - began < seconds
    assert "the database" in service.ask("GET", "/readyz").body["problems"][0]


def assert_shows_its_age(service: ServiceProcess) -> None:
    """What was shown last stays, and says from when it is."""
    first, second = service.get("/v1/limits"), service.get("/v1/limits")
    assert [len(one["limits"]) for one in (first, second)] == [2, 2]
    assert first["at"] == second["at"]


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_a_standby_takes_over(server: PostgresProcess, tmp_path: Path) -> None:
    with standby_of(server) as standby:
        wait_for_standby(server)
        dsn = either(server, standby)
        groups = [Group("p0")]
        with Replicas(tmp_path, groups, count=2, database=dsn) as replicas:
            runners = at_work(groups, replicas.ports, 1_000_000)
            until(lambda: len(groups[0].history) > 60, what="work")
            server.stop("immediate")
            promote(standby)
            before = len(groups[0].history)
            for number in (0, 1):
                replicas[number].ready()
            until(lambda: len(groups[0].history) > before + 60, what="work again")
            for runner in runners:
                runner.enough = True
            finished(runners)
            assert_all_is_well(groups, replicas, standby.dsn())


def test_behind_transaction_pooling(server: PostgresProcess, tmp_path: Path, program: Callable[[str], str]) -> None:
    groups = [Group("p0")]
    with (
        pgbouncer(server, program) as dsn,
        Replicas(tmp_path, groups, count=2, database=dsn) as replicas,
    ):
        finished(at_work(groups, replicas.ports, 100))
        assert_all_is_well(groups, replicas, server.dsn())
