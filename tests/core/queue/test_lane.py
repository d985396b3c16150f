"""Lanes: whoever starts by sums alone would have been let go by a look, in the same turn and with the same room."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Read, Submit
from quota_scheduler.core.cycle.snapshot import QueueState
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Holdback, Mode, Policy
from quota_scheduler.core.observations.points import UNLEARNED, WHOLE
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue import wake
from quota_scheduler.core.queue.lane import Lanes
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.units import Unit
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_session_limit,
    a_ticket,
    some_usage,
)
from tests.core.cycle.snapshots import RESET, a_snapshot, reserved

READ = frozenset({"anthropic"})
SECOND = timedelta(seconds=1)
TEAM_A = match_of({"team": "a"})
BUSY = Outlook(
    MONDAY,
    RESET,
    30 * DAY,
    ((0.0,) * 6, (5.0, 6.0, 7.0, 8.0, 9.0, 10.0), (1.0, 2.0, 4.0, 8.0, 16.0, 20.0), (1.0,) * 6),
)
REFUSED = Breaker("anthropic", "default", MONDAY, MONDAY, MONDAY + MINUTE)
OVER = timedelta(hours=40)
"""Longer than any window: only a part of the estimate is used before the reset."""


def lane_of(snapshot, number=1):
    """The lane of the group in which a ticket stands."""
    queue = snapshot.queue.queue
    headrooms = Headrooms(
        snapshot.balances,
        snapshot.terms.outlooks,
        queue=queue,
        catching_up=snapshot.terms.catching_up,
        breakers=snapshot.breakers,
    )
    key = next(key for key in queue.groups(None) if number in [ticket.id for ticket in queue.tickets_in(key)])
    return Lanes(headrooms).of(key, queue.group(key))


def amounts(snapshot, number=1):
    """What a ticket would hold in each limit if it started by sums alone."""
    queue, lane = snapshot.queue.queue, lane_of(snapshot, number)
    return lane and lane.amounts(queue.get(number), queue.needs(number), queue.ramps, snapshot.now)


def marked(snapshot, **changes):
    """A snapshot whose first window differs."""
    balance = next(iter(snapshot.balances.all()))
    for name, value in changes.items():
        setattr(balance, name, value)
    return snapshot


@pytest.mark.parametrize(
    ("snapshot", "held"),
    [
        pytest.param(a_snapshot(a_ticket(60, number=1)), [60], id="what it needs"),
        pytest.param(a_snapshot(a_ticket(60, number=1), used={"day": 40}), [60], id="to the last token"),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), limits=[a_limit(), a_concurrency_limit(1)]), [60, 1], id="in each limit"
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1, estimate=declared(some_usage(60))._replace(duration=OVER))),
            [36],
            id="the part it can use before the reset",
        ),
        pytest.param(
            a_snapshot(a_ticket(1, number=1), limits=[a_limit(WHOLE, unit=Unit.PERCENT)]),
            [UNLEARNED],
            id="of a window the provider has said nothing about, a fixed part",
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), limits=[a_session_limit()]), [60], id="in a session that has begun"
        ),
    ],
)
def test_a_ticket_starts_by_sums(snapshot, held):
    assert amounts(snapshot) == held


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(a_snapshot(a_ticket(60, number=1), used={"day": 41}), id="that does not fit"),
        pytest.param(a_snapshot(a_ticket(101, number=1)), id="that never fits"),
        pytest.param(
            a_snapshot(a_ticket(101, number=1, estimate=declared(some_usage(101))._replace(duration=OVER))),
            id="that never fits, however little it uses before the reset",
        ),
        pytest.param(
            a_snapshot(a_ticket(99, number=1), outlooks={"day": BUSY}), id="that others are expected to need room for"
        ),
        pytest.param(a_snapshot(a_ticket(1, number=1, on_hold=True)), id="that a person holds"),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), a_ticket(50, number=2, priority=Priority.HIGH)),
            id="for whom more important work leaves no room",
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), limits=[a_limit(holdback=Holdback(per_mille=500))]),
            id="that would take what is held back for people",
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), limits=[a_limit(50, mode=Mode.WARN)]), id="whom a limit would warn"
        ),
    ],
)
def test_a_ticket_is_looked_at(snapshot):
    assert lane_of(snapshot)
    assert amounts(snapshot) is None


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(marked(a_snapshot(a_ticket(1, number=1)), exhausted=True), id="that the provider calls exhausted"),
        pytest.param(marked(a_snapshot(a_ticket(1, number=1)), overage=True), id="beyond which money is spent"),
        pytest.param(
            marked(a_snapshot(a_ticket(1, number=1), limits=[a_session_limit()]), window=None),
            id="whose session has not begun",
        ),
        pytest.param(
            a_snapshot(a_ticket(1, number=1), limits=[a_limit(policy=Policy.FIXED_THRESHOLDS)]),
            id="that goes by fixed thresholds",
        ),
        pytest.param(
            a_snapshot(a_ticket(1, number=1), limits=[a_limit(id="pool"), a_limit(id="part", parent="pool")]),
            id="of a pool",
        ),
        pytest.param(a_snapshot(a_ticket(1, number=1), catching_up=READ), id="whose usage is being read"),
        pytest.param(
            replace(a_snapshot(a_ticket(1, number=1)), breakers=Breakers([REFUSED])), id="whose provider refuses"
        ),
    ],
)
def test_a_limit_has_no_lane(snapshot):
    assert lane_of(snapshot) is None


def test_who_presses_has_a_lane_that_keeps_less_for_others():
    snapshot = a_snapshot(
        a_ticket(85, number=1, at=MONDAY - 3 * HOUR, wait_until=MONDAY + HOUR), outlooks={"day": BUSY}
    )
    assert amounts(snapshot) is None
    assert [ticket.id for ticket in snapshot.queue.queue.press(MONDAY)] == [1]
    assert amounts(snapshot) == [85]


def test_on_a_ramp_the_next_one_waits_for_its_turn():
    snapshot = marked(a_snapshot(a_ticket(1, number=1, at=MONDAY - MINUTE)), ramp=30 * SECOND)
    assert amounts(snapshot) == [1]
    snapshot.queue.queue.ramps.take({"day": (MONDAY, MONDAY + SECOND, None)})
    assert amounts(snapshot) is None
    assert amounts(replace(snapshot, now=MONDAY + SECOND)) == [1]


# the same, whether anybody has a lane or nobody

KINDS = {
    "day": a_limit(),
    "warn": a_limit(70, id="warn", mode=Mode.WARN),
    "held back": a_limit(90, id="held-back", holdback=Holdback(per_mille=300)),
    "team": a_session_limit(80, per="team"),
    "leases": a_concurrency_limit(3),
    "of a": a_limit(40, id="of-a", match=TEAM_A),
    "percent": a_limit(WHOLE, id="percent", unit=Unit.PERCENT),
    "thresholds": a_limit(95, id="thresholds", policy=Policy.FIXED_THRESHOLDS),
    "part": a_limit(60, id="part", parent="day", match=TEAM_A, borrow=20),
}
LIMITS = st.sets(st.sampled_from([kind for kind in KINDS if kind != "part"]), min_size=1, max_size=4)
LINE = st.lists(
    st.fixed_dictionaries(
        {
            "tokens": st.sampled_from([0, 1, 10, 25, 45, 101]),
            "minutes": st.integers(0, 200),
            "team": st.sampled_from("ab"),
            "priority": st.sampled_from(Priority),
            "on_hold": st.sampled_from([False] * 9 + [True]),
            "duration": st.sampled_from([None, None, None, OVER]),
            "wait_until": st.sampled_from([None, MONDAY + MINUTE, MONDAY + HOUR, MONDAY + DAY]),
        }
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip


def in_line(number, row):
    row = dict(row)
    tokens, minutes, duration = row.pop("tokens"), row.pop("minutes"), row.pop("duration")
    estimate = declared(some_usage(tokens))._replace(duration=duration)
    return a_ticket(tokens, number=number, at=MONDAY - minutes * MINUTE, estimate=estimate, **row)


def whole_pass(tickets, limits, requests, changes, ramp, terms):
    """Everything that comes of a pass, however many slices it takes."""
    snapshot = marked(a_snapshot(*tickets, limits=limits, **terms), **changes)
    for balance in snapshot.balances.all():
        balance.ramp = ramp
    queue, told = snapshot.queue.queue, []
    for _ in range(60):
        result = decide_batch(requests, snapshot)
        told.append((result.answers, result.changes, result.onward.next_slot))
        if not result.onward.unfinished.groups:
            break
        state = QueueState(queue, result.onward.running, result.onward.unfinished, look_at_all=False)
        snapshot, requests = replace(snapshot, queue=state, numbers=result.onward.numbers), ()
    rows = [reservation for of in snapshot.balances.reservations.values() for reservation in of]
    groups = [(key, queue.group(key)) for key in queue.groups(None)]
    return told, rows, reserved(snapshot), groups, queue.ramps.moved()


@given(
    LINE,
    LIMITS,
    st.sampled_from([{}, {"used": 30}, {"reserved": 50}, {"exhausted": True}, {"overage": True}, {"window": None}]),
    st.sampled_from([timedelta(0), timedelta(0), SECOND, 30 * SECOND]),
    st.sampled_from(
        [{}, {}, {"outlooks": {"day": BUSY, "held-back": BUSY}}, {"catching_up": frozenset({"anthropic"})}]
    ),
    st.sampled_from([1, 5, 180]),
    st.booleans(),
)
def test_with_lanes_or_without_everybody_starts_alike(line, kinds, changes, ramp, terms, budget, also):
    tickets = [in_line(number, row) for number, row in enumerate(line, 1)]
    limits = [KINDS[kind] for kind in sorted(kinds)]
    requests = [Submit(a_ticket(10, key="new", team="a")), Read(1, claim=True)] if also else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(wake.COSTS, wake.Look.IN_LANE, wake.START)
        patch.setattr("quota_scheduler.core.cycle.starts.SLICE", budget)
        as_it_is = whole_pass(tickets, limits, requests, changes, ramp, terms)
        patch.setattr(Lanes, "of", lambda *_: None)
        assert as_it_is == whole_pass(tickets, limits, requests, changes, ramp, terms)
