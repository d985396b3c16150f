"""Windows and reservations in the database: the balances there and back, and limits that change."""

import pytest

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.limits.schedule import Calendar, Every, Window
from quota_scheduler.service.rebuild import open_for
from quota_scheduler.store import Store, tickets, windows
from tests.builders import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_run_cap,
    a_session_limit,
    a_ticket,
    a_usage_event,
    some_labels,
)
from tests.fakes import FixedClock

LIMITS = (a_limit(), a_session_limit(), a_concurrency_limit(3), a_run_cap(), a_limit(id="team", per="team"))
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)


@pytest.fixture
def clock():
    return FixedClock(MONDAY)


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "quota.db", clock=clock) as opened:
        with opened.transaction() as tx:
            windows.adapt(tx, LIMITS)
            tickets.save(tx, [a_ticket(number=1), a_ticket(number=2)], {}, new=1)
        yield opened


def load(store, *limits, **more):
    with store.transaction() as tx:
        return windows.load(tx, limits or LIMITS, **more)


def save(store, balances):
    with store.transaction() as tx:
        windows.save(tx, balances)


def filled(store):
    """Balances with usage in three limits and a reservation in each of them and in a lease, saved."""
    balances = load(store)
    balances.book(None, a_usage_event(10, team="growth"), leased=False)
    for instance in balances.instances(some_labels(team="growth")):
        balances.update(balances.reserve(1, instance, 40, running=True), reported=15, ledgered=5)
    save(store, balances)
    return balances


def seen(balances):
    held = [each for row in balances.reservations.values() for each in row]
    return sorted(balances.all(), key=lambda balance: balance.id), sorted(
        held, key=lambda each: (each.ticket, each.window)
    )


def test_balances_come_back_as_they_were(store):
    balances = filled(store)
    assert seen(load(store)) == seen(balances)


@pytest.mark.sqlite_only  # a server has no count of all changes
def test_saving_what_did_not_change_writes_nothing(store):
    filled(store)
    balances = load(store)
    with store.transaction() as tx:
        before = tx.scalar("SELECT total_changes()")
        windows.save(tx, balances)
        assert tx.scalar("SELECT total_changes()") == before


def test_new_windows_get_their_ids_and_reservations_follow(store):
    balances = filled(store)
    assert all(balance.id > 0 for balance in balances.all())
    assert {held.window for held in balances.reservations[1]} == {balance.id for balance in balances.all()}


def test_closed_windows_come_only_when_asked_for(store, clock):
    filled(store)
    clock.at = MIDNIGHT + HOUR
    balances = load(store)
    for held in list(balances.open_reservations(1)):
        balances.update(held, open=False)
    balances.roll()
    save(store, balances)
    open_now = {(balance.name, balance.closed) for balance in load(store).all()}
    assert open_now == {("day", False), ("leases", False), ("team/growth", False)}
    with_closed = {balance.name for balance in load(store, since=MONDAY).all() if balance.closed}
    assert with_closed == {"day", "session", "team/growth"}
    assert not any(balance.closed for balance in load(store, since=MIDNIGHT).all())


def test_a_closed_window_in_which_a_lease_still_holds_comes_with_it(store, clock):
    filled(store)
    clock.at = MIDNIGHT + HOUR
    balances = load(store)
    balances.roll()
    save(store, balances)
    found = load(store, tickets=[1])
    assert [(balance.window.starts_at, balance.closed) for balance in found.by_name["day"]] == [
        (TODAY.starts_at, True), (MIDNIGHT, False),
    ]  # fmt: skip
    assert [held.window for held in found.open_reservations(1)] == sorted(h.window for h in found.open_reservations(1))


def test_only_the_reservations_of_named_tickets_and_of_ended_windows_are_loaded(store, clock):
    balances = filled(store)
    balances.reserve(2, LimitInstance(LIMITS[0], ""), 5, running=True)
    save(store, balances)
    assert set(load(store).reservations) == {1, 2}
    assert set(load(store, tickets=[2]).reservations) == {2}
    assert set(load(store, tickets=[]).reservations) == set()
    clock.at = MIDNIGHT
    assert set(load(store, tickets=[]).reservations) == {1, 2}


def test_windows_of_limits_that_are_not_configured_stay_away(store):
    filled(store)
    assert {balance.name for balance in load(store, a_limit()).all()} == {"day"}


def test_calendar_windows_are_opened_for_what_is_asked_and_sessions_are_not(store):
    with store.transaction() as tx:
        balances = windows.load(tx, LIMITS)
        open_for(tx, balances, [some_labels(team="x"), some_labels(team="x"), some_labels(team="y")])
    assert [(balance.name, balance.window) for balance in balances.all()] == [
        ("day", TODAY), ("team/x", TODAY), ("team/y", TODAY),
    ]  # fmt: skip


def test_every_window_has_been_reserved_in_or_not(store):
    ids = [balance.id for balance in filled(store).all()]
    with store.transaction() as tx:
        assert windows.reserved_among(tx, [*ids, 10_000]) == set(ids)


@pytest.mark.parametrize(
    ("limits", "ended", "reason"),
    [
        pytest.param(LIMITS, [], None, id="the same limits"),
        pytest.param(
            (a_limit(7, mode=Mode.WARN), *LIMITS[1:]), [], None, id="another amount or mode changes nothing here"
        ),
        pytest.param((a_limit(match=match_of({"team": "x"})), *LIMITS[1:]), ["day"], "redefined", id="another scope"),
        pytest.param(
            (a_limit(schedule=Calendar(Every.DAY, "Europe/Berlin")), *LIMITS[1:]),
            ["day"],
            "redefined",
            id="another zone",
        ),
        pytest.param((a_limit(mode=Mode.OFF), *LIMITS[1:]), ["day"], "redefined", id="off: it counts nothing any more"),
        pytest.param(LIMITS[1:], ["day"], "removed", id="a limit that is gone"),
    ],
)
def test_limits_that_change(store, clock, limits, ended, reason):
    filled(store)
    clock.advance(MINUTE)
    with store.transaction() as tx:
        assert windows.adapt(tx, limits) == ended
        closed = tx.rows(
            "SELECT rule, end_reason, reserved, reported, ends_at > starts_at FROM windows WHERE closed = 1"
        )
        held = tx.scalar("SELECT count(*) FROM reservations WHERE open = 1")
        assert windows.adapt(tx, limits) == []
    assert closed == [(rule, reason, 0, 0, 1) for rule in ended]
    assert held == 4 - len(ended)


def test_what_would_be_less_than_nothing_is_refused_by_the_database(store):
    balances = load(store)
    balances.add(Balance(0, LIMITS[0], "", TODAY, used=-1))
    with pytest.raises(Exception, match=r"CHECK constraint failed: used >= 0|violates check constraint"):
        save(store, balances)
