"""Whatever stands where a parser looks, it raises nothing, invents nothing, and keeps what is good beside it."""

import json
import random
from datetime import UTC

import pytest

from quota_scheduler.sources.word.codex_limits import read_rate_limits
from quota_scheduler.sources.word.headers import read_answer, read_litellm
from quota_scheduler.sources.word.headless import read_output, read_record
from quota_scheduler.sources.word.hooks import read_hook
from quota_scheduler.sources.word.limit_lines import read_limit_line
from quota_scheduler.sources.word.limit_text import PREFIXES, read_limit_text
from quota_scheduler.sources.word.status_line import read_status_line
from quota_scheduler.sources.word.usage_endpoint import read_usage
from quota_scheduler.sources.word.word import FARTHEST_RESET, MOST_USED
from tests.sources.word.reports import LATER, SOON, TELLER

WINDOW = {"utilization": 0.4, "resetsAt": SOON, "status": "allowed"}
INFO = {"status": "allowed", "rateLimitType": "five_hour", "unifiedWindows": {"five_hour": WINDOW, "seven_day": WINDOW}}
TEXT = "You've hit your weekly limit · resets Oct 3, 4pm (Europe/London)"
LINE = {
    "type": "assistant",
    "isApiErrorMessage": True,
    "timestamp": "2026-10-02T15:00:00Z",
    "quotaLimits": INFO,
    "message": {"model": "<synthetic>", "content": [{"type": "text", "text": TEXT}]},
}
CODEX = {"limit_id": "codex", "primary": {"used_percent": 4, "window_minutes": 300, "resets_at": SOON}}
ROWS = [{"kind": "session", "percent": 4, "resets_at": "2026-10-02T19:10:00Z"}]
HEADERS = {"anthropic-ratelimit-unified-5h-utilization": "0.4", "anthropic-ratelimit-unified-5h-reset": str(SOON)}
DOORS = {
    "status line": (
        lambda said: read_status_line(said, TELLER),
        {"rate_limits": {"five_hour": {"used_percentage": 4, "resets_at": SOON}}},
    ),
    "event": (lambda said: read_record(said, TELLER, UTC), {"type": "rate_limit_event", "rate_limit_info": INFO}),
    "result": (
        lambda said: read_record(said, TELLER, UTC),
        {"type": "result", "is_error": True, "api_error_status": 429, "result": TEXT, "errors": [TEXT]},
    ),
    "retry": (
        lambda said: read_record(said, TELLER, UTC),
        {"type": "system", "subtype": "api_retry", "error_status": 429, "retry_delay_ms": 5},
    ),
    "transcript": (lambda said: read_limit_line(said, TELLER, UTC), LINE),
    "refusal": (
        lambda said: read_limit_line(said, TELLER, UTC),
        {"type": "system", "subtype": "api_error", "retryInMs": 5, "error": {"status": 529, "headers": HEADERS}},
    ),
    "codex": (lambda said: read_rate_limits(said, TELLER), {**CODEX, "secondary": None, "individual_limit": {}}),
    "endpoint": (lambda said: read_usage(said, TELLER), {"five_hour": {"utilization": 4}, "limits": ROWS}),
    "hook": (
        lambda said: read_hook(said, TELLER, UTC),
        {"hook_event_name": "StopFailure", "error": "rate_limit", "last_assistant_message": TEXT},
    ),
    "headers": (lambda said: read_answer(said, TELLER, status=429, body=json.dumps(said)), HEADERS),
    "litellm": (lambda said: read_litellm(said, TELLER), {f"llm_provider-{name}": v for name, v in HEADERS.items()}),
}
STRANGE = (
    *(
        None,
        True,
        -1,
        0,
        1e9,
        1e300,
        10**30,
        float("nan"),
        float("inf"),
        LATER * 1000,
        "",
        "x" * 5000,
        "\ud800",
        "9" * 400,
    ),
    *(
        [],
        [[]],
        {},
        {"": None},
        {"five_hour": {}},
        [{"type": "text", "text": 5}],
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ),
)


def mutated(said: object, choose: random.Random) -> object:
    """The same with some values, keys and members replaced by strange ones."""
    if choose.random() < 0.12:
        return choose.choice(STRANGE)
    if isinstance(said, dict):
        return {
            (key if choose.random() > 0.05 else key + "_new"): mutated(value, choose) for key, value in said.items()
        }
    return [mutated(one, choose) for one in said] if isinstance(said, list) else said


@pytest.mark.parametrize("door", DOORS)
def test_no_shape_raises_or_says_what_cannot_be(door):
    read, said = DOORS[door]
    choose = random.Random(door)
    assert not read(said).is_empty
    for _ in range(3000):
        strange = mutated(said, choose)
        if isinstance(strange, dict):
            word = read(strange)
            for report in word.observations:
                assert report.used_ratio is None or 0 <= report.used_ratio <= MOST_USED
                assert report.resets_at is None or abs(report.resets_at - report.observed_at) <= FARTHEST_RESET
            assert len(word.refused) <= 50
            assert len(word.unknown) <= 50


def test_no_text_raises():
    choose = random.Random(1)
    pieces = (
        *PREFIXES,
        " limit",
        " session",
        " · resets ",
        " 3pm",
        " (",
        ")",
        " Oct 99",
        "|",
        "1790964000",
        " in 9 days",
        "\u2019",
        "∙",
    )
    for _ in range(20_000):
        read_limit_text("".join(choose.choices(pieces, k=choose.randint(1, 8))), TELLER, UTC)


@pytest.mark.parametrize("output", ["[" * 100_000, '{"type":' * 5000, b"\xff\xfe{", "null", "7", '"text"', "\x00" * 99])
def test_no_output_raises(output):
    assert read_output(output, TELLER, UTC).is_empty
