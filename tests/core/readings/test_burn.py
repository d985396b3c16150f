"""Burn rate: the check values of the method, and what must never cause an alert."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.readings.burn import CLASSES, LOOKBACKS, MOST, History, RecentUse, burn_class, cumulative_burn
from quota_scheduler.core.readings.burn import burns as burns_of
from quota_scheduler.core.readings.readings import Burn

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONTH = Window(START, START + 30 * DAY)
SESSION = Window(START, START + 5 * HOUR)


def steady(start: datetime, end: datetime, per_step: float, step: timedelta) -> list[tuple[datetime, float]]:
    return [(start + i * step, per_step) for i in range((end - start) // step)]


def burns(history: History, window: Window, used: int, amount: int, now: datetime, step: timedelta) -> tuple[Burn, ...]:
    return burns_of(RecentUse(history, now, step), window, used, amount)


def rates(found: tuple[Burn, ...]) -> dict[str, tuple[float, float]]:
    return {burn.lookback: (round(burn.rate, 6), round(burn.remaining, 6)) for burn in found}


def test_a_month_at_constant_double_pace_has_the_reference_values() -> None:
    amount, now = 720_000, START + 5 * DAY
    history = steady(START, now, 2_000, HOUR)
    found = burns(history, MONTH, 240_000, amount, now, HOUR)
    assert rates(found) == dict.fromkeys(LOOKBACKS, (2.0, 2.5))
    assert cumulative_burn(MONTH, 240_000, amount, now) == pytest.approx(2.0)
    per_second = found[0].rate * amount / MONTH.length.total_seconds()
    assert timedelta(seconds=(amount - 240_000) / per_second) == 10 * DAY


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        pytest.param(31 * DAY, 30 * DAY, id="a month of 31 days burns like 30"),
        pytest.param(8 * DAY, 7 * DAY, id="eight days burn like a week"),
        pytest.param(23 * HOUR, DAY, id="the short day of spring burns like a day"),
        pytest.param(10 * HOUR, 5 * HOUR, id="ten hours are nearer to five than to a day, in logarithms"),
        pytest.param(12 * HOUR, DAY, id="twelve hours are nearer to a day"),
        pytest.param(2 * HOUR, 5 * HOUR, id="two hours still burn like a session"),
        pytest.param(2 * HOUR - MINUTE, None, id="anything shorter has no burn rate"),
    ],
)
def test_class(length: timedelta, expected: timedelta | None) -> None:
    found = burn_class(length)
    assert (found and found.length) == expected


@pytest.mark.parametrize(
    ("days_or_hours", "fast_share", "slow_share"),
    [
        pytest.param(0, 0.05, 0.10, id="30 d: 5 % in 6 h, 10 % in 24 h"),
        pytest.param(1, 0.10, 0.20, id="7 d: 10 % in 3 h, 20 % in 12 h"),
        pytest.param(2, 0.15, 0.25, id="24 h: 15 % in 30 min, 25 % in 2 h"),
        pytest.param(3, 0.30, 0.45, id="5 h: 30 % in 20 min, 45 % in 45 min"),
    ],
)
def test_factors_follow_from_the_shares(days_or_hours: int, fast_share: float, slow_share: float) -> None:
    known = CLASSES[days_or_hours]
    assert known.fast == pytest.approx(fast_share * (known.length / known.lookbacks[0]))
    assert known.slow == pytest.approx(slow_share * (known.length / known.lookbacks[2]))


@pytest.mark.parametrize(
    ("now", "used", "amount", "window"),
    [
        pytest.param(START + 1.4 * DAY, 10, 100, MONTH, id="the first 5 % of a window"),
        pytest.param(START + 30 * DAY, 10, 100, MONTH, id="the reset itself belongs to the next window"),
        pytest.param(START - HOUR, 10, 100, MONTH, id="before the window"),
        pytest.param(START + 5 * DAY, 0, 0, MONTH, id="an amount of nothing"),
        pytest.param(START + HOUR, 10, 100, Window(START, START + 1.5 * HOUR), id="a window under two hours"),
    ],
)
def test_no_burn(now: datetime, used: int, amount: int, window: Window) -> None:
    history = steady(START - DAY, START + 30 * DAY, 10, HOUR)
    assert burns(history, window, used, amount, now, HOUR) == ()


def test_usage_before_the_reset_is_not_held_against_the_new_window() -> None:
    now = START + 30 * MINUTE
    before = steady(START - 5 * HOUR, START, 1_000, 5 * MINUTE)
    assert rates(burns(before, SESSION, 0, 60_000, now, 5 * MINUTE)) == dict.fromkeys(LOOKBACKS, (0.0, 0.0))
    both = before + steady(START, now, 1_000, 5 * MINUTE)
    assert rates(burns(both, SESSION, 6_000, 60_000, now, 5 * MINUTE)) == dict.fromkeys(LOOKBACKS, (1.0, 1.0))


def test_each_lookback_sees_its_own_stretch() -> None:
    now = START + 2.5 * HOUR
    history = steady(now - 5 * MINUTE, now, 100, MINUTE)
    found = rates(burns(history, SESSION, 500, 30_500, now, MINUTE))
    assert {name: rate for name, (rate, _) in found.items()} == {
        "fast_long": pytest.approx(500 / 20 * 300 / 30_500, abs=1e-6),
        "fast_short": pytest.approx(500 / 5 * 300 / 30_500, abs=1e-6),
        "slow_long": pytest.approx(500 / 45 * 300 / 30_500, abs=1e-6),
        "slow_short": pytest.approx(500 / 10 * 300 / 30_500, abs=1e-6),
    }


@pytest.mark.parametrize("window", [pytest.param(MONTH, id="a month"), pytest.param(SESSION, id="a session")])
def test_limits_that_share_a_history_measure_what_each_would_alone(window: Window) -> None:
    now = START + 2.5 * HOUR + 40 * DAY * (window is MONTH) / 10
    history = [(START + i * HOUR, 100.0 + i % 7) for i in range(24 * 30)]
    together = RecentUse(history, now, HOUR)
    others = [burns_of(together, one, 500, 30_500) for one in (SESSION, MONTH)]
    assert len(others) == 2
    assert burns_of(together, window, 500, 30_500) == burns(history, window, 500, 30_500, now, HOUR) != ()


def test_a_bucket_still_filling_is_as_dense_as_what_has_passed_of_it() -> None:
    now = START + 2.5 * HOUR
    history = [(START + 2 * HOUR, 3_000.0)]
    per_hour = rates(burns(history, SESSION, 3_000, 30_000, now, HOUR))["fast_short"][0] * 30_000 / 5
    assert per_hour == pytest.approx(6_000)


@pytest.mark.parametrize(
    ("used", "per_step", "remaining"),
    [
        pytest.param(1_000, 10.0, MOST, id="still burning with nothing left is as bad as it gets"),
        pytest.param(1_200, 10.0, MOST, id="so is burning beyond the amount"),
        pytest.param(1_000, 0.0, 0.0, id="at rest with nothing left burns nothing"),
    ],
)
def test_nothing_left(used: int, per_step: float, remaining: float) -> None:
    now = START + 3 * HOUR
    found = burns(steady(START, now, per_step, MINUTE), SESSION, used, 1_000, now, MINUTE)
    assert {burn.remaining for burn in found} == {remaining}


@given(
    passed=st.floats(0.05, 0.99),
    used_ratio=st.floats(0.0, 0.99),
    per_step=st.floats(0, 10_000),
)
def test_usage_is_projected_over_the_limit_exactly_when_the_rest_runs_out(
    passed: float, used_ratio: float, per_step: float
) -> None:
    amount, now = 1_000_000, START + passed * MONTH.length
    used = int(used_ratio * amount)
    for burn in burns(steady(START, now, per_step, HOUR), MONTH, used, amount, now, HOUR):
        end_ratio = used / amount + burn.rate * ((MONTH.ends_at - now) / MONTH.length)
        if abs(end_ratio - 1) > 1e-9:
            assert (end_ratio > 1) == (burn.remaining > 1)
