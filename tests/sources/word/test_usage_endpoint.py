"""The answer of the usage endpoint."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.sources.word.usage_endpoint import read_usage, to_the_minute
from tests.sources.word.reports import TELLER, report

SOON, LATER = datetime(2026, 10, 2, 19, 10, tzinfo=UTC).timestamp(), datetime(2026, 10, 7, 15, tzinfo=UTC).timestamp()
FIVE = {"utilization": 29.0, "resets_at": "2026-10-02T19:10:00.528743+00:00"}
WEEK = {"utilization": 26.0, "resets_at": "2026-10-07T14:59:59.951713+00:00"}
OFF = {"is_enabled": False, "monthly_limit": None, "used_credits": None, "utilization": None, "currency": None}


def row(kind: str, percent: object, **more) -> dict:
    return {"kind": kind, "group": "g", "percent": percent, "resets_at": WEEK["resets_at"], "scope": None, **more}


FABLE = row("weekly_scoped", 43, scope={"model": {"display_name": "Fable 5"}}, severity="normal", is_active=True)


@pytest.mark.parametrize(
    ("answer", "reports", "unknown"),
    [
        pytest.param(
            {
                "five_hour": FIVE,
                "seven_day": WEEK,
                "seven_day_opus": None,
                "seven_day_oauth_apps": None,
                "extra_usage": OFF,
                "limits": [row("session", 29, resets_at=FIVE["resets_at"]), row("weekly_all", 26), FABLE],
            },
            [
                report("five_hour", 0.29, SOON),
                report("weekly", 0.26, LATER),
                report("weekly_model", 0.43, LATER, scope="fable"),
            ],
            [],
            id="since July 2026: rows tell more than the windows",
        ),
        pytest.param(
            {"five_hour": FIVE, "seven_day": WEEK, "seven_day_opus": {"utilization": 3, "resets_at": None}},
            [
                report("five_hour", 0.29, SOON),
                report("weekly", 0.26, LATER),
                report("weekly_model", 0.03, scope="opus"),
            ],
            [],
            id="before: windows alone",
        ),
        pytest.param(
            {"rate_limits": {"five_hour": FIVE}}, [report("five_hour", 0.29, SOON)], [], id="of the agent SDK"
        ),
        pytest.param(
            {"five_hour": FIVE, "limits": "?"}, [report("five_hour", 0.29, SOON)], [], id="rows of another shape"
        ),
        pytest.param(
            {"extra_usage": {**OFF, "is_enabled": True, "utilization": 80}},
            [report("monthly_spend", 0.8, scope="credits")],
            [],
            id="paid credits",
        ),
        pytest.param({"five_hour": {"utilization": None, "resets_at": None}}, [], [], id="fields that are null"),
        pytest.param(
            {"limits": [row("daily", 5), row("weekly_all", 26, tier=1), 7], "three_hour": FIVE},
            [report("weekly", 0.26, LATER)],
            [
                "usage.limits.kind.daily",
                "usage.limits.tier",
                "usage.limits.kind.row without a kind",
                "usage.three_hour",
            ],
            id="what nobody knows is named and hides nothing",
        ),
        pytest.param([], [], [], id="no object"),
    ],
)
def test_what_it_says(answer, reports, unknown):
    word = read_usage(answer, TELLER)
    assert (word.observations, word.unknown) == (reports, unknown)


@pytest.mark.parametrize(
    ("said", "minute"),
    [("14:59:59.95", "15:00"), ("15:00:00.53", "15:00"), ("15:00:29.9", "15:00"), ("23:59:31", "00:00")],
)
def test_stamps_that_jitter_are_one_reset(said, minute):
    rounded = to_the_minute(datetime.fromisoformat(f"2026-10-02T{said}+00:00"))
    assert f"{rounded:%H:%M:%S.%f}" == f"{minute}:00.000000"
