"""The process itself: how it starts, why it does not, how it ends, and what it says when the world is wrong."""

import json
import resource
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import write
from tests.system.service_process import Place, Reply, ServiceProcess, free_port, until
from tests.system.transcripts import Agent, amounts

LIMIT = "limits: [{id: own, match: {provider: busy}, unit: tokens, amount: 1000, window: week, holdback: 0}]\n"
TICKET = {"labels": {"provider": "busy"}, "estimate": {"output": 900}}


def fails(place: Place, *args: str) -> tuple[int, str]:
    """Exit code and the one line that ``serve`` ends with."""
    done = place.run(*args, "serve")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return done.returncode, line


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_answers_who_waits_refuses_what_is_new_and_ends_with_zero(place: Place) -> None:
    place.config(LIMIT)
    with ServiceProcess(place) as service:
        service.ready()
        service.ask("POST", "/v1/tickets", {"key": "a", **TICKET})
        waits = service.ask("POST", "/v1/tickets", {"key": "b", **TICKET}).body
        parked: list[Reply] = []
        thread = threading.Thread(
            target=lambda: parked.append(service.ask("GET", f"/v1/tickets/{waits['id']}?wait=30"))
        )
        thread.start()
        until(lambda: _connections(service) > 1, what="a parked request")
        started = time.monotonic()
        service.process.terminate()
        refused = until(lambda: _refused(service), seconds=5, what="a refusal")
        assert (refused.body["title"], refused.headers["retry-after"]) == ("draining", "5")
        thread.join(15)
        assert [(reply.status, reply.body["state"]) for reply in parked] == [(200, "waiting")]
        assert service.process.wait(15) == 0
        assert time.monotonic() - started < 15
        assert "Traceback" not in service.said
    with ServiceProcess(place) as service:
        service.ready()
        assert [each["key"] for each in service.get("/v1/queue")["waiting"]] == ["b"]


def _connections(service: ServiceProcess) -> int:
    """How many connections the service has, the one of this look included (Linux; elsewhere enough are claimed)."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return 2
    own, established = f":{service.port:04X}", "01"
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return 1 + sum(1 for row in rows if row[1].endswith(own) and row[3] == established)


def _refused(service: ServiceProcess) -> Reply | None:
    reply = service.ask("POST", "/v1/tickets", {"key": "c", **TICKET})
    return reply if reply.status == 503 else None


def test_a_port_that_is_taken(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert fails(place, "--listen", f"127.0.0.1:{port}") == (
            1,
            f"quota-scheduler: cannot listen on 127.0.0.1:{port}: Address already in use; "
            "stop what listens there, or choose another with --listen (docs/reference/errors.md#start)",
        )
    assert not place.database.exists()


def test_a_database_that_another_service_holds(place: Place) -> None:
    with ServiceProcess(place) as service:
        service.ready()
        assert fails(place, "--listen", f"127.0.0.1:{free_port()}") == (
            1,
            f"quota-scheduler: {place.database} is in use by process {service.process.pid}: "
            "stop it, or use another --database (docs/reference/errors.md#busy)",
        )
        assert service.ready().get("/healthz") == {"status": "ok"}


def test_a_database_of_a_newer_version(place: Place) -> None:
    with ServiceProcess(place) as service:
        service.ready()
        assert service.terminate() == 0
    with sqlite3.connect(place.database) as database:
        ((table,),) = database.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migrat%' AND type = 'table'")
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        names = ", ".join(columns)
        values = ", ".join("'9999_from_the_future'" if name == "name" else f"max({name}) + 1" for name in columns)
        database.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}")
    code, line = fails(place, "--listen", f"127.0.0.1:{free_port()}")
    assert (code, line) == (
        1,
        f"quota-scheduler: {place.database} was written by a newer version (schema 9999_from_the_future): "
        "update this program (docs/reference/errors.md#not_ours)",
    )


def test_a_folder_that_cannot_be_written(place: Place) -> None:
    (place.home / "file").touch()
    code, line = fails(place, "--database", "sqlite:///file/quota.db", "--listen", f"127.0.0.1:{free_port()}")
    assert code == 1
    assert line.startswith(f"quota-scheduler: cannot create {place.home}/file/quota.db")
    assert line.endswith("choose another place with --database (docs/reference/errors.md#store)")


def test_it_does_not_listen_to_the_world_without_a_token(place: Place) -> None:
    code, line = fails(place, "--listen", f"0.0.0.0:{free_port()}")
    assert code == 1
    assert "can be reached from outside and no token is configured: add tokens" in line


@pytest.mark.parametrize(
    "text", ["{", "limits: 7\n", "\0", "limits: [{id: a}]\n"], ids=["{", "a number", "NUL", "half"]
)
def test_a_garbled_configuration_is_refused_before_anything_starts(place: Place, text: str) -> None:
    place.config(text)
    done = place.run("serve")
    assert done.returncode == 2
    assert done.stderr.startswith("quota-scheduler: quota.yaml:")
    assert "Traceback" not in done.stderr
    assert not place.database.exists()


def usage(number: int) -> dict[str, Any]:
    """An event with enough text to fill a disk with."""
    labels = {"project": "p" * 180, "agent": f"{number:0180}"}
    return {"provider": "busy", "key": f"r{number}", "at": "2026-11-22T09:00:00Z", "output": 1, "labels": labels}


def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_lost_once_there_is_room(place: Place) -> None:
    place.config(LIMIT)
    agent = Agent(place.home).spend(input=5, output=20)
    with ServiceProcess(place) as service:
        service.caught_up()
        limits = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (512 * 1024, limits[1]))
        batches = [[usage(100 * n + i) for i in range(100)] for n in range(30)]
        answers = [service.ask("POST", "/v1/usage", batch) for batch in batches]
        refused = [batch for batch, answer in zip(batches, answers, strict=True) if answer.status != 200]
        assert refused
        for answer in answers:
            if answer.status != 200:
                assert (answer.status, answer.body["title"]) == (503, "not_written")
                assert answer.body["detail"].startswith("the disk is full or cannot be written (")
                assert answer.body["detail"].endswith("): make room; nothing was changed; try again with the same key")
                assert answer.headers["retry-after"] == "5"
        agent.spend(cache_read=700, output=30)
        until(lambda: "error=the disk is full or cannot be written" in service.said, what="a word in the log")
        probe = until(lambda: (reply := service.ask("GET", "/readyz")).status == 503 and reply, what="not ready")
        assert probe.body["problems"][0].startswith("the database takes no writes: the disk is full")  # R8
        assert metric(service, "quota_scheduler_writes_refused_total") >= len(refused)
        assert metric(service, "quota_scheduler_failed_answers_total") >= len(refused)
        assert "Traceback" not in service.said
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, limits)
        for batch in batches:
            until(lambda batch=batch: service.ask("POST", "/v1/usage", batch).status == 200, what="room")
        until(lambda: service.recorded("busy").get("output") == 3000, what="every event once")
        until(lambda: service.recorded() == amounts(agent.corpus), what="the transcript")
        until(lambda: service.ask("GET", "/readyz").status == 200, what="ready again")
        for line in ("writes.refused", "writes.taken_again"):
            assert service.said.count(line) == 1  # R8: at the beginning and at the end, not with each write
        assert service.terminate() == 0
    assert place.run("doctor").returncode == 0


def metric(service: ServiceProcess, name: str) -> float:
    """The value of a metric without labels."""
    (line,) = [line for line in service.get("/metrics").splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_looking_asks_the_service_while_it_runs_and_the_file_when_it_does_not(place: Place) -> None:
    Agent(place.home).spend(input=1_000, output=500)
    with ServiceProcess(place) as service:
        service.caught_up()
        where = ["--listen", f"127.0.0.1:{service.port}"]
        asked = {verb: json.loads(place.run(*where, verb, "--json").stdout) for verb in ("status", "forecast", "queue")}
        assert asked["status"]["from"].startswith("The service at ")
        assert service.terminate() == 0
    read = {verb: json.loads(place.run(*where, verb, "--json").stdout) for verb in asked}
    assert read["status"]["from"].startswith("The file ")
    for found in (asked, read):
        assert [(each["limit"], each["used"]) for each in found["status"]["limits"]] == [("anthropic-monthly", 1500)]
        assert [each["limit"] for each in found["forecast"]] == ["anthropic-monthly"]
        assert found["queue"]["waiting"] == []


def test_usage_is_imported_through_the_service_while_it_runs(place: Place) -> None:
    with ServiceProcess(place) as service:
        service.caught_up()
        where = ["--listen", f"127.0.0.1:{service.port}"]
        events = "".join(json.dumps(usage(number)) + "\n" for number in range(1200))
        for counts in ((1200, 0), (0, 1200)):
            done = place.run(*where, "usage", "import", "-", "--json", stdin=events)
            found = json.loads(done.stdout)
            assert (found["accepted"], found["duplicate"]) == counts


def test_who_is_ready_starts_at_once_what_fits(place: Place) -> None:
    """A first pass over little is waited for: before it is over, work would only wait."""
    write(place.home / ".claude/projects", sessions=40, responses=40)
    place.config("limits: [{id: week, match: {provider: anthropic}, unit: tokens, amount: 900M, window: week}]\n")
    with ServiceProcess(place) as service:
        ticket = {"key": "k", "labels": {"provider": "anthropic"}, "estimate": {"output": 9}, "class": "normal"}
        assert service.ready().ask("POST", "/v1/tickets", ticket).body["state"] == "running"
