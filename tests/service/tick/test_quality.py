"""Scheduling quality on a real store: judged once when a window has closed, corrected by late usage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.core.cycle.requests import Release, Submit, Withdraw
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.documents import limit_document
from quota_scheduler.core.readings.scheduling_quality import ClosedWindow
from quota_scheduler.core.tickets.ticket import Outcome
from quota_scheduler.store import quality
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, MONTHLY, a_limit, a_report, a_ticket
from tests.service.tick.ticking import House

MONDAY_MIDNIGHT = MIDNIGHT - DAY


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "quota.db", [a_limit(100)]) as one:
        one.tick()
        yield one


def judged(house: House) -> list[ClosedWindow]:
    with house.store.reading() as tx:
        return quality.judged(tx, MONDAY_MIDNIGHT)


def monday(**changes: object) -> ClosedWindow:
    """What is expected of Monday's window."""
    return ClosedWindow("day", MONDAY_MIDNIGHT, MIDNIGHT, **{"amount": 100, "used": 0, **changes})  # type: ignore[arg-type]


def past_midnight(house: House) -> None:
    house.until(MIDNIGHT + MINUTE, HOUR)


def asks(house: House, tokens: int, number: int, priority: Priority = Priority.HIGH, **changes: object) -> None:
    house.ask(Submit(a_ticket(tokens, number=number, at=house.clock(), priority=priority, **changes)._replace(id=0)))


def test_usage_is_served_by_class(house: House) -> None:
    house.use(60, priority=Priority.INTERACTIVE, run="a")
    house.use(30, priority=Priority.LOW, run="b")
    past_midnight(house)
    assert judged(house) == [monday(used=90, served=(60, 0, 0, 30), runs=(1, 0, 0, 1))]


def test_who_gives_up_was_turned_away_by_the_limit_without_room(house: House) -> None:
    house.use(90)
    asks(house, 50, 1)
    house.ask(Withdraw(1))
    past_midnight(house)
    assert judged(house)[0].missed == (0, 50, 0, 0)


def test_a_run_that_fails_in_an_exhausted_window_is_a_stall(house: House) -> None:
    asks(house, 50, 1)
    house.use(90)
    house.ask(Release(1, 1, a_report(20), outcome=Outcome.FAILED))
    past_midnight(house)
    found = judged(house)[0]
    assert (found.missed, found.stalls) == ((0, 30, 0, 0), (0, 1, 0, 0))


@pytest.mark.parametrize(
    ("came", "tokens", "waited"),
    [
        pytest.param(5 * HOUR, 80, 80, id="all of a run that came long ago"),
        pytest.param(MIDNIGHT - MONDAY_MIDNIGHT - 9 * HOUR - 10 * MINUTE, 80, 20, id="what ten minutes are good for"),
    ],
)
def test_what_waited_at_the_reset_could_have_used_the_rest(
    house: House, came: object, tokens: int, waited: int
) -> None:
    house.use(40)
    house.until(house.clock() + came, HOUR)  # type: ignore[operator]
    asks(house, tokens, 1, Priority.LOW)
    past_midnight(house)
    found = judged(house)[0]
    assert (found.waited, found.lost) == ((0, 0, 0, waited), min(60, waited))


def test_nothing_is_lost_for_those_whom_another_limit_holds(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_limit(100), a_limit(50, id="two", schedule=MONTHLY)]) as house:
        house.use(40)
        asks(house, 30, 1, Priority.LOW)
        past_midnight(house)
        assert [each.waited for each in judged(house) if each.instance == "day"] == [(0, 0, 0, 0)]


def test_a_window_is_judged_once_and_corrected_by_late_usage(house: House) -> None:
    house.use(40)
    asks(house, 80, 1, Priority.LOW)
    past_midnight(house)
    first = judged(house)
    house.tick(MINUTE)
    assert judged(house) == first
    house.use(10, at=MIDNIGHT - HOUR)
    house.tick(MINUTE)
    assert [(each.used, each.waited) for each in judged(house)] == [(50, first[0].waited)]


def test_a_judgement_that_did_not_reach_the_disk_is_made_again(house: House) -> None:
    house.use(40)
    past_midnight(house)
    first = judged(house)
    with house.store.transaction() as tx:
        tx.execute("DELETE FROM quality")
    house.tick(MINUTE)
    assert judged(house) == first


def test_the_reading_says_so_and_outlives_a_restart(house: House) -> None:
    house.use(75, priority=Priority.INTERACTIVE, run="a")
    assert house.limit(house.tick(), "day").quality is None
    past_midnight(house)
    said = limit_document(house.limit(house.tick(), "day"))["quality"]
    assert said["classes"][0] == {"class": "interactive", "denied_ratio": 0.0, "stalled_ratio": 0.0}
    del said["classes"]
    assert said == {
        "windows": 1,
        "since": "2026-11-23T00:00:00Z",
        "avoidable_harm_ratio": 0.0,
        "lost_ratio": 0.0,
        "utilisation_ratio": 0.75,
        "value_ratio": 1.0,
    }
    before = house.limit(house.tick(), "day").quality
    house.restart()
    assert house.limit(house.tick(), "day").quality == before


def test_readings_are_over_thirty_days_or_the_last_window(house: House) -> None:
    house.use(40)
    past_midnight(house)
    for days, windows in ((20, 1), (41, 1)):
        house.clock.at = MIDNIGHT + days * DAY
        quality_now = house.limit(house.tick(), "day").quality
        assert quality_now is not None
        assert (quality_now.windows, quality_now.utilisation) == (windows, 0.4)
    house.use(80)
    house.until(MIDNIGHT + 42 * DAY + MINUTE, HOUR)
    latest = house.limit(house.tick(), "day").quality
    assert latest is not None
    assert (latest.windows, latest.utilisation) == (1, 0.8)
