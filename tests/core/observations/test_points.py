"""Percent points: what usage takes out of a quota whose size nobody publishes."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.observations.points import POINT, UNLEARNED, WHOLE, Rate
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY, a_limit

TWO_A_DOLLAR = Rate(low=1 * POINT, middle=2 * POINT, high=3 * POINT, spans=9, learned_at=MONDAY)


def dollars(amount):
    return Usage(output=1, cost_microusd=amount * 1_000_000)


@pytest.mark.parametrize(
    ("rate", "amount", "usage", "charged", "reserved"),
    [
        pytest.param(TWO_A_DOLLAR, WHOLE, dollars(4), 8 * POINT, 12 * POINT, id="as known, and at most as known"),
        pytest.param(None, WHOLE, dollars(4), 0, UNLEARNED, id="while nobody knows a fixed part is reserved"),
        pytest.param(None, 2 * POINT, dollars(4), 0, 2 * POINT, id="but never more than there is"),
        pytest.param(TWO_A_DOLLAR, WHOLE, dollars(40), 80 * POINT, WHOLE, id="what fits can start when it is empty"),
        pytest.param(TWO_A_DOLLAR, WHOLE, dollars(60), 120 * POINT, 120 * POINT, id="what does not fit cannot"),
        pytest.param(
            TWO_A_DOLLAR, WHOLE, Usage(output=1, cost_rest=500_000), 1, 1, id="half a micro-dollar is a millionth"
        ),
    ],
)
def test_usage_takes_points(rate, amount, usage, charged, reserved):
    limit = a_limit(amount, unit=Unit.PERCENT, rate=rate)
    assert (limit.charge(usage), limit.reservation(usage)) == (charged, reserved)


@pytest.mark.parametrize(
    ("other", "is_near"),
    [
        pytest.param(TWO_A_DOLLAR, True, id="the same"),
        pytest.param(replace(TWO_A_DOLLAR, middle=2_150_000, spans=12), True, id="a little more"),
        pytest.param(replace(TWO_A_DOLLAR, middle=2_400_000), False, id="much more"),
        pytest.param(replace(TWO_A_DOLLAR, high=4 * POINT), False, id="less sure"),
        pytest.param(None, False, id="none"),
    ],
)
def test_rates_are_near_when_decisions_would_hardly_differ(other, is_near):
    assert TWO_A_DOLLAR.is_near(other) is is_near
