"""The level: a lasting change is believed within days and stays believed, a day that stands alone is not."""

import random
from statistics import mean

import pytest

from quota_scheduler.core.forecast.level import UsageLevel, level
from tests.core.forecast.forecasting import DAY, NOW, Window, daily, month

THREE_WEEKS = Window(NOW, NOW + 21 * DAY)
EVEN = [1.0] * 7
SEVEN = [100, 100, 100, 100, 100, 0, 0]


def to_come(*usage: float) -> float:
    """What is expected in the three weeks after these days."""
    return month(daily(*usage), window=THREE_WEEKS).expected


def noisy(size: float, days: int, seed: int, scatter: float = 0.25) -> list[float]:
    dice = random.Random(seed)
    return [size * dice.lognormvariate(-scatter * scatter / 2, scatter) for _ in range(days)]


@pytest.mark.parametrize("days", [4, 5, 7, 10, 14, 21, 28, 35, 60])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(100, 200, id="doubled"),
        pytest.param(100, 500, id="five times"),
        pytest.param(200, 100, id="halved"),
        pytest.param(500, 100, id="a fifth"),
    ],
)
def test_a_new_level_is_believed_after_four_days_and_from_then_on(before, after, days):
    assert to_come(*[before] * 60, *[after] * days) == pytest.approx(21 * after, rel=0.2)


@pytest.mark.parametrize(
    ("days", "least", "most"),
    [
        pytest.param(4, 0.7, 1.0, id="most of it after four days"),
        pytest.param(7, 0.85, 1.05, id="nearly all of it after a week"),
        pytest.param(14, 0.85, 1.05, id="still after two weeks"),
        pytest.param(28, 0.9, 1.05, id="still after four weeks"),
    ],
)
def test_a_doubling_under_noise(days, least, most):
    found = [to_come(*noisy(100, 60, seed), *noisy(200, days, seed + 100)) / 4200 for seed in range(12)]
    assert least <= mean(found) <= most


@pytest.mark.parametrize("weeks", [1, 2, 3, 4])
def test_a_doubled_five_day_week_is_told_from_its_weekends(weeks):
    usage = [*SEVEN * 9, *[2 * tokens for tokens in SEVEN] * weeks]
    assert to_come(*usage) == pytest.approx(3 * 1000, rel=0.07)


@pytest.mark.parametrize("phase", range(7), ids=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
def test_a_five_day_week_is_expected_alike_on_any_day_of_it(phase):
    assert to_come(*(SEVEN * 10)[: 63 + phase]) == pytest.approx(1500, rel=0.05)


@pytest.mark.parametrize("ago", [0, 1, 3, 6, 7, 13, 20, 40])
@pytest.mark.parametrize("size", [0, 1_000, 3_000, 10**6])
def test_an_outlier_day_is_not_believed_however_large_or_long_ago(size, ago):
    assert to_come(*[100] * (60 - ago), size, *[100] * ago) == pytest.approx(2100, rel=0.05)


@pytest.mark.parametrize("ago", [0, 2, 6, 10])
def test_an_outlier_day_under_noise(ago):
    changes = []
    for seed in range(8):
        usage = noisy(100, 60, seed, 0.4)
        before = to_come(*usage)
        usage[-1 - ago] *= 10
        changes.append(to_come(*usage) / before)
    assert mean(changes) <= 1.15
    assert max(changes) <= 1.3


def test_a_change_that_is_taken_back_is_forgotten():
    assert to_come(*[100] * 60, *[200] * 10, *[100] * 14) == pytest.approx(2100, rel=0.1)


def test_a_level_is_a_value():
    steady = level([100.0] * 124, 1.0, 124.0, EVEN)
    assert (steady.short, steady.long, steady.memory) == pytest.approx((100, 100, 100))
    assert UsageLevel(100, 50, 10).over(0.5) == 75
    assert level([0.0] * 124, 1.0, 0.0, EVEN) == UsageLevel(0, 0, 0)


def test_half_a_day_counts_as_half():
    found = level([50.0, *[100.0] * 123], 0.5, 124.0, EVEN, begun=0.5)
    assert found.short == pytest.approx(100, rel=0.01)
    assert found.tomorrow == pytest.approx(100, rel=0.01)


def test_the_interval_of_a_series_that_changed_is_wider():
    changed = month(daily(*[100] * 60, *[200] * 7), window=THREE_WEEKS)
    steady = month(daily(*[200] * 67), window=THREE_WEEKS)
    assert changed.high - changed.low > steady.high - steady.low > 0
