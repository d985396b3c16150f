"""The provider's word over HTTP: what is taken, what is refused and why, and what comes back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from quota_scheduler.api.openapi import openapi
from tests.shell.edge import LIMITS, Edge, event, start

HALF = {"provider": "claude", "window": "five_hour", "used_ratio": 0.5, "resets_at": "2026-11-22T12:00:00Z"}
REFUSED = {"provider": "anthropic", "throttled": True}
RESETS = 1_795_348_800
"""2026-11-22T12:00:00Z in seconds since 1970."""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path)
    yield edge
    edge.service.stop()


def newest(edge: Edge, *names: str) -> list[dict]:
    return [{name: row[name] for name in names} for row in edge.get("/v1/observations")["observations"]]


KEPT = pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param({}, (0.5, "2026-11-22T12:00:00Z"), id="a ratio and an instant with Z"),
        pytest.param({"resets_at": RESETS}, (0.5, "2026-11-22T12:00:00Z"), id="a reset in seconds since 1970"),
        pytest.param({"resets_at": "2026-11-22T13:00:00+01:00"}, (0.5, "2026-11-22T12:00:00Z"), id="another offset"),
        pytest.param({"used_ratio": None, "used_percent": 43}, (0.43, "2026-11-22T12:00:00Z"), id="a percentage"),
        pytest.param({"used_ratio": 1.02}, (1.02, "2026-11-22T12:00:00Z"), id="more than all of it"),
        pytest.param({"resets_at": None}, (0.5, None), id="no reset"),
        pytest.param(
            {"used_ratio": None, "status": "rejected"}, (1.0, "2026-11-22T12:00:00Z"), id="rejected: all of it"
        ),
    ],
)


@KEPT
def test_a_report_is_kept(edge: Edge, said, kept):
    body = {name: value for name, value in {**HALF, **said}.items() if value is not None}
    assert edge.post("/v1/observations", body) == {
        "accepted": 1, "duplicate": 0, "throttles": 0, "rejected": [], "waiting": None,
    }  # fmt: skip
    (row,) = newest(edge, "provider", "account", "used_ratio", "resets_at", "source", "age_seconds")
    assert row == {
        "provider": "anthropic", "account": "default", "used_ratio": kept[0], "resets_at": kept[1], "source": "api",
        "age_seconds": 0,
    }  # fmt: skip


NOT_KEPT = pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param({"used_ratio": 43}, "for 43 % write used_percent", id="a percentage where a ratio is meant"),
        pytest.param({"used_percent": 50}, "say the same: write one of them", id="both"),
        pytest.param({"used_percent": 430, "used_ratio": None}, "/used_percent", id="a percentage that cannot be"),
        pytest.param({"used_ratio": -0.1}, "/used_ratio", id="less than nothing"),
        pytest.param({"window": "hourly"}, "/window", id="a window nobody knows"),
        pytest.param({"window": None}, "window is missing: one of five_hour", id="no window"),
        pytest.param({"window": "weekly_model"}, "scope: opus", id="a model's week without its model"),
        pytest.param({"resets_at": "12:00"}, "/resets_at", id="a clock without a day"),
        pytest.param({"resets_at": "2026-11-22T12:00:00"}, "/resets_at", id="an instant without a zone"),
        pytest.param({"resets_at": RESETS * 1000}, "no seconds since 1970", id="milliseconds"),
        pytest.param({"resets_at": "2026-11-22T23:00:00Z"}, "14 hours ahead: a five_hour", id="a reset of another day"),
        pytest.param({"resets_at": "2027-11-22T12:00:00Z"}, "62 days ahead", id="a reset in a year"),
        pytest.param({"observed_at": "2026-09-01T12:00:00Z"}, "35 days back", id="a report of September"),
        pytest.param({"used_ratio": None, "resets_at": None}, "it says nothing", id="nothing said"),
        pytest.param({"reset": 1}, "/reset: unknown key", id="a key that is not there"),
        pytest.param({"provider": ""}, "/provider", id="no provider"),
        pytest.param({"status": "fine"}, "/status", id="a status nobody knows"),
        pytest.param({"retry_after": 5}, "add throttled: true", id="a pause of a window"),
        pytest.param({"throttled": True}, "throttled names no window", id="a window that throttles"),
    ],
)
BY_THE_CLOCK = {"2026-11-22T12:00:00", "2026-11-22T23:00:00Z", "2027-11-22T12:00:00Z", "2026-09-01T12:00:00Z"}
"""Instants that are wrong by what time it is, or by a format that the document names and no pattern says."""


def fits(said: dict) -> bool:
    """Whether the OpenAPI document allows a report."""
    body = {name: value for name, value in {**HALF, **said}.items() if value is not None}
    schema = {"$ref": "#/components/schemas/ObservationBody", "components": openapi()["components"]}
    return Draft202012Validator(schema).is_valid(body)


@KEPT
def test_the_document_allows_what_is_kept(said, kept):
    del kept
    assert fits(said)


@NOT_KEPT
def test_the_document_allows_nothing_that_is_refused_whatever_the_time(said, reason):
    del reason
    assert fits(said) is not BY_THE_CLOCK.isdisjoint(map(str, said.values()))


@NOT_KEPT
def test_what_cannot_be_meant_is_refused_with_the_way_out(edge: Edge, said, reason):
    body = {name: value for name, value in {**HALF, **said}.items() if value is not None}
    alone = edge.ask("POST", "/v1/observations", body)
    assert (alone.status, alone.title, reason in alone.body["detail"]) == (422, "invalid_body", True), alone.body
    among = edge.post("/v1/observations", [HALF, body, {**HALF, "window": "weekly"}])
    assert (among["accepted"], [wrong["index"] for wrong in among["rejected"]]) == (2, [1])
    assert reason in among["rejected"][0]["reason"]


def test_an_array_has_a_thousand_elements_at_most(edge: Edge):
    reply = edge.ask("POST", "/v1/observations", [HALF] * 1001)
    assert (reply.status, reply.title) == (422, "too_many")


def test_the_same_report_again_is_a_duplicate(edge: Edge):
    said = {**HALF, "observed_at": "2026-11-22T08:59:00Z"}
    edge.post("/v1/observations", said)
    again = edge.post("/v1/observations", [said])
    assert (again["accepted"], again["duplicate"]) == (0, 1)


@pytest.mark.parametrize(
    ("age", "state", "why"),
    [
        pytest.param(timedelta(minutes=1), "live", "", id="of a minute ago"),
        pytest.param(timedelta(minutes=20), "cached", "a status line speaks after each answer", id="of twenty minutes"),
        pytest.param(timedelta(hours=2), "stale", "a status line speaks after each answer", id="of two hours"),
        pytest.param(timedelta(hours=4), "unavailable", "ended at 2026-11-22T12:00:00Z", id="after its reset"),
    ],
)
def test_each_says_what_it_is_worth_and_why_it_is_not_newer(edge: Edge, age, state, why):
    edge.post("/v1/observations", {**HALF, "source": "status_line"})
    edge.clock.advance(age)
    (row,) = newest(edge, "state", "why_not_newer", "age_seconds")
    assert (row["state"], row["age_seconds"]) == (state, age.total_seconds())
    assert why in row["why_not_newer"]
    assert bool(row["why_not_newer"]) == bool(why)


def test_a_report_without_an_amount_keeps_the_one_that_was_said_before(edge: Edge):
    edge.post("/v1/observations", HALF)
    edge.clock.advance(timedelta(minutes=1))
    spent = {name: value for name, value in HALF.items() if name != "used_ratio"}
    edge.post("/v1/observations", {**spent, "status": "allowed_warning", "source": "headless"})
    assert [tuple(row.values()) for row in newest(edge, "used_ratio", "status", "source")] == [
        (0.5, "allowed_warning", "headless")
    ]


def test_each_account_window_and_scope_stands_for_itself(edge: Edge):
    edge.post(
        "/v1/observations",
        [
            HALF,
            {**HALF, "account": "b"},
            {**HALF, "window": "weekly_model", "scope": "opus"},
            {**HALF, "window": "weekly_model", "scope": "sonnet"},
        ],
    )
    assert [tuple(row.values()) for row in newest(edge, "account", "window", "scope")] == [
        ("b", "five_hour", ""),
        ("default", "five_hour", ""),
        ("default", "weekly_model", "opus"),
        ("default", "weekly_model", "sonnet"),
    ]


def test_a_short_throttle_keeps_new_starts_waiting_and_says_so_everywhere(edge: Edge):
    edge.post("/v1/observations", [{**REFUSED, "retry_after": 20}])
    waiting = edge.submit("a")
    assert (waiting["verdict"], waiting["reason"], waiting["position"]) == ("defer", "provider_throttled", 1)
    assert "2026-11-22T09:00:20" <= waiting["until"] <= "2026-11-22T09:00:22.999Z"
    assert "anthropic refuses requests for the moment" in waiting["message"]
    (breaker,) = edge.get("/v1/queue")["breakers"]
    assert {name: breaker[name] for name in ("provider", "account", "state", "refusals")} == {
        "provider": "anthropic", "account": "default", "state": "open", "refusals": 1,
    }  # fmt: skip
    assert edge.get("/v1/observations")["breakers"] == [breaker]


def test_people_are_told_and_not_kept_waiting(edge: Edge):
    edge.post("/v1/observations", {**REFUSED, "retry_after": "20s"})
    person = edge.submit("a", **{"class": "interactive"})
    assert (person["verdict"], person["state"]) == ("admit", "running")
    assert "anthropic refuses requests for the moment" in person["message"]


def test_preflight_names_the_provider(edge: Edge):
    edge.post("/v1/observations", REFUSED)
    asked = edge.post("/v1/preflight", {"labels": {"provider": "anthropic"}, "estimate": {"tokens": 10}})
    assert [(check["check"], check["ok"]) for check in asked["checks"]][:2] == [("provider", False), ("quota", True)]


def test_usage_ends_it(edge: Edge):
    edge.post("/v1/observations", REFUSED)
    edge.clock.advance(timedelta(seconds=6))
    edge.post("/v1/usage", event("r1", 5, at="2026-11-22T09:00:06Z"))
    assert edge.get("/v1/queue")["breakers"] == []
    assert edge.submit("a")["verdict"] == "admit"


@pytest.mark.parametrize("nothing", [0, None])
def test_a_throttle_may_name_no_time(edge: Edge, nothing):
    edge.post("/v1/observations", {**REFUSED, **({"retry_after": nothing} if nothing is not None else {})})
    assert "2026-11-22T09:00:05" <= edge.get("/v1/queue")["breakers"][0]["until"] <= "2026-11-22T09:00:05.999Z"


def test_who_names_no_account_means_that_of_the_program_here(tmp_path: Path):
    here = start(tmp_path, LIMITS + ACCOUNTS.format(work=tmp_path / "work"))
    try:
        work = {"window": "weekly", "folder": str(tmp_path / "work")}
        here.post("/v1/observations", [HALF, {**HALF, **work}, {**HALF, "provider": "openai"}])
        rows = newest(here, "provider", "account", "window")
    finally:
        here.service.stop()
    assert [tuple(row.values()) for row in rows] == [
        ("anthropic", "max-1", "five_hour"),
        ("anthropic", "work", "weekly"),
        ("openai", "chatgpt-team", "five_hour"),
    ]


ACCOUNTS = """
sources:
  claude_code: {{account: max-1, roots: [{{path: {work}, account: work}}]}}
  codex: {{account: chatgpt-team}}
"""
