"""Limits over HTTP and from the command line: units as in the file, a dry run, who changed what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import Edge, start

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
  - {id: money, unit: usd, amount: 10, window: day}
  - {id: team, per: team, unit: usd, amount: 10, window: day, parent: money, borrow: 5}
  - {id: cap, per: run, unit: tokens, amount: 5M, window: run}
"""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path, LIMITS)
    yield edge
    edge.service.stop()


WRONG: list[Any] = [
    pytest.param("daily", {"amount": "$5"}, "'$5' counts usd, but the unit is tokens", id="M1: dollars of tokens"),
    pytest.param("money", {"amount": "5M tokens"}, "counts tokens, but the unit is usd", id="M1: tokens of dollars"),
    pytest.param("daily", {"amount": "5 requests"}, "counts requests", id="M1: requests of tokens"),
    pytest.param("daily", {"holdback": "$1"}, "counts usd", id="M1: a holdback"),
    pytest.param("team", {"overrides": {"sales": "5k tokens"}}, "counts tokens", id="M1: an override"),
    pytest.param("team", {"borrow": "5 tokens"}, "counts tokens", id="M1: a loan"),
    pytest.param("team", {"lend": "5 leases"}, "counts leases", id="M1: what is lent"),
    pytest.param("daily", {"amount": 5, "until": "2026-11-22T08:59:59Z"}, "/until: 2026-11-22T08:59:59Z is over",
                 id="R22: until an instant that is past"),
    pytest.param("daily", {"amount": 5, "until": "2026-11-22T09:00:00Z"}, "is over", id="R22: until now"),
    pytest.param("daily", {"dry_run": True}, "name what to change", id="a dry run of nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "change", "sentence"), WRONG)
def test_M1_a_change_is_checked_as_the_file_is(edge: Edge, limit: str, change: Any, sentence: str) -> None:
    reply = edge.ask("PATCH", f"/v1/limits/{limit}", change)
    assert reply.status == 422
    assert sentence in reply.body["detail"]
    assert edge.get(f"/v1/limits/{limit}")["changes"] == []


def test_M1_units_that_agree_are_taken(edge: Edge) -> None:
    assert edge.ask("PATCH", "/v1/limits/daily", {"amount": "5M tokens"}).body == {
        "limit": "daily",
        "changed": ["amount"],
        "dry_run": False,
        "before": {"amount": 1000},
        "after": {"amount": 5_000_000},
    }
    assert edge.ask("PATCH", "/v1/limits/money", {"amount": "$12.50"}).body["after"] == {"amount": 12.5}


def test_M1_a_dry_run_says_what_would_hold_and_changes_nothing(edge: Edge) -> None:
    edge.ask("PATCH", "/v1/limits/daily", {"amount": 2000})
    before = edge.get("/v1/limits/daily")
    reply = edge.ask("PATCH", "/v1/limits/daily", {"amount": 500, "mode": "warn", "dry_run": True})
    assert (reply.body["dry_run"], reply.body["before"], reply.body["after"]) == (
        True,
        {"amount": 2000, "mode": "enforce"},
        {"amount": 500, "mode": "warn"},
    )
    back = edge.ask("PATCH", "/v1/limits/daily", {"amount": None, "dry_run": True})
    assert back.body["after"] == {"amount": 1000}
    assert edge.get("/v1/limits/daily") == before
    assert edge.submit("a", 1500)["verdict"] == "admit"


def test_one_limit_says_what_the_file_has_what_holds_and_who_changed_it(edge: Edge) -> None:
    edge.ask("PATCH", "/v1/limits/daily", {"amount": 2000, "until": "2026-11-23T00:00:00Z"})
    state = edge.get("/v1/limits/daily")
    assert (state["file"]["amount"], state["holds"]["amount"]) == (1000, 2000)
    assert state["changes"] == [
        {
            "field": "amount",
            "value": 2000,
            "who": "local",
            "at": "2026-11-22T09:00:00Z",
            "until": "2026-11-23T00:00:00Z",
        }
    ]
    missing = edge.ask("GET", "/v1/limits/dayly")
    assert (missing.status, missing.body["detail"]) == (
        404,
        "there is no limit 'dayly'; there are: daily, money, team, cap",
    )


def test_M1_an_estimate_in_dollars_is_no_number_of_tokens(edge: Edge) -> None:
    body = {"key": "a", "labels": {"provider": "anthropic"}, "estimate": {"tokens": "$5"}}
    reply = edge.ask("POST", "/v1/tickets", body)
    assert (reply.status, "counts usd" in reply.body["detail"]) == (422, True)


def test_M12_caps_of_runs_are_shown_and_have_no_forecast(edge: Edge) -> None:
    edge.service.tick()
    (cap,) = edge.get("/v1/limits")["run_caps"]
    assert (cap["id"], cap["amount"], cap["mode"]) == ("cap", 5_000_000, "enforce")
    reply = edge.ask("GET", "/v1/limits/cap/forecast")
    assert (reply.status, reply.title) == (404, "no_forecast")
    assert reply.body["detail"] == "cap is a cap on each run: it has no window that resets, so there is no forecast"
    other = edge.ask("GET", "/api/quota/forecast?limit=cap")
    assert other.body["detail"] == reply.body["detail"]
