"""What a closed window came to: by class who used it, what ran, what waiting work could have used."""

from datetime import timedelta

import pytest

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.closed_windows import WaitedTicket, WindowFacts, judged
from quota_scheduler.core.readings.scheduling_quality import NOTHING, ClosedWindow
from tests.builders import DAY, HOUR, MIDNIGHT, a_concurrency_limit, a_limit, some_balances, some_labels, some_usage

WINDOW = ClosedWindow("day", MIDNIGHT - DAY, MIDNIGHT, 100, 60, waited=())
SETS = {1: (some_labels(), Priority.INTERACTIVE), 2: (some_labels(team="x"), Priority.LOW)}
WAITED = WaitedTicket(Priority.NORMAL, some_labels(), some_usage(40), MIDNIGHT - HOUR, timedelta(hours=2))


def test_usage_and_runs_are_told_by_class():
    facts = WindowFacts([(1, some_usage(50)), (2, some_usage(10))], [(1, 3), (2, 1)])
    found = judged(WINDOW, facts, SETS, some_balances(a_limit()))
    assert (found.served, found.runs, found.waited) == ((50, 0, 0, 10), (3, 0, 0, 1), NOTHING)


@pytest.mark.parametrize(
    ("limits", "used", "taken", "waited"),
    [
        pytest.param([a_limit()], 60, 0, (0, 0, 20, 0), id="half of its run would have fitted"),
        pytest.param([a_limit()], 100, 0, NOTHING, id="nothing was left"),
        pytest.param([a_limit(), a_concurrency_limit(1)], 60, 1, NOTHING, id="it waited for a lease"),
        pytest.param([a_limit(), a_concurrency_limit(1)], 60, 0, (0, 0, 20, 0), id="though one was free"),
        pytest.param([a_limit(id="other")], 60, 0, NOTHING, id="it did not count here"),
    ],
)
def test_what_waiting_work_could_have_used(limits, used, taken, waited):
    balances = some_balances(*limits)
    for _ in range(taken):
        balances.reserve(9, LimitInstance(limits[-1], ""), 1, running=True)
    window = ClosedWindow("day", MIDNIGHT - DAY, MIDNIGHT, 100, used, waited=())
    assert judged(window, WindowFacts(waited=[WAITED]), SETS, balances).waited == waited
