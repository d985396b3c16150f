"""OTLP exports that real libraries sent, and what they say was used."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.metered import settle
from quota_scheduler.core.usage import Extent, Usage, UsageEvent, total
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.sources.pushed import PushedLabels

DATA = Path(__file__).parents[1] / "data" / "otlp"
EXPECTED = json.loads((DATA / "expected.json").read_text())
NOW = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
LEFT = "anthropic stream left after 3 events"
NEVER_TOLD = "openai chat streamed without include_usage"
DOOR = OtlpDoor(PushedLabels({"team": ("team.id",), "run": ("run.id",)}, account="work", accounts={"acc-1": "max-1"}))


def read(signal: str, *names: str) -> list[UsageEvent]:
    """The events of some exports."""
    found: dict[tuple[str, str], UsageEvent] = {}
    for name in names:
        delivery = DOOR.read(signal, (DATA / f"{name}.pb").read_bytes(), is_json=False, now=NOW)
        assert delivery.refused == ()
        found |= {event.identity: event for event in delivery.events}
    return list(found.values())


def sums(events: Iterable[UsageEvent]) -> dict[str, Usage]:
    """What was used by model."""
    by_model: dict[str, list[Usage]] = {}
    for event in events:
        by_model.setdefault(event.labels.model, []).append(event.usage)
    return {model: total(usages) for model, usages in sorted(by_model.items())}


def truth(*, times: int = 1, without: Iterable[str] = (), left_output: int = 0) -> dict[str, Usage]:
    """What the stand-in of the providers answered, by model."""
    by_model: dict[str, list[Usage]] = {}
    for call in EXPECTED["calls"]:
        said = call["truth"]
        if said is None or call["call"] in without:
            continue
        out = left_output if said["out"] is None else said["out"]
        usage = Usage(said["fresh"], said.get("read", 0), said.get("w5", 0), said.get("w1", 0), out, 1)
        by_model.setdefault(call["model"], []).extend([usage] * times)
    return {model: total(usages) for model, usages in sorted(by_model.items())}


def test_spans_of_an_sdk_and_its_instrumentation_are_the_calls_once():
    events = read("spans", "genai-spans-0", "genai-spans-1")
    assert sums(events) == truth(without=[NEVER_TOLD], left_output=1)
    assert [event.extent for event in events].count(Extent.PARTIAL) == 1
    assert {(event.labels.team, event.labels.account, event.origin) for event in events} == {
        ("blue", "work", "otlp/genai/traces")
    }


def test_a_span_of_anthropic_is_known_by_request_and_message_as_transcripts_are():
    events = [event for event in read("spans", "genai-spans-0") if event.labels.provider == "anthropic"]
    assert all(event.key.startswith("req_") and event.message.startswith("msg_") for event in events)


def test_events_of_the_conventions_are_the_calls_once():
    events = read("logs", *(f"genai-events-{number}" for number in range(4)))
    expected = truth(without=[NEVER_TOLD, "openai embeddings"], left_output=1)  # of which there is no event
    opus = expected["claude-opus-5"]  # nor does one tell for how long a cache was written
    expected["claude-opus-5"] = opus._replace(
        cache_write_5m=opus.cache_write_5m + opus.cache_write_1h, cache_write_1h=0
    )
    assert sums(events) == expected


def test_spans_of_traceloop_count_a_streamed_answer_at_most_one_token_too_high():
    counted = sums(read("spans", *(f"traceloop-spans-{number}" for number in range(4))))
    expected = truth(times=2, without=[NEVER_TOLD])
    opus = counted["claude-opus-5"]
    assert opus.kinds[:4] == expected["claude-opus-5"].kinds[:4]
    assert 0 <= opus.output - expected["claude-opus-5"].output <= 4
    assert counted["claude-flaky"] == expected["claude-flaky"]


SDK = {"input_tokens": 23400, "cache_read.input_tokens": 12000, "cache_write.input_tokens": 1300, "output_tokens": 412}
TRACELOOP = {
    "input_tokens": 2400,
    "cache_read.input_tokens": 2000,
    "cache_creation.input_tokens": 300,
    "output_tokens": 420,
}
SEARCHED = Usage(10100, 12000, 1300, 0, 412, 1)


def span(usage: dict[str, int], **more: str) -> dict:
    """A span of one streamed answer that searched, as the SDK or Traceloop tells of it."""
    facts = {
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.model": "claude-opus-4-5",
        "gen_ai.provider.name": "anthropic",
    }
    values = [{"key": key, "value": {"stringValue": value}} for key, value in (facts | more).items()]
    counts = [{"key": f"gen_ai.usage.{key}", "value": {"intValue": str(value)}} for key, value in usage.items()]
    return {"name": "chat", "endTimeUnixNano": "1795338000000000000", "attributes": values + counts}


@pytest.mark.parametrize(
    ("spans", "usage"),
    [
        pytest.param([{}, {}], SEARCHED, id="the SDK's own output stands, not the larger one beside it"),
        pytest.param(
            [{"output_tokens": 0}, {"output_tokens": 1}], SEARCHED._replace(output=1), id="a left stream is 1"
        ),
    ],
)
@pytest.mark.parametrize("order", [1, -1], ids=["own first", "own last"])
def test_two_spans_of_one_answer_are_the_larger_input_and_the_output_of_the_sdk(spans, usage, order):
    told = [span(SDK | spans[0], **{"anthropic.request.id": "req_1"}), span(TRACELOOP | spans[1])][::order]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": told}]}]}).encode()
    assert [event.usage for event in DOOR.read("spans", body, is_json=True, now=NOW).events] == [usage]


def metered(*names: str) -> list[UsageEvent]:
    """What a series of exports of metrics adds, each settled after the other."""
    states: dict = {}
    events: dict[tuple[str, str], UsageEvent] = {}
    for name in names:
        delivery = DOOR.read("points", (DATA / f"{name}.pb").read_bytes(), is_json=False, now=NOW)
        settled = settle(delivery.metered, states)
        states |= settled.states
        events |= {event.identity: event for event in settled.events}
    return list(events.values())


DELTA = tuple(f"genai-metrics-delta-{number}" for number in range(5))
CUMULATIVE = ("genai-metrics-cumulative-earlier", "genai-metrics-cumulative-last")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(DELTA, id="deltas add up"),
        pytest.param((*DELTA, *DELTA), id="deltas that come twice count once"),
        pytest.param(CUMULATIVE, id="sums add what they have grown by"),
        pytest.param(CUMULATIVE[1:], id="a sum that was not seen grow counts whole"),
        pytest.param((*CUMULATIVE, CUMULATIVE[1], CUMULATIVE[0]), id="sums that come again, or late, add nothing"),
    ],
)
def test_metrics_are_all_that_went_in_and_out(names):
    events = metered(*names)
    expected = {
        model: (usage.input_side, usage.output)
        for model, usage in truth(times=2, without=[NEVER_TOLD], left_output=1).items()
    }
    assert {model: (usage.input, usage.output) for model, usage in sums(events).items()} == expected
    assert all(event.is_unsplit for event in events)
    assert sum(event.usage.requests for event in events) == 2 * 10
