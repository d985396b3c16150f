"""What agents print, as tokens by model: each shape, cut and garbled, in one piece and in many."""

import json

import pytest

from quota_scheduler.wrapper.meter import RecordReader, UsageMeter

OPUS = "claude-opus-5-5"
TOTAL = {
    OPUS: {
        "inputTokens": 100, "outputTokens": 20, "cacheReadInputTokens": 1_000, "cacheCreationInputTokens": 50,
        "cacheCreationEphemeral1hInputTokens": 40,
    }
}  # fmt: skip
SINCE = {OPUS: {"inputTokens": 7, "outputTokens": 3}}
RESULT = {"type": "result", "session_id": "s", "uuid": "u1", "modelUsage": TOTAL}
BEGAN = {OPUS: {"input": 90, "cache_read": 900, "cache_write_5m": 10, "cache_write_1h": 0, "output": 10}}
CODEX = {"input_tokens": 1_000, "cached_input_tokens": 600, "cache_write_input_tokens": 50, "output_tokens": 70}
GEMINI = {"models": {"gemini-3.8-flash": {"tokens": {
    "input": 300, "prompt": 1_000, "cached": 700, "candidates": 20, "thoughts": 5, "tool": 4}}}}  # fmt: skip
STREAMED = {"models": {"gemini-3.8-flash": {
    "total_tokens": 1_030, "input_tokens": 1_000, "output_tokens": 20, "cached": 700, "input": 300}}}  # fmt: skip
STEP = {"input": 10, "output": 5, "reasoning": 3, "cache": {"read": 100, "write": 2}}


QWEN = {
    "type": "result", "session_id": "q", "uuid": "r1", "is_error": False,
    "usage": {"input_tokens": 1_000, "output_tokens": 60, "cache_read_input_tokens": 700, "total_tokens": 1_060},
    "stats": {"models": {"qwen3.8-coder": {"tokens": {
        "prompt": 1_000, "candidates": 60, "total": 1_060, "cached": 700, "thoughts": 40}}}},
}  # fmt: skip
ANSWERED = {"input_tokens": 400, "output_tokens": 30, "cache_read_input_tokens": 300, "total_tokens": 430}


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def message(number: str, given: int) -> dict[str, object]:
    usage = {"input_tokens": given, "output_tokens": 1}
    return {"type": "assistant", "session_id": "s", "message": {"id": number, "model": OPUS, "usage": usage}}


def answer(number: str, usage: dict[str, int]) -> dict[str, object]:
    return {"type": "assistant", "session_id": "q", "message": {"id": number, "model": "qwen3.8-coder", "usage": usage}}


WHOLE = {OPUS: {"input": 100, "cache_read": 1_000, "cache_write_5m": 10, "cache_write_1h": 40, "output": 20}}
DIFFERENCE = {OPUS: {"input": 10, "cache_read": 100, "cache_write_1h": 40, "output": 10}}
MAIN = {"input_tokens": 9, "output_tokens": 2}


@pytest.mark.parametrize(
    ("output", "began", "usage"),
    [
        pytest.param(lines(RESULT), {}, WHOLE, id="claude: a total of a session that began with this run"),
        pytest.param(lines(RESULT), BEGAN, DIFFERENCE, id="claude: a total less what the session had used"),
        pytest.param(
            lines(RESULT | {"usage": MAIN}),
            None,
            {OPUS: {"input": 9, "output": 2}},
            id="claude: a session nobody knows counts its main loop",
        ),
        pytest.param(
            lines(RESULT | {"model_usage_since_last_result": SINCE}),
            BEGAN,
            {OPUS: {"input": 7, "output": 3}},
            id="claude: since the last result rules over the total",
        ),
        pytest.param(
            lines(*(RESULT | {"uuid": n, "model_usage_since_last_result": SINCE} for n in ("u1", "u2", "u2"))),
            {},
            {OPUS: {"input": 14, "output": 6}},
            id="claude: two results, one of them printed twice",
        ),
        pytest.param(
            lines(message("m1", 10), message("m1", 10), message("m2", 20)),
            {},
            {OPUS: {"input": 30, "output": 2}},
            id="claude: killed before any result",
        ),
        pytest.param(
            lines(message("m1", 10), RESULT | {"model_usage_since_last_result": SINCE}),
            {},
            {OPUS: {"input": 7, "output": 3}},
            id="claude: the result replaces what was under way",
        ),
        pytest.param(
            lines({"type": "thread.started", "thread_id": "t"}, {"type": "turn.completed", "usage": CODEX}),
            {"gpt": {"input": 100, "cache_read": 600, "output": 20}},
            {"gpt": {"input": 250, "cache_write_5m": 50, "output": 50}},
            id="codex: a thread's total less its beginning",
        ),
        pytest.param(
            json.dumps({"session_id": "g", "stats": GEMINI}, indent=2).encode(),
            {},
            {"gemini-3.8-flash": {"input": 304, "cache_read": 700, "output": 25}},
            id="gemini: one document",
        ),
        pytest.param(
            b"Loaded cached credentials.\n" + json.dumps({"session_id": "g", "stats": GEMINI}, indent=2).encode(),
            {},
            {"gemini-3.8-flash": {"input": 304, "cache_read": 700, "output": 25}},
            id="gemini: text before it",
        ),
        pytest.param(
            lines({"type": "result", "stats": STREAMED}),
            {},
            {"gemini-3.8-flash": {"input": 300, "cache_read": 700, "output": 30}},
            id="gemini: stream-json",
        ),
        pytest.param(
            lines(*({"type": "step_finish", "sessionID": "o", "part": {"id": n, "tokens": STEP}} for n in "abb")),
            {},
            {"gpt": {"input": 20, "cache_read": 200, "cache_write_5m": 4, "output": 16}},
            id="opencode: each step once",
        ),
        pytest.param(
            json.dumps([answer("a", ANSWERED), QWEN]).encode(),
            {},
            {"qwen3.8-coder": {"input": 300, "cache_read": 700, "output": 60}},
            id="qwen-code: input holds the cache, output the thoughts",
        ),
        pytest.param(
            lines(answer("a", ANSWERED), QWEN),
            {"qwen3.8-coder": {"input": 250, "cache_read": 600, "output": 10}},
            {"qwen3.8-coder": {"input": 50, "cache_read": 100, "output": 50}},
            id="qwen-code: a resumed session, less its beginning",
        ),
        pytest.param(
            lines(answer("a", {"input_tokens": 0, "output_tokens": 0}), answer("b", ANSWERED), QWEN),
            None,
            {"qwen3.8-coder": {"input": 100, "cache_read": 300, "output": 30}},
            id="qwen-code: a session nobody knows counts what it answered",
        ),
        pytest.param(
            lines(answer("a", ANSWERED), {name: value for name, value in QWEN.items() if name != "stats"}),
            {"qwen3.8-coder": {"input": 250, "cache_read": 600, "output": 10}},
            {"qwen3.8-coder": {"input": 50, "cache_read": 100, "output": 50}},
            id="qwen-code: stream-json says the session's total in its usage alone",
        ),
        pytest.param(
            lines(answer("a", ANSWERED)),
            {},
            {"qwen3.8-coder": {"input": 100, "cache_read": 300, "output": 30}},
            id="qwen-code: killed before its result",
        ),
        pytest.param(b"", {}, {}, id="nothing"),
        pytest.param(
            b"plain words\n{ not json }\n[1, 2]\n\xff\xfe{\n", {}, {}, id="no usage, and bytes that are no text"
        ),
        pytest.param(lines(RESULT)[:-20], {}, {}, id="half a line"),
        pytest.param(
            lines(RESULT | {"modelUsage": [1]}, RESULT | {"uuid": "u2"}), {}, WHOLE, id="a garbled one before it"
        ),
        pytest.param(
            lines(RESULT | {"modelUsage": {OPUS: {"inputTokens": -5, "outputTokens": 10**30}}}),
            {},
            {},
            id="figures nobody can have used",
        ),
    ],
)
@pytest.mark.parametrize("size", [10**9, 1, 7], ids=["at once", "byte by byte", "in pieces"])
def test_usage_of_a_run(output, began, usage, size):
    meter = UsageMeter("gpt")
    reader = RecordReader(meter.take)
    for start in range(0, len(output), min(size, len(output) or 1)):
        reader.feed(output[start : start + size])
    reader.end()
    assert meter.usage(lambda _session, _total: began) == usage


@pytest.mark.parametrize(
    ("record", "session"),
    [
        pytest.param({"type": "system", "session_id": "s-1"}, "s-1", id="claude and gemini"),
        pytest.param({"type": "thread.started", "thread_id": "t-1"}, "t-1", id="codex"),
        pytest.param({"type": "text", "sessionID": "ses_1"}, "ses_1", id="opencode"),
        pytest.param({"type": "system", "session_id": "a\nb"}, "", id="no name"),
    ],
)
def test_the_session_that_binds_a_lease_to_a_transcript(record, session):
    meter = UsageMeter()
    meter.take(record)
    assert meter.session == session
