"""What is still to come in a window of days: weekdays, days of the usual size, the band."""

import numpy as np
import pytest

from quota_scheduler.core.forecast.day_model import (
    CALM,
    DAYS_KEPT,
    MOST,
    WILD,
    effective,
    to_come,
    volatility,
    weekdays,
)
from quota_scheduler.core.forecast.level import UsageLevel

EVEN = [1.0] * 7
FIVE_DAYS = [0.0, 0.0, 1.4, 1.4, 1.4, 1.4, 1.4]


@pytest.mark.parametrize(
    ("days", "observed", "factors"),
    [
        pytest.param([100.0] * 56, 56, EVEN, id="equal days have no weekdays"),
        pytest.param([0.0] * 56, 56, EVEN, id="nor has nothing"),
        pytest.param([0.0, 0.0, *[100.0] * 5] * 8, 13, EVEN, id="one week proves nothing"),
        pytest.param([0.0, 0.0, *[100.0] * 5] * 8, 56, FIVE_DAYS, id="a five-day week has its weekend off"),
    ],
)
def test_weekdays(days, observed, factors):
    found = weekdays(days, observed)
    assert found == pytest.approx(factors, abs=0.06)
    assert sum(found) == pytest.approx(7)


@pytest.mark.parametrize(
    ("ahead", "factors", "begun", "shape", "days"),
    [
        pytest.param([1, 2.5, 14], EVEN, 0.0, None, [1, 2.5, 14], id="even days are days"),
        pytest.param([1, 7], [*FIVE_DAYS[:6], 1.4], 0.0, None, [1.4, 7], id="the next day has the seventh factor"),
        pytest.param([0.5], EVEN, 0.5, None, [0.5], id="the second half of an even day"),
        pytest.param([0.5], EVEN, 0.0, [0.0] * 13 + [1.0] * 12, [0.0], id="mornings bring nothing"),
        pytest.param([0.75], EVEN, 0.0, [0.0] * 13 + [1.0] * 12, [1.0], id="by evening all of the day has come"),
    ],
)
def test_days_of_the_usual_size(ahead, factors, begun, shape, days):
    assert effective(ahead, factors, begun, shape) == pytest.approx(days)


def test_the_band_is_the_level_over_the_days_left_with_a_floor_and_a_bound():
    level, ahead = UsageLevel(100, 100, 0), [0, 1, 8, 30]
    fan = to_come(level, ahead, 1.0, (1.0, 1.0), [1.0] * len(ahead))
    assert fan[0] == (0, 0, 0)
    assert [median for _, median, _ in fan[2:]] == [800, 3000], "from eight days on the median is the mean"
    assert fan[1][1] == pytest.approx(80), "of one bursty day it lies a fifth lower"
    assert all(0 <= low <= median < high <= np.exp(MOST) * 100 * days + 1e-6
               for (low, median, high), days in zip(fan[1:], ahead[1:], strict=True))  # fmt: skip


def test_a_wider_spread_and_more_volatility_widen_the_band_and_leave_the_median_of_many_days():
    level = UsageLevel(100, 100, 20)
    (calm,), (wild,), (wide,) = (to_come(level, [10], v, s, [1.0]) for v, s in
                                 ((0.3, (1.0, 1.0)), (1.0, (1.0, 1.0)), (0.3, (2.0, 2.0))))  # fmt: skip
    assert calm[1] == wild[1] == wide[1] == 1000
    assert max(wild[0], wide[0]) < calm[0] < calm[2] < min(wild[2], wide[2])


@pytest.mark.parametrize(
    ("days", "observed", "expected"),
    [
        pytest.param(np.full(DAYS_KEPT, 100.0), 124, CALM, id="steady for months: as calm as it gets"),
        pytest.param(np.full(DAYS_KEPT, 100.0), 0, 1.0, id="nothing seen: the usual"),
        pytest.param(np.where(np.arange(DAYS_KEPT) % 9 == 0, 5000.0, 0.0), 124, WILD, id="a burst every nine days"),
        pytest.param(
            np.where((np.arange(DAYS_KEPT) < 42) | (np.arange(DAYS_KEPT) % 9 > 0), 100.0, 5000.0),
            124,
            0.76,
            id="wild until six weeks ago: half forgotten",
        ),
    ],
)
def test_volatility(days, observed, expected):
    assert volatility(days[None, :], np.array([observed]), np.ones((1, 7)))[0] == pytest.approx(expected, abs=0.01)
