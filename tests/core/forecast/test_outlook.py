"""Outlooks: how much room a class leaves to those above it."""

from datetime import timedelta

import pytest

from quota_scheduler.core.forecast.outlook import Outlook, demand_knots, demand_span, quantile_for
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from tests.builders import DAY, HOUR, MICRO, MINUTE, MONDAY

KNOTS = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
"""Demand whose quantile q is 100 q."""


def an_outlook(**changes):
    fields = {"at": MONDAY, "ends_at": MONDAY + DAY, "above": ((), KNOTS, KNOTS, KNOTS)}
    return Outlook(**(fields | changes))


@pytest.mark.parametrize(
    ("priority", "horizon", "quantile"),
    [
        pytest.param(Priority.HIGH, timedelta(0), 0.7, id="high at the reset"),
        pytest.param(Priority.NORMAL, timedelta(0), 0.88, id="normal at the reset"),
        pytest.param(Priority.LOW, timedelta(0), 0.75, id="low at the reset"),
        pytest.param(Priority.NORMAL, -HOUR, 0.88, id="normal when the reset has passed"),
        pytest.param(Priority.HIGH, timedelta(days=365), 0.57, id="high far from it"),
        pytest.param(Priority.NORMAL, timedelta(days=365), 0.76, id="normal far from it"),
        pytest.param(Priority.LOW, timedelta(days=365), 0.92, id="low far from it"),
        pytest.param(Priority.NORMAL, 12 * HOUR, 0.905, id="normal half a day before: half-way to a day"),
        pytest.param(Priority.NORMAL, 24 * HOUR, 0.93, id="normal a day before: the most careful"),
        pytest.param(Priority.LOW, 96 * HOUR, 0.905, id="low four days before: half-way to a week"),
        pytest.param(Priority.HIGH, 84 * HOUR, 0.67, id="high half a week before"),
    ],
)
def test_quantile_for(priority, horizon, quantile):
    assert quantile_for(priority, horizon) == pytest.approx(quantile)


@pytest.mark.parametrize(
    ("outlook", "priority", "hours_gone", "headroom"),
    [
        pytest.param(an_outlook(), Priority.LOW, 0, 86, id="low leaves room for six days out of seven"),
        pytest.param(an_outlook(), Priority.LOW, 12, 40, id="half the window later for half of it"),
        pytest.param(an_outlook(), Priority.LOW, 24, 0, id="at the reset for none"),
        pytest.param(an_outlook(), Priority.LOW, 30, 0, id="nor after it"),
        pytest.param(an_outlook(), Priority.INTERACTIVE, 0, 0, id="nobody is above people"),
        pytest.param(an_outlook(above=((), (), (), ())), Priority.LOW, 0, 0, id="too little history asks for nothing"),
        pytest.param(an_outlook(ends_at=None), Priority.LOW, 0, 0, id="nor does a limit without a reset"),
        pytest.param(an_outlook(at=MONDAY + DAY), Priority.LOW, 1, 0, id="an outlook made at the reset knows nothing"),
    ],
)
def test_demand(outlook, priority, hours_gone, headroom):
    ends_at = MONDAY + DAY
    assert outlook.demand(priority, now=MONDAY + hours_gone * HOUR, ends_at=ends_at) == headroom


def test_between_the_knots_it_is_linear_and_beyond_them_flat():
    horizon = timedelta(days=365)
    skewed = an_outlook(ends_at=MONDAY + horizon, above=((), (1, 2, 3, 4, 5, 6), (10, 20, 30, 40, 80, 90), KNOTS))
    found = [
        skewed.demand(priority, now=MONDAY, ends_at=MONDAY + horizon)
        for priority in (Priority.HIGH, Priority.NORMAL, Priority.LOW)
    ]
    assert found == pytest.approx([1, 36, 92], abs=1)


def test_after_an_early_look_at_the_next_window_only_the_rate_is_known():
    old = an_outlook(ends_at=MONDAY + HOUR)
    assert old.demand(Priority.LOW, now=MONDAY + 2 * HOUR, ends_at=MONDAY + DAY) == pytest.approx(85, abs=1)


@pytest.mark.parametrize(
    ("hours", "until"),
    [
        pytest.param(5, 2 + 26, id="a session's demand is forecast for more than a day"),
        pytest.param(24, 2 + 26, id="so is a day's"),
        pytest.param(168, 168, id="a week's to its reset"),
        pytest.param(2, 2 + 26, id="a session's also when it is about to end"),
    ],
)
def test_demand_span(hours, until):
    window = Window(MONDAY, MONDAY + hours * HOUR)
    assert demand_span(window, now=MONDAY + 2 * HOUR) == Window(MONDAY, MONDAY + until * HOUR)


def test_shortly_before_a_reset_demand_is_forecast_to_the_end_of_the_next_window():
    week = Window(MONDAY, MONDAY + 7 * DAY)
    assert demand_span(week, now=week.ends_at - MINUTE) == Window(MONDAY, MONDAY + 14 * DAY)


def test_an_outlook_keeps_the_quantiles_of_demand_at_the_reset():
    class Ahead:
        ends_at = MONDAY + DAY

        def quantiles_to_come(self, points, until=None):
            return tuple(q * (until - MONDAY) / HOUR for q in points)

    assert demand_knots(Ahead(), MONDAY + 5 * HOUR) == pytest.approx((2.5, 3.0, 3.5, 4.0, 4.5, 4.75))
    assert demand_knots(Ahead(), MONDAY + 25 * HOUR) == ()
    assert demand_knots(None, MONDAY) == ()


@pytest.mark.parametrize(
    ("after", "hours_into_it", "headroom"),
    [
        pytest.param(((), (), (), tuple(2 * knot for knot in KNOTS)), 0, 172, id="what was forecast of it, whole"),
        pytest.param(((), (), (), tuple(2 * knot for knot in KNOTS)), 12, 80, id="and in proportion to what is left"),
        pytest.param(((), (), (), ()), 0, 86, id="or at the rate that was expected before the reset"),
    ],
)
def test_at_a_reset_the_outlook_of_the_window_before_still_holds_work_back(after, hours_into_it, headroom):
    old = an_outlook(at=MONDAY + DAY - MICRO, ends_at=MONDAY + DAY, length=DAY, after=after)
    now = MONDAY + DAY + hours_into_it * HOUR
    assert old.demand(Priority.LOW, now=now, ends_at=MONDAY + 2 * DAY) == pytest.approx(headroom, abs=1)
