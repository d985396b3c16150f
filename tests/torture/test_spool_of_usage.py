"""Usage that is pushed while a real PostgreSQL is stopped hard: kept on disk, over a kill, and counted once."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Postgres
from tests.postgres_process import PostgresProcess
from tests.shell.otlp_bodies import claude, logs
from tests.system.service_process import Place, Reply, ServiceProcess, until

pytestmark = pytest.mark.system
CONFIG = """
spool: {{bytes: {room}}}
limits:
  - {{id: daily, match: {{provider: p}}, unit: tokens, amount: 1M, window: day, holdback: 0}}
  - {{id: runs, match: {{provider: anthropic}}, unit: tokens, amount: 10M, window: day, holdback: 0}}
"""
EXPORTED = 6 + 412 + 20_000 + 1_600


@pytest.fixture
def server(postgres: Postgres) -> Iterator[PostgresProcess]:
    """A server of a test's own; skipped where there is none to be had."""
    del postgres
    with PostgresProcess() as server:
        yield server


def place_of(folder: Path, server: PostgresProcess, room: int = 1_000_000) -> Place:
    place = Place(folder)
    place.config(f"database: {server.dsn()}\n{CONFIG.format(room=room)}")
    return place


def use(service: ServiceProcess, key: str, tokens: int) -> Reply:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return service.ask("POST", "/v1/usage", {"provider": "p", "key": key, "at": at, "output": tokens})


def export(service: ServiceProcess, request: str) -> Reply:
    body = logs(claude(request, **{"event.timestamp": None}))
    for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        record["timeUnixNano"] = str(time.time_ns())
    return service.ask("POST", "/v1/logs", body)


def used(service: ServiceProcess) -> dict[str, Any]:
    return {one["limit"]: one["used"] for one in service.get("/v1/limits")["limits"]}


def spooled(service: ServiceProcess) -> dict[str, float]:
    """How many bytes wait, and how many bodies were kept and replayed so far."""
    (size,) = service.sample("quota_scheduler_spool_bytes").values()
    bodies = {
        dict(labels)["outcome"]: number for labels, number in service.sample("quota_scheduler_spooled_total").items()
    }
    return {"bytes": size, **bodies}


def test_usage_outlives_a_database_that_is_away_and_a_kill(server: PostgresProcess, tmp_path: Path) -> None:
    place = place_of(tmp_path, server)
    with ServiceProcess(place) as first:
        first.ready()
        assert use(first, "before", 1).status == 200
        until(lambda: used(first) == {"daily": 1, "runs": 0}, what="readings")
        server.stop("immediate")
        answers = [use(first, f"e{number}", 10 + number) for number in range(3)] + [use(first, "e0", 12)]
        assert [(one.status, one.body["spooled"]) for one in answers] == [(202, 1)] * 4
        assert [export(first, "req_1").status, export(first, "req_1").status] == [200, 200]
        ticket = first.ask("POST", "/v1/tickets", {"key": "t", "labels": {"provider": "p"}, "estimate": {"output": 1}})
        assert (ticket.status, int(ticket.headers["retry-after"]) <= 5) == (503, True)
        until(lambda: first.ask("GET", "/readyz").status == 503, seconds=5, what="not ready")
        assert used(first) == {"daily": 1, "runs": 0}
        assert (spooled(first)["bytes"] > 0, spooled(first)["kept"]) == (True, 6)
        first.kill()
    server.start()
    with ServiceProcess(place) as second:
        second.ready()
        until(lambda: used(second) == {"daily": 1 + 12 + 11 + 12, "runs": EXPORTED}, what="what lay in the spool")
        until(lambda: spooled(second)["bytes"] == 0, what="an empty spool")
        assert spooled(second)["replayed"] == 6
        assert use(second, "e1", 11).body["duplicate"] == 1
        assert second.said.count("spool.replayed") == 1
        assert place.run("doctor").returncode == 0


def test_a_spool_without_room_says_when_to_come_again_and_each_loop_fails_once(
    server: PostgresProcess, tmp_path: Path
) -> None:
    with ServiceProcess(place_of(tmp_path, server, room=400)) as service:
        service.ready()
        assert use(service, "before", 1).status == 200
        server.stop("immediate")
        assert use(service, "kept", 2).status == 202
        full = use(service, "too much", 4)
        assert (full.status, full.body["title"], int(full.headers["retry-after"]) <= 5) == (503, "not_written", True)
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 3, what="three seconds in which every loop tries again")
        failed = [line for line in service.said.splitlines() if "task.failed" in line]
        tasks = [word for line in failed for word in line.split() if word.startswith("task=")]
        assert len(tasks) == len(set(tasks)), service.said
        assert (service.said.count("spool.keeps"), service.said.count("spool.full")) == (1, 1)
        assert service.said.count("writes.refused") == 1
        assert "Traceback" not in service.said
        server.start()
        until(lambda: used(service) == {"daily": 3, "runs": 0}, what="what lay in the spool")
        until(lambda: use(service, "too much", 4).status == 200, what="room")
        service.ready()
