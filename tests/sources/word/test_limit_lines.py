"""Lines of Claude Code transcripts that tell of limits."""

from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.sources.word.limit_lines import read_limit_line
from tests.sources.word.reports import LATER, SOON, TELLER, report

WHEN = datetime(2026, 10, 2, 15, tzinfo=UTC)
"""When the lines were written; they are read later."""


def line(**said) -> dict:
    text = said.pop("text", "You've hit your 5-hour limit · resets 6:20pm (UTC)")
    return {
        "type": "assistant",
        "timestamp": "2026-10-02T15:00:00.000Z",
        "isApiErrorMessage": True,
        "error": "rate_limit",
        "apiErrorStatus": 429,
        "message": {"model": "<synthetic>", "content": [{"type": "text", "text": text}]},
        **said,
    }


def then(*args, **more):
    return report(*args, observed_at=WHEN, **more)


def moment(seconds=None) -> Throttle:
    pause = None if seconds is None else timedelta(seconds=seconds)
    return Throttle("anthropic", "max-1", WHEN, "a door", pause)


QUOTA = {
    "status": "rejected", "resetsAt": SOON, "rateLimitType": "five_hour", "unifiedRateLimitFallbackAvailable": False,
    "overageStatus": "rejected", "overageDisabledReason": "org_level_disabled", "isUsingOverage": False,
}  # fmt: skip
SPENT = then("five_hour", None, SOON, "rejected")
FROM_TEXT = then("five_hour", None, SOON + 1200, "rejected")
RETRY = {
    "type": "system", "subtype": "api_error", "timestamp": "2026-10-02T15:00:00.000Z", "retryInMs": 2100.5,
    "retryAttempt": 1, "maxRetries": 10, "error": {"status": 429, "requestId": "req_1", "rateLimits": None},
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "reports", "throttles"),
    [
        pytest.param(line(apiError="usage_limit_reached", quotaLimits=QUOTA), [SPENT], [], id="exactly, since 2.1.332"),
        pytest.param(line(apiErrorParams={"rate_limit_info": QUOTA}), [SPENT], [], id="in the error's parameters"),
        pytest.param(line(), [FROM_TEXT], [], id="by the sentence, before that"),
        pytest.param(line(quotaLimits="?", apiErrorParams=[1]), [FROM_TEXT], [], id="other shapes: by the sentence"),
        pytest.param(
            line(quotaLimits={**QUOTA, "rateLimitType": "seven_day", "resetsAt": LATER}),
            [then("weekly", None, LATER, "rejected")],
            [],
            id="the week's",
        ),
        pytest.param(
            line(text="API Error: Server is temporarily limiting requests (not your usage limit) · busy"),
            [],
            [moment()],
            id="a moment's refusal has the same error",
        ),
        pytest.param(line(text="API Error: Request rejected (429) · busy"), [], [moment()], id="an API key's 429"),
        pytest.param(line(isApiErrorMessage=None), [FROM_TEXT], [], id="the model says that the client made it up"),
        pytest.param(
            line(isApiErrorMessage=False, message={"model": "claude-opus-5", "content": line()["message"]["content"]}),
            [],
            [],
            id="a model's own words",
        ),
        pytest.param(
            {**line(), "type": "user", "isApiErrorMessage": None, "message": {"content": "You've hit your limit"}},
            [],
            [],
            id="a person's words",
        ),
        pytest.param(RETRY, [], [moment(2.1005)], id="it waits and tries again"),
        pytest.param({**RETRY, "error": {"status": 529}}, [], [moment(2.1005)], id="overloaded"),
        pytest.param({**RETRY, "error": {"status": 500}}, [], [], id="a fault of the server"),
        pytest.param({**RETRY, "error": "connection"}, [], [], id="a connection that broke"),
        pytest.param({**RETRY, "retryInMs": "soon"}, [], [moment()], id="a pause that nobody can mean"),
        pytest.param({**RETRY, "subtype": "turn_duration"}, [], [], id="another line of the system"),
    ],
)
def test_what_a_line_says(said, reports, throttles):
    word = read_limit_line(said, TELLER, UTC)
    assert (word.observations, word.throttles) == (reports, throttles)


def test_a_line_without_a_time_is_as_of_when_it_is_read():
    said = line(timestamp=None, quotaLimits=QUOTA)
    assert read_limit_line(said, TELLER, UTC).observations == [report("five_hour", None, SOON, "rejected")]
