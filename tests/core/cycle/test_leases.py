"""What running work says: reports, heartbeats, releases, and those that come too late."""

from datetime import timedelta

import pytest

from quota_scheduler.core.cycle.leases import apply_report
from quota_scheduler.core.cycle.requests import Refusal, Refused, Release, Renew
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.tickets.ticket import Outcome, State
from tests.builders import (
    HOUR,
    MINUTE,
    MONDAY,
    a_lease,
    a_limit,
    a_report,
    a_run_cap,
    a_running_ticket,
    a_ticket,
    a_usage_event,
    some_usage,
)
from tests.core.cycle.snapshots import a_snapshot, decided, reserved, states

RUNNING = a_running_ticket(40)
WAITING = a_ticket(number=2, on_hold=True)
ENDED = RUNNING._replace(state=State.CLOSED, outcome=Outcome.EXPIRED, lease=a_lease(1, ended_at=MONDAY))


@pytest.mark.parametrize(
    ("ticket", "request_", "answer", "window"),
    [
        pytest.param(RUNNING, Renew(1, 1), None, (0, 40), id="a heartbeat moves nothing"),
        pytest.param(RUNNING, Renew(1, 1, a_report(15)), None, (0, 25), id="what is reported is reserved no more"),
        pytest.param(RUNNING, Release(1, 1, a_report(15)), None, (15, 0), id="released: used, and the rest is free"),
        pytest.param(RUNNING, Release(1, 1), None, (0, 0), id="released without a report: nothing was used"),
        pytest.param(
            RUNNING,
            Renew(1, 9, a_report(15)),
            Refused(Refusal.STALE_FENCE, RUNNING),
            (0, 40),
            id="nobody had that fence",
        ),
        pytest.param(WAITING, Renew(2, 1), Refused(Refusal.NOT_FOUND), (0, 0), id="it has no lease"),
        pytest.param(RUNNING, Renew(7, 1), Refused(Refusal.NOT_FOUND), (0, 40), id="there is no such ticket"),
    ],
)
def test_a_report(ticket, request_, answer, window):
    snapshot = a_snapshot(ticket)
    assert apply_report(request_, Work(snapshot)) == answer
    assert reserved(snapshot) == {"day": window}


def test_what_comes_too_late_counts_all_the_same():
    snapshot = a_snapshot(ENDED)
    result = decided(snapshot, Release(1, 1, a_report(15)))
    (answer,) = result.answers
    assert (answer.refusal, answer.ticket.lease.usage.tokens) == (Refusal.STALE_FENCE, 15)
    assert [(old, new.usage.tokens) for old, new in result.changes.ledger] == [(None, 15)]
    assert reserved(snapshot) == {"day": (15, 0)}


def test_an_earlier_lease_reports_beside_the_one_that_runs():
    earlier = a_lease(7, at=MONDAY - HOUR, ended_at=MONDAY - MINUTE)
    snapshot = a_snapshot(RUNNING, rows={"past_leases": {7: earlier}})
    result = decided(snapshot, Renew(1, 7, a_report(5)))
    (ticket, lease), *_ = result.changes.past_leases.values()
    assert (ticket, lease.fence, lease.usage.tokens) == (1, 7, 5)
    assert states(result) == {}


def test_a_session_that_is_bound_brings_what_its_transcript_knows():
    event = a_usage_event(25, session="s", at=MONDAY + MINUTE)
    snapshot = a_snapshot(RUNNING, now=MONDAY + HOUR, rows={"session_events": {"s": [event]}}, used={"day": 25})
    result = decided(snapshot, Renew(1, 1, session="s"))
    assert result.changes.tickets[1].lease.session == "s"
    assert [(old.run, new.run) for old, new in result.changes.ledger] == [("", "ticket:1")]
    assert reserved(snapshot) == {"day": (25, 15)}


@pytest.mark.parametrize(
    ("limits", "used", "stops", "left"),
    [
        pytest.param([a_limit()], 0, False, 10, id="it grows by a quarter while there is room"),
        pytest.param([a_limit()], 35, True, 0, id="where there is none it is to stop"),
        pytest.param([a_limit(), a_run_cap(50)], 0, True, 10, id="and over its run cap"),
        pytest.param([a_limit(), a_run_cap(60)], 0, False, 10, id="not within it"),
    ],
)
def test_a_lease_that_uses_more_than_it_reserved(limits, used, stops, left):
    snapshot = a_snapshot(RUNNING, limits=limits, used={"day": used})
    (answer,) = decided(snapshot, Renew(1, 1, a_report(60))).answers
    (balance,) = snapshot.balances.all()
    assert (answer.stop, balance.spent, balance.reserved) == (stops, used + 60, left)


def test_a_member_of_a_pool_grows_by_what_it_may_borrow_itself():
    limits = [a_limit(100, id="pool"), a_limit(40, id="own", parent="pool", borrow=30)]
    growing, other = RUNNING, a_running_ticket(0, number=2)
    snapshot = a_snapshot(growing, other, limits=limits)
    work = Work(snapshot)
    work.headrooms.of(a_ticket())
    assert apply_report(Renew(1, 1, a_report(45)), work) is None
    held = {held.instance: held.held for held in snapshot.balances.open_reservations(1)}
    assert (held, work.stops) == ({"pool": 10, "own": 10}, set())


def test_a_heartbeat_moves_the_expiry_by_the_length_that_it_asks_for():
    result = decided(a_snapshot(RUNNING, now=MONDAY + HOUR), Renew(1, 1, ttl=timedelta(minutes=10)))
    lease = result.changes.tickets[1].lease
    assert (lease.expires_at, lease.ttl) == (MONDAY + HOUR + 10 * MINUTE, 10 * MINUTE)


def test_the_reports_of_a_run_count_towards_its_cap_once():
    lease = a_lease(1, session="s")
    ticket = a_running_ticket(40, lease=lease, run="night")
    snapshot = a_snapshot(ticket, limits=[a_limit(), a_run_cap(50)], rows={"transcribed": {1: some_usage(30)}})
    (answer,) = decided(snapshot, Renew(1, 1, a_report(40))).answers
    assert answer.stop is False
