"""The GitHub Action: its steps run as a runner runs them, against a service, with a command that tells its words."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from quota_scheduler.client import Client
from tests.system.service_process import REPOSITORY, Place, ServiceProcess, free_port

pytestmark = pytest.mark.system
ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
AGENT = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "lease": bool(os.environ.get("QUOTA_LEASE"))}))
sys.exit(int(os.environ.get("AGENT_EXIT", "0")))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.config("limits:\n  - {id: day, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day}\n")
    return place


@pytest.fixture
def service(place: Place) -> Iterator[ServiceProcess]:
    with ServiceProcess(place) as service:
        yield service.ready()


def run_step(place: Place, url: str, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """The step ``run`` as a runner does it: its exit status, what it printed, its outputs."""
    tools = place.home / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "quota-scheduler").write_text(f'#!/bin/sh\nexec {sys.executable} -m quota_scheduler "$@"\n')
    (tools / "agent").write_text(f"#!{sys.executable}\n{AGENT}")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    given = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()} | {"url": url, "issue": "0"}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    output = place.home / "output"
    output.write_text("")
    environ = filled(STEPS["run"]["env"], given) | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(place.home),
        "GITHUB_REPOSITORY": "acme/web",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "tests",
        "GITHUB_WORKFLOW": "nightly $(touch never)",
        "GITHUB_OUTPUT": str(output),
        "PYTHONPATH": str(REPOSITORY),
        "AGENT_EXIT": inputs.get("agent_exit", "0"),
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["run"]["run"]],
        env=environ, cwd=place.home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, outputs


def filled(env: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a step with its inputs in them."""
    return {name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], text) for name, text in env.items()}


def url_of(service: ServiceProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def test_a_command_runs_under_a_lease_with_its_words_as_they_are(place, service):
    status, printed, outputs = run_step(
        place, url_of(service), command="""agent -p 'two  words' "a;b" """, estimate="10k", labels="team=growth\n"
    )
    assert (status, outputs) == (0, {"outcome": "done", "exit-status": "0"}), printed
    assert '{"argv": ["-p", "two  words", "a;b"], "lease": true}' in printed
    ticket = Client(url_of(service)).transport.ask("GET", "/v1/tickets/t1?claim=no")
    assert (ticket["key"], ticket["state"]) == ("acme/web-1-1-tests", "closed")
    assert not (place.home / "never").exists()


@pytest.mark.parametrize(
    ("inputs", "status", "outcome"),
    [
        pytest.param({"agent_exit": "3", "estimate": "10k"}, 3, "failed", id="a command that fails"),
        pytest.param({"estimate": "5M"}, 77, "refused", id="one that never fits"),
        pytest.param({}, 2, "failed", id="nobody says how much it takes"),
    ],
)
def test_every_end_has_its_outcome(place, service, inputs, status, outcome):
    ended, printed, outputs = run_step(place, url_of(service), command="agent", **inputs)
    assert (ended, outputs) == (status, {"outcome": outcome, "exit-status": str(status)}), printed


def test_a_service_that_is_away_is_no_failed_run(place):
    url = f"http://127.0.0.1:{free_port()}"
    ended, printed, outputs = run_step(place, url, command="agent", estimate="10k")
    assert (ended, outputs["outcome"]) == (69, "unavailable"), printed
    ended, printed, outputs = run_step(place, url, command="agent", estimate="10k", fail="open")
    assert (ended, outputs["outcome"]) == (0, "done"), printed


def test_the_issue_of_the_event_is_named(place, service):
    ended, printed, _ = run_step(place, url_of(service), command="agent", estimate="10k", issue="12")
    assert ended == 0, printed
    with closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT repo, issue FROM comments").fetchall() == [("acme/web", 12)]


def test_no_input_is_text_of_a_script():
    assert [step["id"] for step in STEPS.values() if "${{" in step["run"]] == []


def test_every_input_is_used_and_every_used_one_is_there():
    used = set(re.findall(r"inputs\.([a-z-]+)", str(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
