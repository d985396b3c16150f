"""Plans against the service as a process: it is killed in the middle, the plan is, the week is used up."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.system.service_process import REPOSITORY, Place, ServiceProcess, until

AGENT = [sys.executable, str(Path(__file__).parent / "printing_agent.py")]
LIMITS = """
limits:
  - {id: weekly, match: {provider: anthropic}, unit: usd, amount: 10, window: week, holdback: 0}
"""
SCRIPT = """#!/bin/sh
echo "$1 $LEVEL" >> done.txt
while [ -e "hold-$1" ]; do sleep 0.05; done
exit "${2:-0}"
"""
PLAN = """
meta:
  environment: {LEVEL: info}
tasks:
  - {id: first, command: ./work one, estimate: 10k}
  - id: second
    depends_on: first
    work_items:
      - {command: ./work two, estimate: 10k, environment: {LEVEL: debug}}
      - {command: ./work three, estimate: 10k}
"""


@pytest.fixture
def lines(place: Place) -> Any:
    """What the work has written so far."""
    place.config(LIMITS)
    work = place.home / "work"
    work.write_text(SCRIPT)
    work.chmod(0o755)
    done = place.home / "done.txt"
    return lambda: done.read_text().splitlines() if done.exists() else []


def serving(place: Place, port: int = 0) -> ServiceProcess:
    return ServiceProcess(place, "--config", str(place.home / "quota.yaml"), port=port)


def plan_command(place: Place, service: ServiceProcess, *args: str) -> list[str]:
    config = str(place.home / "quota.yaml")
    return place.command("--config", config, "--listen", f"127.0.0.1:{service.port}", "plan", *args)


def plan(place: Place, service: ServiceProcess, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        plan_command(place, service, *args), capture_output=True, text=True, timeout=120, check=False,
        cwd=place.home, env=place.variables(),
    )  # fmt: skip


def start(place: Place, service: ServiceProcess, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        plan_command(place, service, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=place.home, env=place.variables(),
    )  # fmt: skip


def report_of(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(answer.stdout)


def states(report: dict[str, Any]) -> dict[str, str]:
    return {row["item"]: row["state"] for row in report["items"]}


def spend(service: ServiceProcess, dollars: float) -> None:
    event = {"provider": "anthropic", "key": f"spent-{dollars}", "at": _now(), "model": "m", "input": 1, "requests": 1,
             "cost_usd": dollars}  # fmt: skip
    assert service.ask("POST", "/v1/usage", event).status in (200, 201)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def test_a_plan_runs_in_order_each_command_with_its_environment(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    with serving(place) as service:
        service.ready()
        checked = plan(place, service, "check", str(file))
        assert (checked.returncode, checked.stdout.splitlines()[0][:26]) == (0, "2 tasks (3 work items), es")
        ran = plan(place, service, "run", str(file), "--json", "--report", "report.json")
        counts = service.get("/v1/decisions?by=class")["totals"]
    assert ran.returncode == 0, ran.stderr
    assert lines() == ["one info", "two debug", "three info"]
    report = report_of(ran)
    assert (report["state"], set(states(report).values())) == ("completed", {"done"})
    assert json.loads((place.home / "report.json").read_text()) == report
    assert counts["admitted"] == 3


def test_the_service_is_killed_and_restarted_in_the_middle(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    (place.home / "hold-two").touch()
    with serving(place) as service:
        service.ready()
        running = start(place, service, "run", str(file), "--json")
        until(lambda: "two debug" in lines(), what="the second work item")
        service.kill()
        (place.home / "hold-two").unlink()
        with serving(place, service.port) as again:
            again.ready()
            out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert lines() == ["one info", "two debug", "three info"]
    assert set(states(json.loads(out)).values()) == {"done"}


@pytest.mark.parametrize("ends", [pytest.param(True, id="it has ended"), pytest.param(False, id="it still runs")])
def test_a_killed_plan_goes_on_and_runs_nothing_twice(place: Place, lines: Any, ends: bool) -> None:
    file, hold = place.config(PLAN, "nightly.yaml"), place.home / "hold-two"
    hold.touch()
    with serving(place) as service:
        service.ready()
        running = start(place, service, "run", str(file))
        until(lambda: "two debug" in lines(), what="the second work item")
        running.kill()
        running.wait()
        if ends:
            hold.unlink()
            until((place.home / "nightly.yaml.state.json.exit").exists, what="the exit status it leaves")
            again = plan(place, service, "run", str(file), "--json")
            assert again.returncode == 0, again.stderr
        else:
            second = start(place, service, "run", str(file), "--json")
            assert second.stderr is not None
            said = [second.stderr.readline() for _ in range(2)]
            assert "second/1 still runs as process" in said[1]
            hold.unlink()
            second.communicate(timeout=120)
            assert second.returncode == 0
    assert lines() == ["one info", "two debug", "three info"]


def test_a_used_week_pauses_the_plan_and_it_goes_on_when_there_is_more(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    (place.home / "hold-one").touch()
    with serving(place) as service:
        service.ready()
        running = start(place, service, "run", str(file), "--once", "--json", "--max-budget-pct", "90")
        until(lambda: lines() == ["one info"], what="the first work item")
        spend(service, 9.1)
        (place.home / "hold-one").unlink()
        out, err = running.communicate(timeout=60)
        report = json.loads(out)
        assert running.returncode == 75, err
        assert (report["state"], report["reason"]) == (
            "paused_quota",
            "Stopping: weekly quota usage at 91 % (configured max: 90 %)",
        )
        assert states(report) == {"first": "done", "second/1": "pending", "second/2": "pending"}
        assert "Stopping: weekly quota usage at 91 % (configured max: 90 %)" in err
        again = plan(place, service, "run", str(file), "--once", "--json", "--max-budget-pct", "99")
        assert again.returncode == 0, again.stderr
    assert lines() == ["one info", "two debug", "three info"]


def test_a_limit_that_was_first_used_since_the_last_tick_stops_a_plan(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    place.config(LIMITS.replace("match:", "per: team, match:"))
    place.environ["QUOTA_TICK_SECONDS"] = "60"
    with serving(place) as service:
        service.ready()
        spend(service, 9.5)
        assert service.get("/v1/limits")["limits"] == []
        ran = plan(place, service, "run", str(file), "--once")
    assert (ran.returncode, lines()) == (75, [])
    assert "Stopping: weekly quota usage at 95 % (configured max: 90 %)" in ran.stderr


def test_without_once_a_plan_waits_until_there_is_room(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    with serving(place) as service:
        service.ready()
        spend(service, 9.5)
        until(lambda: service.get("/v1/limits")["limits"], what="the first reading of the limit")
        running = start(place, service, "run", str(file))
        assert running.stderr is not None
        said: list[str] = []
        while not any("Waiting for the next cycle" in line for line in said):
            said.append(running.stderr.readline())
        assert lines() == []
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)
        assert running.returncode == 130
        told = plan(place, service, "report", str(file), "--json")
    assert report_of(told)["state"] == "interrupted"


def test_failed_and_skipped_are_told_apart(place: Place, lines: Any) -> None:
    text = PLAN.replace("./work two", "./work two 3") + "  - {id: other, command: ./work other, estimate: 10k}\n"
    text += "  - {id: huge, command: ./work huge, estimate: 900M}\n"
    file = place.config(text, "nightly.yaml")
    with serving(place) as service:
        service.ready()
        ran = plan(place, service, "run", str(file), "--json", "--once")
    assert ran.returncode == 1, ran.stderr
    report = report_of(ran)
    assert states(report) == {
        "first": "done", "second/1": "failed", "second/2": "skipped", "other": "done", "huge": "skipped",
    }  # fmt: skip
    assert report["reason"] == "second/1 ended with status 3"
    assert lines() == ["one info", "two debug", "other info"]


def test_a_service_that_is_away_is_no_failure(place: Place, lines: Any) -> None:
    file = place.config(PLAN, "nightly.yaml")
    with serving(place) as service:
        service.ready()
        service.kill()
        checked = plan(place, service, "check", str(file))
    assert checked.returncode == 69
    assert "the service is away" in checked.stderr
    assert lines() == []


def test_the_page_about_plans_does_what_it_says(place: Place, lines: Any) -> None:
    """Its plan, its commands and what it prints, with an agent that prints what agents print."""
    page = (REPOSITORY / "docs/how-to/run-a-plan.md").read_text()
    blocks = re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)
    text = next(block for kind, block in blocks if kind == "yaml")
    commands = next(block for kind, block in blocks if kind == "sh").splitlines()
    agent = place.home / "claude"
    says = 'while [ "$1" != -p ]; do shift; done; echo $2 >> done.txt'
    agent.write_text(f"#!/bin/sh\n{says}\nexec {shlex.join(AGENT)} s-$$ 900 100 --end json\n")
    agent.chmod(0o755)
    place.environ["PATH"] = f"{place.home}:{os.environ['PATH']}"
    (place.home / "Makefile").write_text("test:\n\techo make $$LEVEL >> done.txt\n")
    place.config(text, "nightly.yaml")
    with serving(place) as service:
        service.ready()
        answers = [plan(place, service, *shlex.split(command)[2:]) for command in commands]
        told = plan(place, service, "report", "nightly.yaml", "--json")
    assert [command.split()[:3] for command in commands] == [
        ["quota-scheduler", "plan", verb] for verb in ("check", "run")
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers[-1].stderr
    assert re.match(r"2 tasks \(3 work items\), estimated \$[\d.]+ ± [\d.]+, remaining \$[\d.]+\n", answers[0].stdout)
    assert set(states(report_of(told)).values()) == {"done"}
    assert lines() == ["Design the parser", "Write the parser", "Test the parser", "make debug"]


def test_a_wrong_plan_starts_nothing(place: Place, lines: Any) -> None:
    file = place.config(PLAN.replace("./work three", "./no-such-program"), "nightly.yaml")
    with serving(place) as service:
        service.ready()
        ran = plan(place, service, "run", str(file))
    assert ran.returncode == 2
    assert "there is no command ./no-such-program" in ran.stderr
    assert (lines(), sorted(Path(place.home).glob("*.state.json"))) == ([], [])
