"""Who goes first: what people are told and what starts is one order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.queue.order import FairOrder, order, rank
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.wake import wake
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_concurrency_limit, a_limit, some_balances
from tests.core.queue.lines import HIGH, LOW, NORMAL, PEOPLE, POLICY, TICKETS, waiting

A10_B11 = waiting(10, minutes=5, team="a"), waiting(11, minutes=4, team="b")


@pytest.mark.parametrize(
    ("tickets", "running", "ids"),
    [
        pytest.param([], {}, [], id="nobody"),
        pytest.param(
            [waiting(1, priority=LOW), waiting(2), waiting(3, priority=HIGH), waiting(4, priority=PEOPLE)],
            {},
            [4, 3, 2, 1],
            id="class first",
        ),
        pytest.param(
            [waiting(1, minutes=1), waiting(2, minutes=3), waiting(3, minutes=2)], {}, [2, 3, 1], id="then age"
        ),
        pytest.param([waiting(2), waiting(1)], {}, [1, 2], id="then the lower id"),
        pytest.param(
            [waiting(n, minutes=9 - n, team=team) for n, team in enumerate("xxxyz", 1)],
            {},
            [1, 4, 5, 2, 3],
            id="shares take turns",
        ),
        pytest.param(
            [waiting(n, minutes=9 - n, team=team) for n, team in enumerate("xxyy", 1)],
            {"x": 2},
            [3, 4, 1, 2],
            id="a share that runs much waits for the others",
        ),
        pytest.param(
            [waiting(1, minutes=29, priority=LOW), waiting(2)], {}, [2, 1], id="29 minutes are not half an hour"
        ),
        pytest.param(
            [waiting(1, minutes=30, priority=LOW), waiting(2)], {}, [1, 2], id="half an hour lifts by a class"
        ),
        pytest.param(
            [waiting(1, minutes=120, priority=LOW), waiting(2, priority=PEOPLE)],
            {},
            [1, 2],
            id="in two hours anything is first: nobody starves",
        ),
        pytest.param(
            [waiting(1, minutes=59, priority=NORMAL), waiting(2, priority=PEOPLE)],
            {},
            [2, 1],
            id="people stay first before",
        ),
        pytest.param(
            [*(waiting(n, minutes=20 - n, priority=HIGH, team="a") for n in (1, 2, 3)), *A10_B11],
            {},
            [1, 2, 3, 11, 10],
            id="turns carry on over the classes",
        ),
        pytest.param(
            [waiting(1, minutes=40, team="a"), waiting(2, minutes=35, team="a"), *A10_B11],
            {},
            [1, 2, 11, 10],
            id="and over the ranks that age gives",
        ),
    ],
)
def test_order(tickets, running, ids):
    assert [ticket.id for ticket in order(tickets, running, POLICY, now=MONDAY)] == ids


def test_a_ticket_from_a_clock_ahead_of_ours_is_just_new():
    assert rank(waiting(1, minutes=-10), POLICY, now=MONDAY) == NORMAL.rank


@given(TICKETS.flatmap(lambda tickets: st.tuples(st.just(tickets), st.permutations(tickets))))
def test_the_order_does_not_depend_on_how_they_are_listed(both):
    first, second = (order(tickets, {}, POLICY, now=MONDAY) for tickets in both)
    assert first == second


def started(tickets, running, policy, *, leases, budget):
    """The ids that a pass lets go, in order, when only so many may run; cut into slices of a budget."""
    balances = some_balances(a_limit(10**6), a_concurrency_limit(leases))
    queue = ThrottleQueue(tickets, balances.instances, share_label=policy.fair_share)
    places, turns, shadows, ids = dict.fromkeys(queue.groups(None), 0), dict(running), {}, []
    while places:
        fair_order = FairOrder(queue.tickets_in, places, turns, policy, MONDAY)
        headrooms = Headrooms(balances, {}, queue=queue)
        done = wake(queue, headrooms, fair_order, present=set(), budget=budget, shadows=shadows)
        for ticket in (ticket for ticket, _ in done.verdicts if ticket.id not in queue):
            ids.append(ticket.id)
            turns[ticket.labels.team] = turns.get(ticket.labels.team, 0) + 1
        places, shadows = done.remaining, done.shadows
    return ids


@given(
    tickets=TICKETS,
    running=st.dictionaries(st.sampled_from("xyz"), st.integers(0, 4)),
    aging_step=st.sampled_from([MINUTE, 30 * MINUTE, HOUR, 100 * DAY]),
    leases=st.integers(0, 13),
    budget=st.integers(1, 40),
)
def test_what_is_told_first_starts_first(tickets, running, aging_step, leases, budget):
    policy = QueuePolicy(aging_step)
    told = [ticket.id for ticket in order(tickets, running, policy, now=MONDAY)]
    assert started(tickets, running, policy, leases=leases, budget=budget) == told[:leases]


def test_three_high_of_one_team_then_one_of_each():
    tickets = [*(waiting(n, minutes=20 - n, priority=HIGH, team="a") for n in (1, 2, 3)), *A10_B11]
    told = [ticket.id for ticket in order(tickets, {}, POLICY, now=MONDAY)]
    assert told == started(tickets, {}, POLICY, leases=9, budget=60) == [1, 2, 3, 11, 10]
