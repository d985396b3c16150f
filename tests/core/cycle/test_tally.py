"""Each decision is counted once, under one limit, class and reason."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.cycle.tally import THROTTLES, Counted, Tallied, tally
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.tickets.ticket import Reason, State
from tests.builders import MONDAY, a_limit, a_ticket

TICKET = a_ticket(number=7)
HELD = (Blocker("week", Reason.PAUSED, MONDAY), Blocker("day", Reason.PACED, MONDAY))
NO_LIMITS, ONE_LIMIT = Balances([], [], now=MONDAY), Balances([a_limit()], [], now=MONDAY)


@pytest.mark.parametrize(
    ("verdict", "balances", "expected"),
    [
        pytest.param(Admit(), ONE_LIMIT, ("day", "normal", Counted.ADMITTED, "fits"), id="admitted"),
        pytest.param(Admit(), NO_LIMITS, ("", "normal", Counted.ADMITTED, "fits"), id="nothing binds it"),
        pytest.param(
            Defer(MONDAY, Reason.PAUSED, HELD), ONE_LIMIT, ("week", "normal", Counted.DEFERRED, "paused"),
            id="the first limit that holds it",
        ),
        pytest.param(
            Defer(MONDAY, Reason.HELD, ()), ONE_LIMIT, ("day", "normal", Counted.DEFERRED, "held"),
            id="an operator holds it, no limit",
        ),
        pytest.param(
            Reject(Reason.NEVER_FITS, HELD[1:]), ONE_LIMIT, ("day", "normal", Counted.REJECTED, "never_fits"),
            id="rejected",
        ),
    ],
)  # fmt: skip
def test_a_decision_counts_once(verdict, balances, expected):
    assert tally([(TICKET, verdict)], [], balances) == [Tallied(7, *expected)]


WAITING = TICKET._replace(reason=Reason.PAUSED)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(WAITING, State.OFFERED, [Tallied(7, "", "normal", Counted.WOKEN, "paused")], id="offered"),
        pytest.param(WAITING, State.RUNNING, [Tallied(7, "", "normal", Counted.WOKEN, "paused")], id="started"),
        pytest.param(WAITING, State.CLOSED, [], id="given up"),
        pytest.param(None, State.RUNNING, [], id="fits at once"),
    ],
)
def test_a_woken_ticket_counts_for_why_it_waited(before, after, expected):
    assert tally([], [(before, TICKET._replace(state=after))], ONE_LIMIT) == expected


def test_only_a_quota_throttles():
    assert {"held", "concurrency", "provider_throttled", "catching_up"}.isdisjoint(THROTTLES)
