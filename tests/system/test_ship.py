"""Shipping as two processes: what one host reads arrives once, whoever is killed and whatever the clocks say."""

import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.core.instants import parse_instant
from tests.sources.test_agents import DATA
from tests.system.service_process import Place, ServiceProcess, free_port, until
from tests.system.test_agents import truth, used
from tests.system.test_clock import Clock, library  # noqa: F401  # a fixture
from tests.system.transcripts import Agent

pytestmark = pytest.mark.system
CONFIG = "limits: [{id: all, unit: tokens, amount: 1T, window: month}]\n"


class ShipProcess:
    """``quota-scheduler ship`` in a place."""

    def __init__(self, place: Place, port: int, *args: str, host: str = "build-7") -> None:
        self.log = place.home / f"ship-{len(list(place.home.glob('ship-*')))}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                place.command("ship", "--to", f"http://127.0.0.1:{port}", "--host", host, "--poll", "0.1", *args),
                stdout=out, stderr=subprocess.STDOUT, cwd=place.home, env=place.variables(),
            )  # fmt: skip

    def __enter__(self) -> "ShipProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def two(tmp_path: Path) -> tuple[Place, Place]:
    """The service's host, where no agent ever ran, and another."""
    service, other = Place(tmp_path / "service"), Place(tmp_path / "other")
    for place in (service, other):
        place.home.mkdir()
    service.config(CONFIG)
    return service, other


def test_what_another_host_reads_is_counted_to_the_token_although_both_are_killed(two: tuple[Place, Place]) -> None:
    here, there = two
    for program, folder in (("codex", ".codex"), ("pi", ".pi/agent"), ("gemini", ".gemini")):
        shutil.copytree(DATA / program, there.home / folder)
    answered, port = truth(["codex", "pi", "gemini"]), free_port()
    with ShipProcess(there, port) as shipper:
        until(lambda: "ship.waits" in shipper.said, what="a word about the service that is away")
        with ServiceProcess(here, port=port) as service:
            service.ready()
            until(lambda: used(service), what="the first usage")
            shipper.process.send_signal(signal.SIGKILL)
        with ServiceProcess(here, port=port) as service, ShipProcess(there, port):
            service.ready()
            until(lambda: used(service) == answered, what=json.dumps(answered))
    once = there.run("ship", "--to", f"http://127.0.0.1:{port}", "--once")
    assert once.returncode == 1
    assert f"nothing answers at http://127.0.0.1:{port}" in once.stderr
    with ServiceProcess(here, port=port) as service:
        service.ready()
        again = there.run(
            "ship", "--to", f"http://127.0.0.1:{port}", "--host", "build-7", "--once", "--state", "new.db"
        )
        assert again.stdout.startswith("0 accepted, 0 updated, ")
        assert used(service) == answered


def test_a_host_is_named_in_the_metrics_and_in_what_it_used(two: tuple[Place, Place]) -> None:
    here, there = two
    Agent(there.home).spend(output=700)
    with ServiceProcess(here) as service:
        service.ready()
        assert (
            there.run("ship", "--to", f"http://127.0.0.1:{service.port}", "--host", "laptop", "--once").returncode == 0
        )
        until(lambda: service.sample("quota_source_lag_seconds", source="claude_code@laptop"), what="the host's lag")
    with ServiceProcess(here) as service:  # and after a restart
        service.ready()
        until(lambda: service.sample("quota_source_lag_seconds", source="claude_code@laptop"), what="the host's lag")


def test_what_a_session_used_beyond_its_listed_calls_is_shipped_too(two: tuple[Place, Place]) -> None:
    here, there = two
    kinds = {"cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    stated = {"claude-opus-5-5": {"inputTokens": 1_200, "outputTokens": 90, **kinds}}
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    message = {"id": "msg_1", "model": "claude-opus-5-5", "usage": {"input_tokens": 1_000, "output_tokens": 90}}
    lines = [
        {"type": "assistant", "sessionId": "S", "requestId": "req_1", "timestamp": now, "message": message},
        {"type": "cost-state", "sessionId": "S", "totalCostUSD": 4.82, "modelUsage": stated},
    ]
    folder = there.home / ".claude/projects/-srv-app"
    folder.mkdir(parents=True)
    (folder / "S.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    with ServiceProcess(here) as service:
        service.ready()
        sent = there.run("ship", "--to", f"http://127.0.0.1:{service.port}", "--once")
        assert sent.returncode == 0, sent.stderr

        def told() -> list[tuple[int, int]]:
            rows = service.get("/v1/usage/summary?days=366&by=model")["usage"]
            return [(row["tokens"], row["unlisted_tokens"]) for row in rows]

        until(lambda: told() == [(1_090, 200)], what="the hidden two hundred")


def test_another_hosts_clock_is_put_right(two: tuple[Place, Place], library: Path) -> None:  # noqa: F811
    here, there = two
    clock = Clock(there, library)
    clock.ahead(timedelta(minutes=40))
    with ServiceProcess(here) as service:
        service.ready()
        Agent(there.home).spend(output=700, ago=-clock.offset)
        sent = there.run("ship", "--to", f"http://127.0.0.1:{service.port}", "--once")
        assert "its clock is -2400 s from this host's" in sent.stderr, sent
        (run,) = service.get("/v1/runs")["runs"]
        assert abs(parse_instant(run["started_at"]) - datetime.now(UTC)) < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("args", "token", "code", "sentence"),
    [
        pytest.param((), "", 1, "refuses the token", id="no token"),
        pytest.param((), "wrong", 1, "set QUOTA_TOKEN to one with the role runner", id="a wrong token"),
        pytest.param(("--host", "a b"), "", 2, "--host 'a b': use up to 64 letters", id="a host that is no name"),
        pytest.param(("--poll", "0"), "", 2, "--poll 0: choose from 0.1 to 3600 seconds", id="no pause"),
        pytest.param(("--to", "quota.example:8484"), "", 2, "is no address: write http://", id="no address"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(two, args, token, code, sentence):
    here, there = two
    here.config(CONFIG + "tokens: [{name: ci, role: runner, sha256: " + "ab" * 32 + "}]\n")
    if token:
        there.environ["QUOTA_TOKEN"] = token
    with ServiceProcess(here) as service:
        service.ready()
        said = there.run("ship", "--to", f"http://127.0.0.1:{service.port}", "--once", *args)
    assert (said.returncode, sentence in said.stderr) == (code, True), said.stderr
    assert os.linesep.join(said.stderr.splitlines()[-1:]).count("Traceback") == 0
