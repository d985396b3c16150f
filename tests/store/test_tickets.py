"""Tickets and leases in the database: there and back, and the ones a cycle asks for."""

from datetime import timedelta

import pytest

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Checkpoint, Estimate, Outcome, Reason, State
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Store, tickets
from tests.builders import DAY, HOUR, MICRO, MINUTE, MONDAY, a_lease, a_report, a_running_ticket, a_ticket
from tests.fakes import FixedClock

ESTIMATE = Estimate(
    Usage(1, 2, 3, 4, 5, 6, 7, 8), Usage(2, 3, 4, 5, 6, 7, 8, 9), "workflow", declared=False, confidence=0.7,
    estimated_cost=True, duration=timedelta(minutes=40),
)  # fmt: skip
FULL = a_ticket(
    number=1,
    body="b",
    priority=Priority.LOW,
    estimate=ESTIMATE,
    created_at=MONDAY - HOUR,
    ttl=10 * MINUTE,
    team="growth",
    model="opus",
    workflow="nightly",
    state=State.CLOSED,
    run="r1",
    session="s0",
    flags=("batching",),
    deadline=MONDAY + DAY,
    wait_until=MONDAY + 2 * DAY,
    offers=2,
    offer_until=MONDAY + MINUTE,
    outcome=Outcome.EXPIRED,
    reason=Reason.PACED,
    closed_at=MONDAY + HOUR,
    was_deferred=True,
    on_hold=True,
    lease=a_lease(
        7,
        session="s1",
        reported=(*a_report(5, "haiku"), *a_report(10, "opus")),
        ended_at=MONDAY + HOUR + MICRO,
        checkpoints=(Checkpoint(MONDAY + MINUTE, a_report(3, "opus")),),
    ),
)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "quota.db", clock=FixedClock(MONDAY)) as opened:
        yield opened


def save(store, *changed, past=None, new=1):
    with store.transaction() as tx:
        tickets.save(tx, changed, past or {}, new=new)


def look(store, query, *args, **more):
    with store.transaction() as tx:
        return query(tx, *args, **more)


def for_cycle(store, *, ids=(), due=None):
    return look(store, tickets.for_cycle, ids=ids, due=due)


@pytest.mark.parametrize("ticket", [FULL, a_ticket(number=1)], ids=["with everything", "with nothing but what it must"])
def test_a_ticket_comes_back_as_it_was(store, ticket):
    save(store, ticket)
    assert for_cycle(store, ids=[1]) == {1: ticket}


def test_what_may_change_about_a_ticket_is_changed(store):
    save(store, a_ticket(number=1))
    changed = a_ticket(number=1)._replace(
        state=State.CLOSED, session="s1", offers=1, offer_until=MONDAY, lease=a_lease(3), on_hold=True,
        outcome=Outcome.COMPLETED, reason=Reason.HELD, closed_at=MONDAY, was_deferred=True, waiting_since=MONDAY + HOUR,
        wait_until=MONDAY + DAY,
    )  # fmt: skip
    save(store, changed, new=2)
    assert for_cycle(store, ids=[1]) == {1: changed}


def test_a_lease_that_goes_on_is_changed_in_place(store):
    first = a_running_ticket()
    save(store, first)
    lease = first.lease._replace(expires_at=MONDAY + DAY, ttl=HOUR, reported=a_report(5), session="s")
    renewed = first._replace(lease=lease)
    save(store, renewed, new=2)
    assert for_cycle(store, ids=[1]) == {1: renewed}


def test_a_past_lease_is_kept_beside_the_new_one(store):
    save(store, a_running_ticket(lease=a_lease(1, ended_at=MONDAY)))
    save(store, a_running_ticket(lease=a_lease(2)), new=2)
    save(store, past={1: (1, a_lease(1, ended_at=MONDAY, reported=a_report(9)))})
    assert look(store, tickets.lease_of, 1, 1) == a_lease(1, ended_at=MONDAY, reported=a_report(9))
    assert look(store, tickets.lease_of, 1, 2) == a_lease(2)
    assert look(store, tickets.lease_of, 1, 3) is None


def test_a_cycle_gets_what_is_named_or_due_and_nothing_else(store):
    expiring = a_lease(4, expires_at=MONDAY)
    save(
        store, a_ticket(number=1), a_ticket(number=2, state=State.OFFERED), a_ticket(number=3, state=State.CLOSED),
        a_running_ticket(number=4, lease=expiring), a_running_ticket(number=5), a_ticket(number=6, state=State.CLOSED),
        a_ticket(number=7),
    )  # fmt: skip
    assert sorted(for_cycle(store, ids=[6, 99], due=MONDAY)) == [4, 6]
    assert for_cycle(store, due=MONDAY - MICRO) == {}
    assert look(store, tickets.numbers_of, ["k7", "none"])() == [7]
    assert look(store, tickets.numbers_of, [])() == []
    assert [ticket.id for ticket in look(store, tickets.waiting)] == [1, 7]
    assert [ticket.id for ticket in look(store, tickets.open_tickets)] == [1, 2, 4, 5, 7]


def test_what_runs_or_is_offered_is_counted_by_share(store):
    shares = ("x", "x", "y", "")
    save(
        store,
        *(a_running_ticket(number=n, team=team) for n, team in enumerate(shares, 1)),
        a_ticket(number=8, team="y", state=State.OFFERED),
        a_ticket(number=9, team="x"),
    )
    assert look(store, tickets.running_shares, "team") == {"x": 2, "y": 2, "": 1}


def test_every_lease_of_a_session_is_found_the_newest_first(store):
    past = a_lease(1, session="s1", ended_at=MONDAY)
    save(store, a_running_ticket(number=1, lease=past), a_running_ticket(number=2, lease=a_lease(2, session="s2")))
    save(store, a_running_ticket(number=1, lease=a_lease(3, at=MONDAY + HOUR, session="s1")), new=3)
    found = look(store, tickets.with_leases, sessions=["s1", "s3", ""], runs=[""])
    assert [(ticket.lease.session, ticket.lease.fence) for ticket in found] == [("s1", 3), ("s1", 1)]


def test_sequences_go_on_and_never_back(store):
    for ticket, fence, after in ((1, 5, (1, 5)), (4, 3, (4, 5)), (2, 6, (4, 6))):
        look(store, tickets.advance, ticket=ticket, fence=fence)
        assert (look(store, tickets.sequence, "ticket"), look(store, tickets.sequence, "fence")) == after


@pytest.mark.parametrize(
    ("ticket", "end"),
    [
        pytest.param(a_ticket(number=1), None, id="nothing runs"),
        pytest.param(a_running_ticket(), MONDAY + 4 * HOUR, id="a lease runs out"),
        pytest.param(a_running_ticket(lease=a_lease(ended_at=MONDAY)), None, id="one that has ended does not"),
    ],
)
def test_which_lease_runs_out_next(store, ticket, end):
    save(store, ticket)
    assert look(store, tickets.next_end)() == end


def test_who_remembers_the_queue_is_told_what_was_written_since(store):
    offer = MONDAY + MINUTE
    save(store, a_ticket(number=1))
    save(store, a_running_ticket(number=3), a_ticket(number=2, state=State.OFFERED, offer_until=offer), new=2)
    save(store, a_ticket(number=4), a_ticket(number=1, state=State.CLOSED), new=4)
    told = [(moved.id, moved.state, moved.offer_until) for moved in look(store, tickets.moved_since, 1, 10)()]
    assert told == [
        (1, State.CLOSED, None), (2, State.OFFERED, offer), (3, State.RUNNING, None), (4, State.WAITING, None)
    ]  # fmt: skip
    assert [ticket.id for ticket in look(store, tickets.waiting_since, 1)()] == [4]
    assert [moved.id for moved in look(store, tickets.turns_taken)] == [2, 3]
    assert len(look(store, tickets.moved_since, 1, 2)()) == 2


def test_closed_tickets_are_forgotten_with_their_leases(store):
    save(store, FULL, a_ticket(number=2, state=State.CLOSED, closed_at=MONDAY + 2 * HOUR), a_ticket(number=3))
    assert look(store, tickets.forget_closed, MONDAY + 2 * HOUR) == 1
    assert sorted(for_cycle(store, ids=[1, 2, 3])) == [2, 3]
    assert look(store, tickets.lease_of, 1, 7) is None
