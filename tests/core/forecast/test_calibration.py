"""Calibration: intervals follow the series' own hits and misses; the track record can be read."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.forecast.calibration import REMAINING, Calibration, horizon_of, observe
from quota_scheduler.core.forecast.forecast import PastAccuracy
from quota_scheduler.core.forecast.project import project

DAY = timedelta(days=1)
NOW = datetime(2026, 5, 16, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    starts_at: datetime
    ends_at: datetime


HISTORY = [(NOW - (60 - i) * DAY, 100.0 + 40 * (i % 3)) for i in range(60)]
FORECAST = project(HISTORY, Window(NOW - 15 * DAY, NOW + 15 * DAY), now=NOW, step=DAY)


def test_a_miss_widens_its_side_and_a_hit_narrows_both_a_little():
    above = observe(None, FORECAST, FORECAST.high * 2)
    below = observe(None, FORECAST, FORECAST.low * 0.5)
    hit = observe(None, FORECAST, FORECAST.expected)
    assert above.high > 0 > above.low
    assert below.low > 0 > below.high
    assert hit.low == hit.high < 0
    assert above.high == pytest.approx(-9 * hit.high), "nine hits pay for one miss"


def test_a_wider_calibration_widens_the_forecast():
    window = Window(NOW - 15 * DAY, NOW + 15 * DAY)
    wide = project(HISTORY, window, now=NOW, step=DAY, calibration=Calibration(low=0.5, high=0.5))
    assert wide.low < FORECAST.low
    assert wide.high > FORECAST.high
    assert wide.expected == FORECAST.expected


def test_a_long_run_of_misses_stays_bounded():
    state = Calibration()
    for _ in range(1000):
        state = observe(state, FORECAST, FORECAST.high * 10)
    assert state.spread[1] <= 4.0
    assert state.spread[0] >= 0.25


def test_the_record_by_horizon():
    state = observe(None, FORECAST, FORECAST.expected, amount=10**9)
    state = observe(state, FORECAST, FORECAST.expected * 3, amount=FORECAST.expected * 2)
    record = state.record(0.5)
    assert record.verified == state.verified == 2
    assert record.coverage == 0.5
    assert record.error == pytest.approx(2 / 4)
    assert record.brier is not None
    assert record.brier > 0
    assert state.record(0.05) == PastAccuracy()
    assert state.reliability() is not None


def test_the_forecast_says_how_earlier_ones_fared():
    state = observe(None, FORECAST, FORECAST.expected)
    window = Window(NOW - 15 * DAY, NOW + 15 * DAY)
    found = project(HISTORY, window, now=NOW, step=DAY, calibration=state)
    assert found.record == PastAccuracy(verified=1, coverage=1.0, error=0.0, brier=None)


@pytest.mark.parametrize(
    ("remaining", "horizon"),
    [(1.0, 0), (0.76, 0), (0.75, 1), (0.5, 2), (0.25, 3), (0.1, 4), (0.0, 4)],
)
def test_horizons(remaining, horizon):
    assert horizon_of(remaining) == horizon
    assert horizon < len(REMAINING)


def test_it_survives_storage():
    state = observe(observe(None, FORECAST, 10.0, amount=5.0), FORECAST, 1e9)
    assert Calibration.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def through(history, windows, part=0.3):
    """The state after a forecast at a part of each window has been judged, each seeing only what lies before it."""
    state = Calibration()
    for window in windows:
        now = window.starts_at + part * (window.ends_at - window.starts_at)
        found = project([pair for pair in history if pair[0] < now], window, now=now, step=DAY, calibration=state)
        state = observe(state, found, sum(t for at, t in history if window.starts_at <= at < window.ends_at))
    return state


@pytest.mark.parametrize("tail", [pytest.param(0.9, id="a wild world"), pytest.param(1.5, id="a milder world")])
def test_online_coverage_comes_to_eighty_percent_whatever_the_world(tail):
    dice = random.Random(7)
    start = NOW - 700 * DAY
    history = [(start + i * DAY, dice.paretovariate(tail)) for i in range(700)]
    weeks = [Window(start + (60 + 7 * w) * DAY, start + (67 + 7 * w) * DAY) for w in range(90)]
    held = through(history, weeks).record(0.7)
    assert held.verified == 90
    assert held.coverage == pytest.approx(0.8, abs=0.09)
