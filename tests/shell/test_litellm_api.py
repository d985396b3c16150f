"""LiteLLM's callback over a socket: bodies of any length and shape, whatever their headers say."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import LIMITS
from tests.shell.serving import Serving, serving_in

ITEM = {
    "litellm_call_id": "call",
    "status": "success",
    "custom_llm_provider": "anthropic",
    "model": "anthropic/claude-opus-5",
    "startTime": 1795805814.4,
    "endTime": 1795805815.4,
    "prompt_tokens": 21606,
    "completion_tokens": 412,
    "metadata": {
        "user_api_key_team_alias": "growth",
        "usage_object": {"prompt_tokens_details": {"cached_tokens": 20000, "cache_write_tokens": 1600}},
    },
}
USED = ("litellm", "", 6, 20000, 1600, 0, 412)
MEGABYTE = 1024 * 1024


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"msg_{number}", **ITEM, **changes}


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with serving_in(tmp_path, LIMITS) as serving:
        yield serving


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps([item(1), item(2)]), id="an array"),
        pytest.param(json.dumps([item(1), item(2)], indent=2), id="an array laid out for people"),
        pytest.param("\n".join(json.dumps(item(number)) for number in (1, 2)), id="a value a line"),
        pytest.param("\n".join(json.dumps(item(number)) for number in (1, 2)) + "\n\n", id="lines that all end"),
    ],
)
@pytest.mark.parametrize(
    "kind", [pytest.param("application/json", id="as JSON"), pytest.param("application/x-ndjson", id="as lines"),
             pytest.param("", id="as nothing")]
)  # fmt: skip
def test_what_a_body_is_shows_its_shape(serving, body, kind):
    for _ in range(2):
        status, answer = serving.post("/v1/litellm", body.encode(), {"Content-Type": kind})
        assert (status, answer) == (200, {"events": 2, "skipped": 0, "refused": 0, "reasons": []})
    assert serving.used() == [USED, USED]


def test_one_item_alone_is_one(serving):
    assert serving.post("/v1/litellm", json.dumps(item(1)).encode())[0] == 200
    assert serving.used() == [USED]


def test_labels_are_those_of_the_key(serving):
    serving.post("/v1/litellm", json.dumps([item(1)]).encode())
    with serving.service.store.reading() as tx:
        assert tx.rows("SELECT team, account, model FROM label_sets WHERE team != ''") == [
            ("growth", "default", "claude-opus-5")
        ]


def test_a_body_of_many_megabytes_is_recorded_as_it_comes(serving):
    count, text = 60, "y" * 2 * MEGABYTE
    tail = json.dumps({"messages": [{"content": text + '\\"]}['}]})[1:]

    def pieces() -> Iterator[bytes]:
        yield b"["
        for number in range(count):
            yield (("," if number else "") + json.dumps(item(number))[:-1] + ", " + tail).encode()
        yield b"]"

    tracemalloc.start()
    status, answer = serving.post("/v1/litellm", pieces(), {"Transfer-Encoding": "chunked"})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (status, answer["events"]) == (200, count)
    assert serving.used() == [USED] * count
    assert most < 60 * MEGABYTE  # of 120 that were sent, by this process too


def test_what_is_odd_is_named_and_keeps_nothing_else_out(serving):
    odd = item(2, prompt_tokens="many")
    status, answer = serving.post("/v1/litellm", json.dumps([item(1), odd, 7, item(3)]).encode())
    assert (status, answer["events"], answer["refused"]) == (200, 2, 2)
    assert serving.used() == [USED, USED]


@pytest.mark.parametrize(
    "body",
    [pytest.param(b"usage", id="a word"), pytest.param(b"[7]", id="a number"), pytest.param(b"{", id="half a value")],
)
def test_a_body_that_is_none_is_refused(serving, body):
    status, answer = serving.post("/v1/litellm", body)
    assert (status, answer["title"]) == (422, "invalid_body")


@pytest.mark.parametrize("body", [pytest.param(b"", id="nothing"), pytest.param(b"[]", id="no items")])
def test_a_body_of_nothing_is_nothing(serving, body):
    assert serving.post("/v1/litellm", body)[0] == 200


def test_what_is_left_of_a_window_is_the_providers_word(serving):
    headers = {"llm_provider-anthropic-ratelimit-unified-5h-utilization": "0.31"}
    serving.post("/v1/litellm", json.dumps([item(1, hidden_params={"additional_headers": headers})]).encode())
    with serving.service.store.reading() as tx:
        assert tx.scalar("SELECT count(*) FROM observations") == 1
