"""Exit statuses of ``preflight`` and ``status --check``, as scripts and cron rely on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.wrapper.statuses import LIMIT_HIT, NEVER, UNAVAILABLE, WAITS
from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system
LIMITS = """
limits:
  - {id: month, match: {team: growth}, unit: tokens, amount: 1M, window: month, holdback: 0}
  - {id: told, match: {team: growth}, unit: tokens, amount: 10, window: month, mode: warn}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for all; the order of the tests is the order of what it has counted."""
    home = tmp_path_factory.mktemp("statuses")
    place = Place(home)
    place.config(LIMITS)
    with ServiceProcess(place) as service:
        yield service.caught_up()


def status_of(service: ServiceProcess, *args: str, port: int = 0) -> tuple[int, str, str]:
    done = service.place.run("--listen", f"127.0.0.1:{port or service.port}", *args)
    return done.returncode, done.stdout, done.stderr


def spend(service: ServiceProcess, tokens: int) -> None:
    event = {"provider": "anthropic", "key": f"spent-{tokens}", "at": "2026-11-28T00:00:00Z", "model": "m",
             "output": tokens, "labels": {"team": "growth"}}  # fmt: skip
    event["at"] = service.get("/v1/limits")["at"]
    assert service.ask("POST", "/v1/usage", event).status == 200
    until(lambda: any(row["limit"] == "month" and row["used"] >= tokens for row in service.get("/v1/limits")["limits"]))


PREFLIGHT = ("preflight", "--label", "team=growth", "--estimate")


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        pytest.param((*PREFLIGHT, "10k"), 0, "may start now", id="it fits"),
        pytest.param((*PREFLIGHT, "2M"), NEVER, "FAIL", id="it never fits"),
        pytest.param((*PREFLIGHT, "10k", "--class", "urgent"), 1, "urgent", id="a class that nobody knows"),
        pytest.param((*PREFLIGHT, "10k", "--bogus"), 2, "No such option", id="an option that nobody knows"),
        pytest.param(("preflight", "--label", "team", "--estimate", "1"), 2, "NAME=VALUE", id="no label"),
        pytest.param(("status", "--check"), 0, "", id="all has room; what only warns counts for nothing"),
    ],
)
def test_while_there_is_room(service: ServiceProcess, args, status, sentence) -> None:
    if status == 0 and not sentence:
        spend(service, 20)
    code, out, err = status_of(service, *args)
    assert code == status, (out, err)
    assert sentence in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("args", "status"),
    [
        pytest.param((*PREFLIGHT, "10k"), WAITS, id="it would wait"),
        pytest.param(("status", "--check"), LIMIT_HIT, id="a limit is spent"),
    ],
)
def test_when_a_limit_is_spent(service: ServiceProcess, args, status) -> None:
    spend(service, 1_100_000)
    assert status_of(service, *args)[0] == status


@pytest.mark.parametrize(
    "args",
    [
        pytest.param((*PREFLIGHT, "10k"), id="preflight"),
        pytest.param(("status", "--check"), id="status --check"),
        pytest.param(("run", "--patience", "0", "--estimate", "10k", "--", "true"), id="run"),
    ],
)
def test_a_service_that_is_away_is_unavailable(service: ServiceProcess, args) -> None:
    code, out, err = status_of(service, *args, port=1)
    assert (code, out) == (UNAVAILABLE, "")
    assert len(err.splitlines()) <= 1


def test_the_page_says_every_status() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/exit-statuses.md").read_text()
    for number in (0, 2, UNAVAILABLE, WAITS, LIMIT_HIT, NEVER, 126, 127):
        assert f"\n| {number} |" in page
