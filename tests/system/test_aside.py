"""Verbs beside an agent, as processes, against a service that runs, is dead, is slow, or does not know the token."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
FIVE_HOURS, WEEK = int(time.time()) + 9_000, int(time.time()) + 300_000
SAID = json.dumps(
    {
        "session_id": "s", "transcript_path": "/nowhere/projects/p/s.jsonl", "version": "2.1.332",
        "model": {"id": "claude-opus-5-5", "display_name": "Opus"}, "cost": {"total_cost_usd": 0.084},
        "rate_limits": {
            "five_hour": {"used_percentage": 23.5, "resets_at": FIVE_HOURS},
            "seven_day": {"used_percentage": 41.2, "resets_at": WEEK},
        },
    }
)  # fmt: skip
EVENT = {
    "type": "rate_limit_event",
    "rate_limit_info": {
        "status": "allowed_warning", "resetsAt": FIVE_HOURS, "rateLimitType": "five_hour", "utilization": 0.93,
        "unifiedWindows": {
            "five_hour": {"utilization": 0.93, "resetsAt": FIVE_HOURS},
            "seven_day": {"utilization": 0.45, "resetsAt": WEEK},
        },
    },
}  # fmt: skip
QUICK = 2.0
"""Far more than such a verb takes, and less than any wait of ours: on a busy machine it is told from a hang."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A home without a configuration; no service answers unless one is started."""
    there = Place(tmp_path)
    there.environ["QUOTA_LISTEN"] = f"127.0.0.1:{free_port()}"
    return there


@pytest.fixture
def service(place: Place) -> Iterator[ServiceProcess]:
    """A service at the address that the verbs look at."""
    with ServiceProcess(place, port=int(place.environ["QUOTA_LISTEN"].rpartition(":")[2])) as running:
        yield running.ready()


@contextmanager
def somebody(place: Place, *, status: int = 200, seconds: float = 0.0) -> Iterator[list[Any]]:
    """A server that answers with a status after a while, and what it was sent."""
    sent: list[Any] = []
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            leave.wait(seconds)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    place.environ["QUOTA_LISTEN"] = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield sent
    finally:
        leave.set()
        server.shutdown()
        server.server_close()


def kept(place: Place) -> dict[str, Any]:
    path = place.home / ".local/state/quota-scheduler/aside.json"
    return json.loads(path.read_text()) if path.exists() else {}


def reported(service: ServiceProcess) -> dict[str, tuple[Any, ...]]:
    """By window and scope what was said last: how much is used, the status, by whom."""
    rows = service.get("/v1/observations")["observations"]
    names = ("used_ratio", "status", "source")
    return {f"{row['window']}/{row['scope']}".rstrip("/"): tuple(row[name] for name in names) for row in rows}


def test_a_status_line_is_reported_and_drawn(place: Place, service: ServiceProcess) -> None:
    done = place.run("statusline", stdin=SAID)
    resets = time.strftime("%H:%M", time.localtime(FIVE_HOURS))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"5h 24% → {resets} · week 41% → ")
    until(lambda: len(reported(service)) == 2)
    assert reported(service) == {"five_hour": (0.235, "", "status_line"), "weekly": (0.412, "", "status_line")}


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        pytest.param(["--", "cat"], 0, SAID, "", id="a program gets the same input"),
        pytest.param(["--then", "head -c 13; echo gone >&2; exit 3"], 3, SAID[:13], "gone\n", id="a shell, its code"),
        pytest.param(
            ["--account", "max-1", "--", "printf", r"\033[1m%s", "-x"], 0, "\033[1m-x", "", id="its arguments"
        ),
        pytest.param(["--", "no-such-program"], 127, "", "cannot run no-such-program", id="one that is not there"),
        pytest.param(["--", "true"], 0, "", "", id="one that reads nothing"),
    ],
)
def test_the_users_own_line_is_passed_on(place: Place, command, code, out, err) -> None:
    done = place.run("statusline", *command, stdin=SAID)
    assert (done.returncode, done.stdout, err in done.stderr) == (code, out, True), done


def test_long_input_that_nobody_reads_hangs_nothing(place: Place) -> None:
    long = json.dumps({**json.loads(SAID), "more": "x" * 1_000_000})
    began = time.monotonic()
    assert place.run("statusline", "--", "true", stdin=long).returncode == 0
    assert place.run("statusline", "--", "wc", "-c", stdin=long).stdout.strip() == str(len(long))
    assert time.monotonic() - began < 2 * QUICK


@pytest.mark.parametrize(
    ("said", "line"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("{", "", id="half an object"),
        pytest.param("[1]", "", id="no object"),
        pytest.param('{"model": {"display_name": "Opus\\u001b[2J"}, "cost": {"total_cost_usd": 0.084}}',
                     "Opus[2J · $0.08", id="an API key's session: the model, without what moves the screen"),
        pytest.param('{"rate_limits": {"five_hour": {"used_percentage": 102}}}', "5h 102%", id="no reset"),
        pytest.param('{"rate_limits": {"five_hour": null, "seven_day": {"used_percentage": "7"}}}', "",
                     id="other types"),
    ],
)  # fmt: skip
def test_whatever_is_handed_over_a_line_is_drawn(place: Place, said, line) -> None:
    done = place.run("statusline", stdin=said)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{line}\n", "")


def test_with_the_service_dead_the_newest_is_kept_and_goes_with_the_next(place: Place) -> None:
    assert place.run("statusline", stdin=SAID).stdout.startswith("5h 24%")
    until(lambda: len(kept(place).get("unsent", [])) == 2)
    later = json.loads(SAID)
    del later["rate_limits"]["seven_day"]
    later["rate_limits"]["five_hour"]["used_percentage"] = 25
    with somebody(place) as sent:
        place.run("statusline", stdin=json.dumps(later))
        until(lambda: kept(place).get("unsent") == [])
    ((*before, new),) = sent
    assert [one["used_ratio"] for one in before] == [0.235, 0.412]
    assert (new["used_ratio"], new["window"]) == (0.25, "five_hour")


@pytest.mark.parametrize(
    ("status", "seconds", "stays"),
    [
        pytest.param(401, 0, True, id="a token it does not know"),
        pytest.param(503, 0, True, id="it is stopping"),
        pytest.param(200, 30, True, id="it hangs"),
        pytest.param(422, 0, False, id="what it can never take is not kept"),
    ],
)
def test_a_service_that_does_not_take_it_costs_no_time(place: Place, status, seconds, stays) -> None:
    with somebody(place, status=status, seconds=seconds) as sent:
        began = time.monotonic()
        assert place.run("statusline", stdin=SAID).stdout.startswith("5h 24%")
        assert place.run("hook", stdin='{"hook_event_name": "StopFailure", "error": "overloaded"}').returncode == 0
        assert time.monotonic() - began < 2 * QUICK
        until(lambda: sent and "unsent" in kept(place))
        assert bool(kept(place)["unsent"]) is stays


def test_one_that_is_cancelled_leaves_at_once_and_nobodys_output_stays_open(place: Place) -> None:
    with somebody(place, seconds=30) as sent:
        process = subprocess.Popen(
            place.command("statusline", "--", "sleep", "60"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=place.home, env=place.variables(),
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        process.stdin.write(SAID.encode())
        process.stdin.close()
        until(lambda: sent)
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == b""  # ends although the report is still on its way
        assert process.wait(QUICK) == -signal.SIGTERM


def test_the_same_words_are_sent_once(place: Place) -> None:
    with somebody(place) as sent:
        place.run("statusline", stdin=SAID)
        until(lambda: kept(place).get("sent"))
        place.run("statusline", stdin=SAID)
        place.run("statusline", stdin=SAID.replace("23.5", "24.5"))
        until(lambda: len(sent) == 2)
    assert [one[0]["used_ratio"] for one in sent] == [0.235, 0.245]


@pytest.mark.parametrize(
    ("said", "then"),
    [
        pytest.param({"hook_event_name": "StopFailure", "error": "rate_limit",
                      "last_assistant_message": "You've hit your weekly limit · resets in 3 days"},
                     {"weekly": (1.0, "rejected", "hook")}, id="a limit that ended a turn"),
        pytest.param({"hook_event_name": "Stop", "last_assistant_message": "StopFailure is fine"}, {},
                     id="another hook"),
    ],
)  # fmt: skip
def test_a_hook_reports_and_prints_nothing(place: Place, service: ServiceProcess, said, then) -> None:
    done = place.run("hook", stdin=json.dumps(said))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if then:
        until(lambda: reported(service))
    assert reported(service) == then


def test_a_hook_that_gets_nonsense_ends_well(place: Place) -> None:
    done = place.run("hook", stdin="StopFailure {")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_headless_run_is_passed_on_byte_by_byte_and_heard(place: Place, service: ServiceProcess) -> None:
    lines = [
        b'{"type":"system","subtype":"init"}', json.dumps(EVENT).encode(), b"\xff\x00 not JSON", b"",
        b'{"type":"result","subtype":"success","is_error":false,"result":"rate limit"}',
    ]  # fmt: skip
    output = b"\r\n".join(lines)
    done = subprocess.run(
        place.command("observe", "-"), input=output, capture_output=True, timeout=60, check=False,
        cwd=place.home, env=place.variables(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, output, b"")
    assert reported(service) == {
        "five_hour": (0.93, "allowed_warning", "headless"),
        "weekly": (0.45, "", "headless"),
    }


def test_what_a_run_prints_comes_out_at_once(place: Place) -> None:
    with subprocess.Popen(
        place.command("observe", "--from-stream"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=place.home, env=place.variables(), bufsize=0,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for part in (b'{"half', b' a line"}\n', json.dumps(EVENT).encode()):
            process.stdin.write(part)
            assert process.stdout.read(len(part)) == part
        process.stdin.close()
        said = process.stderr.read().decode()
        assert process.wait(10) == 0
    assert "nothing at 127.0.0.1" in said
    assert "start the service" in said


def test_what_a_run_used_counts_where_no_transcript_says_it(place: Place, service: ServiceProcess) -> None:
    figures = {"inputTokens": 300, "outputTokens": 30, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    result = {"type": "result", "session_id": "S", "result": "done", "modelUsage": {"claude-opus-5": figures}}
    init = {"type": "system", "subtype": "init", "cwd": "/srv/app", "session_id": "S"}
    done = place.run("observe", "-", "--account", "max-1", stdin=f"{json.dumps(init)}\n{json.dumps(result)}\n")
    assert (done.returncode, done.stderr) == (0, "")

    def used() -> list[tuple[str, str, int, int]]:
        rows = service.get("/v1/usage/events")["events"]
        return [(one["labels"]["account"], one["labels"]["project"], one["input"], one["output"]) for one in rows]

    until(lambda: bool(used()))
    assert used() == [("max-1", "app", 300, 30)]


def test_a_throttle_in_a_run_keeps_new_starts_waiting(place: Place, service: ServiceProcess) -> None:
    retry = {"type": "system", "subtype": "api_retry", "error_status": 529, "retry_delay_ms": 60_000}
    place.run("observe", "-", stdin=json.dumps(retry))
    asked = {"key": "k", "labels": {"provider": "anthropic"}, "estimate": {"tokens": 10}}
    assert service.ask("POST", "/v1/tickets", asked).body["reason"] == "provider_throttled"
    refuses = "anthropic refuses requests of default since"
    until(lambda: refuses in place.run("status").stdout, what="the next tick's figures")
    assert "t1 " in place.run("queue").stdout
    explained = place.run("queue", "explain", "k").stdout
    assert "anthropic refuses requests for the moment, so one ticket tries after a pause" in explained
    is_open = {(("provider", "anthropic"),): 1.0}
    until(lambda: service.sample("quota_breaker_open", provider="anthropic") == is_open, what="the gauge")


def test_somebody_says_what_they_see(place: Place, service: ServiceProcess) -> None:
    done = place.run("observe", "claude/five_hour", "43%", "--resets", "in 2h10m", "--account", "max-1")
    head, row = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert head.split()[:4] == ["PROVIDER", "ACCOUNT", "WINDOW", "USED"]
    assert row.split()[:4] == ["anthropic", "max-1", "five_hour", "43%"]
    assert "live" in row
    assert reported(service) == {"five_hour": (0.43, "", "person")}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["claude/five_hour", "0.43"], 2, "write 0.43% or 43%", id="a share or a percentage"),
        pytest.param(["claude/five_hour"], 2, "say how much is used", id="nothing said"),
        pytest.param(["claude/five_hour", "43%", "--resets", "soon"], 2, "write 17:40", id="no time"),
        pytest.param(["-", "43%"], 2, "leave WINDOW, USED and --resets out", id="a stream and an amount"),
        pytest.param(["claude/five_hour", "43%"], 1, "start it with `quota-scheduler serve`", id="no service"),
    ],
)
def test_what_cannot_be_said_is_answered_with_the_way_out(place: Place, arguments, code, says) -> None:
    done = place.run("observe", *arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done
