"""Services on a real PostgreSQL in hard places: disks full and slow, clocks that step, no descriptors.

Runners work all the while; afterwards an order explains all they were told, and the sums are theirs.
"""

import http.client
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.system.service_process import ServiceProcess, until
from tests.system.test_clock import Clock
from tests.system.test_clock import library as library
from tests.torture.postgres_faults import SLOW_DISK, few_descriptors, fill, make_room, small_disk
from tests.torture.replicas import Replicas
from tests.torture.runners import Group, Runner
from tests.torture.test_one_service import at_work, finished
from tests.torture.test_several_services import assert_all_is_well
from tests.torture.test_spool_of_usage import use

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
NO_END = 1_000_000


@pytest.fixture
def server(postgres: Postgres) -> Iterator[PostgresProcess]:
    """A server of a test's own; skipped where there is none to be had."""
    del postgres
    with PostgresProcess() as server:
        yield server


def more_work(group: Group, operations: int = 40) -> None:
    """Wait until so much more was done."""
    goal = len(group.history) + operations
    until(lambda: len(group.history) >= goal, what="work")


def enough(runners: list[Runner]) -> None:
    for runner in runners:
        runner.enough = True
    finished(runners)


def test_a_disk_that_is_full_and_has_room_again(postgres: Postgres, tmp_path: Path) -> None:
    del postgres
    groups = [Group("p0")]
    with (
        small_disk(150) as disk,
        PostgresProcess(folder=disk) as server,
        Replicas(tmp_path, groups, count=1, database=server.dsn()) as replicas,
    ):
        service = replicas[0]
        runners = at_work(groups, replicas.ports, NO_END)
        more_work(groups[0])
        fill(disk)
        kept = until(lambda: kept_on_this_disk(service), what="a write that does not fit")
        until(lambda: service.ask("GET", "/readyz").status == 503, seconds=5, what="not ready")
        make_room(disk)
        if server.process and server.process.poll() is not None:
            server.start()
        until(lambda: use(service, kept, 1).body.get("duplicate") == 1, what="what did not fit")
        service.ready()
        more_work(groups[0])
        enough(runners)
        assert_all_is_well(groups, replicas, server.dsn())
        assert "Traceback" not in service.said, service.said


def kept_on_this_disk(service: ServiceProcess) -> str:
    """Send much usage, of nobody who is judged; the key of an event that lies in the spool, if it comes to that."""
    key = f"large-{os.urandom(4).hex()}"
    at = "2026-11-22T09:00:00Z"
    labels = {"provider": "z", "workflow": "w" * 60}
    events = [{**labels, "key": f"{key}-{number}", "at": at, "output": 1, "labels": {}} for number in range(1_000)]
    for event in events:
        event["labels"] = {"workflow": event.pop("workflow")}
    reply = service.ask("POST", "/v1/usage", events)
    return f"{key}-0" if reply.status == 202 else ""


@pytest.mark.torture
def test_a_disk_that_is_slow(postgres: Postgres, tmp_path: Path) -> None:
    del postgres
    groups = [Group("p0")]
    with PostgresProcess(SLOW_DISK) as server, Replicas(tmp_path, groups, count=2, database=server.dsn()) as replicas:
        finished(at_work(groups, replicas.ports, 60))
        for number in (0, 1):
            assert replicas[number].ask("GET", "/readyz").status == 200
            assert "database.silent" not in replicas[number].said
        assert_all_is_well(groups, replicas, server.dsn())


@pytest.mark.torture
def test_a_process_that_may_open_nothing_more(server: PostgresProcess, tmp_path: Path) -> None:
    groups = [Group("p0")]
    with Replicas(tmp_path, groups, count=2, database=server.dsn()) as replicas:
        starved = replicas[1]
        runners = at_work(groups, replicas.ports, NO_END)
        more_work(groups[0])
        open_before = http.client.HTTPConnection("127.0.0.1", starved.port, timeout=20)
        assert status(open_before) == 200
        few_descriptors(starved.process.pid, 4)
        server.stop("immediate")  # every connection to it is gone, and no other can be opened
        server.start()
        more_work(groups[0], 10)
        assert status(open_before) == 503
        few_descriptors(starved.process.pid, 1_024)
        starved.ready()
        assert status(open_before) == 200
        enough(runners)
        assert_all_is_well(groups, replicas, server.dsn())


def status(connection: http.client.HTTPConnection) -> int:
    """What ``/readyz`` answers over a connection that stays open."""
    connection.request("GET", "/readyz")
    reply = connection.getresponse()
    reply.read()
    return reply.status


@pytest.mark.torture
def test_a_clock_that_steps_on_one_of_two(server: PostgresProcess, tmp_path: Path, library: Path) -> None:
    groups = [Group("p0")]
    replicas = Replicas(tmp_path, groups, count=2, database=server.dsn())
    replicas.places[1].home.mkdir(parents=True)
    clock = Clock(replicas.places[1], library)
    with replicas:
        runners = at_work(groups, replicas.ports, NO_END)
        more_work(groups[0])
        for step in (timedelta(hours=7), timedelta(0), -timedelta(hours=7), timedelta(0)):
            clock.ahead(step)
            more_work(groups[0])
            until(lambda: replicas[1].ask("GET", "/readyz").status == 200, seconds=10, what="ready")
        enough(runners)
        assert_all_is_well(groups, replicas, server.dsn())
        assert "Traceback" not in replicas[1].said, replicas[1].said
