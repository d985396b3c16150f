"""Newcomers that all fit are decided as one, and never otherwise than one by one."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.cycle import starts
from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Answer, Read, Release, Submit
from quota_scheduler.core.cycle.snapshot import Snapshot
from quota_scheduler.core.cycle.together import kinds_of, start_together
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from tests.builders import (
    HOUR,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_lease,
    a_limit,
    a_run_cap,
    a_running_ticket,
    a_session_limit,
    a_ticket,
    some_usage,
)
from tests.core.cycle.snapshots import a_snapshot, reserved

LIMITS = (a_limit(100), a_session_limit(90, per="team"), a_concurrency_limit(4))
REFUSED = Breaker("anthropic", "default", MONDAY, MONDAY, MONDAY + MINUTE)
LONG = declared(some_usage(10))._replace(duration=timedelta(hours=40))


def together(snapshot: Snapshot, *newcomers):
    work = Work(snapshot)
    return start_together([work.number(ticket) for ticket in newcomers], work)


def newcomers(*amounts: int, **changes):
    return [a_ticket(amount, **({"key": f"n{n}"} | changes)) for n, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("snapshot", "arriving"),
    [
        pytest.param(a_snapshot(limits=LIMITS), newcomers(10, 10, 10), id="equal ones"),
        pytest.param(a_snapshot(limits=LIMITS), newcomers(45, 45), id="to the last token"),
        pytest.param(
            a_snapshot(limits=LIMITS),
            [*newcomers(20, 30, team="a"), *newcomers(40, team="b", priority=Priority.LOW)],
            id="of several teams and classes",
        ),
        pytest.param(a_snapshot(a_running_ticket(40), limits=LIMITS), newcomers(60), id="beside what runs"),
    ],
)
def test_they_start_as_one(snapshot, arriving):
    assert together(snapshot, *arriving)


@pytest.mark.parametrize(
    ("snapshot", "arriving"),
    [
        pytest.param(a_snapshot(), newcomers(50, 51), id="one of them does not fit beside the other"),
        pytest.param(a_snapshot(), newcomers(101), id="one that never fits"),
        pytest.param(a_snapshot(limits=LIMITS), newcomers(1, 1, 1, 1, 1), id="more than there are leases"),
        pytest.param(a_snapshot(a_ticket(100, number=1)), newcomers(1), id="somebody waits for the limit"),
        pytest.param(a_snapshot(), newcomers(1, deadline=MONDAY), id="a deadline that is now"),
        pytest.param(a_snapshot(limits=[a_limit(), a_run_cap()]), newcomers(1), id="a cap on runs"),
        pytest.param(a_snapshot(limits=[a_limit(5, mode=Mode.WARN)]), newcomers(6), id="a limit that would only warn"),
        pytest.param(
            a_snapshot(limits=[a_limit(id="pool"), a_limit(id="part", parent="pool")]), newcomers(1), id="a pool"
        ),
        pytest.param(a_snapshot(catching_up=frozenset({"anthropic"})), newcomers(1), id="usage is still being read"),
        pytest.param(
            replace(a_snapshot(), breakers=Breakers([REFUSED])),
            newcomers(1),
            id="the provider refuses for the moment",
        ),
    ],
)  # fmt: skip
def test_where_order_may_matter_they_stand_in_line(snapshot, arriving):
    before = reserved(snapshot)
    assert together(snapshot, *arriving) is None
    assert reserved(snapshot) == before


def test_kinds_are_what_is_decided_alike():
    a, b, c = newcomers(1, 1, 2)
    assert list(kinds_of([a, b, c]).values()) == [[a, b], [c]]


SUBMITTED = st.lists(
    st.builds(
        lambda tokens, team, priority, estimate, key: a_ticket(
            tokens, team=team, priority=priority, key=f"n{key}", waiting_since=MONDAY - MINUTE,
            **({"estimate": estimate} if estimate else {}),
        ),
        st.sampled_from([1, 10, 45, 101]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([Priority.INTERACTIVE, Priority.NORMAL, Priority.LOW]),
        st.sampled_from([None, None, None, LONG]),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=7,
)  # fmt: skip
RUNNING = a_running_ticket(40, number=3, lease=a_lease(1, at=MONDAY - HOUR))
AROUND = st.sampled_from([(), (RUNNING,), (a_ticket(100, number=2, team="a"),), (RUNNING, a_ticket(90, number=4))])
ALSO = st.sampled_from([(), (Release(3, 1),), (Read(4), Read(5))])


@given(SUBMITTED, AROUND, ALSO, st.sampled_from([LIMITS, LIMITS[:1], LIMITS[1:]]))
def test_together_or_one_by_one_everybody_hears_the_same(submitted, around, also, limits):
    requests = [Submit(draft) for draft in submitted]
    requests[1:1] = also

    def once():
        snapshot = a_snapshot(*around, limits=limits)
        result = decide_batch(requests, snapshot)
        rows = sorted(
            (r.ticket, r.instance, r.amount, r.whole) for of in snapshot.balances.reservations.values() for r in of
        )
        return (
            [_without_fence(answer) for answer in result.answers],
            sorted(result.changes.tallied),
            rows,
            reserved(snapshot),
        )

    as_it_is = once()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starts, "start_together", lambda *_: None)
        assert as_it_is == once()


def _without_fence(answer):
    """An answer but for the number of its fence: which of several newcomers gets which says nothing."""
    if not isinstance(answer, Answer) or answer.ticket.lease is None:
        return answer
    return answer._replace(ticket=answer.ticket._replace(lease=answer.ticket.lease._replace(fence=0)))
