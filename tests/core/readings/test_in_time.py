"""What an amount is in time: the pace of a limit, and for how long it would have lasted on what was taken."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.in_time import by_name, pace, time_taken
from quota_scheduler.core.units import Unit
from tests.core.alerts.test_samples import ENDS, NOW, STARTS, a_forecast, a_limit

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TWO_DAYS, FIVE_DAYS = 2 * 86_400, 5 * 86_400


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"forecast": a_forecast(1_320_000)}, 500_000 / FIVE_DAYS, id="what the forecast expects to come"),
        pytest.param({}, 820_000 / TWO_DAYS, id="without a forecast, the pace of the window so far"),
        pytest.param({"forecast": a_forecast(1_320_000, days=6.9)}, 820_000 / TWO_DAYS,
                     id="a forecast of fewer than seven days is none"),
        pytest.param({"forecast": a_forecast(820_000)}, 820_000 / TWO_DAYS, id="nothing is expected to come"),
        pytest.param({"forecast": replace(a_forecast(1_320_000), ends_at=NOW)}, 820_000 / TWO_DAYS,
                     id="a forecast of a window that is over"),
        pytest.param({"used": 0}, None, id="nothing was used: not known"),
        pytest.param({"starts_at": NOW - 2 * HOUR}, None, id="the first 2 % of a window: not known"),
        pytest.param({"starts_at": None, "ends_at": None}, None, id="no window is open: not known"),
    ],
)  # fmt: skip
def test_the_pace_of_a_limit(changes, expected):
    assert pace(a_limit(**changes), NOW) == (None if expected is None else pytest.approx(expected))


WEEK = a_limit(used=400_000)
SESSION = a_limit(limit="session", amount=100_000, used=20_000, starts_at=NOW - HOUR, ends_at=NOW + 4 * HOUR)
MONTH = a_limit(limit="month", amount=10_000_000, used=10, starts_at=NOW - HOUR, ends_at=NOW + 30 * DAY)


@pytest.mark.parametrize(
    ("charges", "over", "limit", "amount", "lasting"),
    [
        pytest.param({"max-weekly": 50_000}, DAY, "max-weekly", 50_000, 6 * HOUR,
                     id="an eighth of what two days used is six hours"),
        pytest.param({"max-weekly": 50_000, "session": 50_000}, DAY, "max-weekly", 50_000, 6 * HOUR,
                     id="what a day took says nothing of a session of five hours"),
        pytest.param({"max-weekly": 50_000, "session": 50_000}, HOUR, "session", 50_000, 2.5 * HOUR,
                     id="what an hour took weighs most in the session"),
        pytest.param({"max-weekly": 50_000, "month": 600_000}, DAY, "month", 600_000, None,
                     id="a limit without a pace yet: not known, and not 0"),
        pytest.param({"max-weekly": 0}, DAY, "max-weekly", 0, None, id="a limit that does not count it"),
        pytest.param({"max-weekly": -5}, DAY, "max-weekly", 0, None, id="less than nothing is nothing"),
    ],
)  # fmt: skip
def test_what_was_taken(charges, over, limit, amount, lasting):
    taken = time_taken(charges.items(), by_name([WEEK, SESSION, MONTH]), over=over, now=NOW)
    assert (taken.limit.limit, taken.amount, taken.lasting) == (limit, amount, lasting)


@pytest.mark.parametrize(
    ("limit", "charges"),
    [
        pytest.param(WEEK, (), id="nothing is counted anywhere"),
        pytest.param(WEEK, (("other", 5),), id="a limit that is no longer there"),
        pytest.param(a_limit(amount=0), (("max-weekly", 5),), id="a limit of nothing"),
        pytest.param(a_limit(unit=Unit.LEASES), (("max-weekly", 5),), id="leases are not used up"),
        pytest.param(a_limit(starts_at=None), (("max-weekly", 5),), id="a limit whose window is not open"),
    ],
)
def test_no_limit_says_anything(limit, charges):
    assert time_taken(charges, by_name([limit]), over=DAY, now=NOW) is None


def test_the_share_is_of_the_whole_amount():
    taken = time_taken([("max-weekly", 50_000)], by_name([WEEK]), over=ENDS - STARTS, now=NOW)
    assert taken.share == 0.05
