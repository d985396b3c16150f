"""Throttle level: up at once, down late, fresh with each window."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.throttle_level import LevelFacts, LevelState, ThrottleLevel, step

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW, NEXT_WINDOW = NOW - timedelta(hours=2), NOW + timedelta(hours=3)
MINUTE = timedelta(minutes=1)
FACTS = LevelFacts(used=500, allowance=900, amount=1_000, starts_at=WINDOW)


def state(level: ThrottleLevel, *, minutes_ago: int = 60, caused: int = 0) -> LevelState:
    return LevelState(level, NOW - minutes_ago * MINUTE, NOW - caused * MINUTE, WINDOW)


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        pytest.param(FACTS, ThrottleLevel.OPEN, id="room left is open"),
        pytest.param(replace(FACTS, holding=True), ThrottleLevel.THROTTLED, id="holding a class back is throttled"),
        pytest.param(replace(FACTS, used=899), ThrottleLevel.OPEN, id="one below the allowance is open"),
        pytest.param(replace(FACTS, used=900), ThrottleLevel.PAUSED, id="the allowance spent is paused"),
        pytest.param(replace(FACTS, used=900, holding=True), ThrottleLevel.PAUSED, id="the stricter of two wins"),
        pytest.param(replace(FACTS, used=1_000), ThrottleLevel.EXHAUSTED, id="the amount spent is exhausted"),
        pytest.param(replace(FACTS, used=1_000, loan=500), ThrottleLevel.OPEN, id="beyond its own on loan is open"),
        pytest.param(replace(FACTS, used=1_400, loan=500), ThrottleLevel.PAUSED, id="the allowance and the loan spent"),
        pytest.param(replace(FACTS, used=1_500, loan=500), ThrottleLevel.EXHAUSTED, id="amount and loan spent"),
        pytest.param(replace(FACTS, spent=True), ThrottleLevel.EXHAUSTED, id="the provider is believed"),
        pytest.param(
            LevelFacts(0, 0, 0, starts_at=WINDOW), ThrottleLevel.EXHAUSTED, id="a limit of nothing is exhausted"
        ),
        pytest.param(LevelFacts(5, 5, 5), ThrottleLevel.OPEN, id="all leases running is normal"),
        pytest.param(LevelFacts(5, 5, 5, holding=True), ThrottleLevel.THROTTLED, id="leases running while others wait"),
    ],
)
def test_first_level(facts: LevelFacts, level: ThrottleLevel) -> None:
    assert step(None, facts, NOW) == LevelState(level, NOW, NOW, facts.starts_at)


@pytest.mark.parametrize(
    ("previous", "facts", "expected"),
    [
        pytest.param(
            state(ThrottleLevel.OPEN),
            replace(FACTS, holding=True),
            LevelState(ThrottleLevel.THROTTLED, NOW, NOW, WINDOW),
            id="up at once",
        ),
        pytest.param(
            state(ThrottleLevel.THROTTLED, caused=3),
            replace(FACTS, holding=True),
            state(ThrottleLevel.THROTTLED),
            id="the cause again starts its five minutes anew",
        ),
        pytest.param(
            state(ThrottleLevel.THROTTLED, caused=4),
            FACTS,
            state(ThrottleLevel.THROTTLED, caused=4),
            id="not down before five minutes",
        ),
        pytest.param(
            state(ThrottleLevel.THROTTLED, caused=5),
            FACTS,
            LevelState(ThrottleLevel.OPEN, NOW, NOW, WINDOW),
            id="down after them",
        ),
        pytest.param(
            state(ThrottleLevel.PAUSED, caused=9),
            replace(FACTS, used=871),
            state(ThrottleLevel.PAUSED),
            id="two points below the allowance is still paused",
        ),
        pytest.param(
            state(ThrottleLevel.PAUSED, caused=9),
            replace(FACTS, used=869),
            LevelState(ThrottleLevel.OPEN, NOW, NOW, WINDOW),
            id="three points below it is not",
        ),
        pytest.param(
            state(ThrottleLevel.OPEN), replace(FACTS, used=880), state(ThrottleLevel.OPEN), id="the way up has no slack"
        ),
        pytest.param(
            state(ThrottleLevel.EXHAUSTED, caused=9),
            replace(FACTS, used=960),
            LevelState(ThrottleLevel.PAUSED, NOW, NOW, WINDOW),
            id="a raised amount leads back by one level",
        ),
        pytest.param(
            state(ThrottleLevel.EXHAUSTED),
            replace(FACTS, starts_at=NEXT_WINDOW),
            LevelState(ThrottleLevel.OPEN, NOW, NOW, NEXT_WINDOW),
            id="a new window starts fresh",
        ),
    ],
)
def test_step(previous: LevelState, facts: LevelFacts, expected: LevelState) -> None:
    assert step(previous, facts, NOW) == expected


def test_stepping_twice_changes_nothing() -> None:
    once = step(state(ThrottleLevel.OPEN), replace(FACTS, holding=True), NOW)
    assert step(once, replace(FACTS, holding=True), NOW) == once


def test_a_flickering_cause_changes_the_level_once() -> None:
    current, seen = None, []
    for second in range(0, 1200, 30):
        current = step(current, replace(FACTS, holding=second % 120 < 60), NOW + timedelta(seconds=second))
        seen.append(current.level)
    assert set(seen) == {ThrottleLevel.THROTTLED}
