"""The distribution between and beyond three quantiles."""

import pytest

from quota_scheduler.core.forecast.shape import LARGEST, bounded, confidence, mixed, probability, spread

KNOT = (3600.0, 100.0, 200.0, 400.0)
DAY = 86_400.0


@pytest.mark.parametrize(
    ("q", "value"),
    [
        pytest.param(0.1, 100, id="the lower quantile"),
        pytest.param(0.5, 200, id="the median"),
        pytest.param(0.9, 400, id="the upper quantile"),
        pytest.param(0.8, 200 + 0.46 * 200, id="between, as the table says"),
        pytest.param(0.95, 200 + 2.2 * 200, id="beyond: the upper half is twice as long again"),
        pytest.param(0.05, 200 - 1.14 * 100, id="beyond the lower"),
        pytest.param(0.85, 200 + (0.46 + 1) / 2 * 200, id="between two rows of the table it is linear"),
    ],
)
def test_spread_and_its_inverse(q, value):
    assert spread(q, KNOT) == pytest.approx(value)
    assert probability(value, KNOT) == pytest.approx(q)


@pytest.mark.parametrize(
    ("value", "knot", "p"),
    [
        pytest.param(-1, KNOT, 0.0, id="less than nothing never comes"),
        pytest.param(1e9, KNOT, 1.0, id="nor more than everything"),
        pytest.param(5, (0.0, 5.0, 5.0, 5.0), 1.0, id="a sure thing"),
        pytest.param(4, (0.0, 5.0, 5.0, 5.0), 0.0, id="less than a sure thing"),
    ],
)
def test_probability_at_the_edges(value, knot, p):
    assert probability(value, knot) == p


@pytest.mark.parametrize(
    ("used", "knot", "claimed"),
    [
        pytest.param(1000, (0.0, 0.0, 0.0, 0.0), 0.99, id="at the reset it is as good as sure"),
        pytest.param(0, (DAY, 0.0, 1.0, 1e6), pytest.approx(0.0, abs=0.05), id="a wide band claims next to nothing"),
    ],
)
def test_confidence(used, knot, claimed):
    assert confidence(used, knot) == claimed


def test_mixed_weighs_every_quantile_alike():
    assert mixed([(0.0, 10.0, 20.0)], [(100.0, 110.0, 120.0)], 0.25) == [(75.0, 85.0, 95.0)]
    assert mixed([(0.0, 10.0, 20.0)], [(100.0, 110.0, 120.0)], 1.0) == [(0.0, 10.0, 20.0)]


FAN = [(0.0, 0.0, 0.0), (10.0, 20.0, 40.0)]


@pytest.mark.parametrize(
    ("certain", "cap", "last"),
    [
        pytest.param(0, None, (10, 20, 40), id="nothing is sure, nothing is capped"),
        pytest.param(15, None, (15, 20, 40), id="sure usage within the median lifts only what lies below it"),
        pytest.param(50, None, (50, 50, 70), id="30 beyond the day's median come on top"),
        pytest.param(0, 30 / DAY, (10, 20, 30), id="no more than the rate allows"),
        pytest.param(50, 30 / DAY, (30, 30, 30), id="not even what is sure"),
    ],
)
def test_bounded(certain, cap, last):
    knots = bounded([0.0, DAY], FAN, certain, cap)
    assert knots[0] == (0.0, 0.0, 0.0, 0.0)
    assert knots[1] == pytest.approx((DAY, *last))


def test_no_quantile_is_infinite():
    assert bounded([0.0, DAY], [(0.0, 0.0, 0.0), (1.0, 2.0, float("inf"))], 0, None)[1][3] == LARGEST
