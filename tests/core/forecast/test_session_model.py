"""Rolling sessions: judged by the series' own past ones, whatever the pattern."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.forecast.baselines import pro_rata
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import project
from quota_scheduler.core.forecast.session_model import applies

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Session:
    starts_at: datetime
    ends_at: datetime


def a_pipeline(days: int = 60) -> list[tuple[datetime, float]]:
    """One burst of an hour every night, nothing after it."""
    return [(START + d * 24 * HOUR + 3 * HOUR, 1000.0 + 10 * (d % 7)) for d in range(days)]


def a_developer(days: int = 90, seed: int = 4) -> list[tuple[datetime, float]]:
    """Bursts of some hours in the morning and in the afternoon, on most days."""
    dice, found = random.Random(seed), []
    for d in range(days):
        if dice.random() < 0.3:
            continue
        for hour in (9, 15):
            rate = dice.lognormvariate(0, 0.8)
            for i in range(dice.randint(1, 5)):
                found.append((START + (d * 24 + hour + i) * HOUR, rate * dice.lognormvariate(0, 0.4)))
    return found


def opened(history: list[tuple[datetime, float]]) -> list[datetime]:
    starts: list[datetime] = []
    for at, _ in history:
        if not starts or at >= starts[-1] + 5 * HOUR:
            starts.append(at)
    return starts


def at_hour(history, start: datetime, hours: float) -> Forecast:
    now = start + hours * HOUR
    seen = [pair for pair in history if pair[0] < now]
    return project(seen, Session(start, start + 5 * HOUR), now=now, step=HOUR)


def test_a_pipeline_that_ends_in_one_burst_is_known_to_be_done():
    history = a_pipeline()
    found = at_hour(history, opened(history)[-1], 1)
    assert found.method == "sessions"
    assert found.expected == pytest.approx(found.used, rel=0.01)
    assert pro_rata(history, found.now, found.starts_at, found.ends_at) == pytest.approx(5 * found.used)


def test_after_thirty_sessions_it_beats_pro_rata_and_its_interval_holds():
    history = a_developer()
    ours = theirs = 0.0
    held = []
    for start in opened(history)[30:-1]:
        actual = sum(tokens for at, tokens in history if start <= at < start + 5 * HOUR)
        for hours in (1, 2, 3):
            found = at_hour(history, start, hours)
            seen = [pair for pair in history if pair[0] < found.now]
            ours += abs(found.expected - actual)
            theirs += abs(pro_rata(seen, found.now, start, start + 5 * HOUR) - actual)
            held.append(found.low - 1e-9 <= actual <= found.high + 1e-9)
    assert ours <= 0.8 * theirs
    assert 0.65 <= sum(held) / len(held) <= 0.97


def test_between_full_hours_the_exact_usage_counts():
    history = a_developer()
    start = opened(history)[-2]
    now = start + timedelta(hours=2, minutes=20)
    seen = [pair for pair in history if pair[0] < now]
    found = project(seen, Session(start, start + 5 * HOUR), now=now, step=HOUR, used=3.5)
    assert found.used == 3.5
    assert 3.5 <= found.low <= found.expected <= found.high


def test_a_session_not_yet_open_is_judged_by_the_whole_past_ones():
    history = a_pipeline()
    now = START + 59 * 24 * HOUR + 20 * HOUR
    found = project(history, Session(now, now + 5 * HOUR), now=now, step=HOUR)
    assert found.used == 0
    assert found.to_come(0.9) == pytest.approx(1050, rel=0.1)


def test_a_day_is_judged_by_days_at_the_same_time():
    history = a_pipeline()
    midnight = START + 59 * 24 * HOUR
    early = project(history[:-1], Session(midnight, midnight + 24 * HOUR), now=midnight + HOUR, step=HOUR)
    late = project(history, Session(midnight, midnight + 24 * HOUR), now=midnight + 6 * HOUR, step=HOUR)
    assert early.expected == pytest.approx(1030, rel=0.15)
    assert late.expected == pytest.approx(late.used, rel=0.05)


def test_with_no_session_in_the_past_the_days_answer():
    found = project([(START, 5.0)], Session(START, START + 5 * HOUR), now=START + HOUR, step=HOUR)
    assert found.method == "insufficient history"
    assert 5.0 == found.used <= found.low <= found.high


def test_fine_buckets_and_a_reset_by_the_minute():
    step = timedelta(minutes=5)
    history = [(START + i * step, 10.0) for i in range(12 * 24 * 10) if (i // 12) % 24 in (9, 10, 11)]
    now = START + 9 * 24 * HOUR + 10 * HOUR + timedelta(minutes=7)
    window = Session(START + 9 * 24 * HOUR + 9 * HOUR, START + 9 * 24 * HOUR + 14 * HOUR)
    seen = [pair for pair in history if pair[0] < now]
    found = project(seen, window, now=now, step=step)
    assert found.expected == pytest.approx(360, rel=0.25)


@pytest.mark.parametrize(
    ("length", "step", "is_session"),
    [
        pytest.param(5 * HOUR, HOUR, True, id="five hours by the hour"),
        pytest.param(5 * HOUR, 2 * HOUR, False, id="by two hours: too coarse to see how it went"),
        pytest.param(25 * HOUR, HOUR, True, id="a day of 25 hours, when the clocks go back"),
        pytest.param(26 * HOUR, HOUR, False, id="more than a day"),
    ],
)
def test_applies(length, step, is_session):
    assert applies(length.total_seconds(), step.total_seconds()) is is_session
