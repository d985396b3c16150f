"""``run`` of an agent whose output tells nothing, or that ran without a service: its own file does, and counts once."""

import sys
from pathlib import Path

import pytest

from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
CLAUDE = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, time
session = sys.argv[sys.argv.index("--session-id") + 1]
folder = pathlib.Path(os.environ["HOME"], ".claude/projects/-srv-app")
folder.mkdir(parents=True, exist_ok=True)
at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
for number in (1, 2):
    usage = {{"input_tokens": 400 * number, "output_tokens": 50}}
    own = f"{{session[:8]}}{{number}}"
    message = {{"id": f"msg_{{own}}", "model": "claude-sonnet-5", "stop_reason": "end_turn", "usage": usage}}
    line = {{"type": "assistant", "sessionId": session, "requestId": f"req_{{own}}", "timestamp": at, "cwd": "/srv/app",
            "message": message}}
    with (folder / f"{{session}}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
print("Fixed it.", flush=True)
if "cut" in sys.argv:
    os.kill(os.getpid(), signal.SIGTERM)
"""
USED = 400 + 800 + 2 * 50


@pytest.fixture
def port(place: Place) -> int:
    """Where the service of this place listens, with an agent in it."""
    agent = place.home / "claude"
    agent.write_text(CLAUDE)
    agent.chmod(0o755)
    port = free_port()
    place.environ["QUOTA_LISTEN"] = f"127.0.0.1:{port}"
    return port


def config(place: Place, *, reads: bool) -> None:
    """A month, and whether the service reads what agents write."""
    reading = f"sources: {{claude_code: {{enabled: {str(reads).lower()}}}}}\n"
    place.config(f"limits:\n  - {{id: month, unit: tokens, amount: 1M, window: month}}\n{reading}")


def work(place: Place, *args: str) -> tuple[int, str]:
    labels = ("--label", "workflow=w", "--label", "team=docs")
    done = place.run("run", "--estimate", "5k", "--patience", "0", *labels, *args)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def counted(service: ServiceProcess) -> dict[tuple[str, str], tuple[int, int]]:
    rows = service.get("/v1/usage/summary?days=1&by=workflow,team")["usage"]
    return {(row["workflow"], row["team"]): (row["tokens"], row["requests"]) for row in rows}


@pytest.mark.parametrize("reads", [True, False], ids=["the service reads it too", "nobody else reads it"])
@pytest.mark.parametrize("end", [pytest.param("whole", id="it ended well"), pytest.param("cut", id="it was cut")])
def test_a_run_that_prints_no_usage_counts_by_its_transcript(place: Place, port: int, reads: bool, end: str) -> None:
    config(place, reads=reads)
    with ServiceProcess(place, port=port) as service:
        service.ready()
        assert work(place, "--", "./claude", "-p", end) == ({"whole": 0, "cut": 143}[end], "Fixed it.\n")
        until(lambda: not reads or service.recorded(), what="that the service has read it")
        assert counted(service)[("w", "docs")][0] == USED
        assert sum(tokens for tokens, _ in counted(service).values()) == USED


@pytest.mark.parametrize("reads", [True, False], ids=["a service that reads it too", "nobody else reads it"])
def test_a_run_without_a_service_is_told_as_its_transcript_and_counts_once(
    place: Place, port: int, reads: bool
) -> None:
    config(place, reads=reads)
    assert work(place, "--fail", "open", "--", "./claude", "-p", "whole") == (0, "Fixed it.\n")
    with ServiceProcess(place, port=port) as service:
        service.caught_up()
        assert work(place, "--", "true")[0] == 0
        assert sum(tokens for tokens, _ in counted(service).values()) == USED
        if not reads:
            assert counted(service) == {("w", "docs"): (USED, 2)}
        assert place.run("run", "--estimate", "5k", "--", "true").returncode == 0
        assert sum(tokens for tokens, _ in counted(service).values()) == USED
    assert not list(Path(place.home, ".local/state/quota-scheduler").glob("client-spool-*"))
