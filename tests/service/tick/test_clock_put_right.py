"""R1: what a tick remembers of a time that a wrong clock had made up is put right with the clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.alerts.state import Phase
from quota_scheduler.core.forecast.track_record import TrackRecord
from quota_scheduler.store import alerts as alert_store
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, a_limit, a_session_limit
from tests.service.tick.ticking import House

FULL = next(rule for rule in load_rules({}, receivers=[]) if rule.reading == "usage_ratio")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "quota.db", [a_limit(1_000), a_session_limit(1_000)]) as one:
        one.recompute.rules = (FULL,)
        one.tick()
        yield one


def ahead_and_back(house: House, by: object = 2 * DAY) -> None:
    """Two ticks ahead, and the clock is put right."""
    before = house.clock.at
    house.tick(by)  # type: ignore[arg-type]
    house.tick(MINUTE)
    house.clock.at = before + MINUTE


def alerts(house: House) -> dict[tuple[str, str], str]:
    with house.store.reading() as tx:
        states = alert_store.load_states(tx)
    return {(state.scope, state.episode): state.phase.value for state in states}


def test_R1_the_alert_of_a_window_that_goes_on_fires_again(house: House) -> None:
    house.use(1_000)
    house.tick(MINUTE)
    house.tick(MINUTE)
    before = alerts(house)
    assert before[("day", "2026-11-23T00:00:00Z")] == Phase.FIRING
    ahead_and_back(house)
    for _ in range(3):
        house.tick(MINUTE)
    assert {key: phase for key, phase in alerts(house).items() if phase != Phase.RESOLVED} == before


def test_R1_an_alert_that_was_pending_ahead_ripens_in_its_own_time(house: House) -> None:
    house.clock.advance(2 * DAY)
    house.use(1_000)
    house.tick()
    house.clock.at -= 2 * DAY
    house.use(1_000)
    for _ in range(3):
        house.tick(MINUTE)
    with house.store.reading() as tx:
        states = alert_store.load_states(tx)
    assert {state.phase for state in states if state.episode == "2026-11-23T00:00:00Z"} == {Phase.FIRING}
    assert max(state.since for state in states) <= house.clock.at


def test_R1_forecasts_that_were_judged_ahead_are_unlearned_and_judged_in_time(house: House) -> None:
    house.import_days(20, 100)
    house.use(50)
    house.until(MIDNIGHT - 2 * HOUR, HOUR)

    def learned() -> tuple[TrackRecord | None, list[tuple[object, ...]]]:
        kept = house.rows("SELECT instance, starts_at, part FROM predictions WHERE instance = 'day' ORDER BY 1, 2, 3")
        return house.recompute.forecasting.verification.track("day"), kept

    before = learned()
    assert before[1]
    ahead_and_back(house)
    house.tick()
    assert learned() == before
    house.until(MIDNIGHT + 12 * HOUR, HOUR)
    track, _ = learned()
    assert track
    assert before[0]
    assert track.calibration.verified > before[0].calibration.verified


def test_R1_the_level_of_a_window_that_goes_on_follows_its_usage(house: House) -> None:
    house.use(1_000)
    house.tick()
    ahead_and_back(house)
    assert house.limit(house.tick(), "day").level == "exhausted"
    assert house.limit(house.tick(), "session").balance.used == 1_000


def test_R1_quality_tells_of_no_window_that_goes_on(house: House) -> None:
    house.use(500)
    house.tick()
    ahead_and_back(house)
    assert house.limit(house.tick(HOUR), "day").quality is None
