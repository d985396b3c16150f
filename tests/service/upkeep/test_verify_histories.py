"""``doctor --verify`` of what a start would go on from: spoilt histories are named, and ``mend`` lets go of them."""

import pytest

from quota_scheduler.core.forecast.histories import UsageHistory, moved, no_buckets
from quota_scheduler.core.forecast.packing import pack, unpack
from quota_scheduler.core.units import Unit
from quota_scheduler.service.tick.kept_histories import MARK
from quota_scheduler.service.upkeep.verify_histories import WAY_OUT, kept_histories, mend
from quota_scheduler.store import kept_histories as kept_store
from tests.builders import DAY, HOUR, MINUTE, a_limit
from tests.service.tick.test_forecasts import CHANGES, folded, plain
from tests.service.tick.ticking import House

LIMITS = [
    a_limit(10_000),
    a_limit(10_000, id="team", per="team", unit=Unit.REQUESTS),
    a_limit(100, id="points", unit=Unit.PERCENT),
]
SOUND = "2 compared"
"""Of the limits above: percent points are not."""


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "quota.db", LIMITS) as one:
        one.import_days(10, 100)
        one.tick(HOUR)  # hours that moved a moment before are read again in any case
        yield one


def found(house: House, limits=LIMITS) -> tuple[bool, str]:
    with house.store.reading() as tx:
        finding = kept_histories(tx, limits)
    assert finding.check == "kept histories"
    return finding.wrong, finding.detail


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_what_moved_since_they_were_kept_is_no_difference(house, change):
    for after in (MINUTE, 2 * HOUR, 30 * HOUR):
        house.clock.advance(after)
        change(house)
        wrong, detail = found(house)
        assert (wrong, detail.endswith(" compared")) == (False, True), detail
        house.tick(MINUTE)


def change_kept(house: House, instance: str, spoil) -> None:
    """Put a history that is a little different into the place of one that is kept."""
    with house.store.transaction() as tx:
        row = kept_store.load(tx)[instance]
        history = unpack(row.body)
        spoil(history)
        kept_store.save(tx, {instance: row._replace(body=pack(history))})


def more(history: UsageHistory, amount: float = 7) -> None:
    history.all = moved(history.all, first_hour(history), amount)


def less_demand(history: UsageHistory) -> None:
    history.above[3] = moved(history.above[3], first_hour(history), -30)


def nothing(history: UsageHistory) -> None:
    history.all = no_buckets()


def first_hour(history: UsageHistory):
    assert history.first
    return history.first


@pytest.mark.parametrize(
    ("instance", "spoil", "named"),
    [
        pytest.param("day", more, "day 2026-11-13T12:00:00Z: 107 kept and 100 there", id="more usage"),
        pytest.param("day", less_demand, "day 2026-11-13T12:00:00Z: 70 kept and 100 there", id="less demand of others"),
        pytest.param(
            "team/none",
            nothing,
            "team/none 2026-11-13T12:00:00Z: 0 kept and 1 there (and 9 more hours)",
            id="none at all",
        ),
    ],
)
def test_a_kept_history_that_is_wrong_is_named_until_it_is_let_go(house, instance, spoil, named):
    change_kept(house, instance, spoil)
    assert found(house) == (True, f"{named}; {WAY_OUT}")
    with house.store.transaction() as tx:
        mend(tx)
    assert found(house) == (False, "none yet: the next start reads every hour")
    house.restart()
    house.tick(MINUTE)
    assert plain(house.recompute.forecasting.book) == folded(house)
    assert found(house) == (False, SOUND)


@pytest.mark.parametrize(
    ("statement", "limits", "expected"),
    [
        pytest.param(
            "UPDATE kept_histories SET body = 'AAAA' WHERE instance = 'day'",
            LIMITS,
            (True, "no history can be read of day: the next start reads every hour"),
            id="a row is damaged",
        ),
        pytest.param(
            "DELETE FROM kept_histories WHERE instance = 'day'",
            LIMITS,
            (False, "nothing that a start would go on from: the next start reads every hour"),
            id="a row is gone",
        ),
        pytest.param(
            f"DELETE FROM meta WHERE name = '{MARK}'",
            LIMITS,
            (False, "none yet: the next start reads every hour"),
            id="not all are written",
        ),
        pytest.param(
            "DELETE FROM unmet",
            LIMITS[:1],
            (False, "nothing that a start would go on from: the next start reads every hour"),
            id="other limits",
        ),
    ],
)
def test_what_no_start_would_go_on_from_is_said(house, statement, limits, expected):
    with house.store.transaction() as tx:
        tx.execute(statement)
    assert found(house, limits) == expected


def test_a_week_later_nothing_is_gone_on_from(house):
    house.clock.advance(8 * DAY)
    assert found(house) == (False, "nothing that a start would go on from: the next start reads every hour")
