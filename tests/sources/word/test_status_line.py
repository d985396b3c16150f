"""The status line's JSON: percent of both windows."""

import pytest

from quota_scheduler.sources.word.status_line import read_status_line
from tests.sources.word.reports import LATER, SOON, TELLER, report

FIVE = {"used_percentage": 23.5, "resets_at": SOON}


@pytest.mark.parametrize(
    ("limits", "reports", "refused"),
    [
        pytest.param(
            {"five_hour": FIVE, "seven_day": {"used_percentage": 41, "resets_at": LATER}},
            [report("five_hour", 0.235, SOON), report("weekly", 0.41, LATER)],
            0,
            id="both windows",
        ),
        pytest.param({"five_hour": FIVE}, [report("five_hour", 0.235, SOON)], 0, id="the week is missing: unknown"),
        pytest.param(None, [], 0, id="no plan"),
        pytest.param({}, [], 0, id="nothing yet"),
        pytest.param(
            {"five_hour": {"used_percentage": 0, "resets_at": SOON}}, [report("five_hour", 0, SOON)], 0, id="0 %"
        ),
        pytest.param({"five_hour": {"used_percentage": 100}}, [report("five_hour", 1)], 0, id="100 %, without a reset"),
        pytest.param({"five_hour": {"used_percentage": 102.0}}, [report("five_hour", 1.02)], 0, id="above 100 %"),
        pytest.param({"five_hour": {"used_percentage": None, "resets_at": None}}, [], 0, id="null is unknown"),
        pytest.param({"five_hour": None, "seven_day": []}, [], 0, id="other shapes than expected"),
        pytest.param({"five_hour": {"used_percentage": -1}}, [], 1, id="below 0"),
        pytest.param({"five_hour": {"used_percentage": float("nan")}}, [], 1, id="not a number"),
        pytest.param({"five_hour": {"used_percentage": 1e9}}, [], 1, id="far above 100 %"),
        pytest.param({"five_hour": {"used_percentage": True}}, [], 1, id="a truth value"),
        pytest.param({"five_hour": {"used_percentage": "23.5"}}, [report("five_hour", 0.235)], 0, id="as text"),
        pytest.param(
            {"five_hour": {"used_percentage": 5, "resets_at": 1e12}}, [report("five_hour", 0.05)], 1, id="reset in 2001"
        ),
        pytest.param(
            {"five_hour": {"used_percentage": 5, "resets_at": 1e300}},
            [report("five_hour", 0.05)],
            1,
            id="no year at all",
        ),
        pytest.param(
            {"five_hour": {"used_percentage": 5, "resets_at": SOON * 1000}},
            [report("five_hour", 0.05, SOON)],
            0,
            id="ms",
        ),
        pytest.param(
            {"five_hour": {"used_percentage": -3}, "seven_day": {"used_percentage": 41}},
            [report("weekly", 0.41)],
            1,
            id="a bad window hides no good one",
        ),
        pytest.param(
            {"seven_day_opus": {"used_percentage": 9}},
            [report("weekly_model", 0.09, scope="opus")],
            0,
            id="a model's week",
        ),
    ],
)
def test_what_it_says(limits, reports, refused):
    word = read_status_line({"version": "2.1.332", "rate_limits": limits}, TELLER)
    assert (word.observations, len(word.refused), word.unknown, word.version) == (reports, refused, [], "2.1.332")


def test_keys_that_nobody_knows_are_named():
    said = {"rate_limits": {"five_hour": {**FIVE, "tier": 2}, "three_hour": FIVE}}
    word = read_status_line(said, TELLER)
    assert (word.observations, word.unknown) == (
        [report("five_hour", 0.235, SOON)],
        ["rate_limits.five_hour.tier", "rate_limits.three_hour"],
    )
