"""Forecasts that are kept, judged and believed accordingly; and the histories they start from."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from quota_scheduler.core.cycle.requests import Submit, Withdraw
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.forecast.track_record import PARTS, TrackRecord
from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.measure import every_instance
from quota_scheduler.core.units import Unit
from quota_scheduler.service.tick.verification import BUSY, MOST_PUT_OFF, Verification
from quota_scheduler.store import forecasts, ledger, rollups, turns, windows
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, MONDAY, a_limit, a_session_limit, a_ticket, a_usage_event
from tests.service.tick.ticking import House

GRACE = timedelta(minutes=72)
"""A twentieth of a day: how long late usage of a daily window is waited for."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "quota.db", [a_limit(1000)]) as one:
        yield one


def kept(house: House) -> list[int]:
    """The parts, per mille, of the forecasts that await judgement."""
    return [row[0] for row in house.rows("SELECT part FROM predictions ORDER BY instance, starts_at, part")]


def track(house: House, instance: str = "day") -> TrackRecord:
    with house.store.reading() as tx:
        return forecasts.tracks(tx).get(instance, ("", TrackRecord()))[1]


def judged(house: House, instance: str = "day") -> int:
    return track(house, instance).calibration.verified


def through_a_day(house: House, tokens: int = 100) -> None:
    """Tick through the rest of Monday, with usage at noon."""
    house.tick()
    house.until(MONDAY + 3 * HOUR, HOUR)
    house.use(tokens)
    house.until(MIDNIGHT, HOUR)


def test_tracks_are_earned_from_the_past_beside_a_busy_tick_only_after_ten_of_them(house: House) -> None:
    house.import_days(10, 100)
    earned, verification = [], Verification()
    with house.store.reading() as tx:
        balances = windows.load(tx, house.limits, tickets=())
        book = Histories(balances.limits)
        book.fold(rollups.slices(tx, tx.now - 20 * DAY), ledger.label_sets(tx), balances)
        for _ in range(MOST_PUT_OFF + 1):
            verification.seed(balances, every_instance(balances), book, beside=BUSY)
            earned.append("day" in verification.tracks)
    assert earned == [False] * MOST_PUT_OFF + [True]


# Kept and judged


def test_a_forecast_is_kept_once_at_each_part_of_a_window(house: House) -> None:
    house.import_days(3, 100)
    house.clock.at = MIDNIGHT
    house.tick(MINUTE)
    seen = [kept(house)]
    for _ in range(23):
        house.tick(HOUR)
        seen.append(kept(house))
    assert seen[0] == []
    assert seen[-1] == list(PARTS)
    assert all(before == after[: len(before)] for before, after in pairwise(seen))


def test_a_part_that_passed_while_nobody_looked_is_not_made_up(house: House) -> None:
    house.import_days(3, 100)
    house.clock.at = MIDNIGHT + 13 * HOUR
    house.tick()
    assert kept(house) == [500]


def test_forecasts_are_judged_when_late_usage_has_had_time_to_come_in(house: House) -> None:
    house.import_days(3, 100)
    through_a_day(house)
    before = judged(house)
    house.tick(GRACE - MINUTE)
    assert (judged(house), kept(house)[:3]) == (before, [250, 500, 750])
    house.tick(MINUTE)
    assert judged(house) == before + 4
    assert kept(house) == []


@pytest.mark.parametrize(
    ("late", "total"),
    [
        pytest.param(GRACE - MINUTE, 1100, id="what comes within the grace is part of the total"),
        pytest.param(GRACE + MINUTE, 100, id="what comes later is not: judged once, judged for good"),
    ],
)
def test_late_usage(house: House, late: timedelta, total: int) -> None:
    house.import_days(3, 100)
    through_a_day(house)
    before = sum(horizon.actual for horizon in track(house).calibration.horizons)
    for moment in sorted([(late, True), (GRACE, False), (GRACE + 2 * MINUTE, False)]):
        house.clock.at = MIDNIGHT + moment[0]
        if moment[1]:
            house.use(1000, at=MIDNIGHT - MINUTE)
        else:
            house.tick()
    assert sum(horizon.actual for horizon in track(house).calibration.horizons) - before == 4 * total


def test_a_window_that_was_redefined_is_not_judged(house: House) -> None:
    house.import_days(3, 100)
    house.until(MONDAY + 5 * HOUR, HOUR)
    assert kept(house)
    house.restart([a_limit(1000, weights=(500,) * 5)])
    house.until(MIDNIGHT + GRACE, HOUR)
    assert [horizon.verified for horizon in track(house).calibration.horizons] == [2, 2, 2, 2, 2]
    assert kept(house) == []


def test_a_window_that_ended_early_is_not_judged(house: House) -> None:
    house.import_days(3, 100)
    house.use(10)
    house.until(MIDNIGHT - 10 * MINUTE, HOUR)
    before = judged(house)
    with house.store.transaction() as tx:
        tx.execute("UPDATE windows SET ends_at = ends_at - 60000000 WHERE closed = 0")
        turns.windows_moved(tx)
    house.until(MIDNIGHT + GRACE, HOUR)
    assert (judged(house), kept(house)) == (before, [])


def test_a_removed_limit_leaves_nothing_to_judge(house: House) -> None:
    house.import_days(3, 100)
    house.until(MONDAY + 5 * HOUR, HOUR)
    house.restart([a_limit(500, id="other")])
    house.until(MIDNIGHT + GRACE + HOUR, HOUR)
    assert {row[0] for row in house.rows("SELECT DISTINCT instance FROM predictions")} <= {"other"}


def test_a_closed_session_is_judged_too(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_session_limit(1000)]) as house:
        house.use(10)
        house.until(MONDAY + 4 * HOUR + 45 * MINUTE, 15 * MINUTE)
        assert kept(house) == list(PARTS)
        house.until(MONDAY + 5 * HOUR + 15 * MINUTE, 15 * MINUTE)
        assert (judged(house, "session"), kept(house)) == (5, [])


# Believed accordingly


def test_misses_widen_the_next_interval_and_show(house: House) -> None:
    house.import_days(40, 100)
    through_a_day(house, tokens=100)
    calm, before = house.limit(house.tick(GRACE), "day"), track(house)
    for day in range(5):
        house.until(MIDNIGHT + day * DAY + 23 * HOUR, 2 * HOUR)
        house.use(5_000)
        house.until(MIDNIGHT + (day + 1) * DAY + GRACE, HOUR)
    wild = house.limit(house.tick(), "day")
    assert calm.projection.track
    assert wild.projection.track
    assert calm.projection.track.coverage == 1.0
    assert wild.projection.track.coverage is not None
    assert wild.projection.track.coverage <= 0.5
    assert track(house).calibration.spread[1] > 3 * before.calibration.spread[1]
    by_horizon = {each.horizon: each for each in wild.projection.track.horizons}
    assert list(by_horizon) == ["over_75", "over_50", "over_25", "over_10", "over_0"]
    assert all(each.error is not None and each.brier is not None for each in wild.projection.track.horizons)
    assert wild.projection.forecast
    assert wild.projection.forecast.record.verified > 0


def test_what_was_learned_survives_a_restart(house: House) -> None:
    house.import_days(20, 100)
    through_a_day(house)
    house.tick(GRACE)
    before, readings = track(house), house.tick()
    house.restart()
    assert house.limit(house.tick(), "day").projection.track == house.limit(readings, "day").projection.track
    assert track(house) == before


def test_a_write_that_never_reached_the_disk_is_made_again(house: House) -> None:
    house.import_days(3, 100)
    house.tick()
    house.clock.at = MONDAY + 4 * HOUR
    readings = house.recompute.update()
    with suppress(OSError), house.store.transaction() as tx:
        house.recompute.step(tx, readings)
        raise OSError("the disk is full")
    assert kept(house) == [250]
    house.tick()
    assert kept(house) == [250, 500]


@pytest.mark.parametrize(
    ("limit", "days", "forecasts_judged"),
    [
        pytest.param(a_limit(1000), 20, 19 * 5, id="every whole day of an imported past"),
        pytest.param(a_limit(1000), 50, 30 * 5, id="at most thirty windows of it"),
        pytest.param(a_session_limit(1000, id="day"), 20, 20 * 4, id="sessions as the hours show them"),
        pytest.param(a_limit(1000), 0, 0, id="no past, nothing judged"),
    ],
)
def test_a_new_installation_learns_from_its_past(
    tmp_path: Path, limit: Limit, days: int, forecasts_judged: int
) -> None:
    with House(tmp_path / "quota.db", [limit]) as house:
        house.import_days(days, 100)
        house.tick()
        assert judged(house) == forecasts_judged


def test_the_past_of_many_limits_is_learned_over_several_ticks(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_limit(1000, id=f"l{n}") for n in range(10)]) as house:
        house.import_days(3, 100)
        seen = []
        for _ in range(4):
            house.tick(timedelta(seconds=2))
            seen.append(house.rows("SELECT count(*) FROM tracks")[0][0])
        assert seen == [4, 8, 10, 10]


# Changed at once


@pytest.mark.parametrize(
    ("amount", "risk", "passes"),
    [
        pytest.param(10_000, "low", False, id="far below the ceiling"),
        pytest.param(60, "critical", True, id="a lowered ceiling is passed from the next tick on"),
    ],
)
def test_a_changed_ceiling_is_judged_by_the_next_tick(house: House, amount: int, risk: str, passes: bool) -> None:
    house.import_days(20, 100)
    house.use(50)
    before = house.limit(house.tick(), "day")
    house.restart([a_limit(amount)])
    after = house.limit(house.tick(), "day")
    assert before.projection.forecast
    assert after.projection.forecast
    assert after.projection.forecast.expected == pytest.approx(before.projection.forecast.expected)
    assert (after.balance.amount, after.projection.risk) == (amount, risk)
    assert (after.projection.forecast.p_exceed(amount) > 0.5) is passes


def test_an_early_reset_starts_the_forecast_anew(tmp_path: Path) -> None:
    with House(tmp_path / "quota.db", [a_session_limit(1000)]) as house:
        house.import_days(20, 100)
        house.use(70)
        before = house.limit(house.tick(HOUR), "session").projection.forecast
        with house.store.transaction() as tx:
            tx.execute("UPDATE windows SET ends_at = ? WHERE closed = 0", (to_micros(house.clock()),))
        house.clock.advance(MINUTE)
        house.use(5)
        after = house.limit(house.tick(), "session").projection.forecast
        assert before
        assert after
        assert (before.used, before.starts_at) == (70, MONDAY)
        assert (after.used, after.starts_at) == (5, MONDAY + HOUR + MINUTE)
        assert house.recompute.forecasting.book.of("session").all.values.sum() == 20 * 100 + 75, "history is kept"


def test_a_limit_that_counts_otherwise_is_forecast_from_its_recounted_past(house: House) -> None:
    house.import_days(20, 100)
    house.use(99)
    before = house.limit(house.tick(), "day").projection.forecast
    house.restart([a_limit(100_000, weights=(5000,) * 5)])
    house.use(1)
    after = house.limit(house.tick(), "day").projection.forecast
    assert before
    assert after
    assert (before.used, after.used) == (99, 500)
    assert after.level == pytest.approx(5 * before.level, rel=0.02)


# Known usage


def test_what_runs_and_what_waits_is_known_usage(house: House) -> None:
    house.import_days(20, 10)
    idle = house.limit(house.tick(), "day")
    house.ask(Submit(a_ticket(600, key="runs")), Submit(a_ticket(700, key="waits")))
    busy = house.limit(house.tick(MINUTE), "day")
    assert idle.projection.forecast
    assert busy.projection.forecast
    assert (idle.projection.forecast.certain, busy.projection.forecast.certain) == (0, 1000), (
        "600 run, of 700 that wait as much as may start"
    )
    assert busy.projection.forecast.low >= 1000
    assert busy.projection.forecast.expected == pytest.approx(1000, rel=0.05)


# Pools


def test_a_pool_is_forecast_from_its_own_history_not_from_its_members(tmp_path: Path) -> None:
    pool = a_limit(10_000, id="pool", match=match_of({"team": ["a", "b"]}))
    member = a_limit(1000, id="member", per="team", parent="pool", match=match_of({"team": ["a", "b"]}))
    with House(tmp_path / "quota.db", [pool, member]) as house:
        for day in range(30):
            midnight = MONDAY.replace(hour=0) - (day + 1) * DAY
            house.use(2000 if day % 2 else 0, at=midnight + 10 * HOUR, team="a")
            house.use(0 if day % 2 else 2000, at=midnight + 10 * HOUR, team="b")
        house.use(100, team="a")
        house.use(100, team="b")
        found = {r.limit: r for r in house.tick().limits}
        assert {name: r.balance.used for name, r in found.items()} == {"pool": 200, "member/a": 100, "member/b": 100}
        widths = {
            name: r.projection.forecast.high - r.projection.forecast.low
            for name, r in found.items()
            if r.projection.forecast
        }
        assert widths["pool"] < 0.8 * (widths["member/a"] + widths["member/b"])
        history = house.recompute.forecasting.book
        assert history.of("pool").all.values.sum() == 30 * 2000 + 200


# Demand, not usage


def demand(house: House, rank: int = 3) -> float:
    return float(house.recompute.forecasting.book.of("day").above[rank].values.sum())


def test_who_gives_up_waiting_counts_as_demand_of_the_hour_of_arrival(house: House) -> None:
    house.import_days(3, 100)
    house.use(950)
    ask = a_ticket(400, priority=Priority.HIGH)
    (ticket,) = (answer.ticket for answer in house.ask(Submit(ask)).answers)  # type: ignore[union-attr]
    house.tick()
    assert demand(house) == 300 + 950
    house.clock.advance(3 * HOUR)
    house.ask(Withdraw(ticket.id))
    house.tick()
    assert house.rows("SELECT instance, rank, amount FROM unmet") == [("day", Priority.HIGH.rank, 400)]
    assert demand(house, Priority.LOW.rank) == 300 + 950 + 400
    assert demand(house, Priority.HIGH.rank) == 300 + 950
    lower = house.recompute.forecasting.book.of("day").above[Priority.LOW.rank]
    assert lower.values[lower.starts == MONDAY.timestamp()].sum() == 950 + 400
    usage = house.recompute.forecasting.book.of("day").all
    assert usage.values.sum() == 300 + 950


def test_a_ticket_that_ran_or_never_fits_is_no_unmet_demand(house: House) -> None:
    house.ask(Submit(a_ticket(400, key="runs")), Submit(a_ticket(4000, key="never")))
    (ticket,) = (t for t in house.rows("SELECT id FROM tickets WHERE key = 'runs'"))
    house.ask(Withdraw(ticket[0]))
    assert house.rows("SELECT * FROM unmet") == []


def test_what_nobody_could_claim_counts_until_its_key_asks_again(house: House) -> None:
    house.use(950)
    draft = a_ticket(400, key="again")
    house.ask(Submit(draft))
    house.clock.at = MIDNIGHT
    for _ in range(12):
        house.ask()
        house.clock.advance(3 * MINUTE)
    assert house.rows("SELECT outcome FROM tickets") == [("abandoned",)]
    assert house.rows("SELECT amount FROM unmet") == [(400,)]
    house.ask(Submit(draft))
    assert house.rows("SELECT state FROM tickets") == [("running",)]
    assert house.rows("SELECT amount FROM unmet") == [(0,)]


# Histories


def folded(house: House) -> dict[str, list[list[tuple[float, float]]]]:
    """Every history as it is when folded from nothing."""
    with house.store.reading() as tx:
        book = Histories(house.limits)
        balances = windows.load(tx, house.limits)
        book.fold(rollups.slices(tx, tx.now - 120 * DAY), ledger.label_sets(tx), balances)
        book.demand(forecasts.unmet(tx, since=tx.now - 120 * DAY, changed_since=None))
        return plain(book)


def plain(book: Histories) -> dict[str, list[list[tuple[float, float]]]]:
    def pairs(buckets: Buckets) -> list[tuple[float, float]]:
        assert np.all(np.diff(buckets.starts) > 0)
        return list(zip(buckets.starts.tolist(), buckets.values.tolist(), strict=True))

    return {
        name: [pairs(each) for each in (own.all, *own.above)]
        for name, own in book.series.items()
        if own.all.starts.size or any(each.starts.size for each in own.above)
    }


def grow(house: House) -> None:
    """A stream that grows: the same event with more tokens."""
    house.record([a_usage_event(10, key="stream", at=house.clock() - 2 * HOUR)])
    house.tick(MINUTE)
    house.record([a_usage_event(70, key="stream", at=house.clock() - 2 * HOUR)])


def retract(house: House) -> None:
    """An event that turns out to be another's replay disappears."""
    house.record([a_usage_event(10, key="b", at=house.clock() - 30 * HOUR, message="m", sidechain=True)])
    house.tick(MINUTE)
    house.record([a_usage_event(10, key="a", at=house.clock() - 30 * HOUR, message="m")])


CHANGES = {
    "usage of now": lambda house: house.use(50),
    "usage of another class": lambda house: house.use(50, priority=Priority.NORMAL),
    "usage of last week": lambda house: house.use(50, at=house.clock() - 7 * DAY),
    "usage of an hour nobody had used": lambda house: house.use(50, at=house.clock() - 9 * DAY + 7 * HOUR),
    "usage older than any history": lambda house: house.use(50, at=house.clock() - 200 * DAY),
    "a stream that grows": grow,
    "a replay that is taken back": retract,
    "labels never seen": lambda house: house.use(50, team="new", model="other"),
    "nothing": lambda _house: None,
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_histories_kept_up_to_date_are_those_folded_anew(tmp_path: Path, change) -> None:
    limits = [a_limit(10_000), a_limit(10_000, id="team", per="team", unit=Unit.REQUESTS)]
    with House(tmp_path / "quota.db", limits) as house:
        house.import_days(10, 100)
        house.tick()
        for after in (MINUTE, 2 * HOUR, 30 * HOUR):
            house.clock.advance(after)
            change(house)
            house.tick(MINUTE)
            assert plain(house.recompute.forecasting.book) == folded(house)


def test_a_change_of_what_counts_folds_the_past_again(house: House) -> None:
    house.import_days(3, 100)
    house.tick()
    house.recompute.limits = (a_limit(1000, match=match_of({"team": "growth"})),)
    house.tick(MINUTE)
    assert plain(house.recompute.forecasting.book) == {}


def test_a_limit_in_which_nothing_happens_is_not_forecast_again(house: House) -> None:
    house.import_days(10, 100)
    house.tick()

    def at() -> datetime:
        return house.recompute.forecasting.projected["day"].at

    first = at()
    house.tick(2 * MINUTE)
    assert at() == first
    house.use(10)
    house.tick(MINUTE)
    assert at() == MONDAY + 3 * MINUTE
    house.tick(5 * MINUTE)
    assert at() == MONDAY + 8 * MINUTE
