"""Submitting over HTTP: each element of an array in its place, and descriptions that say nothing."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import Edge, event, start, ticket


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path)
    yield edge
    edge.service.stop()


def test_M10_each_element_of_an_array_is_answered_in_its_place(edge: Edge) -> None:
    edge.submit("old", 100)
    wrong = {**ticket("b"), "estimate": {"tokens": "x"}}
    good, bad, reused, list_, unknown, last = edge.post(
        "/v1/tickets", [ticket("a"), wrong, ticket("old", 1), [], described("c", task_type="juggling"), ticket("d")]
    )
    assert [good["verdict"], last["verdict"]] == ["admit", "admit"]
    assert (bad["error"]["status"], bad["error"]["code"]) == (422, "invalid_body")
    assert bad["error"]["errors"][0]["pointer"] == "/1/estimate/tokens"
    assert bad["error"]["detail"].startswith("/1/estimate/tokens: 'x' is not an amount")
    assert (reused["error"]["status"], reused["error"]["code"]) == (409, "key_reused")
    assert list_["error"]["errors"][0]["pointer"] == "/3"
    assert unknown["error"]["errors"][0]["pointer"] == "/4/describe"


def described(key: str, **words: Any) -> dict[str, Any]:
    return {"key": key, "labels": {"provider": "anthropic"}, "describe": words}


@pytest.mark.parametrize("path", ["/v1/tickets", "/v1/preflight"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param({"task_type": "juggling"}, id="M2: an unknown task type"),
        pytest.param({}, id="M2: an empty description"),
        pytest.param({"text": ""}, id="M2: an empty text"),
    ],
)
def test_M2_what_says_nothing_is_refused_and_reserves_nothing(edge: Edge, path: str, words: dict[str, Any]) -> None:
    reply = edge.ask("POST", path, described("a", **words))
    assert (reply.status, reply.title) == (422, "invalid_body")
    assert reply.body["errors"][0]["pointer"] == "/describe"
    assert "code_review" in reply.body["detail"]


def test_M2_a_plan_points_at_the_item_that_says_nothing(edge: Edge) -> None:
    reply = edge.ask("POST", "/v1/plans/estimate", {"items": [ticket("a"), described("b")]})
    assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/items/1/describe")


def test_M2_the_type_of_the_labels_is_used(edge: Edge) -> None:
    body = {"key": "a", "labels": {"provider": "other", "task_type": "code_review"}, "describe": {}}
    edge.post("/v1/tickets", body)
    (row,) = edge.get("/v1/queue")["running"]
    assert row["tokens"] == 10_400  # 6,000 in and 2,000 out, and 30 % on top since it is a guess
    assert row["labels"]["task_type"] == "code_review"


@pytest.mark.parametrize(
    "estimate",
    [
        pytest.param({"tokens": 0}, id="M2: no tokens"),
        pytest.param({"input": 0}, id="M2: none of a kind"),
        pytest.param({"cost_usd": 0}, id="M2: no money"),
    ],
)
def test_M2_an_estimate_of_nothing_is_refused(edge: Edge, estimate: dict[str, Any]) -> None:
    reply = edge.ask("POST", "/v1/tickets", {**ticket("a"), "estimate": estimate})
    assert (reply.status, "more than 0" in reply.body["detail"]) == (422, True)


HUGE = "9" * 4_000
ZEROS = b"0" * 9
NUMBERS: list[Any] = [
    pytest.param("POST", "/v1/leases/l1/renew", b'{"fence": 1%s}' % (b"0" * 30), id="R15: a fence of 10^30, renewing"),
    pytest.param("POST", "/v1/leases/l1/release", b'{"fence": 1%s}' % (b"0" * 30), id="R15: and releasing"),
    pytest.param("POST", "/v1/leases/l1/release", b'{"fence": %s}' % HUGE.encode(), id="R15: of 4,000 digits"),
    pytest.param("POST", "/v1/leases/l1/release", b'{"fence": true}', id="R21: true is no fence"),
    pytest.param("POST", "/v1/leases/l1/release", b'{"fence": 1.5}', id="R21: nor is a fraction"),
    pytest.param("POST", "/v1/hold", b'{"on": 0}', id="R21: 0 is not off"),
    pytest.param("POST", "/v1/hold", b'{"on": "yes"}', id="R21: yes is not on"),
    pytest.param("GET", f"/v1/efficiency?days={'9' * 5_000}", None, id="R15: days of 5,000 digits"),
    pytest.param("GET", f"/v1/runs?limit={'9' * 5_000}", None, id="R15: a limit of 5,000 digits"),
    pytest.param("GET", f"/v1/usage/summary?days={'9' * 5_000}", None, id="R15: days of a summary"),
    pytest.param("GET", f"/v1/tickets/t1?wait={'9' * 5_000}", None, id="R15: a wait of 5,000 digits"),
    pytest.param("PATCH", "/v1/limits/daily", b'{"amount": %s}' % HUGE.encode(), id="R15: an amount of 4,000 digits"),
    pytest.param("PATCH", "/v1/limits/daily", b'{"amount": "%s"}' % HUGE.encode(), id="R15: the same as a text"),
    pytest.param("POST", "/v1/usage", b'{"provider": "a", "key": "k", "at": "2026-11-22T08:00Z", "input": 1%s1}' % ZEROS,  # noqa: E501
                 id="R14: an event of more than ten billion tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "raw"), NUMBERS)
def test_R15_numbers_have_bounds(edge: Edge, method: str, path: str, raw: bytes | None) -> None:
    edge.submit("a")
    reply = edge.ask(method, path, raw=raw)
    assert reply.status == 422
    assert len(str(reply.body)) < 2_000  # what was given is not echoed whole


@pytest.mark.parametrize(
    ("models", "status"),
    [pytest.param(100, 200, id="R6: a hundred models"), pytest.param(101, 422, id="R6: one more")],
)
def test_R6_a_report_names_at_most_a_hundred_models(edge: Edge, models: int, status: int) -> None:
    edge.submit("a", 900)
    usage = {f"m{number}": {"output": 1} for number in range(models)}
    assert edge.ask("POST", "/v1/leases/l1/renew", {"fence": 1, "usage": usage}).status == status


def test_R6_the_event_loop_goes_on_while_prices_are_looked_up(edge: Edge) -> None:
    """A thousand names nobody has heard of take a second to price; meanwhile others are answered."""
    events = [event(f"k{number}", 1, model=f"unheard-{number}") for number in range(1_000)]
    slowest = 0.0

    async def look() -> None:
        nonlocal slowest
        for _ in range(20):
            started = time.monotonic()
            await asyncio.sleep(0)
            slowest = max(slowest, time.monotonic() - started)

    started = time.monotonic()
    asyncio.run(edge.ask_many([("POST", "/v1/usage", events, None, "")], look))
    whole = time.monotonic() - started
    assert slowest < max(0.5, whole / 2)


def test_decisions_are_counted_by_what_one_asks(edge: Edge) -> None:
    edge.submit("starts", 100)
    edge.submit("never", 10**9)
    counted = edge.ask("GET", "/v1/decisions?days=1&by=class,reason").body
    assert [(row["reason"], row["admitted"], row["rejected"]) for row in counted["decisions"]] == [
        ("fits", 1, 0),
        ("never_fits", 0, 1),
    ]
    assert counted["totals"] == {"admitted": 1, "deferred": 0, "throttled": 0, "woken": 0, "rejected": 1}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("by=colour", "by='colour' is none of day, limit, class, reason", id="by nothing that is kept"),
        pytest.param("days=401", "days='401' must be a whole number from 1 to 400", id="longer than counts are kept"),
    ],
)
def test_decisions_that_are_not_kept_are_refused(edge: Edge, query: str, says: str) -> None:
    reply = edge.ask("GET", f"/v1/decisions?{query}")
    assert (reply.status, reply.body["detail"]) == (422, says)
