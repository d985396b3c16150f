"""Items of LiteLLM's callback as the proxy really sent them, and what was really bought."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.core.ledger.deduplicate import named as as_kept
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.usage import Extent, Usage, UsageEvent
from quota_scheduler.sources.json_items import items_of
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.pushed import PushedLabels

DATA = Path(__file__).parents[1] / "data" / "litellm"
EXPECTED = json.loads((DATA / "expected.json").read_text())
ITEMS = json.loads((DATA / "batch.json").read_text())
NOW = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
DOOR = LitellmDoor(
    PushedLabels(
        {
            "team": ("x-team", "user_api_key_team_alias"),
            "project": ("x-project",),
            "workflow": ("user_api_key_alias",),
            "run": ("spend_logs_metadata.run",),
        },
        team="-",
    )
)
WHOLE = [case for case in EXPECTED["batch"] if case["count_tokens"] and not case["case"].startswith("drop_")]

UNTOLD = ("hit_1",)
"""Calls of which the item does not say for how long their cache was written."""


def read(*items: Any) -> list[UsageEvent]:
    """The events of some items."""
    delivery = DOOR.read(items_of(json.dumps(items).encode()), now=NOW)
    assert delivery.refused == ()
    return list(delivery.events)


def usage(truth: dict[str, int]) -> Usage:
    return Usage(truth["fresh"], truth.get("read", 0), truth.get("w5", 0), truth.get("w1", 0), truth["out"], 1)


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: f"{case['index']} {case['case']}")
def test_an_answer_is_what_the_provider_counted(case):
    (event,) = read(ITEMS[case["index"]])
    expected = usage(case["truth"])
    if case["case"] in UNTOLD:
        expected = expected._replace(cache_write_5m=expected.cache_write_5m + expected.cache_write_1h, cache_write_1h=0)
    assert (event.usage, event.extent) == (expected, Extent.WHOLE)


@pytest.mark.parametrize(
    "case",
    [case for case in EXPECTED["batch"] if case["case"] in ("fail_msg", "hit_2", "hit_m2")],
    ids=lambda c: c["case"],
)
def test_what_was_not_bought_does_not_count(case):
    assert read(ITEMS[case["index"]]) == []


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        pytest.param("drop_chat_gpt", (10, 0, 0, 0, 9), id="a client that left a chat: the proxy's estimate"),
        pytest.param("drop_msg", (50, 20000, 0, 0, 3), id="a client that left a message: the input is right"),
        pytest.param("cut_chat", (10, 0, 0, 0, 25), id="a stream that broke: a failure with tokens"),
    ],
)
def test_what_was_left_is_known_as_partial(case, kinds):
    index = next(one["index"] for one in EXPECTED["batch"] if one["case"] == case)
    (event,) = read(ITEMS[index])
    assert (event.usage.kinds, event.extent) == (kinds, Extent.PARTIAL)


def test_a_whole_batch_counts_each_call_once_and_again_as_the_same():
    first, again = read(*ITEMS), read(*ITEMS)
    assert [event.identity for event in first] == [event.identity for event in again]
    assert len({event.identity for event in first}) == len(first) == 27


def test_a_batch_of_lines_is_what_was_answered():
    body = (DATA / "batch.ndjson").read_bytes()
    delivery = DOOR.read(items_of(body), now=NOW)
    assert [event.usage for event in delivery.events] == [usage(one["truth"]) for one in EXPECTED["ndjson"]]


def named(case: str) -> UsageEvent:
    (event,) = read(ITEMS[next(one["index"] for one in EXPECTED["batch"] if one["case"] == case)])
    return event


def test_a_message_is_known_as_transcripts_know_it():
    event = named("msg_cache")
    assert (event.key, event.message) == ("req_9c06594a5684433680b9", "msg_ed41cb5e8455419ab85862")
    assert (event.session, event.labels.provider, event.labels.model) == (
        "5e0f0000-0000-4000-8000-000000000001",
        "anthropic",
        "claude-opus-5",
    )


def test_a_streamed_message_names_no_request():
    event = named("pass_stream")
    assert (event.key, event.message) == ("msg:msg_7c6650f2c5074ab094f972", "msg_7c6650f2c5074ab094f972")


def test_a_long_id_is_kept_as_a_hash():
    kept = as_kept(named("resp_gpt"))
    assert (len(kept.key), kept.message[:5], len(kept.message)) == (64, "resp_", 69)


def test_terms_of_the_price_are_kept():
    assert named("msg_fast").terms.speed == "fast"
    assert named("msg_fast").terms.tier == "priority"


def test_labels_come_from_headers_and_what_the_proxy_knows_of_the_key():
    event = named("chat_labels")
    assert (event.labels.project, event.labels.team, event.run, event.session) == ("proj-a", "-", "r1", "trace-9")


def test_health_checks_are_nobodys_work():
    event = named("health")
    assert (event.labels.workflow, event.labels.team) == ("litellm-internal-health-check", "-")


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"id": "x", "prompt_tokens": -1}, id="tokens below none"),
        pytest.param({"id": "x", "prompt_tokens": "many"}, id="tokens in words"),
        pytest.param({"id": 5}, id="an id that is a number"),
        pytest.param({"id": "msg_1", "prompt_tokens": 5, "endTime": 1e30}, id="a time beyond all calendars"),
        pytest.param([1], id="an array in the array"),
    ],
)
def test_what_cannot_be_understood_is_named_and_keeps_nothing_else_out(item):
    body = json.dumps([ITEMS[9], item, ITEMS[10]]).encode()
    delivery = DOOR.read(items_of(body), now=NOW)
    assert [event.usage.output for event in delivery.events] == [412, 412]
    assert [sentence.partition(":")[0] for sentence in delivery.refused] == ["item 1"]


def with_headers(case: str, headers: dict[str, str], **failure: Any) -> dict[str, Any]:
    """An item as it is, with other headers of the provider."""
    item = ITEMS[next(one["index"] for one in EXPECTED["batch"] if one["case"] == case)]
    changed = {**item, "hidden_params": {**item["hidden_params"], "additional_headers": headers}}
    return changed | ({"error_information": {**item["error_information"], **failure}} if failure else {})


def told(*items: Any) -> Any:
    return DOOR.read(items_of(json.dumps(items).encode()), now=NOW)


RESET = int(datetime(2026, 11, 27, 22, 0, tzinfo=UTC).timestamp())
WINDOW = {
    "anthropic-ratelimit-unified-5h-utilization": "0.31",
    "anthropic-ratelimit-unified-5h-reset": str(RESET),
    "anthropic-ratelimit-unified-5h-status": "allowed",
}


def test_headers_of_answers_tell_what_is_left_of_a_window():
    handed_on = {f"llm_provider-{name}": value for name, value in WINDOW.items()}
    pushed = told(with_headers("msg_cache", handed_on), with_headers("msg_fast", handed_on))
    (report,) = pushed.observations
    assert (report.provider, report.window, report.used_ratio, report.resets_at, report.source) == (
        "anthropic",
        ProviderWindow.FIVE_HOUR,
        0.31,
        datetime(2026, 11, 27, 22, 0, tzinfo=UTC),
        "litellm",
    )
    assert len(pushed.events) == 2


@pytest.mark.parametrize(
    ("headers", "failure", "throttles", "standings"),
    [
        pytest.param({"retry-after": "7"}, {}, [timedelta(seconds=7)], [], id="a refusal for a moment"),
        pytest.param(
            WINDOW | {"anthropic-ratelimit-unified-5h-status": "rejected"},
            {},
            [],
            ["rejected"],
            id="a window that is spent",
        ),
        pytest.param(
            {"anthropic-ratelimit-unified-7d_oi-status": "rejected", "x_ratelimit_remaining_tokens": 0},
            {},
            [],
            ["rejected"],
            id="a window whose name has an underscore",
        ),
        pytest.param(
            {"retry-after": "7"}, {"error_rate_limit_category": "key_limit"}, [], [], id="a limit of the proxy itself"
        ),
        pytest.param({"retry-after": "7"}, {"error_code": "400"}, [], [], id="another error"),
    ],
)
def test_a_refusal_is_what_the_provider_said(headers, failure, throttles, standings):
    pushed = told(with_headers("fail_msg", headers, **(failure or {"error_code": "429"})))
    assert [throttle.retry_after for throttle in pushed.throttles] == throttles
    assert [report.standing.value for report in pushed.observations] == standings
    assert pushed.skipped == 1


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"metadata": {"requester_custom_headers": {"x-team": "growth"}}}, id="headers apart"),
        pytest.param({"metadata": {"requester_metadata": {"headers": {"x-team": "growth"}}}}, id="all headers"),
        pytest.param({"request_tags": ["User-Agent: claude-cli", "x-team: growth"]}, id="tags made of headers"),
    ],
)
def test_a_header_is_a_label_wherever_the_route_leaves_it(said):
    (event,) = read({"id": "chatcmpl-1", "prompt_tokens": 5, "custom_llm_provider": "openai", **said})
    assert event.labels.team == "growth"


def test_searches_are_terms_of_the_price():
    usage_object = {"server_tool_use": {"web_search_requests": 2}}
    (event,) = read({"id": "msg_1", "prompt_tokens": 5, "metadata": {"usage_object": usage_object}})
    assert event.terms.web_searches == 2


def test_an_overloaded_provider_refuses_for_a_moment():
    item = with_headers("fail_msg", {"retry-after": "1"}, error_code="500", normalized_error="503_PROVIDER_OVERLOADED")
    item["error_information"]["error_rate_limit_category"] = None
    assert [throttle.retry_after for throttle in told(item).throttles] == [timedelta(seconds=1)]
