"""Outlooks: how much room a class leaves to those above it."""

from datetime import timedelta

import pytest

from quota_scheduler.core.outlook import Outlook, quantile_for
from quota_scheduler.core.priority import Priority
from tests.builders import DAY, HOUR, MONDAY

KNOTS = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0)
"""Demand whose quantile q is 100 q."""


def an_outlook(**changes):
    fields = {"at": MONDAY, "ends_at": MONDAY + DAY, "above": ((), KNOTS, KNOTS, KNOTS)}
    return Outlook(**(fields | changes))


@pytest.mark.parametrize(
    ("priority", "horizon", "quantile"),
    [
        pytest.param(Priority.HIGH, timedelta(0), 0.8, id="high at the reset"),
        pytest.param(Priority.NORMAL, timedelta(0), 0.9, id="normal at the reset"),
        pytest.param(Priority.LOW, timedelta(0), 0.9, id="low at the reset"),
        pytest.param(Priority.HIGH, timedelta(days=365), 0.5, id="high far from it"),
        pytest.param(Priority.NORMAL, timedelta(days=365), 0.6, id="normal far from it"),
        pytest.param(Priority.LOW, timedelta(days=365), 0.9, id="low as ever"),
        pytest.param(Priority.NORMAL, 168 * HOUR, 0.6 + 0.3 / 2.718281828459045, id="a week away the fade is 1/e"),
    ],
)
def test_quantile_for(priority, horizon, quantile):
    assert quantile_for(priority, horizon) == pytest.approx(quantile)


@pytest.mark.parametrize(
    ("outlook", "priority", "hours_gone", "room"),
    [
        pytest.param(an_outlook(), Priority.LOW, 0, 90, id="low leaves room for nine days out of ten"),
        pytest.param(an_outlook(), Priority.LOW, 12, 45, id="half the window later for half of it"),
        pytest.param(an_outlook(), Priority.LOW, 24, 0, id="at the reset for none"),
        pytest.param(an_outlook(), Priority.LOW, 30, 0, id="nor after it"),
        pytest.param(an_outlook(), Priority.INTERACTIVE, 0, 0, id="nobody is above people"),
        pytest.param(an_outlook(above=((), (), (), ())), Priority.LOW, 0, 0, id="too little history asks for nothing"),
        pytest.param(an_outlook(ends_at=None), Priority.LOW, 0, 0, id="nor does a limit without a reset"),
        pytest.param(an_outlook(at=MONDAY + DAY), Priority.LOW, 1, 0, id="an outlook made at the reset knows nothing"),
    ],
)
def test_demand(outlook, priority, hours_gone, room):
    ends_at = MONDAY + DAY
    assert outlook.demand(priority, now=MONDAY + hours_gone * HOUR, ends_at=ends_at) == room


def test_between_the_knots_it_is_linear_and_beyond_them_flat():
    horizon = timedelta(days=365)
    skewed = an_outlook(ends_at=MONDAY + horizon, above=((), (1, 2, 3, 4, 5, 6), (10, 20, 30, 40, 80, 90), KNOTS))
    found = [
        skewed.demand(priority, now=MONDAY, ends_at=MONDAY + horizon)
        for priority in (Priority.HIGH, Priority.NORMAL, Priority.LOW)
    ]
    assert found == [1, 20, 90]


def test_after_an_early_look_at_the_next_window_only_the_rate_is_known():
    old = an_outlook(ends_at=MONDAY + HOUR)
    assert old.demand(Priority.LOW, now=MONDAY + 2 * HOUR, ends_at=MONDAY + DAY) == 90
