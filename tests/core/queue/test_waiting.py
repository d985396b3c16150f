"""What waits for each limit instance, class by class."""

from quota_scheduler.core.queue.waiting import WaitingTotals, waiting_of
from tests.builders import MINUTE, MONDAY, a_limit, some_balances
from tests.core.queue.lines import HIGH, NORMAL, waiting

BALANCES = some_balances(a_limit(), a_limit(id="team", per="team"))


def test_nothing_waits():
    assert waiting_of([], BALANCES.instances) == {}


def test_totals_by_limit_instance_and_class():
    tickets = [
        waiting(1, team="x", minutes=3),
        waiting(2, team="y", minutes=9, tokens=30),
        waiting(3, team="y", minutes=1, tokens=5, priority=HIGH),
    ]
    assert waiting_of(tickets, BALANCES.instances) == {
        "day": {
            NORMAL: WaitingTotals(2, 40, 10, MONDAY - 9 * MINUTE),
            HIGH: WaitingTotals(1, 5, 5, MONDAY - MINUTE),
        },
        "team/x": {NORMAL: WaitingTotals(1, 10, 10, MONDAY - 3 * MINUTE)},
        "team/y": {
            NORMAL: WaitingTotals(1, 30, 30, MONDAY - 9 * MINUTE),
            HIGH: WaitingTotals(1, 5, 5, MONDAY - MINUTE),
        },
    }
