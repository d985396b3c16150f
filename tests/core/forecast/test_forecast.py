"""A forecast as a value: what can be asked of it, and that it survives storing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.forecast.forecast import Forecast, PastAccuracy
from quota_scheduler.core.forecast.risk import Risk

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FORECAST = Forecast(
    now=NOW, starts_at=NOW - 10 * HOUR, ends_at=NOW + 10 * HOUR, used=400.0, certain=0.0,
    knots=((0.0, 0.0, 0.0, 0.0), (18_000.0, 50.0, 100.0, 200.0), (36_000.0, 100.0, 200.0, 400.0)),
    rate=0.01, level=480.0, trend=0.25, observed_days=30.0, confidence=0.6, method="days",
    record=PastAccuracy(9, 0.8, 0.2, None),
)  # fmt: skip


def test_it_reads_as_totals_at_the_reset():
    assert (FORECAST.low, FORECAST.expected, FORECAST.high) == (500, 600, 800)
    assert FORECAST.p80 == pytest.approx(600 + 0.46 * 200)
    assert FORECAST.remaining == 10 * HOUR


@pytest.mark.parametrize(
    ("q", "hours", "usage"),
    [
        pytest.param(0.5, None, 200, id="the median up to the reset"),
        pytest.param(0.5, 5, 100, id="at a knot"),
        pytest.param(0.9, 2.5, 100, id="between knots it is linear in time"),
        pytest.param(0.9, 99, 400, id="beyond the reset nothing more"),
        pytest.param(0.9, -1, 0, id="nothing in the past"),
    ],
)
def test_to_come(q, hours, usage):
    assert FORECAST.to_come(q, None if hours is None else NOW + hours * HOUR) == pytest.approx(usage)


@pytest.mark.parametrize(
    ("amount", "hours"),
    [
        pytest.param(400, 0, id="used up already"),
        pytest.param(450, 2.5, id="half way to the first knot"),
        pytest.param(600, 10, id="just at the reset"),
        pytest.param(601, None, id="not before the reset"),
    ],
)
def test_exhaustion(amount, hours):
    assert FORECAST.exhaustion(amount) == (None if hours is None else NOW + hours * HOUR)


def test_the_earliest_exhaustion_is_on_the_upper_path():
    assert FORECAST.exhaustion_interval(600) == (NOW + 5 * HOUR, None)


@pytest.mark.parametrize(
    ("forecast", "amount", "p"),
    [
        pytest.param(FORECAST, 600, 0.5, id="the median is passed in half of all cases"),
        pytest.param(FORECAST, 800, pytest.approx(0.1), id="the upper bound in a tenth"),
        pytest.param(FORECAST, 399, 1.0, id="what is used is passed"),
        pytest.param(replace(FORECAST, rate_cap=0.001), 436, 0.0, id="no more than the rate allows"),
    ],
)
def test_p_exceed(forecast, amount, p):
    assert forecast.p_exceed(amount) == p


def test_rates_against_the_pace():
    assert FORECAST.pace(720) == pytest.approx(0.01)
    assert FORECAST.burn_rate(720) == pytest.approx(1.0), "on pace"
    assert FORECAST.remaining_pace(760) == pytest.approx(0.01)
    assert FORECAST.remaining_pace(100) == 0


@pytest.mark.parametrize(
    ("forecast", "amount", "risk"),
    [
        pytest.param(FORECAST, 692 / 0.7, Risk.MEDIUM, id="P80 at 70 %"),
        pytest.param(replace(FORECAST, observed_days=6.9), 100, Risk.UNKNOWN, id="under seven days"),
        pytest.param(FORECAST, 0, Risk.UNKNOWN, id="a limit of nothing"),
    ],
)
def test_risk(forecast, amount, risk):
    assert forecast.risk(amount) is risk


def test_the_fan_starts_now_with_what_is_used():
    fan = FORECAST.fan((0.1, 0.9))
    assert fan == [(NOW, [400, 400]), (NOW + 5 * HOUR, [450, 600]), (NOW + 10 * HOUR, [500, 800])]


@pytest.mark.parametrize(
    "forecast",
    [
        pytest.param(FORECAST, id="a full one"),
        pytest.param(replace(FORECAST, trend=None, confidence=None, rate_cap=2.0, certain=7.0), id="an empty one"),
    ],
)
def test_what_is_stored_comes_back_equal(forecast):
    stored = json.loads(json.dumps(forecast.to_dict()))
    assert Forecast.from_dict(stored) == forecast
    assert "known" in stored, "the name that databases hold"
