"""A pass over the throttle queue: who goes now."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.queue.order import FairOrder, order
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.wake import LOOK, SLICE, START, wake
from tests.builders import MONDAY, a_concurrency_limit, a_limit, some_balances
from tests.core.queue.lines import HIGH, LOW, POLICY, TICKETS, TODAY, waiting


def passed(tickets, *limits, budget=SLICE, used=0, reserved=0, ramp=timedelta(0), now=MONDAY):
    """Pass over a throttle queue to its end: the ids that start, in order, and how many slices it took."""
    rows = [Balance(1, limits[0], "", TODAY, used=used, reserved=reserved, ramp=ramp)]
    balances = some_balances(*limits, now=now, rows=rows)
    queue = ThrottleQueue(tickets, balances.instances, share_label="team")
    keys, shadows, started, slices = dict.fromkeys(queue.groups(None), 0), {}, [], 0
    while keys:
        fair_order = FairOrder(queue.tickets_in, keys, {}, POLICY, now)
        done = wake(
            queue, Headrooms(balances, {}, queue=queue), fair_order, present=set(), budget=budget, shadows=shadows
        )
        started += [ticket.id for ticket, _ in done.verdicts if ticket.id not in queue]
        keys, shadows, slices = done.remaining, done.shadows, slices + 1
        assert slices <= len(tickets) + 2
    return started, slices


@pytest.mark.parametrize(
    ("tickets", "used", "reserved", "ids"),
    [
        pytest.param(
            [waiting(1, tokens=60), waiting(2, tokens=60)], 0, 0, [1], id="the first takes what the second lacks"
        ),
        pytest.param(
            [waiting(1, tokens=60, minutes=1), waiting(2, tokens=30)],
            50,
            0,
            [2],
            id="who waits for the reset is passed by a smaller one",
        ),
        pytest.param(
            [waiting(1, tokens=60, minutes=1), waiting(2, tokens=30)],
            0,
            50,
            [],
            id="who waits for running work is not",
        ),
        pytest.param(
            [waiting(1, tokens=60, minutes=1, team="x"), waiting(2, tokens=30, team="y")],
            0,
            50,
            [],
            id="nor by another share",
        ),
        pytest.param(
            [waiting(1, tokens=60, minutes=120, priority=LOW), waiting(2, tokens=30, priority=HIGH)],
            0,
            50,
            [2],
            id="more important work passes all the same",
        ),
        pytest.param(
            [waiting(1, tokens=60, minutes=1), waiting(2, tokens=30, minutes=1), waiting(3, tokens=10)],
            45,
            0,
            [2, 3],
            id="several may pass",
        ),
        pytest.param(
            [waiting(1, tokens=0), waiting(2, tokens=0)], 100, 0, [1, 2], id="what needs nothing fits anywhere"
        ),
    ],
)
def test_who_goes_now(tickets, used, reserved, ids):
    assert passed(tickets, a_limit(), used=used, reserved=reserved)[0] == ids


@pytest.mark.parametrize("budget", [1, 2, 7, 150, 10_000])
def test_however_thin_the_slices_the_same_tickets_start(budget):
    tickets = [waiting(number, tokens=60, minutes=1, team="xyz"[number % 3]) for number in range(1, 200)]
    tickets += [waiting(200, tokens=20, team="x"), waiting(201, tokens=20, team="y"), waiting(202, tokens=20, team="z")]
    started, slices = passed(tickets, a_limit(), budget=budget, used=50)
    assert (started, slices <= (203 * LOOK + 2 * START) // budget + 2) == ([200, 201], True)


@given(TICKETS, st.integers(1, 20), st.integers(0, 60), st.integers(0, 60))
def test_a_pass_never_starts_more_than_fits(tickets, budget, used, reserved):
    started, _ = passed(tickets, a_limit(), a_concurrency_limit(5), budget=budget, used=used, reserved=reserved)
    taken = sum(ticket.estimate.reserve.tokens for ticket in tickets if ticket.id in started)
    assert len(started) <= 5
    assert not taken or used + reserved + taken <= 100


@given(TICKETS, st.integers(0, 60))
def test_a_pass_leaves_nobody_first_who_fits(tickets, used):
    """Whoever is first in order starts, unless it does not fit beside what is spent."""
    started, _ = passed(tickets, a_limit(), used=used)
    ordered = order(tickets, {}, POLICY, now=MONDAY)
    above = (
        sum(t.estimate.reserve.tokens for t in ordered[1:] if t.priority.rank < ordered[0].priority.rank)
        if ordered
        else 0
    )
    if ordered and used + ordered[0].estimate.reserve.tokens + above <= 100:
        assert ordered[0].id in started


def test_a_fitting_ticket_behind_ten_thousand_is_found_in_one_slice():
    team = a_concurrency_limit(0, match=match_of({"team": "x"}))
    tickets = [waiting(number, minutes=5, team="x") for number in range(1, 10_001)] + [waiting(20_000, team="y")]
    assert passed(tickets, a_limit(), team) == ([20_000], 1)


def test_what_starts_later_on_the_ramp_keeps_its_room():
    tickets = [waiting(number, tokens=30, minutes=60 * 16 + 10 - number) for number in range(1, 9)]
    tickets.append(waiting(9, tokens=80)._replace(waiting_since=TODAY.starts_at))
    found = [
        passed(tickets, a_limit(), ramp=timedelta(seconds=30), now=TODAY.starts_at + timedelta(seconds=seconds))[0]
        for seconds in (0, 14, 31)
    ]
    assert found == [[1], [1, 2, 3], [1, 2, 3]]
