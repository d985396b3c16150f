"""``run`` as a process, against a service that runs, is away, is killed and comes back."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.wrapper.statuses import LIMIT_HIT, NEVER, NOT_EXECUTABLE, NOT_THERE, UNAVAILABLE, WAITS
from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
AGENT = [sys.executable, str(Path(__file__).parent / "printing_agent.py")]
CONFIG = """
limits:
  - {id: month, match: {provider: anthropic}, unit: tokens, amount: 100M, window: month}
  - {id: one-at-a-time, match: {workflow: narrow}, unit: leases, amount: 1}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.environ["QUOTA_LISTEN"] = f"127.0.0.1:{free_port()}"
    place.config(CONFIG)
    return place


def serve(place: Place) -> ServiceProcess:
    return ServiceProcess(place, port=int(place.environ["QUOTA_LISTEN"].rpartition(":")[2]))


@pytest.fixture
def service(place: Place) -> Iterator[ServiceProcess]:
    with serve(place) as running:
        yield running.ready()


def run(place: Place, *args: str, estimate: str = "50k", **options: Any) -> subprocess.CompletedProcess[str]:
    return place.run("run", "--estimate", estimate, *args, **options)


def started(place: Place, *args: str, **options: Any) -> subprocess.Popen[bytes]:
    """A run that goes on in the background."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        place.command("run", "--estimate", "50k", *args), cwd=place.home, env=place.variables(), **options
    )


def runs(service: ServiceProcess) -> dict[str, tuple[str, int]]:
    """By workflow how a run ended and what it used."""
    return {row["workflow"]: (row["status"], row["tokens"]) for row in service.get("/v1/runs")["runs"]}


def queue(service: ServiceProcess) -> tuple[int, int]:
    """How many tickets wait, and how many run."""
    found = service.get("/v1/queue")
    return len(found["waiting"]), len(found["running"])


@pytest.mark.parametrize(
    ("args", "command", "status", "sentence"),
    [
        pytest.param([], ["sh", "-c", "exit 7"], 7, "", id="the command's own status"),
        pytest.param([], ["sh", "-c", "kill -TERM $$"], 143, "", id="the command was ended by a signal"),
        pytest.param([], ["no-such-program"], NOT_THERE, "there is no command no-such-program", id="it is not there"),
        pytest.param([], ["/etc/passwd"], NOT_EXECUTABLE, "may not be run", id="it is no program"),
        pytest.param(["--estimate", "900M"], ["true"], NEVER, "not started (never_fits)", id="it never fits"),
        pytest.param(["--bogus"], ["true"], 2, "No such option '--bogus'", id="an option that nobody knows"),
        pytest.param(["--label", "tam=x"], ["true"], 2, "NAME is one of", id="a label that nobody knows"),
        pytest.param([], [], 2, "there is no command: write it after --", id="no command"),
        pytest.param(["--deadline", "2026-01-01T00:00"], ["true"], 2, "has passed", id="a deadline before now"),
        pytest.param(["--class", "urgent"], ["true"], 2, "the service refuses this (422)", id="a class of no service"),
    ],
)
def test_exit_statuses(place: Place, service: ServiceProcess, args, command, status, sentence) -> None:
    done = run(place, *args, "--", *command)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    if status in (NOT_THERE, NOT_EXECUTABLE, 2):
        assert queue(service) == (0, 0)
        assert service.get("/v1/runs")["runs"] == []


@pytest.mark.parametrize(
    ("end", "status", "recorded"),
    [
        pytest.param("once", 0, ("completed", 1_100), id="one result of a resumed session"),
        pytest.param("twice", 0, ("completed", 2_200), id="two results, an agent behind it"),
        pytest.param("interrupt", 0, ("failed", 1_100), id="an interrupt that ends with 0"),
        pytest.param("limit", LIMIT_HIT, ("paused_quota", 1_100), id="the plan's limit in the middle"),
        pytest.param("half", 1, ("failed", 1_100), id="half a line at the end"),
        pytest.param("garbled", 0, ("completed", 1_100), id="garbled lines before it"),
        pytest.param("silent", 0, None, id="no usage at all"),
        pytest.param("gemini", 0, ("completed", 1_100), id="gemini, one document"),
        pytest.param("opencode", 0, ("completed", 1_100), id="opencode, step by step"),
    ],
)
def test_usage_is_taken_from_what_agents_print(place: Place, service: ServiceProcess, end, status, recorded) -> None:
    agent = [*AGENT, "s-1", "1000", "100", "--before", "70000", "9000", "--end", end]
    done = run(place, "--label", "workflow=w", "--", *agent)
    bare = subprocess.run(agent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, bare.stdout)
    assert runs(service) == ({"w": recorded} if recorded else {})
    assert queue(service) == (0, 0)


def test_totals_of_a_session_are_never_added_up(place: Place, service: ServiceProcess) -> None:
    for number in range(3):
        before = [str(1_000 * number), str(100 * number)]
        agent = [*AGENT, "s-9", "1000", "100", "--before", *before, "--end", "json"]
        assert run(place, "--label", f"workflow=w{number}", "--", *agent).returncode == 0
    assert runs(service) == {f"w{number}": ("completed", 1_100) for number in range(3)}


def test_a_limit_that_an_agent_met_is_told_to_the_service(place: Place, service: ServiceProcess) -> None:
    done = run(place, "--", *AGENT, "s-1", "1000", "100", "--end", "limit")
    assert "paused (You've hit your 5-hour limit" in done.stderr
    assert "--resume s-1" in done.stderr
    said = service.get("/v1/observations")["observations"]
    assert {row["window"]: row["status"] for row in said} == {"five_hour": "rejected"}


@pytest.mark.usefixtures("service")
def test_bytes_pass_unchanged(place: Place) -> None:
    content = bytes(range(256)) * 5_000 + b"{" * 100
    (place.home / "bytes").write_bytes(content)
    script = "cat bytes; cat >&2"
    done = subprocess.run(
        place.command("run", "--estimate", "1k", "--", "sh", "-c", script), input=content, capture_output=True,
        cwd=place.home, env=place.variables(), timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, content, content)


@pytest.mark.usefixtures("service")
def test_the_command_knows_its_lease_and_not_the_token(place: Place) -> None:
    place.environ["QUOTA_TOKEN"] = "secret"
    done = run(place, "--key", "k-1", "--resume", "s-7", "--", "env")
    told = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert {name: told.get(name) for name in ("QUOTA_LEASE", "QUOTA_KEY", "QUOTA_SESSION", "QUOTA_TOKEN")} == {
        "QUOTA_LEASE": "l1", "QUOTA_KEY": "k-1", "QUOTA_SESSION": "s-7", "QUOTA_TOKEN": None,
    }  # fmt: skip
    assert told["QUOTA_OPTIMIZATION_LEVEL"] == "minimal"
    assert json.loads(told["QUOTA_CLAUDE_SETTINGS"])["autoContinueAtUsageLimit"] is False


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command_once(place: Place, number) -> None:
    name = signal.Signals(number).name.removeprefix("SIG")
    wait = 'while [ -z "$n" ]; do sleep 0.05; done; sleep 0.2; exit $n'
    script = f"trap 'echo heard; n=$((n+1))' {name}; echo ready; {wait}"
    process = started(place, "--", "bash", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert (process.stdout.read(), process.wait(30)) == (b"heard\n", 1)


@pytest.mark.usefixtures("service")
def test_on_a_terminal_the_command_has_the_terminal(place: Place) -> None:
    ours, theirs = pty.openpty()
    process = started(place, "--", "sh", "-c", "test -t 1 && echo terminal", stdout=theirs)
    os.close(theirs)
    assert process.wait(30) == 0
    assert os.read(ours, 100) == b"terminal\r\n"
    os.close(ours)


def test_waiting_is_explained_and_can_be_refused(place: Place, service: ServiceProcess) -> None:
    first = started(place, "--label", "workflow=narrow", "--", "sh", "-c", "echo on; read line", stdin=subprocess.PIPE)
    assert first.stdout is not None
    first.stdout.readline()
    refused = run(place, "--label", "workflow=narrow", "--no-wait", "--", "true")
    assert refused.returncode == WAITS
    assert "not started (concurrency): " in refused.stderr
    second = started(place, "--label", "workflow=narrow", "--", "echo", "second")
    until(lambda: queue(service) == (1, 1))
    first.communicate(b"\n")
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, b"second\n")
    assert b"waits (concurrency): " in err
    assert b"place 1" in err
    assert b"starts after" in err


def test_a_signal_while_it_waits_withdraws_the_ticket(place: Place, service: ServiceProcess) -> None:
    first = started(place, "--label", "workflow=narrow", "--", "sh", "-c", "echo on; read line", stdin=subprocess.PIPE)
    assert first.stdout is not None
    first.stdout.readline()
    second = started(place, "--label", "workflow=narrow", "--", "true")
    until(lambda: queue(service) == (1, 1))
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 128 + signal.SIGTERM
    assert queue(service) == (0, 1)
    first.communicate(b"\n")


@pytest.mark.parametrize(
    ("fail", "status", "out", "sentence"),
    [
        pytest.param("closed", UNAVAILABLE, "", "not started, the service is away", id="closed: nothing runs"),
        pytest.param("open", 0, None, "runs without a lease, its usage is told later", id="open: it runs"),
    ],
)
def test_a_service_that_is_away(place: Place, fail, status, out, sentence) -> None:
    agent = [*AGENT, "s-1", "1000", "100"]
    done = run(place, "--fail", fail, "--patience", "0", "--label", "workflow=w", "--", *agent)
    assert done.returncode == status
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with serve(place) as service:
        service.ready()
        assert run(place, "--", "true").returncode == 0
        rows = service.get("/v1/usage/summary?days=1&by=workflow")["usage"]
        assert {row["workflow"]: row["tokens"] for row in rows} == ({} if out == "" else {"w": 1_100})


@pytest.mark.parametrize("ttl", [pytest.param("60s", id="while the lease holds"), pytest.param("1s", id="after it")])
def test_a_killed_wrapper_leaves_no_command_and_what_it_told_counts(place: Place, service: ServiceProcess, ttl) -> None:
    """Its work is taken up again under the same key: the usage of both is told."""
    work = ["--key", "k", "--ttl", ttl, "--label", "workflow=narrow", "--"]
    used = [*AGENT, "s-1", "19000", "1000", "--end", "once"]
    process = started(place, *work, "sh", "-c", f"{shlex.join(used)}; echo $$; exec sleep 600")
    assert process.stdout is not None
    child = int([process.stdout.readline() for _ in range(3)][-1])
    until(lambda: service.get("/v1/queue")["running"][0]["spent_ratio"], what="that it told its usage")
    process.kill()
    process.communicate()
    until(lambda: not Path(f"/proc/{child}").exists(), what="the end of the command")
    if ttl == "1s":
        until(lambda: queue(service) == (0, 0), what="the end of the lease")
    again = run(place, *work, *AGENT, "s-2", "1000", "100")
    assert again.returncode == 0
    rows = service.get("/v1/usage/summary?days=1&by=workflow")["usage"]
    assert [(row["tokens"], row["requests"]) for row in rows] == [(21_100, 2)]


USED = {"claude-sonnet-5": {"inputTokens": 80_000}}
OVERRUN = json.dumps({"type": "result", "session_id": "s", "is_error": False, "model_usage_since_last_result": USED})
"""More than was reserved: a run that keeps to its estimate may finish, whatever becomes of the quota."""


@pytest.mark.parametrize(
    ("then", "grace", "out"),
    [
        pytest.param('while [ ! -e "$QUOTA_STOP_FILE" ]; do sleep 0.05; done; echo step done; exit 75', "600s",
                     b"step done\n", id="it looks for the stop file"),
        pytest.param("exec sleep 600", "1s", b"", id="it knows of no quota, and ends after the grace"),
        pytest.param("trap 'echo down; exit 0' TERM; while :; do sleep 0.05; done", "1s", b"down\n",
                     id="it ends in order when it is told to"),
    ],
)  # fmt: skip
def test_when_the_quota_ends_the_step_finishes(place: Place, service: ServiceProcess, then, grace, out) -> None:
    assert service.ask("PATCH", "/v1/limits/month", {"amount": 70_000, "mode": "enforce"}).status == 200
    script = f"echo '{OVERRUN}'; {then}"
    process = started(place, "--class", "interactive", "--ttl", "2s", "--grace", grace, "--", "sh", "-c", script)
    printed, err = process.communicate(timeout=60)
    assert (process.returncode, printed) == (LIMIT_HIT, f"{OVERRUN}\n".encode() + out)
    assert b"the quota of this run has ended: the command may finish its step" in err
    rows = service.get("/v1/runs")["runs"]
    assert [(row["status"], row["tokens"]) for row in rows] == [("paused_quota", 80_000)]
