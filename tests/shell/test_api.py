"""The HTTP API: every answer as a client reads it, and every way to ask wrongly."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.api import ROUTES
from quota_scheduler.api.openapi import DOCUMENTED, openapi
from tests.shell.edge import LIMITS, Edge, event, start, ticket


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path)
    yield edge
    edge.service.stop()


def only(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names}


# Tickets and leases


def test_an_admitted_ticket_is_answered_whole(edge: Edge) -> None:
    assert edge.submit("a", 400, **{"class": "low"}) == {
        "id": "t1",
        "key": "a",
        "state": "running",
        "class": "low",
        "verdict": "admit",
        "reason": "fits",
        "message": "It is running.",
        "binding": [],
        "warned": [],
        "until": None,
        "position": None,
        "expected_start": None,
        "counterfactuals": [],
        "advice": {
            "optimization_level": "minimal",
            "model": None,
            "advice": edge.submit("a", 400, **{"class": "low"})["advice"]["advice"],
        },
        "lease": {
            "id": "l1",
            "fence": 1,
            "granted_at": "2026-11-22T09:00:00Z",
            "expires_at": "2026-11-22T13:00:00Z",
            "reserved": {"daily": 400},
        },
        "stop": False,
    }


def test_what_does_not_fit_waits_for_the_reset_with_reason_place_and_sentence(edge: Edge) -> None:
    edge.submit("a", 900)
    found = edge.submit("b", 200)
    assert only(found, "state", "verdict", "reason", "binding", "until", "position") == {
        "state": "waiting",
        "verdict": "defer",
        "reason": "no_headroom",
        "binding": [
            {
                "limit": "daily",
                "reason": "no_headroom",
                "until": "2026-11-23T00:00:00Z",
                "asked": 200,
                "used": 0,
                "reserved": 900,
                "ceiling": 1000,
                "amount": 1000,
            }
        ],
        "until": "2026-11-23T00:00:00Z",
        "position": 1,
    }
    assert "daily" in found["message"]
    assert "Mon 23 Nov 00:00 UTC" in found["message"]


def test_what_can_never_fit_is_rejected_and_not_kept_waiting(edge: Edge) -> None:
    found = edge.submit("a", 1001)
    assert only(found, "state", "verdict", "reason", "outcome", "until") == {
        "state": "closed",
        "verdict": "reject",
        "reason": "never_fits",
        "outcome": "rejected",
        "until": None,
    }
    assert edge.submit("a", 1001)["id"] == found["id"]


def test_the_same_key_is_the_same_ticket_and_one_reservation(edge: Edge) -> None:
    first, again = edge.submit("a", 400), edge.submit("a", 400)
    assert first == again
    assert edge.submit("b", 600)["verdict"] == "admit"


def test_a_key_with_another_body_is_refused(edge: Edge) -> None:
    edge.submit("a", 400)
    reply = edge.ask("POST", "/v1/tickets", ticket("a", 401))
    assert (reply.status, reply.title) == (409, "key_reused")


def test_an_array_is_answered_in_order_and_a_refusal_inside_spoils_no_other(edge: Edge) -> None:
    edge.submit("a", 400)
    found = edge.post("/v1/tickets", [ticket("b", 100), ticket("a", 1), ticket("c", 600)])
    assert [each.get("verdict", each.get("error", {}).get("code")) for each in found] == [
        "admit",
        "key_reused",
        "defer",
    ]
    assert edge.post("/v1/tickets", []) == []


def test_release_returns_what_was_not_used(edge: Edge) -> None:
    lease = edge.submit("a", 900)["lease"]
    edge.submit("b", 200)
    done = edge.post(f"/v1/leases/{lease['id']}/release", {"fence": lease["fence"], "usage": {"output": 100}})
    assert only(done, "state", "outcome") == {"state": "closed", "outcome": "completed"}
    assert edge.get("/v1/tickets/t2")["state"] == "running"
    edge.service.tick()
    (limit,) = edge.get("/v1/limits")["limits"]
    assert only(limit, "used", "reserved", "headroom") == {"used": 100, "reserved": 200, "headroom": 700}


def test_the_same_release_once_more_is_the_same_answer(edge: Edge) -> None:
    lease = edge.submit("a", 900)["lease"]
    report = {"fence": lease["fence"], "usage": {"output": 100}}
    assert edge.post("/v1/leases/l1/release", report) == edge.post("/v1/leases/l1/release", report)


def test_an_old_fence_is_refused_but_its_usage_is_recorded(edge: Edge) -> None:
    lease = edge.submit("a", 900)["lease"]
    edge.post("/v1/leases/l1/release", {"fence": lease["fence"], "usage": {"output": 100}})
    late = edge.ask("POST", "/v1/leases/l1/renew", {"fence": lease["fence"], "usage": {"output": 150}})
    assert (late.status, late.title) == (409, "stale_fence")
    edge.service.tick()
    assert edge.get("/v1/limits")["limits"][0]["used"] == 150


def test_a_renewal_beyond_what_there_is_tells_the_runner_to_stop(edge: Edge) -> None:
    edge.submit("a", 500)
    edge.submit("b", 500)
    found = edge.post("/v1/leases/l1/renew", {"fence": 1, "usage": {"output": 700}, "ttl": "10m"})
    assert found["stop"] is True
    assert found["lease"]["expires_at"] == "2026-11-22T09:10:00Z"


def test_usage_by_model_is_added_up(edge: Edge) -> None:
    edge.submit("a", 500)
    usage = {"claude-opus-5": {"output": 30}, "claude-haiku-4-5": {"output": 12}}
    edge.post("/v1/leases/l1/release", {"fence": 1, "usage": usage, "status": "failed"})
    edge.service.tick()
    assert edge.get("/v1/limits")["limits"][0]["used"] == 42


def test_a_withdrawn_ticket_leaves_the_queue_and_a_running_one_settles(edge: Edge) -> None:
    edge.submit("a", 900)
    edge.submit("b", 900)
    for number in ("t2", "t1", "t1"):
        reply = edge.ask("DELETE", f"/v1/tickets/{number}")
        assert (reply.status, reply.body["outcome"]) == (200, "withdrawn")
    assert edge.submit("c", 1000)["verdict"] == "admit"


def test_a_description_in_words_is_estimated(edge: Edge) -> None:
    body = {"key": "w", "labels": {"provider": "other"}, "describe": {"task_type": "documentation", "text": "write"}}
    assert edge.post("/v1/tickets", body)["class"] == "low"
    long = {**body, "key": "w2", "describe": {"text": "word " * 501}}
    assert edge.post("/v1/tickets", long)["advice"]["description"] == "The description has 501 words: split it."


def test_a_ticket_that_no_limit_binds_starts_at_once(edge: Edge) -> None:
    found = edge.submit("a", 10**9, labels={"provider": "other"})
    assert only(found, "verdict", "state") == {"verdict": "admit", "state": "running"}
    assert found["lease"]["reserved"] == {}


def test_preflight_needs_no_key_and_says_what_is_expected(edge: Edge) -> None:
    asked = {name: value for name, value in ticket("a", 900).items() if name != "key"}
    body = edge.post("/v1/preflight", asked)
    assert (body["verdict"], only(body["estimate"], "tokens", "reserved_tokens", "basis", "confidence")) == (
        "admit",
        {"tokens": 900, "reserved_tokens": 900, "basis": "declared", "confidence": 1.0},
    )
    del asked["estimate"]
    told = edge.post("/v1/preflight", {**asked, "describe": {"task_type": "code_review"}})["estimate"]
    assert told["reserved_tokens"] >= told["tokens"] > 0
    assert (told["basis"], told["confidence"] < 1) == ("task_type", True)


def test_preflight_decides_and_keeps_nothing(edge: Edge) -> None:
    for _ in range(3):
        assert only(edge.post("/v1/preflight", ticket("a", 900)), "id", "verdict") == {"id": None, "verdict": "admit"}
    assert edge.post("/v1/preflight", ticket("a", 1001))["verdict"] == "reject"
    nobody = {"waiting": [], "offered": [], "running": []}
    assert edge.get("/v1/queue") == {"at": "2026-11-22T09:00:00Z", "hold": None, "breakers": [], **nobody}


def test_a_parked_request_is_answered_the_moment_its_ticket_may_start(edge: Edge) -> None:
    edge.post("/v1/usage", event("r1", 900))
    edge.submit("b", 200, **{"class": "low"})

    async def reset() -> None:
        while not edge.service.waiters.parked:
            await asyncio.sleep(0)
        edge.clock.advance(timedelta(hours=15))
        await asyncio.to_thread(edge.service.writer.do(lambda _: None).result)

    (reply,) = asyncio.run(edge.ask_many([("GET", "/v1/tickets/t1?wait=30", None, None, "")], reset))
    assert only(reply.body, "state", "verdict") == {"state": "running", "verdict": "admit"}
    assert reply.body["lease"]["granted_at"] == "2026-11-23T00:00:00Z"


def test_a_parked_request_is_answered_when_the_service_drains_and_new_work_is_refused(edge: Edge) -> None:
    edge.submit("a", 900)
    edge.submit("b", 200)

    async def drain() -> None:
        while not edge.service.waiters.parked:
            await asyncio.sleep(0)
        edge.service.drain()

    (reply,) = asyncio.run(edge.ask_many([("GET", "/v1/tickets/t2?wait=30", None, None, "")], drain))
    assert (reply.status, reply.body["state"]) == (200, "waiting")
    for path, body in (("/v1/tickets", ticket("c")), ("/v1/usage", event("e")), ("/v1/preflight", ticket("c"))):
        refused = edge.ask("POST", path, body)
        assert (refused.status, refused.title, refused.headers["retry-after"]) == (503, "draining", "5")
    assert edge.post("/v1/leases/l1/release", {"fence": 1, "usage": {"output": 1}})["state"] == "closed"
    assert edge.ask("GET", "/readyz").status == 503


def test_waiting_no_time_answers_at_once(edge: Edge) -> None:
    edge.submit("a", 900)
    edge.submit("b", 200)
    assert edge.get("/v1/tickets/t2?wait=0")["state"] == "waiting"
    assert edge.get("/v1/tickets/t1?wait=30")["state"] == "running"


# Usage


def test_a_run_that_reports_through_its_lease_and_leaves_a_transcript_counts_once(edge: Edge) -> None:
    edge.submit("a", 500, session="s1")
    edge.post("/v1/leases/l1/renew", {"fence": 1, "usage": {"output": 300}})
    edge.post("/v1/usage", event("r1", 120, session="s1", at="2026-11-22T09:00:00Z"))
    edge.post("/v1/usage", event("r2", 190, session="s1", at="2026-11-22T09:00:01Z"))
    edge.post("/v1/leases/l1/release", {"fence": 1, "usage": {"output": 305}})
    edge.service.tick()
    assert only(edge.get("/v1/limits")["limits"][0], "used", "reserved") == {"used": 310, "reserved": 0}


def test_a_transcript_that_comes_after_the_release_replaces_the_report(edge: Edge) -> None:
    edge.submit("a", 500, session="s1")
    edge.post("/v1/leases/l1/release", {"fence": 1, "usage": {"output": 300}})
    edge.post("/v1/usage", event("r1", 310, session="s1", at="2026-11-22T09:00:00Z"))
    edge.service.tick()
    assert edge.get("/v1/limits")["limits"][0]["used"] == 310


def test_an_event_counts_once_and_grows_by_the_difference(edge: Edge) -> None:
    answers = [edge.post("/v1/usage", event("r1", tokens)) for tokens in (100, 100, 150, 120)]
    assert [only(each, "accepted", "updated", "duplicate") for each in answers] == [
        {"accepted": 1, "updated": 0, "duplicate": 0},
        {"accepted": 0, "updated": 0, "duplicate": 1},
        {"accepted": 0, "updated": 1, "duplicate": 0},
        {"accepted": 0, "updated": 0, "duplicate": 1},
    ]
    edge.service.tick()
    assert edge.get("/v1/limits")["limits"][0]["used"] == 150


def test_one_bad_event_does_not_keep_the_others_out(edge: Edge) -> None:
    found = edge.post("/v1/usage", [event("r1"), event("r2", -1), "text", event("r3", at="yesterday")])
    assert found == {
        "accepted": 1,
        "updated": 0,
        "duplicate": 0,
        "rejected": [
            {"index": 1, "reason": "/output: Input should be greater than or equal to 0, got -1"},
            {"index": 2, "reason": found["rejected"][1]["reason"]},
            {"index": 3, "reason": found["rejected"][2]["reason"]},
        ],
    }
    assert found["rejected"][2]["reason"].startswith("/at: ")


# Asking wrongly

DEEP = b"[" * 100_000 + b"]" * 100_000
WRONG = [
    pytest.param(b"", 400, "not_json", id="no body"),
    pytest.param(b"{", 400, "not_json", id="half an object"),
    pytest.param(b"\xff\xfe{}", 400, "not_json", id="not text"),
    pytest.param(DEEP, 400, "not_json", id="a hundred thousand levels deep"),
    pytest.param(b"9" * 5000, 400, "not_json", id="a number of five thousand digits"),
    pytest.param(b"[" + b"0," * 1001 + b"0]", 422, "too_many", id="more than a thousand entries"),
    pytest.param(b" " * (33 << 20), 413, "too_large", id="more bytes than are read"),
    pytest.param(b"null", 422, "invalid_body", id="null"),
    pytest.param(b"17", 422, "invalid_body", id="a number"),
    pytest.param(b'"text"', 422, "invalid_body", id="a string"),
    pytest.param(b"NaN", 422, "invalid_body", id="not a number"),
    pytest.param(b'"\\ud800"', 422, "invalid_body", id="half a character"),
]


@pytest.mark.parametrize(("raw", "status", "code"), WRONG)
def test_a_body_that_is_no_ticket_is_refused_with_one_sentence(edge: Edge, raw: bytes, status: int, code: str) -> None:
    for path in ("/v1/tickets", "/v1/leases/l1/release"):
        reply = edge.ask("POST", path, raw=raw)
        if code != "too_many" or path == "/v1/tickets":
            assert (reply.status, reply.title) == (status, code)
            assert "\n" not in reply.body["detail"]
            assert len(reply.body["detail"]) < 400


FIELDS = [
    pytest.param({"key": ""}, "/key", id="an empty key"),
    pytest.param({"key": "k" * 5000}, "/key", id="a key longer than any name"),
    pytest.param({"key": "\ud800"}, "/key", id="half a character in a key"),
    pytest.param({"labels": {}}, "/labels/provider", id="labels without a provider"),
    pytest.param({"labels": {"provider": "a", "tier": "b"}}, "/labels/tier", id="a label there is not"),
    pytest.param({"labels": []}, "/labels", id="labels that are a list"),
    pytest.param({"class": "urgent"}, "/class", id="a class there is not"),
    pytest.param({"estimate": {"tokens": "2.5 apples"}}, "/estimate/tokens", id="an amount that is none"),
    pytest.param({"estimate": {"tokens": 10**15}}, "/estimate/tokens", id="more tokens than there are"),
    pytest.param({"estimate": {"tokens": 1, "output": 1}}, "/estimate", id="tokens twice"),
    pytest.param({"estimate": {}}, "/estimate", id="an estimate of nothing"),
    pytest.param({"estimate": {"output": 1.5}}, "/estimate/output", id="half a token"),
    pytest.param({"estimate": {"output": True}}, "/estimate/output", id="a truth value for an amount"),
    pytest.param({"describe": {"text": "x"}}, "", id="estimate and describe"),
    pytest.param({"estimate": None}, "", id="neither estimate nor describe"),
    pytest.param({"ttl": "8d"}, "/ttl", id="a lease of more than a week"),
    pytest.param({"ttl": "soon"}, "/ttl", id="a length of time that is none"),
    pytest.param({"max_wait": "1e999"}, "/max_wait", id="an endless wait"),
    pytest.param({"max_wait": 10**30}, "/max_wait", id="a wait beyond time"),
    pytest.param({"deadline": "2026-11-22T09:00:00"}, "/deadline", id="an instant without a zone"),
    pytest.param({"deadline": "0001-01-01T00:00:00+14:00"}, "/deadline", id="an instant before time"),
    pytest.param({"resume": {"until": "0001-01-01T00:00:00+14:00"}}, "/resume/until", id="to resume before time"),
    pytest.param({"deadlines": 1}, "/deadlines", id="an unknown key"),
    pytest.param({"a/b~c": 1}, "/a~1b~0c", id="a key that a pointer must escape"),
]


@pytest.mark.parametrize(("change", "pointer"), FIELDS)
def test_a_wrong_field_is_pointed_at(edge: Edge, change: dict[str, Any], pointer: str) -> None:
    reply = edge.ask("POST", "/v1/tickets", ticket("a") | change)
    assert (reply.status, reply.title) == (422, "invalid_body")
    assert reply.body["errors"][-1]["pointer"] == pointer
    assert edge.get("/v1/queue")["running"] == []


def test_a_wrong_report_is_pointed_at_however_usage_may_be_written(edge: Edge) -> None:
    edge.submit("a")
    wrong = [{"output": -1}, {"claude-opus-5": {"output": -1}}, {"": {"output": 1}}, 7]
    replies = [edge.ask("POST", "/v1/leases/l1/renew", {"fence": 1, "usage": usage}) for usage in wrong]
    assert [(reply.status, reply.body["errors"][0]["pointer"]) for reply in replies] == [
        (422, "/usage/output"),
        (422, "/usage/claude-opus-5"),
        (422, "/usage/"),
        (422, "/usage"),
    ]
    pointers = {each["pointer"] for each in replies[1].body["errors"]}
    assert pointers == {"/usage/claude-opus-5", "/usage/claude-opus-5/output"}


EVENTS = [
    pytest.param({"at": "2026-11-22T09:00:00"}, "/at: ", id="an instant without a zone"),
    pytest.param({"at": "0001-01-01T00:00:00+14:00"}, "/at: ", id="an instant before time"),
    pytest.param({"at": "9999-12-31T23:59:59-14:00"}, "/at: ", id="an instant after time"),
    pytest.param({"output": 10**13}, "/output: ", id="more tokens than there are"),
    pytest.param({"cost_usd": "NaN"}, "/cost_usd: ", id="a cost that is no number"),
    pytest.param({"cost_usd": -1}, "/cost_usd: ", id="a cost below nothing"),
    pytest.param({"labels": {"provider": "x"}}, "/labels/provider", id="the provider among the labels"),
    pytest.param({"provider": " "}, "/provider: ", id="a provider of blanks"),
]


@pytest.mark.parametrize(("change", "begins"), EVENTS)
def test_a_wrong_event_is_refused_and_says_where(edge: Edge, change: dict[str, Any], begins: str) -> None:
    reply = edge.ask("POST", "/v1/usage", event("r1") | change)
    assert reply.status == 422
    assert reply.body["rejected"][0]["reason"].startswith(begins), reply.body


NOT_THERE = [
    ("GET", "/v1/tickets/t99", "not_found"),
    ("GET", "/v1/tickets/abc", "not_found"),
    ("GET", "/v1/tickets/t" + "9" * 30, "not_found"),
    ("GET", "/v1/tickets/t²", "not_found"),
    ("DELETE", "/v1/tickets/t99", "not_found"),
    ("GET", "/v1/limits/nothing/forecast", "no_limit"),
    ("GET", "/api/quota/forecast?limit=nothing", "no_limit"),
    ("GET", "/api/quota/forecast", "no_forecast"),
    ("GET", "/nothing/here", "not_found"),
]


@pytest.mark.parametrize(("method", "path", "code"), NOT_THERE, ids=[path[:30] for _, path, _ in NOT_THERE])
def test_what_is_not_there_is_a_problem_with_the_way_out(edge: Edge, method: str, path: str, code: str) -> None:
    reply = edge.ask(method, path)
    assert (reply.status, reply.title) == (404, code)
    assert reply.body["detail"]


def test_reports_for_leases_that_are_not_there(edge: Edge) -> None:
    for report in ({"fence": 1}, {"fence": 1, "usage": {"output": 1}}):
        reply = edge.ask("POST", "/v1/leases/l99/release", report)
        assert (reply.status, reply.title) == (404, "not_found")
    edge.submit("a", 900)
    edge.submit("b", 900)
    waiting = edge.ask("POST", "/v1/leases/l2/renew", {"fence": 1})
    assert (waiting.status, waiting.title) == (404, "not_found")


def test_a_verb_that_a_path_does_not_have_is_a_problem_that_names_those_it_has(edge: Edge) -> None:
    reply = edge.ask("PUT", "/v1/tickets")
    assert (reply.status, reply.title) == (405, "method_not_allowed")


@pytest.mark.parametrize("wait", ["soon", "nan", "inf", "-1", "1e400"])
def test_an_odd_wait_is_refused(edge: Edge, wait: str) -> None:
    edge.submit("a", 900)
    edge.submit("b", 900)
    reply = edge.ask("GET", f"/v1/tickets/t2?wait={wait}")
    assert (reply.status, reply.title) == (422, "invalid_query")


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "²", ""])
def test_an_odd_number_of_days_is_refused(edge: Edge, days: str) -> None:
    reply = edge.ask("GET", f"/v1/efficiency?days={days}")
    assert (reply.status, reply.title) == (422, "invalid_query")


# Looking


def test_limits_forecasts_efficiency_and_alerts_can_be_looked_at(tmp_path: Path) -> None:
    monthly = "  - {id: monthly, match: {provider: anthropic}, unit: tokens, amount: 2k, window: month}\n"
    edge = start(tmp_path, LIMITS + monthly)
    try:
        edge.post("/v1/usage", event("r1", 700, run="n1", labels={"workflow": "nightly"}, cache_read=100))
        edge.service.tick()
        forecast = edge.get("/api/quota/forecast")
        assert only(forecast, "limit", "month", "current_month_tokens", "quota_limit") == {
            "limit": "monthly",
            "month": "2026-11",
            "current_month_tokens": 800,
            "quota_limit": 2000,
        }
        assert edge.get("/api/quota/forecast?limit=daily")["limit"] == "daily"
        fan = edge.get("/v1/limits/daily/forecast")["forecast"]["fan"]
        assert [set(each) for each in fan] == [{"at", "quantiles"}] * len(fan)
        assert fan
        (row,) = edge.get("/v1/efficiency?days=1")["workflows"]
        assert only(row, "workflow", "tokens", "runs") == {"workflow": "nightly", "tokens": 800, "runs": 1}
        assert edge.get("/v1/alerts") == {"alerts": edge.get("/v1/alerts")["alerts"]}
        assert edge.get("/healthz") == {"status": "ok"}
        assert edge.get("/readyz") == {
            "ready": True,
            "problems": [],
            "notes": ["no receiver is configured: alerts reach nobody"],
        }
    finally:
        edge.service.stop()


def test_the_queue_is_shown_in_its_order(edge: Edge) -> None:
    edge.submit("run", 1000)
    for name, priority in (("c", "low"), ("b", "normal"), ("a", "high")):
        edge.submit(name, 500, **{"class": priority})
    found = edge.get("/v1/queue")
    assert [(row["position"], row["key"]) for row in found["waiting"]] == [(1, "a"), (2, "b"), (3, "c")]
    assert [row["key"] for row in found["running"]] == ["run"]


def test_the_document_names_every_route_and_no_other() -> None:
    served = {(method, path.replace(":path", "")) for method, path, _ in ROUTES}
    assert served == DOCUMENTED


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/v1/page/events", ["text/event-stream"]),
        ("/metrics", ["text/plain", "application/openmetrics-text"]),
        ("/v1/usage/summary", ["application/json", "text/csv"]),
        ("/v1/limits", ["application/json"]),
    ],
)
def test_the_document_says_what_content_an_answer_has(path: str, kinds: list[str]) -> None:
    assert list(openapi()["paths"][path]["get"]["responses"]["200"]["content"]) == kinds


def test_the_document_is_served_and_refers_to_nothing_that_is_not_there(edge: Edge) -> None:
    document = edge.get("/openapi.json")
    assert document["paths"] == openapi()["paths"]

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from ([node["$ref"]] if "$ref" in node else [])
            for each in node.values():
                yield from references(each)
        elif isinstance(node, list):
            for each in node:
                yield from references(each)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    assert edge.ask("GET", "/docs").status == 200


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        pytest.param("", [("2026-11-21", "a", 100), ("2026-11-22", "b", 30)], id="by day and model"),
        pytest.param("?by=team", [("growth", 130)], id="by one label"),
        pytest.param("?by=day&days=1", [("2026-11-21", 100), ("2026-11-22", 30)], id="whole days"),
        pytest.param("?by=", [(130,)], id="in all"),
    ],
)
def test_usage_is_added_up_by_day_and_labels(edge: Edge, query: str, rows: list[tuple[Any, ...]]) -> None:
    labels = {"team": "growth"}
    before = event("k1", 100, at="2026-11-21T23:59:59Z", model="a", labels=labels)
    edge.ask("POST", "/v1/usage", [before, event("k2", 30, model="b", labels=labels)])
    found = edge.ask("GET", f"/v1/usage/summary{query}").body
    assert [(*(row[name] for name in found["by"]), row["tokens"]) for row in found["usage"]] == rows


def test_a_usage_summary_as_csv(edge: Edge) -> None:
    edge.ask("POST", "/v1/usage", event("k1", 100, cost_usd=0.5))
    reply = edge.ask("GET", "/v1/usage/summary?by=provider&format=csv")
    assert reply.body.split() == [
        "provider,input,cache_read,cache_write_5m,cache_write_1h,output,tokens,requests,cost_usd,unpriced_tokens,"
        "unlisted_tokens,unlisted_cost_usd,partial_answers",
        "anthropic,0,0,0,0,100,100,1,0.5,0,0,0.0,0",
    ]


def test_a_usage_summary_by_something_else_says_what_there_is(edge: Edge) -> None:
    reply = edge.ask("GET", "/v1/usage/summary?by=weekday")
    assert (reply.status, "weekday" in reply.body["detail"]) == (422, True)


def test_R6_of_many_errors_twenty_are_named_and_the_others_counted(edge: Edge) -> None:
    reply = edge.ask("POST", "/v1/tickets", ticket("a") | {f"unknown-{number}": 1 for number in range(500)})
    assert (reply.status, len(reply.body["errors"])) == (422, 20)
    assert reply.body["detail"].endswith("(and 499 more)")
