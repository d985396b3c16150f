"""The queue: who goes first, and what a pass over it does."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.order import order, place, rank
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.ramp import Ramps
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.wake import SLICE, START, wake
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, MONDAY, a_concurrency_limit, a_limit, a_ticket, some_balances

PEOPLE, HIGH, NORMAL, LOW = Priority
POLICY = QueuePolicy()
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)


def waiting(number, *, minutes=0, tokens=10, **changes):
    """A ticket that has waited for so many minutes."""
    return a_ticket(tokens, number=number, at=MONDAY - minutes * MINUTE, **changes)


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
    ],
)
def test_order(tickets, running, ids):
    assert [ticket.id for ticket in order(tickets, running, POLICY, now=MONDAY)] == ids


def test_a_ticket_from_a_clock_ahead_of_ours_is_just_new():
    assert rank(waiting(1, minutes=-10), POLICY, now=MONDAY) == NORMAL.rank


TICKETS = st.lists(
    st.builds(
        lambda minutes, priority, team, tokens: {
            "minutes": minutes,
            "priority": priority,
            "team": team,
            "tokens": tokens,
        },
        st.integers(0, 200),
        st.sampled_from(Priority),
        st.sampled_from("xyz"),
        st.integers(0, 60),
    ),
    max_size=12,
).map(lambda rows: [waiting(number, **row) for number, row in enumerate(rows, 1)])


@given(TICKETS.flatmap(lambda tickets: st.tuples(st.just(tickets), st.permutations(tickets))))
def test_the_order_does_not_depend_on_how_they_are_listed(both):
    first, second = (order(tickets, {}, POLICY, now=MONDAY) for tickets in both)
    assert first == second


@pytest.mark.parametrize(
    ("waiting", "ramp"),
    [(0, 0.0), (1, 0.0), (2, 0.05), (11, 0.5), (601, 30.0), (100_000, 30.0)],
)
def test_the_ramp_grows_with_what_waits_up_to_its_whole_length(waiting, ramp):
    assert POLICY.ramp_for(waiting) == timedelta(seconds=ramp)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200, unique=True))
def test_starts_on_a_ramp_come_one_after_another_and_all_of_them_on_it(numbers):
    balance = Balance(1, a_limit(), "", TODAY, ramp=timedelta(seconds=30))
    ramps, starts = Ramps(), []
    for left, number in reversed(list(enumerate(numbers))):
        ticket = waiting(number, minutes=60 * 24)
        starts.append(ramps.holds(ticket, balance, TODAY.starts_at))
        ramps.started(ticket, balance, TODAY.starts_at, left=left)
    assert starts[0] == TODAY.starts_at
    assert starts == sorted(starts)
    assert starts[-1] <= TODAY.starts_at + 1.5 * balance.ramp
    assert ramps.holds(waiting(1, minutes=60 * 24), balance, TODAY.starts_at + balance.ramp) is None
    assert ramps.holds(waiting(1, minutes=0), balance, TODAY.starts_at) is None


# a pass


def passed(tickets, *limits, budget=SLICE, used=0, reserved=0, ramp=timedelta(0), now=MONDAY):
    """Pass over a throttle queue to its end: the ids that start, in order, and how many slices it took."""
    rows = [Balance(1, limits[0], "", TODAY, used=used, reserved=reserved, ramp=ramp)]
    balances = some_balances(*limits, now=now, rows=rows)
    queue = ThrottleQueue(tickets, balances.instances, share_label="team")
    keys, shadows, started, slices = dict.fromkeys(queue.groups(None), 0), {}, [], 0
    while keys:
        done = wake(
            queue,
            Headrooms(balances, {}, queue=queue),
            keys,
            running={},
            policy=POLICY,
            present=set(),
            budget=budget,
            shadows=shadows,
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
    assert (started, slices <= (203 + 2 * START) // budget + 2) == ([200, 201], True)


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


@pytest.mark.parametrize(
    ("count", "seconds", "wanted"),
    [
        pytest.param(200, 60, False, id="a short line is put in order for every answer"),
        pytest.param(201, 9, False, id="places of a long one are kept for a while"),
        pytest.param(201, 10, True, id="and then wanted anew"),
    ],
)
def test_when_a_line_wants_to_be_put_in_order(count, seconds, wanted):
    queue = ThrottleQueue(
        [waiting(number) for number in range(1, count + 1)], some_balances(a_limit()).instances, share_label="team"
    )
    queue.know_places(queue, at=MONDAY)
    assert queue.wants_places(MONDAY + timedelta(seconds=seconds)) is wanted
    assert place(queue, 7, {}, POLICY, now=MONDAY) == 7


def test_the_line_counts_what_waits():
    balances = some_balances(a_limit(), a_limit(id="team", per="team"))
    queue = ThrottleQueue(
        [waiting(1, team="x"), waiting(2, team="y", tokens=30, priority=HIGH)], balances.instances, share_label="team"
    )
    queue.add(waiting(3, team="x", tokens=5))
    queue.remove(1)
    assert (len(queue), queue.sums("day"), queue.sums("team/x"), queue.least("day")) == (
        2,
        [0, 30, 5, 0],
        [0, 0, 5, 0],
        5,
    )
    assert [place(queue, number, {}, POLICY, now=MONDAY + HOUR) for number in (1, 2, 3)] == [None, 1, 2]
