"""Everything is held: said everywhere, with author and reason, and asked about it nobody hears that work may start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import LIMITS, Edge, event, start, ticket

SINCE = "2026-11-22T09:00:00Z"
SENTENCE = f"everything is held by local since {SINCE}: provider incident"
HOLD = {"reason": "provider incident", "who": "local", "since": SINCE}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path)
    edge.post("/v1/hold", {"reason": "provider incident"})
    yield edge
    edge.service.stop()


def test_M3_whoever_looks_sees_the_hold(edge: Edge) -> None:
    assert edge.get("/v1/limits")["hold"] == HOLD
    assert edge.get("/v1/queue")["hold"] == HOLD
    assert SENTENCE in edge.get("/readyz")["notes"]
    assert "quota_scheduler_held 1.0" in edge.get("/metrics")


def test_M3_preflight_says_the_same_as_the_ticket_would(edge: Edge) -> None:
    asked = edge.post("/v1/preflight", ticket("a"))
    submitted = edge.post("/v1/tickets", ticket("a"))
    for answer in (asked, submitted):
        assert (answer["verdict"], answer["reason"]) == ("defer", "held")
        assert answer["message"] == f"E{SENTENCE[1:]}."
        assert answer["hold"] == HOLD
        assert answer["expected_start"] is None
    first = asked["checks"][0]
    assert (first["check"], first["ok"], first["detail"]) == ("hold", False, SENTENCE)
    assert "hold --release" in first["advice"]


def test_M3_a_ticket_that_would_wait_anyway_is_told_of_the_hold_too(edge: Edge) -> None:
    edge.post("/v1/usage", event("r1", 900))
    answer = edge.post("/v1/tickets", ticket("a", 500))
    assert (answer["verdict"], answer["reason"]) == ("defer", "no_headroom")
    assert answer["message"].startswith(f"E{SENTENCE[1:]}. It waits until ")
    assert (answer["hold"], answer["until"], answer["expected_start"]) == (HOLD, None, None)


def test_M3_what_is_rejected_is_rejected_for_its_own_reason(edge: Edge) -> None:
    asked = edge.post("/v1/preflight", ticket("a", 1001))
    assert (asked["verdict"], asked["reason"]) == ("reject", "never_fits")


def test_M3_after_the_release_nobody_sees_it(edge: Edge) -> None:
    edge.post("/v1/hold", {"on": False})
    assert edge.get("/v1/limits")["hold"] is None
    assert edge.get("/v1/queue")["hold"] is None
    assert SENTENCE not in edge.get("/readyz")["notes"]
    assert "quota_scheduler_held 0.0" in edge.get("/metrics")
    asked = edge.post("/v1/preflight", ticket("a"))
    assert (asked["verdict"], [check["check"] for check in asked["checks"]]) == (
        "admit",
        ["quota", "forecast", "run_budget"],
    )


def test_M3_a_hold_outlives_a_restart_with_author_and_reason(edge: Edge, tmp_path: Path) -> None:
    edge.service.stop()
    again = start(tmp_path, LIMITS, clock=edge.clock)
    try:
        assert again.get("/v1/limits")["hold"] == HOLD
    finally:
        again.service.stop()


def deeds(edge: Edge) -> list[tuple[str, str, Any]]:
    return [(row["who"], row["what"], row["detail"]) for row in edge.get("/v1/audit")["audit"]]


def test_M3_what_was_done_by_hand_can_be_read(edge: Edge) -> None:
    edge.submit("a")
    edge.post("/v1/tickets/t1/hold", {})
    edge.ask("PATCH", "/v1/limits/daily", {"amount": 5})
    assert deeds(edge) == [
        ("local", "limit.changed", {"limit": "daily", "fields": {"amount": 5}, "until": None}),
        ("local", "ticket.held", {"ticket": 1}),
        ("local", "hold.all", {"reason": "provider incident"}),
    ]
    assert len(edge.get("/v1/audit?limit=1")["audit"]) == 1


def test_M3_what_was_refused_is_not_written_down(edge: Edge) -> None:
    assert edge.ask("DELETE", "/v1/leases/l9").status == 404
    assert edge.ask("PATCH", "/v1/limits/daily", {"amount": "$5"}).status == 422
    assert edge.ask("PATCH", "/v1/limits/daily", {"amount": 5, "dry_run": True}).status == 200
    assert [what for _, what, _ in deeds(edge)] == ["hold.all"]
