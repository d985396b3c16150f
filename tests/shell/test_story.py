"""One ticket's life, read from the log by its id."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from tests.shell.edge import Edge, start, ticket

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
  - {id: cap, per: run, unit: tokens, amount: 5000, window: run}
"""


@pytest.fixture
def edge(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="quota_scheduler.story")
    edge = start(tmp_path, LIMITS)
    yield edge
    edge.service.stop()


def story(caplog: pytest.LogCaptureFixture, number: str) -> list[str]:
    """What the log says of a ticket, without what is the same in each line."""
    lines = [record.getMessage() for record in caplog.records if f" ticket={number} " in record.getMessage()]
    return [line.removeprefix("ticket.").replace(f" ticket={number}", "") for line in lines]


def release(edge: Edge, lease: dict, status: str, tokens: int) -> None:
    body = {"fence": lease["fence"], "status": status, "usage": {"output": tokens}}
    edge.post(f"/v1/leases/{lease['id']}/release", body)


def test_one_that_waits_for_another_and_runs(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    first = edge.submit("first", 900)
    second = edge.submit("second", 500, **{"class": "high"})
    edge.get(f"/v1/tickets/{second['id']}")
    edge.clock.advance(timedelta(minutes=10))
    release(edge, first["lease"], "completed", 100)
    claimed = edge.get(f"/v1/tickets/{second['id']}")
    edge.clock.advance(timedelta(seconds=30))
    edge.post(f"/v1/leases/{claimed['lease']['id']}/renew", {"fence": claimed["lease"]["fence"]})
    release(edge, claimed["lease"], "failed", 70)
    labels = "provider=anthropic team=-"
    assert story(caplog, second["id"]) == [
        f"waits key=second class=high {labels} reason=no_headroom limit=daily until=2026-11-23T00:00:00Z",
        "offered key=second offer=1 until=2026-11-22T09:12:00Z",
        f"started key=second class=high {labels} fence=2 waited_seconds=600.0",
        "ended key=second outcome=failed reason=fits fence=2 tokens=70 ran_seconds=30.0",
    ]
    assert story(caplog, first["id"]) == [
        f"started key=first class=normal {labels} fence=1 waited_seconds=0.0",
        "ended key=first outcome=completed reason=fits fence=1 tokens=100 ran_seconds=600.0",
    ]


def test_one_that_is_withdrawn(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    edge.submit("first", 900)
    second = edge.submit("second", 500)
    edge.ask("DELETE", f"/v1/tickets/{second['id']}")
    assert [line.split()[0] for line in story(caplog, second["id"])] == ["waits", "ended"]
    assert "outcome=withdrawn" in story(caplog, second["id"])[1]


def test_one_that_can_never_start(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    refused = edge.post("/v1/tickets", ticket("large", 6000))
    assert story(caplog, refused["id"]) == [
        "ended key=large outcome=rejected reason=run_cap fence=- tokens=0 ran_seconds=0.0"
    ]


def test_one_whose_runner_falls_silent(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    lost = edge.submit("lost", 100, ttl="5m")
    for _ in range(76):  # a step of more than five seconds is taken for a machine that slept
        edge.clock.advance(timedelta(seconds=4))
        edge.get(f"/v1/tickets/{lost['id']}")
    assert [line.split()[0] for line in story(caplog, lost["id"])] == ["started", "ended"]
    assert "outcome=expired" in story(caplog, lost["id"])[1]


def test_the_same_key_again_and_looks_are_no_events(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    number = edge.submit("once", 100)["id"]
    for _ in range(3):
        assert edge.submit("once", 100)["id"] == number
        edge.get(f"/v1/tickets/{number}")
    assert [line.split()[0] for line in story(caplog, number)] == ["started"]
