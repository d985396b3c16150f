"""What tickets leave behind as they close."""

import pytest

from quota_scheduler.core.cycle.closing import (
    FinishedRun,
    TurnedAway,
    UnmetDemand,
    counters,
    finished_runs,
    harm_of,
    turned_away,
    unmet_demand,
)
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.run_history import Finished
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from tests.builders import (
    DAILY,
    DAY,
    HOUR,
    MONDAY,
    a_concurrency_limit,
    a_lease,
    a_limit,
    a_report,
    a_ticket,
    a_window,
    some_balances,
    some_usage,
)

DAY_LIMIT, OTHER = a_limit(100), a_limit(1000, id="other", schedule=DAILY)


def a_closed_ticket(outcome=Outcome.WAITED_TOO_LONG, **changes):
    fields = {"state": State.CLOSED, "outcome": outcome, "closed_at": MONDAY, "priority": Priority.HIGH}
    return a_ticket(10, number=1, **(fields | changes))


def full_balances(*limits, used=95, reserved=0, leases=0):
    """A day nearly used up, and another limit with plenty of room."""
    limits = limits or (DAY_LIMIT, OTHER)
    rows = [
        Balance(0, limit, "", a_window(MONDAY - HOUR, DAY) if limit.is_windowed else None, used=used, reserved=reserved)
        for limit in limits
        if limit.id == "day"
    ]
    rows += [Balance(0, limit, "", a_window(MONDAY - HOUR, DAY)) for limit in limits if limit.id == "other"]
    rows += [Balance(0, limit, "", None, reserved=leases) for limit in limits if limit.id == "leases"]
    return some_balances(*limits, rows=rows)


@pytest.mark.parametrize(
    ("ticket", "balances", "turned_away"),
    [
        pytest.param(a_closed_ticket(), full_balances(), {"day": 10}, id="the limit without room, not the other one"),
        pytest.param(
            a_closed_ticket(), full_balances(used=10), {"day": 10, "other": 10}, id="both, when it was held for others"
        ),
        pytest.param(a_closed_ticket(Outcome.WITHDRAWN), full_balances(), {"day": 10}, id="who withdraws gave up"),
        pytest.param(
            a_closed_ticket(Outcome.ABANDONED), full_balances(), {}, id="an abandoned runner was offered room"
        ),
        pytest.param(a_closed_ticket(Outcome.COMPLETED), full_balances(), {}, id="what finished was not turned away"),
        pytest.param(
            a_closed_ticket(Outcome.REJECTED, reason=Reason.NEVER_FITS), full_balances(), {}, id="nor what never fits"
        ),
        pytest.param(
            a_closed_ticket(Outcome.REJECTED, reason=Reason.NO_HEADROOM), full_balances(), {"day": 10}, id="refused"
        ),
        pytest.param(
            a_closed_ticket(),
            full_balances(a_limit(100, mode=Mode.WARN), OTHER),
            {"other": 10},
            id="a limit that only warns turns nobody away",
        ),
        pytest.param(
            a_closed_ticket(),
            full_balances(DAY_LIMIT, a_concurrency_limit(1), used=10, leases=1),
            {},
            id="waiting for a lease is no matter of quota",
        ),
        pytest.param(a_closed_ticket(on_hold=True), full_balances(used=10), {}, id="nor is waiting for an operator"),
        pytest.param(
            a_closed_ticket(Outcome.FAILED, lease=a_lease(reported=a_report(4))),
            full_balances(used=100),
            {"day": 6},
            id="a run that broke off in an exhausted window lost what was left of it",
        ),
        pytest.param(
            a_closed_ticket(Outcome.FAILED, lease=a_lease()), full_balances(), {}, id="a run that failed by itself"
        ),
        pytest.param(a_ticket(10), full_balances(), {}, id="one that still waits"),
    ],
)
def test_harm_of(ticket, balances, turned_away):
    found = harm_of(ticket, balances)
    assert {each.instance.name: each.amount for each in found} == turned_away
    assert {(each.rank, each.stalled) for each in found} <= {(ticket.priority.rank, ticket.lease is not None)}


BEFORE = a_ticket(10, number=1, priority=Priority.HIGH)
ABANDONED = a_closed_ticket(Outcome.ABANDONED)
ARRIVED = UnmetDemand(MONDAY, "day", Priority.HIGH.rank, 10)


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        pytest.param(BEFORE, a_closed_ticket(Outcome.WITHDRAWN), [ARRIVED], id="who gives up wanted to run"),
        pytest.param(BEFORE, a_closed_ticket(Outcome.DEADLINE), [ARRIVED], id="so did who came too late"),
        pytest.param(BEFORE, ABANDONED, [ARRIVED], id="and who never claimed its offers"),
        pytest.param(
            None, a_closed_ticket(Outcome.REJECTED, reason=Reason.EXHAUSTED), [ARRIVED], id="refused for want of room"
        ),
        pytest.param(
            None, a_closed_ticket(Outcome.REJECTED, reason=Reason.RUN_CAP), [], id="what passes a cap could not be met"
        ),
        pytest.param(
            BEFORE._replace(state=State.RUNNING),
            a_closed_ticket(Outcome.WITHDRAWN, lease=a_lease()),
            [],
            id="who has run is no unmet demand",
        ),
        pytest.param(ABANDONED, BEFORE, [UnmetDemand(MONDAY, "day", 1, -10)], id="opened again it is taken back"),
        pytest.param(ABANDONED, ABANDONED, [], id="opened again and closed at once it stays counted once"),
        pytest.param(None, BEFORE, [], id="who waits has not given up"),
    ],
)
def test_unmet_demand(before, after, rows):
    assert unmet_demand([(before, after)], some_balances(DAY_LIMIT, a_concurrency_limit())) == rows


FAILED = a_closed_ticket(Outcome.FAILED, lease=a_lease(reported=a_report(4)))
STALLED = TurnedAway("day", "", MONDAY - HOUR, Priority.HIGH.rank, 6, stalled=True)


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        pytest.param(BEFORE, FAILED, [STALLED], id="it closes"),
        pytest.param(FAILED, FAILED, [], id="it closed before and only reports late"),
        pytest.param(
            FAILED._replace(closed_at=MONDAY - HOUR), FAILED, [STALLED], id="it was taken up and closed again"
        ),
        pytest.param(None, BEFORE, [], id="it waits"),
    ],
)
def test_work_is_turned_away_once(before, after, rows):
    assert turned_away([(before, after)], full_balances(used=100)) == rows


def a_finished_ticket(outcome=Outcome.COMPLETED, *, used=7, **changes):
    fields = {"workflow": "nightly", "lease": a_lease(3, reported=a_report(used))}
    return a_closed_ticket(outcome, **(fields | changes))


def an_example(tokens=7):
    usage = some_usage(tokens)
    return Finished(MONDAY, "nightly", "", words=0, expected=10, guessed=False, usage=usage)


@pytest.mark.parametrize(
    ("ticket", "transcribed", "rows"),
    [
        pytest.param(
            a_finished_ticket(), {}, [FinishedRun(1, "ticket:1", "completed", an_example())], id="what it reported"
        ),
        pytest.param(
            a_finished_ticket(),
            {3: some_usage(9)},
            [FinishedRun(1, "ticket:1", "completed", an_example(9))],
            id="or what its transcript says, when that is more",
        ),
        pytest.param(
            a_finished_ticket(run="night-1", workflow=""),
            {},
            [FinishedRun(1, "night-1", "completed", None)],
            id="of no known kind: nothing to learn",
        ),
        pytest.param(
            a_finished_ticket(used=0), {}, [FinishedRun(1, "ticket:1", "completed", None)], id="it used nothing"
        ),
        pytest.param(
            a_finished_ticket(Outcome.FAILED), {}, [FinishedRun(1, "ticket:1", "failed", None)], id="it failed"
        ),
        pytest.param(
            a_finished_ticket(Outcome.PAUSED_QUOTA),
            {},
            [FinishedRun(1, "ticket:1", "paused_quota", None)],
            id="its quota ended",
        ),
        pytest.param(a_finished_ticket(Outcome.EXPIRED), {}, [], id="nobody knows how it ended"),
        pytest.param(BEFORE, {}, [], id="it waits"),
    ],
)
def test_finished_runs(ticket, transcribed, rows):
    assert finished_runs([(None, ticket)], transcribed, now=MONDAY) == rows


WOKEN, LOST = "quota_tickets_woken_total", "quota_tickets_abandoned_total"


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        pytest.param(BEFORE, BEFORE._replace(state=State.OFFERED), [WOKEN], id="offered"),
        pytest.param(BEFORE, BEFORE._replace(state=State.RUNNING), [WOKEN], id="started"),
        pytest.param(None, BEFORE._replace(state=State.RUNNING), [], id="who fits at once was not woken"),
        pytest.param(BEFORE, ABANDONED, [LOST], id="gave up"),
        pytest.param(BEFORE._replace(state=State.OFFERED), ABANDONED, [LOST], id="never claimed"),
        pytest.param(BEFORE._replace(state=State.RUNNING), FAILED, [], id="ran"),
    ],
)
def test_counters(before, after, names):
    assert counters([(before, after)], some_balances(DAY_LIMIT)) == [(name, ("day", "high")) for name in names]
