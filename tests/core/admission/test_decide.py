"""Admission: the test of one limit, and the verdict of all that bind a ticket."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject, admits, decide, occupy
from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Holdback, Mode, Policy
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate, Reason, need
from quota_scheduler.core.units import Unit
from tests.builders import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_session_limit,
    a_ticket,
    some_balances,
    some_usage,
)

PEOPLE, HIGH, NORMAL, LOW = Priority
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)
TENTH = Holdback(per_mille=100)


def a_headroom(limit=None, *, outlook=None, waiting=(0, 0, 0, 0), shadow=(0, 0, 0, 0), catching_up=False, **counters):
    """A limit of 100 as the test sees it."""
    limit = limit or a_limit()
    balance = Balance(1, limit, "", TODAY if limit.is_windowed else None, **counters)
    return Headroom(LimitInstance(limit, ""), balance, outlook, list(waiting), list(shadow), catching_up=catching_up)


def an_outlook(*above, **changes):
    """Demand still to come above each class, the same at every quantile."""
    knots = tuple((float(each),) * 6 if each else () for each in (above or (0, 0, 0, 0)))
    return Outlook(MONDAY, MIDNIGHT, 30 * DAY, knots, **changes)


@pytest.mark.parametrize(
    ("headroom", "amount", "priority", "reason"),
    [
        pytest.param(a_headroom(), 100, NORMAL, None, id="an empty window gives all of it"),
        pytest.param(
            a_headroom(used=60, reported=20, reserved=10), 10, NORMAL, None, id="used, reported, reserved: 10 left"
        ),
        pytest.param(a_headroom(used=60, reported=20, reserved=10), 11, NORMAL, Reason.NO_HEADROOM, id="and no more"),
        pytest.param(
            a_headroom(reserved=100), 1, NORMAL, Reason.NO_HEADROOM, id="reserved is not used: it may come back"
        ),
        pytest.param(a_headroom(used=80, reported=20), 1, NORMAL, Reason.EXHAUSTED, id="all is spent, whoever says so"),
        pytest.param(a_headroom(used=100), 0, NORMAL, None, id="nothing fits into nothing"),
        pytest.param(a_headroom(used=120), 0, NORMAL, Reason.EXHAUSTED, id="but not into less than nothing"),
        pytest.param(
            a_headroom(a_limit(0)), 1, NORMAL, Reason.EXHAUSTED, id="a limit of nothing is spent from the start"
        ),
        pytest.param(
            a_headroom(a_limit(holdback=TENTH)), 91, LOW, Reason.NO_HEADROOM, id="automation keeps off the holdback"
        ),
        pytest.param(
            a_headroom(a_limit(holdback=TENTH), used=90), 1, LOW, Reason.PAUSED, id="at the allowance it is paused"
        ),
        pytest.param(a_headroom(a_limit(holdback=TENTH), used=90), 10, PEOPLE, None, id="people use the holdback"),
        pytest.param(
            a_headroom(a_limit(holdback=TENTH), used=90),
            11,
            PEOPLE,
            Reason.NO_HEADROOM,
            id="automation's share is not theirs",
        ),
        pytest.param(a_headroom(waiting=(30, 0, 0, 0)), 70, HIGH, None, id="beside people who wait"),
        pytest.param(a_headroom(waiting=(30, 0, 0, 0)), 71, HIGH, Reason.PACED, id="not into their room"),
        pytest.param(
            a_headroom(waiting=(30, 0, 0, 0)), 100, PEOPLE, None, id="one's own class waits in order, not in sums"
        ),
        pytest.param(a_headroom(waiting=(0, 0, 0, 90)), 100, NORMAL, None, id="what waits below does not count"),
        pytest.param(a_headroom(outlook=an_outlook(0, 0, 0, 40)), 60, LOW, None, id="beside the demand still to come"),
        pytest.param(a_headroom(outlook=an_outlook(0, 0, 0, 40)), 61, LOW, Reason.PACED, id="not into it"),
        pytest.param(
            a_headroom(outlook=an_outlook(0, 0, 0, 40)), 100, NORMAL, None, id="demand above low is low's matter"
        ),
        pytest.param(a_headroom(shadow=(0, 0, 30, 0)), 70, NORMAL, None, id="beside what somebody ahead will get"),
        pytest.param(a_headroom(shadow=(0, 0, 30, 0)), 71, NORMAL, Reason.NO_HEADROOM, id="not into it"),
        pytest.param(a_headroom(shadow=(0, 0, 30, 0)), 71, LOW, Reason.NO_HEADROOM, id="nor may lesser work"),
        pytest.param(a_headroom(shadow=(0, 0, 30, 0)), 100, HIGH, None, id="more important work does not wait for it"),
        pytest.param(
            a_headroom(catching_up=True), 1, HIGH, Reason.CATCHING_UP, id="half a ledger is no ground to decide on"
        ),
        pytest.param(a_headroom(catching_up=True), 1, PEOPLE, None, id="but people go on"),
        pytest.param(a_headroom(a_concurrency_limit(2), reserved=1), 1, LOW, None, id="a lease is free"),
        pytest.param(
            a_headroom(a_concurrency_limit(2), reserved=2), 1, PEOPLE, Reason.CONCURRENCY, id="none is, for anybody"
        ),
        pytest.param(
            a_headroom(a_concurrency_limit(2), reserved=1, waiting=(5, 0, 0, 0)),
            1,
            LOW,
            None,
            id="leases are given in order, and kept for nobody",
        ),
        pytest.param(
            a_headroom(a_limit(policy=Policy.FIXED_THRESHOLDS), outlook=an_outlook(0, 0, 0, 90)),
            100,
            LOW,
            None,
            id="the seeds know no demand still to come",
        ),
        pytest.param(
            a_headroom(a_limit(policy=Policy.FIXED_THRESHOLDS), used=80),
            30,
            LOW,
            Reason.NO_HEADROOM,
            id="but what does not fit, does not",
        ),
    ],
)
def test_the_test_of_one_limit(headroom, amount, priority, reason):
    assert admits(headroom, amount, priority, MONDAY) is reason


AMOUNTS = st.integers(0, 150)
ROOMS = st.builds(
    lambda waiting, above, **counters: a_headroom(
        a_limit(holdback=TENTH), waiting=waiting, outlook=an_outlook(*above), **counters
    ),
    waiting=st.tuples(*[AMOUNTS] * 4),
    above=st.tuples(*[AMOUNTS] * 4),
    used=AMOUNTS,
    reserved=AMOUNTS,
)


@given(ROOMS, AMOUNTS, st.sampled_from(Priority))
def test_whatever_is_admitted_stays_below_the_ceiling_of_its_class(headroom, amount, priority):
    if admits(headroom, amount, priority, MONDAY) is None:
        assert headroom.balance.spent + headroom.balance.reserved + amount <= (100 if priority is PEOPLE else 90)


@given(ROOMS, AMOUNTS, st.integers(0, 50), st.sampled_from(Priority))
def test_who_asks_for_less_is_never_worse_off(headroom, amount, less, priority):
    if admits(headroom, amount, priority, MONDAY) is None:
        assert admits(headroom, max(0, amount - less), priority, MONDAY) is None


@pytest.mark.parametrize(
    ("limit", "ticket", "amount"),
    [
        pytest.param(a_limit(), a_ticket(70), 70, id="tokens"),
        pytest.param(a_limit(unit=Unit.REQUESTS), a_ticket(70), 1, id="requests"),
        pytest.param(a_concurrency_limit(), a_ticket(70), 1, id="one lease"),
        pytest.param(
            a_limit(), a_ticket(estimate=Estimate(some_usage(10), some_usage(13), declared=False)), 13,
            id="a guess reserves more than it expects",
        ),
    ],
)  # fmt: skip
def test_what_a_ticket_needs(limit, ticket, amount):
    assert need(ticket, limit) == amount


def verdict(ticket, *limits, now=MONDAY, outlooks=None, **used):
    """The verdict against limits, some of whose windows are used: ``day=95``."""
    rows = [Balance(n, limit, "", _window(limit), used=used.get(limit.id, 0)) for n, limit in enumerate(limits, 1)]
    return decide(ticket, Headrooms(some_balances(*limits, now=now, rows=rows), outlooks or {}), now=now)


def _window(limit):
    if limit.id == "session":
        return Window(MONDAY - HOUR, MONDAY + 4 * HOUR)
    return TODAY if limit.is_windowed else None


SESSION_END = MONDAY + 4 * HOUR


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(verdict(a_ticket(10)), Admit(), id="nothing binds it"),
        pytest.param(verdict(a_ticket(10), a_limit(), day=90), Admit(), id="it fits"),
        pytest.param(
            verdict(a_ticket(10), a_limit(), day=95),
            Defer(MIDNIGHT, Reason.NO_HEADROOM, (Blocker("day", Reason.NO_HEADROOM, MIDNIGHT),)),
            id="it waits for the reset",
        ),
        pytest.param(
            verdict(a_ticket(10), a_limit(), a_session_limit(), day=95, session=100),
            Defer(
                MIDNIGHT,
                Reason.NO_HEADROOM,
                (Blocker("day", Reason.NO_HEADROOM, MIDNIGHT), Blocker("session", Reason.EXHAUSTED, SESSION_END)),
            ),
            id="two hold it: it waits for the later of their resets",
        ),
        pytest.param(
            verdict(a_ticket(10), a_concurrency_limit(1, mode=Mode.WARN), a_limit(5, mode=Mode.WARN)),
            Admit((Blocker("day", Reason.NO_HEADROOM, MIDNIGHT),)),
            id="limits that warn are told of",
        ),
        pytest.param(
            verdict(a_ticket(10), a_limit(5), a_limit(100, id="wide")),
            Reject(Reason.NEVER_FITS, (Blocker("day", Reason.NEVER_FITS, MONDAY),)),
            id="it never fits",
        ),
        pytest.param(
            verdict(a_ticket(estimate=Estimate(some_usage(90), some_usage(120), declared=False)), a_limit()),
            Defer(MIDNIGHT, Reason.NO_HEADROOM, (Blocker("day", Reason.NO_HEADROOM, MIDNIGHT),)),
            id="a guess whose median fits is not rejected",
        ),
        pytest.param(
            verdict(a_ticket(estimate=Estimate(some_usage(101), some_usage(120), declared=False)), a_limit()),
            Reject(Reason.NEVER_FITS, (Blocker("day", Reason.NEVER_FITS, MONDAY),)),
            id="one whose median does not is",
        ),
        pytest.param(
            verdict(a_ticket(10, on_hold=True), a_limit()),
            Defer(MONDAY + MINUTE, Reason.HELD, (Blocker("day", Reason.HELD, MONDAY + MINUTE),)),
            id="an operator holds it",
        ),
        pytest.param(
            verdict(a_ticket(10, team="ops"), a_limit(5, match=match_of({"team": "growth"}))),
            Admit(),
            id="another team's limit is not its matter",
        ),
    ],
)
def test_the_verdict_of_all_limits(found, expected):
    assert found == expected


def test_a_run_that_crosses_the_reset_counts_with_its_part_before_it():
    late = MIDNIGHT - HOUR
    long = a_ticket(40, estimate=Estimate(some_usage(40), some_usage(40), duration=timedelta(hours=4)))
    assert verdict(long, a_limit(), now=late, day=90) == Admit()
    assert isinstance(verdict(long, a_limit(), now=late, day=91), Defer)


def test_each_admission_shrinks_what_the_next_one_sees():
    balances = some_balances(a_limit(), a_concurrency_limit(5))
    headrooms, found = Headrooms(balances, {}), []
    for number in range(1, 5):
        ticket = a_ticket(30, number=number)
        found.append(decide(ticket, headrooms, now=MONDAY))
        if isinstance(found[-1], Admit):
            occupy(ticket, headrooms, running=True)
    assert [type(each) for each in found] == [Admit, Admit, Admit, Defer]
    assert {balance.name: balance.reserved for balance in balances.all()} == {"day": 90, "leases": 3}


POOL = a_limit(160, id="pool")
A = a_limit(40, id="a", match=match_of({"team": "a"}), parent="pool", borrow=30)
B = a_limit(80, id="b", match=match_of({"team": "b"}), parent="pool", lend=10)


@pytest.mark.parametrize(
    ("tokens", "used", "expected"),
    [
        pytest.param(40, {}, Admit, id="a member has its own"),
        pytest.param(70, {}, Admit, id="and borrows up to what it may"),
        pytest.param(71, {}, Reject, id="more than both never fits"),
        pytest.param(50, {"pool": 40}, Admit, id="it borrows what the others lend"),
        pytest.param(51, {"pool": 40}, Defer, id="not what they keep for themselves"),
        pytest.param(41, {"pool": 50}, Defer, id="not even while it has not touched its own"),
        pytest.param(40, {"pool": 120}, Admit, id="its own stays its own"),
        pytest.param(60, {"b": 80, "pool": 100}, Admit, id="what others have used they keep no more"),
        pytest.param(61, {"b": 80, "pool": 100}, Defer, id="but the pool has its own end"),
    ],
)
def test_a_member_of_a_pool_borrows(tokens, used, expected):
    assert isinstance(verdict(a_ticket(tokens, team="a"), POOL, A, B, **used), expected)


def test_M8_a_limit_without_room_is_told_before_one_that_expects_others():
    pool, team = a_limit(id="a-pool"), a_limit(id="team")
    rows = [Balance(1, pool, "", TODAY, used=100), Balance(2, team, "", TODAY)]
    headrooms = Headrooms(some_balances(pool, team, rows=rows), {"team": an_outlook(100, 100, 100, 100)})
    verdict = decide(a_ticket(10), headrooms, now=MONDAY)
    assert isinstance(verdict, Defer)
    assert [(blocker.instance, blocker.reason) for blocker in verdict.held] == [
        ("a-pool", Reason.EXHAUSTED),
        ("team", Reason.PACED),
    ]
    assert verdict.reason is Reason.EXHAUSTED
