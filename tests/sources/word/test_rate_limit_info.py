"""``rate_limit_info``: the client's own object about limits."""

import pytest

from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.sources.word.rate_limit_info import read_rate_limit_info
from tests.sources.word.reports import LATER, SOON, TELLER, report

WINDOWS = {
    "five_hour": {"utilization": 0.93, "resetsAt": SOON, "status": "allowed", "surpassedThreshold": 0.9},
    "seven_day": {"utilization": 0.45, "resetsAt": LATER, "status": "allowed"},
}
MOMENT = Throttle("anthropic", "max-1", TELLER.at, "a door")


@pytest.mark.parametrize(
    ("info", "reports", "throttles"),
    [
        pytest.param(
            {
                "status": "allowed_warning",
                "resetsAt": SOON,
                "rateLimitType": "five_hour",
                "utilization": 0.93,
                "surpassedThreshold": 0.9,
                "isUsingOverage": False,
                "overageStatus": "rejected",
                "overageDisabledReason": "org_level_disabled",
                "unifiedWindows": WINDOWS,
            },
            [report("five_hour", 0.93, SOON, "allowed_warning"), report("weekly", 0.45, LATER, "allowed")],
            [],
            id="both windows, one of them close",
        ),
        pytest.param(
            {"status": "allowed", "resetsAt": SOON, "rateLimitType": "five_hour", "isUsingOverage": False},
            [report("five_hour", None, SOON, "allowed")],
            [],
            id="before autumn 2026: one window, no amount",
        ),
        pytest.param({"status": "allowed", "isUsingOverage": False}, [], [], id="an answer without unified headers"),
        pytest.param(
            {"status": "rejected", "isUsingOverage": False}, [], [MOMENT], id="a refusal that names no window"
        ),
        pytest.param(
            {"status": "rejected", "resetsAt": LATER, "rateLimitType": "seven_day_opus", "unifiedWindows": WINDOWS},
            [
                report("five_hour", 0.93, SOON, "allowed"),
                report("weekly", 0.45, LATER, "allowed"),
                report("weekly_model", None, LATER, "rejected", "opus"),
            ],
            [],
            id="one model's week stands beside the windows",
        ),
        pytest.param(
            {"status": "rejected", "resetsAt": LATER, "rateLimitType": "seven_day_overage_included"},
            [report("weekly_model", None, LATER, "rejected", "overage_included")],
            [],
            id="models that are paid in credits",
        ),
        pytest.param(
            {
                "status": "rejected",
                "rateLimitType": "five_hour",
                "resetsAt": SOON,
                "isUsingOverage": True,
                "overageInUse": True,
                "overageStatus": "allowed",
                "overageResetsAt": LATER,
            },
            [report("five_hour", None, SOON, "rejected", overage=True)],
            [],
            id="spent, and work goes on in paid credits",
        ),
        pytest.param(
            {"status": "rejected", "rateLimitType": "overage", "resetsAt": LATER},
            [report("monthly_spend", None, LATER, "rejected", "credits")],
            [],
            id="the paid credits are spent",
        ),
        pytest.param(
            {"status": "rejected", "errorCode": "credits_required"},
            [report("monthly_spend", None, None, "rejected", "credits")],
            [],
            id="needs credits",
        ),
        pytest.param(
            {"unifiedWindows": {"5h": {"utilization": 1.02, "resetsAt": SOON}, "seven_day": {"utilization": -3}}},
            [report("five_hour", 1.02, SOON)],
            [],
            id="above 1, and a bad window beside it",
        ),
        pytest.param(None, [], [], id="nothing"),
        pytest.param("allowed", [], [], id="another shape"),
    ],
)
def test_what_it_says(info, reports, throttles):
    word = read_rate_limit_info(info, TELLER)
    assert (word.observations, word.throttles, word.unknown) == (reports, throttles, [])


def test_what_nobody_knows_is_named():
    word = read_rate_limit_info({"status": "paused", "tier": 1, "unifiedWindows": {"three_hour": {"a": 1}}}, TELLER)
    assert (word.is_empty, word.unknown, len(word.refused)) == (
        True,
        ["rate_limit_info.tier", "rate_limit_info.unifiedWindows.a", "rate_limit_info.windows.three_hour"],
        1,
    )
