"""Readings: what follows from the figures of one limit."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.forecast.histories import UsageHistory, moved, no_buckets
from quota_scheduler.core.readings.measure import usual_today
from quota_scheduler.core.units import Unit
from tests.builders import DAY, HOUR, MINUTE, MONDAY
from tests.shell.sample import NOW, a_forecast, a_limit

SINCE = NOW - 3 * HOUR


def test_a_limit_that_lasts_has_no_exhaustion_and_one_that_does_not_has_it_before_its_reset() -> None:
    assert a_limit(forecast=a_forecast(NOW, 600_000, 300_000)).exhausts_at is None
    assert a_limit(forecast=a_forecast(NOW, 600_000, 500_000)).exhausts_at == NOW + timedelta(hours=4.8)
    assert a_limit(forecast=None).exhausts_at is None


def test_what_has_run_out_stays_at_the_instant_since_which_it_has() -> None:
    gone = a_limit(used=1_200_000, level="exhausted", level_since=SINCE, forecast=a_forecast(NOW, 1_200_000, 0))
    newer = replace(gone.projection, forecast=a_forecast(NOW + 5 * MINUTE, 1_250_000, 0))
    later = replace(gone, projection=newer)
    assert gone.exhausts_at == later.exhausts_at == SINCE


@pytest.mark.parametrize(
    ("running", "ratio"),
    [pytest.param(0, 0.0, id="all are free"), pytest.param(3, 0.75, id="one is free"), pytest.param(4, 1.0, id="full")],
)
def test_leases_are_used_by_what_runs(running: int, ratio: float) -> None:
    assert a_limit(unit=Unit.LEASES, amount=4, used=0, leases=running).usage_ratio == ratio


def history(**days_ago: float) -> UsageHistory:
    """The same amount in every hour of days so many days ago."""
    buckets = no_buckets()
    for ago, amount in days_ago.items():
        midnight = MONDAY.replace(hour=0) - int(ago.removeprefix("d")) * DAY
        for hour in range(24):
            buckets = moved(buckets, midnight + hour * HOUR, amount)
    return UsageHistory(buckets)


@pytest.mark.parametrize(
    ("past", "minutes", "usual"),
    [
        pytest.param({}, 0, None, id="no history"),
        pytest.param({"d0": 60.0}, 0, None, id="today is not what is usual"),
        pytest.param({"d1": 60.0}, 0, 60 * 9, id="by nine o'clock nine hours"),
        pytest.param({"d1": 60.0}, 30, 60 * 9.5, id="and half of the hour"),
        pytest.param({"d1": 60.0, "d2": 20.0}, 0, 40 * 9, id="the mean of the days there are"),
        pytest.param({"d7": 70.0}, 0, 10 * 9, id="days without use count as such"),
        pytest.param({"d8": 70.0}, 0, 0, id="a week back and no further"),
    ],
)
def test_what_is_usual_by_now(past: dict[str, float], minutes: int, usual: float | None) -> None:
    assert usual_today(history(**past), "UTC", MONDAY + minutes * MINUTE) == usual
