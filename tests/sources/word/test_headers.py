"""Response headers: what is left of a plan, and whether a refusal is a limit or a moment."""

import json
from datetime import timedelta

import pytest

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.sources.word.headers import (
    duration_of,
    first_of_next_month,
    read_answer,
    read_litellm,
    retry_pause,
)
from quota_scheduler.sources.word.word import Teller
from tests.sources.word.reports import LATER, SOON, TELLER, report

U = "anthropic-ratelimit-unified-"
GOOD = {
    U + "status": "allowed",
    U + "reset": str(SOON),
    U + "representative-claim": "five_hour",
    U + "5h-utilization": "0.23",
    U + "5h-reset": str(SOON),
    U + "5h-status": "allowed",
    U + "7d-utilization": "0.41",
    U + "7d-reset": str(LATER),
    U + "7d-status": "allowed",
    U + "fallback-percentage": "0.5",
    U + "overage-status": "rejected",
    U + "overage-disabled-reason": "org_level_disabled",
}
BOTH = [report("five_hour", 0.23, SOON, "allowed"), report("weekly", 0.41, LATER, "allowed")]
SPENT = {
    **GOOD,
    U + "status": "rejected",
    U + "5h-utilization": "1.02",
    U + "5h-status": "rejected",
    "retry-after": "7000",
}
FULL = [report("five_hour", 1.02, SOON, "rejected"), report("weekly", 0.41, LATER, "allowed")]


def moment(seconds=None) -> Throttle:
    pause = None if seconds is None else timedelta(seconds=seconds)
    return Throttle("anthropic", "max-1", TELLER.at, "a door", pause)


@pytest.mark.parametrize(
    ("headers", "status", "reports", "throttles"),
    [
        pytest.param(GOOD, 200, BOTH, [], id="an ordinary answer"),
        pytest.param({name.title(): value for name, value in GOOD.items()}, 200, BOTH, [], id="names in any case"),
        pytest.param({name: [value] for name, value in GOOD.items()}, 200, BOTH, [], id="lists of values"),
        pytest.param(SPENT, 429, FULL, [], id="a spent window is no throttle"),
        pytest.param({"retry-after": "2"}, 429, [], [moment(2)], id="429 without any: a moment"),
        pytest.param({}, 529, [], [moment()], id="overloaded, without a pause"),
        pytest.param(GOOD, 429, BOTH, [moment()], id="429 though no window is spent: a moment, and the windows"),
        pytest.param(GOOD, 500, BOTH, [], id="an error that is no refusal"),
        pytest.param(
            {U + "status": "rejected", U + "reset": str(LATER), U + "representative-claim": "seven_day_opus"},
            429,
            [report("weekly_model", None, LATER, "rejected", "opus")],
            [],
            id="only the deciding window is named",
        ),
        pytest.param(
            {**GOOD, U + "7d_oi-utilization": "0.8", U + "7d_oi-reset": str(LATER), U + "7d_oi-status": "allowed"},
            200,
            [*BOTH, report("weekly_model", 0.8, LATER, "allowed", "overage_included")],
            [],
            id="models that are paid in credits",
        ),
        pytest.param(
            {**SPENT, U + "overage-in-use": "true", U + "overage-status": "allowed"},
            200,
            [report("five_hour", 1.02, SOON, "rejected", overage=True), BOTH[1]],
            [],
            id="spent, and work goes on in paid credits",
        ),
        pytest.param(
            {U + "5h-utilization": "nan", U + "7d-utilization": "0.41"}, 200, [report("weekly", 0.41)], [], id="nan"
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-10-02T15:06:49Z",
            },
            429,
            [],
            [moment(30)],
            id="an API key's minute is no window: a pause until its reset",
        ),
        pytest.param(
            {"anthropic-ratelimit-requests-remaining": "0"}, 200, [], [], id="a minute that is used up, answered"
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-tokens": "9000",
                "x-ratelimit-reset-tokens": "12ms",
            },
            429,
            [],
            [moment(360)],
            id="OpenAI's duration of what is used up",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "0"},
            429,
            [],
            [moment()],
            id="Azure: unknown",
        ),
        pytest.param({"retry-after": "Fri, 02 Oct 2026 15:07:19 GMT"}, 429, [], [moment(60)], id="a date"),
        pytest.param({"retry-after": "soon"}, 429, [], [moment()], id="no time at all"),
    ],
)
def test_what_an_answer_says(headers, status, reports, throttles):
    word = read_answer(headers, TELLER, status=status)
    assert (word.observations, word.throttles) == (reports, throttles)


@pytest.mark.parametrize(
    ("error", "reports", "throttles"),
    [
        pytest.param(
            {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
            [report("monthly_spend", None, first_of_next_month(TELLER.at).timestamp(), "rejected")],
            [],
            id="a month's spend: again on the first",
        ),
        pytest.param(
            {"code": "insufficient_quota"},
            [report("monthly_spend", None, None, "rejected", "credits")],
            [],
            id="no credit",
        ),
        pytest.param({"type": "rate_limit_error", "message": "slow down"}, [], [moment()], id="an ordinary refusal"),
    ],
)
def test_what_the_body_of_a_refusal_says(error, reports, throttles):
    word = read_answer({}, TELLER, status=429, body=json.dumps({"type": "error", "error": error}))
    assert (word.observations, word.throttles) == (reports, throttles)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"error": "busy"}', b"\xff", "[" * 70_000])
def test_a_body_that_says_nothing_is_a_moment(body):
    assert read_answer({}, TELLER, status=429, body=body).throttles == [moment()]


def test_codex_headers_tell_families_apart():
    headers = {
        "x-codex-primary-used-percent": "13.5",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": str(SOON),
        "x-codex-secondary-used-percent": "44.25",
        "x-codex-secondary-window-minutes": "10080",
        "x-codex-secondary-reset-after-seconds": "3600",
        "x-codex-bengalfox-primary-used-percent": "81",
        "x-codex-bengalfox-primary-window-minutes": "300",
    }
    word = read_answer(headers, Teller("max-1", TELLER.at, "a door", "openai"))
    assert word.observations == [
        report("five_hour", 0.135, SOON, provider="openai"),
        report("weekly", 0.4425, TELLER.at.timestamp() + 3600, provider="openai"),
        report("five_hour", 0.81, scope="codex_bengalfox", provider="openai"),
    ]


def test_a_usage_limit_refusal_of_codex_is_no_throttle():
    headers = {"x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300"}
    body = json.dumps({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}})
    word = read_answer(headers, TELLER, status=429, body=body)
    assert (word.observations, word.throttles) == ([report("five_hour", 1, None, "rejected")], [])


@pytest.mark.parametrize(
    ("said", "reports"),
    [
        pytest.param({"resets_at": SOON}, [report("five_hour", None, SOON, "rejected")], id="within five hours"),
        pytest.param({"resets_at": LATER}, [report("weekly", None, LATER, "rejected")], id="days ahead"),
    ],
)
def test_a_spent_plan_without_headers_is_told_by_its_end(said, reports):
    body = json.dumps({"error": {"type": "usage_limit_reached", **said}})
    word = read_answer({}, TELLER, status=429, body=body)
    assert (word.observations, word.throttles) == (reports, [])


def test_litellm_hands_on_the_providers_headers_among_its_own():
    handed_on = {f"llm_provider-{name}": value for name, value in GOOD.items()}
    word = read_litellm({**handed_on, "x_ratelimit_remaining_tokens": 9000, U + "5h-utilization": "0.99"}, TELLER)
    assert (word.observations, read_litellm(None, TELLER).is_empty) == (BOTH, True)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("12ms", 0.012), ("1s", 1), ("6m0s", 360), ("1h2m3s", 3723), ("1.5s", 1.5), ("2d", 172_800)],
)
def test_durations(said, seconds):
    assert duration_of(said) == timedelta(seconds=seconds)


@pytest.mark.parametrize("said", ["", "s", "6", "m0s", "-1s", "999999d", "1s2h"])
def test_what_is_no_duration(said):
    assert duration_of(said) is None


@pytest.mark.parametrize("said", ["-1", "1e9", "inf", "Fri, 99 Foo"])
def test_pauses_that_nobody_can_mean(said):
    assert retry_pause({"retry-after": said}, TELLER.at) is None
