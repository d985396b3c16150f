"""What headless runs print about limits."""

import json
from datetime import UTC, timedelta

import pytest

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.sources.word.headless import read_output, read_record
from quota_scheduler.sources.word.hooks import read_hook
from tests.sources.word.reports import LATER, SOON, TELLER, report

EVENT = {
    "type": "rate_limit_event",
    "rate_limit_info": {
        "status": "allowed",
        "rateLimitType": "five_hour",
        "unifiedWindows": {
            "five_hour": {"utilization": 0.15, "resetsAt": SOON, "status": "allowed"},
            "seven_day": {"utilization": 0.4, "resetsAt": LATER, "status": "allowed"},
        },
    },
}
WINDOWS = [report("five_hour", 0.15, SOON, "allowed"), report("weekly", 0.4, LATER, "allowed")]
LIMIT = "You've hit your 5-hour limit · resets 6pm (UTC)"
REACHED = {
    "type": "result", "subtype": "success", "is_error": True, "api_error_status": 429, "result": LIMIT,
    "api_error_type": "rate_limit_error", "terminal_reason": "api_error", "api_error": "usage_limit_reached",
}  # fmt: skip
SPENT = report("five_hour", None, SOON, "rejected")


def moment(pause=None) -> Throttle:
    return Throttle("anthropic", "max-1", TELLER.at, "a door", pause)


@pytest.mark.parametrize(
    ("said", "reports", "throttles"),
    [
        pytest.param(EVENT, WINDOWS, [], id="an event of a healthy run"),
        pytest.param(REACHED, [SPENT], [], id="a plan's limit"),
        pytest.param({**REACHED, "is_error": False, "result": LIMIT}, [], [], id="an answer that quotes the sentence"),
        pytest.param(
            {**REACHED, "api_error": None, "result": "API Error: Request rejected (429) · slow"},
            [],
            [moment()],
            id="a 429",
        ),
        pytest.param({**REACHED, "api_error": None, "result": "?"}, [], [moment()], id="a 429 in words nobody knows"),
        pytest.param({**REACHED, "result": "?"}, [], [], id="a plan's limit in words nobody knows is no throttle"),
        pytest.param({"type": "result", "subtype": "error_max_budget_usd", "is_error": True}, [], [], id="own budget"),
        pytest.param(
            {"type": "result", "subtype": "error_during_execution", "is_error": True, "errors": [LIMIT]},
            [SPENT],
            [],
            id="the sentence among the errors",
        ),
        pytest.param(
            {
                "type": "system",
                "subtype": "api_retry",
                "retry_delay_ms": 5000,
                "error_status": 529,
                "error": "overloaded",
            },
            [],
            [moment(timedelta(seconds=5))],
            id="it waits and tries again",
        ),
        pytest.param({"type": "system", "subtype": "api_retry", "error_status": 500}, [], [], id="another error"),
        pytest.param(
            {
                "type": "assistant",
                "error": "rate_limit",
                "message": {"model": "<synthetic>", "content": [{"type": "text", "text": LIMIT}]},
            },
            [SPENT],
            [],
            id="the client's own message",
        ),
        pytest.param(
            {"type": "assistant", "message": {"model": "claude-opus-5", "content": [{"type": "text", "text": LIMIT}]}},
            [],
            [],
            id="a model's message with the same words",
        ),
    ],
)
def test_what_a_record_says(said, reports, throttles):
    word = read_record(said, TELLER, UTC)
    assert (word.observations, word.throttles) == (reports, throttles)


LINES = [{"type": "system", "subtype": "init", "claude_code_version": "2.1.332"}, EVENT, REACHED, REACHED]


@pytest.mark.parametrize(
    ("output", "reports"),
    [
        pytest.param("\n".join(map(json.dumps, LINES)), [*WINDOWS, SPENT, SPENT], id="stream-json, two results"),
        pytest.param(
            "warning: x\n" + "\n".join(map(json.dumps, LINES)) + '\n{"type":"res', [*WINDOWS, SPENT, SPENT], id="noise"
        ),
        pytest.param(json.dumps(REACHED), [SPENT], id="json"),
        pytest.param(json.dumps(REACHED, indent=2), [SPENT], id="json over several lines"),
        pytest.param(json.dumps(LINES).encode(), [*WINDOWS, SPENT, SPENT], id="an array, as bytes"),
        pytest.param("", [], id="nothing: it was killed"),
    ],
)
def test_what_a_run_prints(output, reports):
    assert read_output(output, TELLER, UTC).observations == reports


@pytest.mark.parametrize(
    ("said", "reports", "throttles", "refused"),
    [
        pytest.param({"last_assistant_message": LIMIT, "error": "rate_limit"}, [SPENT], [], 0, id="a limit"),
        pytest.param({"error_details": LIMIT, "error": "rate_limit"}, [SPENT], [], 0, id="in the details, earlier"),
        pytest.param(
            {"error": "rate_limit", "last_assistant_message": "API Error: Server is temporarily limiting requests"},
            [],
            [moment()],
            0,
            id="a moment",
        ),
        pytest.param({"error": "overloaded", "last_assistant_message": "?"}, [], [moment()], 0, id="overloaded"),
        pytest.param({"error": "rate_limit"}, [], [], 1, id="which limit it does not say"),
        pytest.param({"hook_event_name": "Stop", "last_assistant_message": LIMIT}, [], [], 0, id="an ordinary stop"),
    ],
)
def test_what_a_hook_says(said, reports, throttles, refused):
    word = read_hook({"hook_event_name": "StopFailure", **said}, TELLER, UTC)
    assert (word.observations, word.throttles, len(word.refused)) == (reports, throttles, refused)
