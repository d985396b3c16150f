"""The throttle queue: what it counts, and when it wants to be put in order."""

from datetime import timedelta

import pytest

from quota_scheduler.core.queue.order import place
from quota_scheduler.core.queue.throttle_queue import SHORT, STALE, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Ticket
from tests.builders import HOUR, MONDAY, a_limit, some_balances
from tests.core.queue.lines import HIGH, LOW, POLICY, waiting


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


@pytest.mark.parametrize(
    ("hours", "pressing"),
    [
        pytest.param(2, [], id="as long as there is time nobody presses"),
        pytest.param(3, [1], id="from three quarters of its longest wait on one does"),
        pytest.param(5, [1], id="who changes while it waits goes on pressing"),
        pytest.param(54, [1, 2], id="who says nothing presses after two days and a quarter"),
    ],
)
def test_who_presses_stands_apart(hours, pressing):
    queue = ThrottleQueue([], some_balances(a_limit()).instances, share_label="team")
    for ticket in (waiting(1, tokens=30, wait_until=MONDAY + 4 * HOUR), waiting(2), waiting(3)):
        queue.add(ticket)
    queue.remove(3)
    for hour in range(hours + 1):
        queue.press(MONDAY + hour * HOUR)
        queue.add(waiting(1, tokens=20, wait_until=MONDAY + 4 * HOUR))
    by_haste = {
        key[-1]: ([ticket.id for ticket in queue.tickets_in(key)], queue.group(key).least)
        for key in queue.groups(None)
        if queue.group(key).pressing is key[-1]
    }
    needs = {1: 20, 2: 10}
    patient = [number for number in needs if number not in pressing]
    alike = {True: pressing, False: patient}
    assert by_haste == {haste: (ids, [min(needs[number] for number in ids)]) for haste, ids in alike.items() if ids}
    assert (queue.sums("day"), queue.count("day")) == ([0, 0, 30, 0], 2)


def in_front(queue: ThrottleQueue, ticket: Ticket) -> list[int]:
    """Whoever stands before a ticket, found by asking everybody."""
    places = queue.places[1] if queue.places else {}
    mine = places.get(ticket.id, 0)
    others = [
        other.id
        for other in queue
        if other.id != ticket.id and not other.on_hold
        if (mine and places.get(other.id, mine) < mine) or (not mine and other.priority.rank <= ticket.priority.rank)
    ]
    return sorted(others, key=lambda number: (places.get(number, len(places)), number))[:SHORT]


@pytest.mark.parametrize("count", [pytest.param(9, id="a short line"), pytest.param(450, id="a long one")])
def test_who_stands_ahead_is_known_however_the_line_moves(count):
    queue = ThrottleQueue(
        [waiting(number, priority=(HIGH, LOW)[number % 2], team=f"t{number % 3}") for number in range(1, count + 1)],
        some_balances(a_limit()).instances,
        share_label="team",
    )
    queue.know_places([queue.get(number) for number in range(count, 0, -1)], at=MONDAY)

    def agrees() -> None:
        for ticket in (*(queue.get(number) for number in (count, count // 2)), waiting(1_001, priority=HIGH)):
            assert [other.id for other in queue.ahead(ticket, "day")] == in_front(queue, ticket)

    agrees()
    queue.add(waiting(1_000, priority=HIGH))
    queue.add(waiting(999, priority=LOW))
    queue.add(queue.get(count - 1)._replace(on_hold=True))
    agrees()
    for number in range(count // 2 + 1, count - 1):
        queue.remove(number)
    agrees()
    queue.know_places(list(queue), at=MONDAY + HOUR)
    agrees()


def test_a_ticket_that_changes_is_noted_once_and_presses_and_ends_at_its_time():
    queue = ThrottleQueue([], some_balances(a_limit()).instances, share_label="team")
    ticket = waiting(1)._replace(deadline=MONDAY + 4 * HOUR)
    for changed in (ticket, ticket._replace(was_deferred=True), ticket._replace(on_hold=True), ticket):
        queue.add(changed)
    assert (len(queue._will_press), len(queue._due)) == (1, 1)
    later = ticket._replace(deadline=MONDAY + 40 * HOUR)
    queue.add(later)
    assert [queue.due(MONDAY + 4 * HOUR), queue.press(ticket.presses_from)] == [[], []]
    assert [queue.press(later.presses_from), queue.due(MONDAY + 40 * HOUR)] == [[later], [later]]


@pytest.mark.parametrize("left", [[], [3], [1, 2]], ids=["nobody", "somebody large", "the smallest"])
def test_the_bound_of_a_group_is_made_exact(left):
    queue = ThrottleQueue(
        [waiting(n, tokens=10 * n) for n in (1, 2, 3)], some_balances(a_limit()).instances, share_label="team"
    )
    for number in left:
        queue.remove(number)
    (key,) = queue.groups(None)
    queue.tighten(key)
    assert queue.group(key).least == [min(queue.needs(ticket.id)[0] for ticket in queue)]


def test_who_has_left_is_forgotten_although_its_time_is_far():
    """Most start long before they would press or be late: calendars must not grow with all that ever waited."""
    queue = ThrottleQueue([waiting(1)], some_balances(a_limit()).instances, share_label="team")
    for number in range(2, 4 * STALE):
        queue.add(waiting(number)._replace(deadline=MONDAY + 90 * HOUR))
        queue.remove(number)
    assert max(len(queue._will_press), len(queue._due)) <= STALE + 3
    assert [ticket.id for ticket in queue.press(MONDAY + 60 * HOUR)] == [1]
