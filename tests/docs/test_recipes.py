"""Recipes of `docs/how-to`, run as they stand: a page is right when what it says to do does what it says."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml

from quota_scheduler.client import Client
from quota_scheduler.core.tickets.ticket import Reason
from tests.docs.recipes import HOW_TO, Machine, block, blocks, plain
from tests.system.action_step import RUNNER, run_step

pytestmark = pytest.mark.system


def limit_of(workflow: str) -> str:
    """The configuration of pages that need none of their own: a million tokens a day for the work they are about."""
    return (
        f"limits:\n  - {{id: {workflow}-daily, match: {{workflow: {workflow}}}, unit: tokens, amount: 1M, window: day, "
        "holdback: 0}\n"
    )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("recipes"))
    yield machine
    machine.end()


def client_of(machine: Machine) -> Client:
    return Client(f"http://127.0.0.1:{machine.port}", spool=machine.place.home / "spool.jsonl")


RUN = "quota-scheduler run"
AWAY = "QUOTA_URL=http://127.0.0.1:9 quota-scheduler run --patience 0s"


@pytest.mark.parametrize(
    ("taken", "program", "agent_exit", "status", "said"),
    [
        pytest.param("700k", RUN, 0, 0, "", id="a night with room is silent"),
        pytest.param("900k", RUN, 0, 0, "", id="a night without room is silent too"),
        pytest.param("700k", RUN, 3, 3, "the agent failed\n", id="an agent that fails is a mail"),
        pytest.param("700k", AWAY, 0, 0, "the quota service is away: nothing ran\n", id="so is a service that is away"),
    ],
)
def test_cron(machine, request, taken, program, agent_exit, status, said):
    name = request.node.callspec.id.replace(" ", "-")
    machine.takes(limit_of(name))
    schedule = block("run-from-cron.md", "crontab").splitlines()[1]
    assert re.match(r"0 2 \* \* \*  \S", schedule)
    assert "%" not in schedule  # it would end the line
    script = (
        block("run-from-cron.md", "sh").replace("5h", "0s").replace("=docs", f"={name}").replace("docs-", f"{name}-")
    )
    machine.tool("nightly-docs", script.replace(RUN, program))
    with client_of(machine).lease(workflow=name, tokens=taken):
        ended = machine.sh(schedule.split(None, 5)[5], AGENT_EXIT=str(agent_exit))
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, said, "")
    if taken == "900k":
        log = (machine.place.home / "docs.log").read_text().replace(name, "docs")
        assert plain(log) == plain(block("run-from-cron.md", "text"))


def test_a_systemd_timer(machine):
    machine.takes(limit_of("docs"))
    units = machine.place.home / ".config/systemd/user"
    units.mkdir(parents=True)
    (machine.place.home / "web").mkdir()
    page = (HOW_TO / "run-from-a-systemd-timer.md").read_text(encoding="utf-8")
    names = re.findall(r"^`~/.config/systemd/user/(\S+)`:$", page, re.MULTILINE)
    texts = [part.text for part in blocks("run-from-a-systemd-timer.md", "ini")]
    for name, text in zip(names, texts, strict=True):
        (units / name).write_text(text)
    if shutil.which("systemd-analyze"):
        command = f"XDG_RUNTIME_DIR=$HOME systemd-analyze --user verify {' '.join(f'{units}/{name}' for name in names)}"
        verified = machine.sh(command)
        assert (verified.returncode, verified.stderr) == (0, "")
    starts = re.search(r"^ExecStart=(.*)$", texts[0], re.MULTILINE)
    assert starts
    ended = machine.sh(starts[1].replace("%h", "$HOME"), INVOCATION_ID="5e1f")
    assert (ended.returncode, json.loads(ended.stdout)["result"]) == (0, "Done."), ended.stderr
    held = "QUOTA_URL=http://127.0.0.1:9 "
    away = machine.sh(held + starts[1].replace("%h", "$HOME").replace(" --key", " --patience 0s --key"))
    allowed = re.search(r"^SuccessExitStatus=(.*)$", texts[0], re.MULTILINE)
    assert allowed
    assert str(away.returncode) in allowed[1].split()


@pytest.mark.parametrize(
    ("taken", "status"),
    [
        pytest.param("700k", 0, id="a sub-agent fits"),
        pytest.param("800k", 2, id="one that does not is refused, and the agent is told"),
    ],
)
def test_a_hook_before_sub_agents(machine, taken, status):
    page = "ask-before-sub-agents.md"
    machine.takes(limit_of("sub-agents"))
    folder = machine.place.home / ".claude"
    folder.mkdir(exist_ok=True)
    (folder / "ask-the-quota.sh").write_text(block(page, "sh"))
    (folder / "ask-the-quota.sh").chmod(0o755)
    (entry,) = json.loads(block(page, "json"))["hooks"]["PreToolUse"]
    assert re.fullmatch(entry["matcher"], "Agent")
    with client_of(machine).lease(workflow="sub-agents", tokens=taken):
        ended = machine.sh(entry["hooks"][0]["command"], stdin='{"tool_name": "Agent"}')
    assert (ended.returncode, ended.stdout) == (status, "")
    assert plain(ended.stderr) == (plain(block(page, "text")) if status else "")


def test_a_hook_that_cannot_ask_holds_nobody_up(machine):
    ended = machine.sh(block("ask-before-sub-agents.md", "sh"), QUOTA_LISTEN="127.0.0.1:9")
    assert ended.returncode == 0


def test_a_budget_for_each_team(machine):
    page = "give-each-team-a-budget.md"
    machine.takes(block(page, "yaml"))
    for session in blocks(page, "console"):
        machine.plays(session)
    assert machine.python(block(page, "python")).stdout == block(page, "text")


def test_a_weekly_subscription(machine):
    page = "share-a-weekly-subscription.md"
    machine.takes(block(page, "yaml"))
    for session in blocks(page, "console"):
        machine.plays(session)


def test_a_gate_before_a_job(machine):
    page = "gate-a-ci-job.md"
    machine.takes(limit_of("review"))
    asks, works = yaml.safe_load(block(page, "yaml"))["jobs"]["review"]["steps"]
    said = {}
    url = f"http://127.0.0.1:{machine.port}"
    for room, taken, where in (("room", 10, url), ("no room", "900k", url), ("away", 10, "http://127.0.0.1:9")):
        with client_of(machine).lease(workflow="review", tokens=taken):
            output = machine.place.home / "output"
            output.write_text("")
            # as on a runner elsewhere: no configuration names the service
            elsewhere = {"XDG_CONFIG_HOME": str(machine.place.home / "none"), "QUOTA_URL": where}
            asked = machine.sh(asks["run"], GITHUB_OUTPUT=str(output), **elsewhere)
            assert asked.returncode == 0, asked
            said[room] = output.read_text()
    assert said == {"room": "go=true\n", "no room": "go=false\n", "away": "go=false\n"}
    assert works["if"] == "steps.quota.outputs.go == 'true'"
    assert machine.sh(works["run"]).returncode == 0
    machine.plays(blocks(page, "console")[0])


def test_a_job_in_github_actions(machine):
    page = "run-in-github-actions.md"
    machine.takes(limit_of("docs"))
    job, afterwards = (yaml.safe_load(part.text) for part in blocks(page, "yaml"))
    (step,) = (one for one in job["jobs"]["tests"]["steps"] if "quota-scheduler@" in one.get("uses", ""))
    given = {**step["with"], "url": f"http://127.0.0.1:{machine.port}", "token": ""}
    status, printed, outputs = run_step(machine.place, **{name.replace("-", "_"): text for name, text in given.items()})
    assert (status, outputs) == (0, {"outcome": "done", "exit-status": "0"}), printed
    assert '"result": "Done."' in printed
    after = subprocess.run([*RUNNER, afterwards[0]["run"]], capture_output=True, text=True, check=True)
    assert after.stdout == "goes on after the reset\n"


def test_why_work_waits(machine):
    page = "why-does-my-work-wait.md"
    machine.takes(limit_of("nightly"))
    client = client_of(machine)
    with ExitStack() as stack:
        stack.enter_context(client.lease("nightly-41", workflow="nightly", tokens="700k"))
        ticket = {"key": "nightly-42", "labels": {"provider": "anthropic", "workflow": "nightly"},
                  "estimate": {"tokens": "600k"}}  # fmt: skip
        waiting = client.transport.ask("POST", "/v1/tickets", ticket)
        stack.callback(client.transport.ask, "DELETE", f"/v1/tickets/{waiting['id']}")
        machine.plays(blocks(page, "console")[0])


def test_every_reason_is_explained():
    page = (HOW_TO / "why-does-my-work-wait.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `") and "`reason`" not in line]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(Reason) - {Reason.FITS}
