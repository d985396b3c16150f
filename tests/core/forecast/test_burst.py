"""The state of a burst: how far the last hours were off the usual, how that fades, and what a forecast makes of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from quota_scheduler.core.forecast.burst import MOST, burst_of, times_usual
from quota_scheduler.core.forecast.project import Projectable, project_many
from quota_scheduler.core.limits.schedule import Window

HOUR = timedelta(hours=1)
NOW = datetime(2026, 5, 20, 14, tzinfo=UTC)
EVEN = np.full(24, 1 / 24)
EVEN_SHAPE = [hour / 24 for hour in range(25)]


@pytest.mark.parametrize(
    ("usage", "part", "level", "ratio"),
    [
        pytest.param([10] * 24, 1.0, 240, 1.0, id="every hour as usual"),
        pytest.param(
            [5] * 23 + [10], 0.5, 120, 1.18, id="a half hour that took four times its part: busier by a sixth"
        ),
        pytest.param([10] * 23 + [5], 0.5, 240, 1.0, id="half of the newest hour has passed, with half of its usage"),
        pytest.param([0] * 24, 1.0, 240, 0.29, id="a day without use: quieter, and never nothing"),
        pytest.param([0] * 18 + [40] * 6, 1.0, 240, 2.12, id="six busy hours after idle ones"),
        pytest.param([40] * 6 + [0] * 18, 1.0, 240, 0.38, id="the same a day ago: over"),
        pytest.param([10_000] * 24, 1.0, 240, MOST, id="beyond anything seen"),
        pytest.param([10] * 24, 1.0, 0, 1.0, id="nothing is usual yet"),
    ],
)
def test_how_many_times_the_usual_the_last_hours_used(usage, part, level, ratio):
    back = np.arange(24)[::-1]
    assert burst_of(back, np.array(usage, dtype=float), part, EVEN).ratio(level) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize(
    ("ratio", "hours", "times"),
    [
        pytest.param(3.0, 0, 3.0, id="now: all of it"),
        pytest.param(3.0, 6, 2.66, id="after six hours most of it"),
        pytest.param(3.0, 24, 2.03, id="over a day half of it"),
        pytest.param(3.0, 168, 1.19, id="over a week a tenth"),
        pytest.param(0.5, 24, 0.74, id="a quiet time fades as a busy one does"),
        pytest.param(1.0, 24, 1.0, id="as usual"),
    ],
)
def test_a_burst_fades(ratio, hours, times):
    fading = burst_of(np.arange(24)[::-1], np.zeros(24), 1.0, EVEN).fading
    assert times_usual(ratio, fading, EVEN_SHAPE, [hours * 3600.0]) == [pytest.approx(times, abs=0.01)]


def steady(usage_of_hour):
    """Four weeks of an hourly history up to now; hours are counted back, 0 the newest."""
    return [(NOW - (hour + 1) * HOUR, usage_of_hour(hour)) for hour in range(24 * 28 - 1, -1, -1)]


def expected(history, hours, *, like=None):
    window = Window(NOW, NOW + hours * HOUR)
    asked = [Projectable(history, window, like=like), *([Projectable(like, window)] if like else [])]
    return project_many(asked, now=NOW, step=HOUR)[0].expected


def test_a_busy_morning_tells_of_a_busy_afternoon_and_hardly_of_next_week():
    usual = steady(lambda _: 10.0)
    busy = steady(lambda hour: 40.0 if hour < 6 else 10.0)
    assert expected(usual, 30) == pytest.approx(300, rel=0.04)
    assert expected(busy, 30) > 1.6 * expected(usual, 30)
    assert expected(busy, 24 * 21) < 1.25 * expected(usual, 24 * 21)


def test_a_class_without_a_run_yet_shares_the_burst_of_all():
    people = steady(lambda hour: 12.0 if hour % 12 == 11 else 0.0)  # two runs a day, the last one eleven hours ago
    everyone = steady(lambda hour: 40.0 if hour < 6 else 10.0)
    assert expected(people, 30, like=everyone) > 1.5 * expected(people, 30)
