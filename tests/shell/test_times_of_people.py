"""Times that people type and read: the configuration's zone in, the zone named out, and ISO for programs alone."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.shell.edge import ticket
from tests.shell.serving import Serving, serving_in
from tests.shell.test_cli import LIMITS, Run, folder, run

__all__ = ["folder", "run"]
BERLIN = ZoneInfo("Europe/Berlin")
AFTER = {"observe": ["observe"], "limits": ["limits", "show", "daily"], "silence": ["silence", "list"]}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service whose people live in Berlin, on a machine that keeps UTC."""
    with serving_in(tmp_path_factory.mktemp("there"), LIMITS) as serving:
        serving.service.read()
        serving.service.tick()
        yield serving


@pytest.fixture
def told(folder: Path, there: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "quota.yaml").write_text(LIMITS)
    monkeypatch.setenv("QUOTA_LISTEN", f"127.0.0.1:{there.port}")
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("args", "key"),
    [
        pytest.param(["observe", "claude/weekly", "43%", "--resets", "mon 09:00"], "resets_at", id="observe"),
        pytest.param(["limits", "set", "daily", "amount=900", "--until", "mon 09:00"], "until", id="limits set"),
        pytest.param(["silence", "add", "rule=usage_high", "--comment", "x", "--until", "mon 09:00"], "ends_at",
                     id="silence add"),
    ],
)  # fmt: skip
def test_a_clock_is_that_of_the_configurations_zone(run: Run, args: list[str], key: str) -> None:
    said = run(*args, "--json")
    assert said.code == 0, said
    text = run(*AFTER[args[0]], "--json").out
    instants = re.findall(rf'"{key}": "([^"]+)"', text)
    assert instants, text
    at = datetime.fromisoformat(instants[-1]).astimezone(BERLIN)
    assert f"{at:%a %H:%M}" == "Mon 09:00"


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["run", "--estimate", "1", "--deadline", "soonish", "--", "true"], id="run"),
        pytest.param(["limits", "set", "daily", "amount=900", "--until", "soonish"], id="limits set"),
        pytest.param(["silence", "add", "rule=usage_high", "--comment", "x", "--until", "soonish"], id="silence add"),
        pytest.param(["observe", "claude/five_hour", "43%", "--resets", "soonish"], id="observe"),
    ],
)
def test_what_is_no_time_is_told_how_to_write_one(run: Run, args: list[str]) -> None:
    said = run(*args)
    assert (said.code, said.out, "'soonish' is no time: write 17:40" in said.err) == (2, "", True), said


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["status"], id="status"),
        pytest.param(["audit"], id="audit"),
        pytest.param(["queue"], id="queue"),
        pytest.param(["queue", "explain", "held"], id="queue explain"),
        pytest.param(["limits", "show", "daily"], id="limits show"),
        pytest.param(["observe"], id="observe"),
        pytest.param(["silence", "list"], id="silence list"),
    ],
)
def test_people_read_the_zone_and_programs_iso(run: Run, there: Serving, args: list[str]) -> None:
    for key, tokens in (("runs", 800), ("held", 400)):
        there.post("/v1/tickets", json.dumps(ticket(key, tokens)).encode())
    run("observe", "claude/weekly", "43%", "--resets", "mon 09:00")
    run("limits", "set", "daily", "amount=900", "warn_at=80%", "--until", "mon 09:00")
    run("silence", "add", "rule=usage_high", "--comment", "x", "--until", "mon 09:00")
    run("hold", "--reason", "test")
    people, programs = run(*args), run(*args, "--json")
    assert (people.code, programs.code) == (0, 0), (people, programs)
    assert (ISO.search(people.out), "Europe/Berlin" in people.out, "{'" in people.out) == (None, True, False), people
    assert ISO.search(programs.out), programs
