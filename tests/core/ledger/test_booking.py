"""Booking: what a batch changes, given what the ledger knows; tables of facts and the changes that follow."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.booking import (
    Booking,
    LedgerFacts,
    SessionUses,
    booking,
    counted,
    prepared,
    shown_apart,
    skewed,
)
from quota_scheduler.core.ledger.deduplicate import Change, count_once, vendor_requests
from quota_scheduler.core.ledger.settlement import LeasesOf, owned
from quota_scheduler.core.usage import UsageEvent
from tests.builders import (
    DAY,
    HOUR,
    MICRO,
    MINUTE,
    MONDAY,
    MONTHLY,
    a_lease,
    a_limit,
    a_running_ticket,
    a_session_limit,
    a_usage_event,
    some_balances,
    some_labels,
    some_usage,
)

LEASED = a_running_ticket(60, number=1, team="growth", lease=a_lease(1, session="s1"))
ENDED = LEASED._replace(lease=a_lease(1, session="s1", ended_at=MONDAY + HOUR))
NOBODY = LeasesOf(())


@pytest.mark.parametrize(
    ("event", "history", "ready"),
    [
        pytest.param(a_usage_event(), False, a_usage_event(), id="as it came"),
        pytest.param(
            a_usage_event(at=MONDAY + 2 * MINUTE), False, a_usage_event(at=MONDAY + 2 * MINUTE), id="two minutes ahead"
        ),
        pytest.param(a_usage_event(at=MONDAY + HOUR), False, a_usage_event(), id="further ahead is now"),
        pytest.param(a_usage_event(at=MONDAY + HOUR), True, a_usage_event(at=MONDAY + HOUR), id="history is history"),
        pytest.param(
            a_usage_event(session="s1"), False, owned(a_usage_event(session="s1"), LEASED), id="the labels of its lease"
        ),
    ],
)
def test_prepared(event, history, ready):
    assert prepared([event], LeasesOf([LEASED]), now=MONDAY, history=history) == [ready]


def test_clocks_that_are_ahead_are_counted_by_provider():
    events = [a_usage_event(at=MONDAY + 2 * MINUTE + MICRO), a_usage_event(at=MONDAY + HOUR, provider="openai")]
    assert skewed([*events, a_usage_event()], MONDAY) == Counter(anthropic=1, openai=1)


TEN, LARGER = a_usage_event(10), a_usage_event(25)
REPORT = a_usage_event(40, key="lease:1:1:0:", session="s1")
LINE = a_usage_event(15, key="m1", session="s1")


@pytest.mark.parametrize(
    ("incoming", "facts", "booked"),
    [
        pytest.param([TEN], LedgerFacts(), Booking((Change(None, TEN),), accepted=1), id="new"),
        pytest.param([TEN], LedgerFacts(by_key={TEN.identity: TEN}), Booking(duplicate=1), id="known"),
        pytest.param(
            [LARGER], LedgerFacts(by_key={TEN.identity: TEN}), Booking((Change(TEN, LARGER),), updated=1), id="it grew"
        ),
        pytest.param([TEN], LedgerFacts(pruned={TEN.identity: 10}), Booking(duplicate=1), id="its row is gone"),
        pytest.param(
            [TEN, LARGER],
            LedgerFacts(pruned={TEN.identity: 10}),
            Booking(
                (Change(None, replace(LARGER, key="e1~25", usage=LARGER.usage.scaled(15, 25))),),
                ((TEN.identity, 25, MONDAY),),
                accepted=1,
                duplicate=1,
            ),
            id="it grew since its row is gone: the growth, once",
        ),
        pytest.param(
            [LINE],
            LedgerFacts(LeasesOf([ENDED]), reports={REPORT.identity: REPORT}),
            Booking((Change(None, LINE), Change(REPORT, None)), accepted=1),
            id="a transcript replaces the report of its lease",
        ),
        pytest.param(
            [LINE],
            LedgerFacts(LeasesOf([LEASED]), reports={REPORT.identity: REPORT}),
            Booking((Change(None, LINE),), accepted=1),
            id="and not that of one that runs",
        ),
        pytest.param(
            [replace(LINE, session="s2")],
            LedgerFacts(LeasesOf([ENDED]), reports={REPORT.identity: REPORT}),
            Booking((Change(None, replace(LINE, session="s2")),), accepted=1),
            id="nor another session's",
        ),
    ],
)
def test_booking(incoming, facts, booked):
    assert booking(incoming, facts) == booked


def test_counted_moves_windows_and_the_reservation_of_the_lease_it_is_of():
    balances = some_balances(a_limit())
    reservation = balances.reserve(1, LimitInstance(a_limit(), ""), 60, running=True)
    mine = owned(LINE, LEASED)
    counted([Change(None, mine), Change(None, TEN)], LeasesOf([LEASED]), balances, SessionUses())
    (balance,) = balances.all()
    assert (balance.used, balance.unleased, balance.reserved, reservation.ledgered) == (25, 10, 45, 15)


def test_a_session_that_moves_is_counted_from_all_its_uses():
    balances, limit = some_balances(a_session_limit()), a_session_limit()
    balances.book(None, TEN, leased=False)
    early = a_usage_event(5, key="e0", at=MONDAY - HOUR)
    sessions = SessionUses({"session": LimitInstance(limit, "")}, {"session": MONDAY - DAY}, [TEN])
    counted([Change(None, early)], NOBODY, balances, sessions)
    (balance,) = balances.all()
    assert (balance.window.starts_at, balance.used) == (MONDAY - HOUR, 15)


@pytest.mark.parametrize(
    ("change", "apart"),
    [
        pytest.param(Change(None, TEN), ({"anthropic": 0}, {}), id="in time and priced"),
        pytest.param(
            Change(None, a_usage_event(usage=some_usage(10, unpriced_tokens=10))),
            ({"anthropic": 10}, {}),
            id="without a price",
        ),
        pytest.param(
            Change(a_usage_event(usage=some_usage(10, unpriced_tokens=10)), TEN),
            ({"anthropic": -10}, {}),
            id="priced by now",
        ),
        pytest.param(
            Change(None, a_usage_event(10, at=MONDAY - DAY)), ({"anthropic": 0}, {"anthropic": 10}), id="too late"
        ),
    ],
)
def test_what_is_shown_apart(change, apart):
    balances = some_balances(a_limit(), now=MONDAY - DAY)
    balances.book(None, a_usage_event(1, at=MONDAY - DAY), leased=False)
    balances.now = MONDAY
    balances.roll()
    assert shown_apart([change], balances) == apart


CALLS = st.builds(
    lambda key, message, provider, tokens, minutes, side: a_usage_event(
        tokens, key=key, message=message, provider=provider, at=MONDAY + minutes * MINUTE, sidechain=side
    ),
    st.sampled_from(["a", "b", "req_1", "req_2", "req_3", "msg:msg_1", "a:m", "req_1:msg_1"]),
    st.sampled_from(["", "m", "n", "msg_1", "msg_2", "msg_3"]),
    st.sampled_from(["anthropic", "anthropic", "gateway"]),
    st.integers(1, 4),
    st.integers(0, 3),
    st.booleans(),
)
"""Calls of which many share a key or a message, some with the key that one of a pair gets."""


@given(st.lists(CALLS, max_size=8), st.lists(CALLS, max_size=4))
def test_what_is_told_once_is_new_just_as_if_all_were_compared_with_all(incoming, stored):
    known = [change.new for change in count_once(stored, {}, {}) if change.new]
    by_message: dict[str, list[UsageEvent]] = {}
    for event in known:
        if event.message:
            by_message.setdefault(event.message, []).append(event)
    asked, requests = {event.identity for event in incoming}, vendor_requests(incoming)
    by_key = {event.identity: event for event in known if event.identity in asked or event.key in requests}
    asked_messages = {event.message for event in incoming}
    by_message = {message: events for message, events in by_message.items() if message in asked_messages}
    booked = booking(incoming, LedgerFacts(by_key=by_key, by_message=by_message))
    assert set(booked.changes) == set(count_once(incoming, by_key, by_message))
    assert booked.accepted + booked.updated + booked.duplicate == max(len(incoming), booked.accepted + booked.updated)


LIMITS = (a_limit(), a_limit(id="month", schedule=MONTHLY), a_session_limit(), a_limit(id="team", per="team"))
USES = st.lists(st.tuples(st.integers(-3 * 24 * 60, 30), st.sampled_from(["", "growth", "sales"])), max_size=12)


@given(USES, USES, st.integers(0, 2 * 24 * 60))
def test_what_lies_before_every_window_counts_in_none(before, uses, minutes):
    def booked(*, skip: bool) -> list[Balance]:
        balances = some_balances(*LIMITS)
        for at, team in before:
            balances.book(None, a_usage_event(1, at=MONDAY + at * MINUTE, team=team), leased=False)
        balances.now = MONDAY + minutes * MINUTE
        balances.roll()
        counts_from = {team: balances.counts_from(some_labels(team=team)) for team in ("", "growth", "sales")}
        for at, team in uses:
            if not skip or MONDAY + at * MINUTE >= counts_from[team]:
                balances.book(None, a_usage_event(1, at=MONDAY + at * MINUTE, team=team), leased=False)
        return list(balances.all())

    assert booked(skip=True) == booked(skip=False)
