"""The GitHub Action: its steps run as a runner runs them, against a service, with a command that tells its words."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.system.action_step import ACTION, STEPS, run_step
from tests.system.service_process import Place, ServiceProcess, free_port

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("action"))
    place.config("limits:\n  - {id: day, match: {provider: anthropic}, unit: tokens, amount: 1M, window: day}\n")
    return place


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[ServiceProcess]:
    with ServiceProcess(place) as service:
        yield service.ready()


def url_of(service: ServiceProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def test_a_command_runs_under_a_lease_with_its_words_as_they_are(place, service):
    status, printed, outputs = run_step(
        place, url_of(service), command="""agent -p 'two  words' "a;b" """, estimate="10k", labels="team=growth\n",
        run_id="41",
    )  # fmt: skip
    assert (status, outputs) == (0, {"outcome": "done", "exit-status": "0"}), printed
    assert '{"argv": ["-p", "two  words", "a;b"], "lease": true}' in printed
    with closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)) as database:
        (state,) = database.execute("SELECT state FROM tickets WHERE key = 'acme/web-41-1-tests'").fetchone()
    assert state == "closed"
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
