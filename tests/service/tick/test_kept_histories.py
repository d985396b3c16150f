"""Histories outlive a restart: a start goes on from what was kept, and comes to what folding everything would."""

import json
from datetime import datetime, timedelta

import pytest

from quota_scheduler.core.units import Unit
from quota_scheduler.service.tick.kept_histories import MARK, PER_TICK
from tests.builders import DAY, HOUR, MINUTE, a_limit, a_usage_event
from tests.service.tick.test_forecasts import CHANGES, folded, plain
from tests.service.tick.ticking import House

LIMITS = [a_limit(10_000), a_limit(10_000, id="team", per="team", unit=Unit.REQUESTS)]


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "quota.db", LIMITS) as one:
        one.import_days(10, 100)
        one.tick()
        yield one


def folded_at(house: House) -> datetime | None:
    """When the histories of this process were folded whole, whichever process did."""
    return house.recompute.forecasting._folded_at


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_a_start_goes_on_from_what_was_kept_and_reads_what_moved(house, change):
    begun = folded_at(house)
    for after in (MINUTE, 2 * HOUR, 30 * HOUR):
        house.clock.advance(after)
        change(house)
        house.restart()
        house.tick(MINUTE)
        assert plain(house.recompute.forecasting.book) == folded(house)
        assert folded_at(house) == begun


def test_demand_that_could_not_run_is_kept_and_corrected(house):
    insert = "INSERT INTO unmet (hour, instance, rank, amount, changed_at) VALUES (?, 'day', 1, ?, ?) "
    corrected = (
        "ON CONFLICT (hour, instance, rank) DO UPDATE SET amount = excluded.amount, changed_at = excluded.changed_at"
    )
    hour = int(house.clock().timestamp()) // 3600 - 5
    for amount in (400, 150):
        with house.store.transaction() as tx:
            tx.execute(insert + corrected, (hour, amount, int(house.clock().timestamp() * 10**6)))
        house.tick(DAY)
        house.restart()
        house.tick(MINUTE)
        assert plain(house.recompute.forecasting.book) == folded(house)
        assert house.recompute.forecasting.book.of("day").unmet[hour * 3600.0][1] == amount


def test_what_is_too_old_is_let_go_each_day(house):
    house.use(70, at=house.clock() - 119 * DAY)
    house.tick(MINUTE)
    first = house.recompute.forecasting.book.first
    house.tick(DAY)
    house.tick(DAY)
    assert plain(house.recompute.forecasting.book) == folded(house)
    assert first < house.recompute.forecasting.book.first


def of_another_time(house: House) -> None:
    """A save that was rolled back left a row as it was a day before."""
    with house.store.transaction() as tx:
        tx.execute("UPDATE kept_histories SET as_of = as_of - ? WHERE instance = 'day'", (86_400_000_000,))


def lost(house: House) -> None:
    with house.store.transaction() as tx:
        tx.execute("DELETE FROM kept_histories WHERE instance = 'day'")


def damaged(house: House) -> None:
    with house.store.transaction() as tx:
        tx.execute("UPDATE kept_histories SET body = 'AAAA' WHERE instance = 'day'")


def counted_otherwise(house: House) -> None:
    """Limits were changed, histories began to be kept, and the limits were changed back."""
    with house.store.transaction() as tx:
        tx.execute("UPDATE kept_histories SET counting = 'otherwise' WHERE instance = 'day'")


def back(house: House) -> None:
    house.clock.advance(-2 * HOUR)


@pytest.mark.parametrize(
    ("spoil", "limits"),
    [
        pytest.param(lambda _: None, [LIMITS[0]], id="a limit is gone"),
        pytest.param(lambda _: None, [*LIMITS, a_limit(9, id="more")], id="a limit is new"),
        pytest.param(lambda house: house.clock.advance(timedelta(days=8)), LIMITS, id="it is a week old"),
        pytest.param(back, LIMITS, id="it was kept in what is the future now"),
        pytest.param(of_another_time, LIMITS, id="a row is older than the mark"),
        pytest.param(lost, LIMITS, id="a row is gone"),
        pytest.param(counted_otherwise, LIMITS, id="a row counts otherwise"),
        pytest.param(damaged, LIMITS, id="a row is damaged"),
    ],
)
def test_what_cannot_be_gone_on_from_is_folded_anew(house, spoil, limits):
    spoil(house)
    house.restart(limits)
    house.tick(MINUTE)
    assert folded_at(house) == house.clock()
    assert plain(house.recompute.forecasting.book) == folded(house)


def test_everything_is_folded_anew_each_week_and_with_percent_points_each_day(tmp_path):
    for unit, days in ((Unit.TOKENS, 7), (Unit.PERCENT, 1)):
        with House(tmp_path / f"{unit.value}.db", [a_limit(100, unit=unit)]) as house:
            begun = []
            for _ in range(2 * days + 1):
                house.tick(DAY)
                begun.append(folded_at(house))
            assert [later - begun[0] for later in sorted(set(begun))] == [timedelta(days=days * n) for n in range(3)]


def test_many_histories_are_written_some_at_a_time_and_a_start_in_between_folds(tmp_path):
    limits = [a_limit(10_000, id="team", per="team")]
    with House(tmp_path / "quota.db", limits) as house:
        house.record(a_usage_event(5, key=f"of{n}", team=f"team{n}") for n in range(3 * PER_TICK))
        written = []
        for _ in range(4):
            house.tick(MINUTE)
            (rows,) = house.rows("SELECT count(*) FROM kept_histories")
            written.append((rows[0], bool(house.rows(f"SELECT 1 FROM meta WHERE name = '{MARK}'"))))
            if len(written) == 1:
                house.restart()
        total = len(house.recompute.forecasting.book.series)
        assert written == [(PER_TICK, False), (PER_TICK, False), (2 * PER_TICK, False), (total, True)]
        house.restart()
        house.tick(MINUTE)
        assert plain(house.recompute.forecasting.book) == folded(house)


def test_the_mark_says_as_of_when_the_first_was_written(house):
    ((text,),) = house.rows(f"SELECT value FROM meta WHERE name = '{MARK}'")
    mark = json.loads(text)
    assert (mark["as_of"], mark["histories"]) == (mark["folded_at"], len(house.rows("SELECT 1 FROM kept_histories")))
