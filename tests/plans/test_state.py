"""The state of a plan: whole or not there, for one process at a time, and honest about commands that outlived it."""

import os
import subprocess
from pathlib import Path

import pytest

from quota_scheduler.plans.state import (
    DONE,
    ItemState,
    PlanState,
    StateFile,
    StateUnusable,
    birth_of,
    state_path,
    still_runs,
)

STATE = PlanState("r1", reason="why", items={"a": ItemState(DONE, exit_status=0, attempt=2), "b": ItemState()})


def test_what_is_saved_is_loaded(tmp_path):
    file = StateFile(tmp_path / "s.json")
    assert file.load() is None
    file.save(STATE)
    assert file.load() == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"version": 1, "run": "x", "items": {"a"', id="half a file"),
        pytest.param('{"version": 9, "run": "x", "items": {}}', id="another version"),
        pytest.param('{"version": 1, "run": "x", "items": {}, "colour": "red"}', id="a field nobody knows"),
        pytest.param("[]", id="a list"),
    ],
)
def test_a_state_that_cannot_be_used_says_the_way_out(tmp_path, text):
    file = StateFile(tmp_path / "s.json")
    file.path.write_text(text)
    with pytest.raises(StateUnusable, match="begin the plan anew with --restart"):
        file.load()


def test_two_runs_of_one_plan_are_one_too_many(tmp_path):
    first, second = StateFile(tmp_path / "s.json"), StateFile(tmp_path / "s.json")
    refused = pytest.raises(StateUnusable, match=f"process {os.getpid()} runs this plan already")
    with first.locked(), refused, second.locked():
        pass
    with second.locked():
        pass


def test_a_command_is_known_by_its_number_and_its_birth():
    with subprocess.Popen(["sleep", "60"]) as process:
        running = ItemState(process=process.pid, born=birth_of(process.pid))
        other = ItemState(process=process.pid, born=1)
        assert [still_runs(running), still_runs(other), still_runs(ItemState())] == [True, False, False]
        process.kill()
    assert not still_runs(running)


def test_a_folder_that_cannot_be_written_sends_the_state_to_the_users_own(tmp_path, monkeypatch):
    plan = tmp_path / "nightly.yaml"
    assert state_path(plan, {}) == tmp_path / "nightly.yaml.state.json"
    monkeypatch.setattr(os, "access", lambda *_: False)
    away = state_path(plan, {"XDG_STATE_HOME": str(tmp_path / "state")})
    assert away.parent == tmp_path / "state/quota-scheduler/plans"
    assert away.parent.is_dir()
    assert away != state_path(Path("/elsewhere/nightly.yaml"), {"XDG_STATE_HOME": str(tmp_path / "state")})
