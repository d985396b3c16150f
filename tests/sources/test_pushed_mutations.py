"""Mutated bodies of the doors: each odd record is refused with its place, and the good ones add up to what they did.

``make torture`` mutates ten thousand bodies of each door; the daily run a few hundred.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from quota_scheduler.core.ledger.metered import settle
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.usage import Usage, total
from quota_scheduler.sources.json_items import JsonItems
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.sources.pushed import PushedLabels
from quota_scheduler.sources.records import BadLine
from tests.shell.otlp_bodies import claude, encoded, logs, metric, spans

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
OTLP, LITELLM = OtlpDoor(PushedLabels()), LitellmDoor(PushedLabels())
ODD: list[Any] = [None, True, "", "x", -1, 2**70, 1.5, 1e400, [], {}, [1], {"a": 1}, "9" * 30, "\ud800", "-5", [[]]]
CALL = {"gen_ai.response.id": "msg_0", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
POINT = ({"type": "input", "model": "m", "session.id": "s"}, 7)
ITEM = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "custom_llm_provider": "openai",
    "model": "openai/gpt-5.5",
    "endTime": 1795805815.4,
    "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 4}}},
}


def usage_of(pushed: Pushed) -> Usage:
    """All that a body adds."""
    return total(event.usage for event in (*pushed.events, *settle(pushed.metered, {}).events))


def otlp(signal: str) -> Callable[[Any], Pushed]:
    return lambda document: OTLP.read(signal, json.dumps(document).encode(), is_json=True, now=NOW)


def litellm(document: Any) -> Pushed:
    items = JsonItems()
    body = json.dumps(document).encode()
    return LITELLM.read([*items.feed(body), *items.end()], now=NOW, cut=items.refused)


def places(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    steps = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


def mutated(part: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A document with something else in one place."""
    if not path:
        return value
    copy = dict(part) if isinstance(part, dict) else list(part)
    copy[path[0]] = mutated(part[path[0]], path[1:], value)
    return copy


DOORS = [
    pytest.param(
        otlp("logs"), logs(*(claude(f"req_{n}") for n in range(4))),
        ("resourceLogs", 0, "scopeLogs", 0, "logRecords"), id="log records",
    ),
    pytest.param(
        otlp("spans"), spans(*(CALL | {"gen_ai.response.id": f"msg_{n}"} for n in range(4))),
        ("resourceSpans", 0, "scopeSpans", 0, "spans"), id="spans",
    ),
    pytest.param(
        otlp("points"),
        metric("claude_code.token.usage", [({**POINT[0], "session.id": f"s{n}"}, 7) for n in range(4)]),
        ("resourceMetrics", 0, "scopeMetrics", 0, "metrics", 0, "sum", "dataPoints"), id="points",
    ),
    pytest.param(litellm, [{"id": f"msg_{n}", **ITEM} for n in range(4)], (), id="items of LiteLLM"),
]  # fmt: skip


def check(read: Callable[[Any], Pushed], document: Any, within: tuple[Any, ...], dice: random.Random) -> None:
    """Mutate one of four records in one place: the three others are counted as before, and nothing else is raised."""
    records = document
    for step in within:
        records = records[step]
    victim = dice.randrange(len(records))
    inner = dice.choice(places(records[victim]))
    odd = mutated(document, (*within, victim, *inner), dice.choice(ODD))
    others = mutated(document, within, [one for number, one in enumerate(records) if number != victim])
    pushed, least = read(odd), usage_of(read(others))
    left = usage_of(pushed).minus(least)
    assert min(left) >= 0, (inner, pushed.refused)
    assert len(pushed.events) + len(pushed.metered) + len(pushed.refused) + pushed.skipped >= 3


@pytest.mark.parametrize(("read", "document", "within"), DOORS)
def test_one_odd_record_takes_nothing_from_the_others(read, document, within):
    dice = random.Random(1)
    for _ in range(300):
        check(read, document, within, dice)


@pytest.mark.torture
@pytest.mark.parametrize(("read", "document", "within"), DOORS)
def test_ten_thousand_odd_records_take_nothing_from_the_others(read, document, within):
    dice = random.Random(2)
    for _ in range(10_000):
        check(read, document, within, dice)


@pytest.mark.parametrize("as_json", [pytest.param(True, id="in JSON"), pytest.param(False, id="in protobuf")])
def test_bytes_that_were_hit_are_refused_or_read_and_never_more_than_that(as_json):
    dice = random.Random(3)
    body, _ = encoded("logs", logs(*(claude(f"req_{n}") for n in range(4))), as_json=as_json)
    for _ in range(1500):
        hit = bytearray(body)
        for _ in range(dice.randint(1, 3)):
            hit[dice.randrange(len(hit))] = dice.randrange(256)
        try:
            OTLP.read("logs", bytes(hit[: dice.choice([len(hit), dice.randrange(len(hit))])]), is_json=as_json, now=NOW)
        except BadLine:
            continue
