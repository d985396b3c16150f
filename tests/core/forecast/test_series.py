"""Histories cut into days that end now."""

from datetime import timedelta

import numpy as np
import pytest

from quota_scheduler.core.forecast.series import KEEP_DAYS, Buckets, buckets, series
from tests.core.forecast.forecasting import DAY, HOUR, NOW, daily


def hourly(*usage: float, until=NOW):
    """Usage of the last hours, oldest first."""
    return [(until - (len(usage) - i) * HOUR, tokens) for i, tokens in enumerate(usage)]


def test_days_are_counted_back_from_now_newest_first():
    row = series(hourly(*[1] * 24, *[2] * 24), NOW, HOUR)
    assert row.days.tolist() == [48, 24, *[0] * (KEEP_DAYS - 2)]
    assert (row.observed, row.head, row.begun) == (2, 1, 0)


@pytest.mark.parametrize(
    ("history", "now", "step", "days"),
    [
        pytest.param(daily(1, 2, 3), NOW, DAY, [3, 2, 1], id="a daily history at midnight"),
        pytest.param([*daily(1, 2), (NOW, 9.0)], NOW, DAY, [2, 1, 0], id="what lies at now is not read"),
        pytest.param([(NOW - 3 * DAY, 5.0)], NOW, DAY, [0, 0, 5], id="idle days are zero"),
        pytest.param([(NOW - HOUR, -5.0)], NOW, HOUR, [0, 0, 0], id="less than nothing is nothing"),
        pytest.param([], NOW, DAY, [0, 0, 0], id="no history"),
    ],
)
def test_days(history, now, step, days):
    assert series(history, now, step).days[:3].tolist() == days


def test_an_unfinished_calendar_day_counts_with_its_part():
    row = series([*daily(10, 20), (NOW, 6.0)], NOW + 6 * HOUR, DAY)
    assert (row.days[:3].tolist(), row.head, row.begun) == ([6, 20, 10], 0.25, 0.25)
    assert (row.whole[:2].tolist(), row.complete) == ([20, 10], 2)


@pytest.mark.parametrize(
    ("start", "end", "usage"),
    [
        pytest.param(2, 0, 30, id="both hours"),
        pytest.param(1.5, 0, 25, id="a bucket cut in half counts in proportion"),
        pytest.param(5, 2, 0, id="before the first"),
        pytest.param(0, 2, 0, id="the wrong way round"),
    ],
)
def test_between(start, end, usage):
    row = series(hourly(10, 20), NOW, HOUR)
    assert row.between((NOW - start * HOUR).timestamp(), (NOW - end * HOUR).timestamp()) == pytest.approx(usage)


def test_pairs_become_arrays_from_an_instant_on():
    history = daily(1, 2, 3)
    kept = buckets(history, NOW - 2 * DAY)
    assert (kept.starts.tolist(), kept.values.tolist()) == ([at.timestamp() for at, _ in history[1:]], [2, 3])
    assert buckets([]).starts.size == 0


def test_since_says_how_old_a_history_is_when_its_first_days_were_idle():
    quiet = Buckets(np.empty(0), np.empty(0))
    assert series(quiet, NOW, DAY).observed == 0
    assert series(quiet, NOW, DAY, NOW - timedelta(days=9)).observed == 9


def test_the_usual_day_is_read_from_four_weeks_of_hours_and_shrunk_to_an_even_one():
    at_nine = [(NOW - back * DAY + 9 * HOUR, 1.0) for back in range(28, 0, -1)]
    ahead = series(at_nine, NOW, HOUR).ahead
    assert ahead is not None
    assert (ahead[0], ahead[-1], len(ahead)) == (0, pytest.approx(1), 25)
    assert ahead[10] - ahead[9] == pytest.approx((28 + 4 / 24) / 32), "28 days at nine and 4 even ones"
