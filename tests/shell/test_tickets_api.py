"""Submitting over HTTP: each element of an array in its place, and descriptions that say nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import Edge, start, ticket


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
