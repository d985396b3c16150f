"""Alert fatigue, small: five weeks of a made-up series through the shipped rules. The long version: benchmarks."""

from collections import Counter
from itertools import pairwise

import pytest

from benchmarks.bench_alerts import Observer, firing_twice, replay, rows, synthetic

HANDFUL = 5


@pytest.fixture(scope="module")
def told() -> list[Observer]:
    (trace,) = synthetic(1, 36)
    return replay(trace, minutes=30)


def test_no_window_that_ran_out_is_missed(told):
    out = [each for each in told if each.out_at and each.out_at < each.ends_at]
    assert len(out) > 5
    assert [each for each in out if each.fired["exhausted"] != 1] == []


def test_limits_are_told_of_a_handful_of_times_a_week(told):
    assert [row.limit for row in rows(told) if row.news_a_week > HANDFUL] == []
    worst = Counter(
        (each.limit, at.toordinal() // 7) for each in told if "day" not in each.limit for at, _ in each.news
    )
    assert max(worst.values()) <= HANDFUL + 1, "each rung once, and a burn that comes back"


def test_a_day_is_told_of_once_for_each_rung(told):
    days = [each for each in told if each.limit == "tight day"]
    assert max(len(each.news) for each in days) <= HANDFUL
    assert [line for line in firing_twice(told) if " day " in line] == []


def test_nothing_flaps_within_a_day(told):
    for each in told:
        for rule in each.fired:
            times = [at for at, name in each.news if name == rule]
            assert all((later - at).total_seconds() >= 86_400 for at, later in pairwise(times))


def test_whoever_has_room_is_left_in_peace(told):
    roomy = [row for row in rows(told) if row.limit.startswith("roomy")]
    assert {row.ran_out for row in roomy} == {0}
    assert all(row.news_a_week <= 1 for row in roomy)
