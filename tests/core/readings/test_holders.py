"""Who holds whom: limits and reasons of what waits, everybody once by class and reason."""

import pytest

from quota_scheduler.core.admission.decide import RETRY
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.readings.holders import HEARD, VOICES_OF_ALL, WaitingSums, queue_in, queue_reading
from quota_scheduler.core.readings.readings import ClassReading, HeldReading
from tests.builders import (
    DAY,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_ticket,
    some_balances,
)

PEOPLE, HIGH, NORMAL, LOW = Priority
TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)
SPENT = Balance(1, a_limit(100), "", TODAY, used=100)
BUSY = Balance(2, a_concurrency_limit(1), "", None, reserved=1)


def waiting(number, *, minutes=0, tokens=10, **changes):
    """A ticket that has waited for so many minutes."""
    return a_ticket(tokens, number=number, at=MONDAY - minutes * MINUTE, **changes)


def read(tickets, *rows, hold=False):
    """What is read of a throttle queue."""
    balances = some_balances(*(balance.limit for balance in rows), now=MONDAY, rows=rows)
    queue = queue_in(ThrottleQueue(tickets, balances.instances, share_label="team"), hold=hold)
    return queue_reading(queue, Headrooms(balances, {}, queue=WaitingSums(queue.waiting)), now=MONDAY)


def held(limit, reason, priority, count, *, minutes=0, until=MONDAY + RETRY):
    return HeldReading(limit, reason, priority, count, MONDAY - minutes * MINUTE, until)


EXHAUSTED, CONCURRENCY = "exhausted", "concurrency"


@pytest.mark.parametrize(
    ("tickets", "rows", "reasons", "holders"),
    [
        pytest.param([], [SPENT], {}, [], id="nobody"),
        pytest.param(
            [waiting(1, minutes=3), waiting(2, minutes=9), waiting(3, priority=LOW)],
            [SPENT],
            {EXHAUSTED: 3},
            [
                held("day", EXHAUSTED, NORMAL, 2, minutes=9, until=MIDNIGHT),
                held("day", EXHAUSTED, LOW, 1, until=MIDNIGHT),
            ],
            id="by class, since the oldest came, until the reset",
        ),
        pytest.param(
            [waiting(1), waiting(2)],
            [SPENT, BUSY],
            {EXHAUSTED: 2},
            [
                held(BUSY.limit.id, CONCURRENCY, NORMAL, 2),
                held("day", EXHAUSTED, NORMAL, 2, until=MIDNIGHT),
            ],
            id="in each limit that holds, and once by the reason that lasts longest",
        ),
        pytest.param(
            [waiting(1), waiting(2, tokens=95)],
            [Balance(1, a_limit(100), "", TODAY, used=10), BUSY],
            {CONCURRENCY: 1, "no_headroom": 1},
            [
                held(BUSY.limit.id, CONCURRENCY, NORMAL, 2),
                held("day", "no_headroom", NORMAL, 1, until=MIDNIGHT),
            ],
            id="a limit with room for it does not hold it",
        ),
        pytest.param(
            [waiting(1)],
            [Balance(1, a_limit(100, mode=Mode.WARN), "", TODAY, used=100)],
            {"paced": 1},
            [],
            id="a limit that only warns holds nobody",
        ),
        pytest.param([waiting(1)], [], {"paced": 1}, [], id="what fits waits for its turn"),
    ],
)
def test_who_holds_whom(tickets, rows, reasons, holders):
    found = read(tickets, *rows)
    assert dict(found.reasons) == reasons
    assert sorted(found.held, key=lambda each: each.limit) == sorted(holders, key=lambda each: each.limit)
    assert sum(own.waiting for own in found.classes) == len(tickets)


def test_every_class_is_named_and_knows_its_oldest():
    found = read([waiting(1, minutes=4), waiting(2, minutes=5), waiting(3, priority=PEOPLE)], SPENT)
    assert found.classes == (
        ClassReading("interactive", 1, MONDAY),
        ClassReading("high", 0, None),
        ClassReading("normal", 2, MONDAY - 5 * MINUTE),
        ClassReading("low", 0, None),
    )


def test_under_the_incident_switch_no_limit_holds():
    found = read([waiting(1)], SPENT, hold=True)
    assert (found.reasons, found.held) == ((("held", 1),), ())


def test_a_long_line_of_many_needs_is_counted_whole():
    many = [waiting(number, minutes=HEARD * 3 - number, tokens=number) for number in range(1, HEARD * 3)]
    found = read(many, SPENT)
    assert [each.waiting for each in found.held] == [len(many)]
    assert found.held[0].oldest_at == many[0].waiting_since


def test_a_line_of_many_groups_is_decided_by_few_voices_and_counted_whole():
    many = [
        waiting(number, minutes=number % 50, tokens=number, team=f"t{number % (VOICES_OF_ALL // 2)}")
        for number in range(1, 4 * VOICES_OF_ALL)
    ]
    balances = some_balances(a_limit(100))
    snapshot = queue_in(ThrottleQueue(many, balances.instances, share_label="team"))
    assert len(snapshot.alike) == VOICES_OF_ALL
    assert sum(party.count for party in snapshot.alike) == len(many)
