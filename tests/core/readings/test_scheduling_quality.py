"""Scheduling quality: what closed windows did to work, and whom a ticket that closed was turned away by."""

from datetime import timedelta

import pytest

from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.scheduling_quality import ClassQuality, ClosedWindow, could_have_used, harm_of, pool
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
)


def a_closed_window(**changes):
    """A window of 100 that was used up by everybody alike."""
    fields = {"used": sum(changes.get("served", (25, 25, 25, 25))), "served": (25, 25, 25, 25)}
    return ClosedWindow("day", MONDAY, MONDAY + DAY, 100, **(fields | changes))


@pytest.mark.parametrize(
    ("window", "harm", "lost", "value"),
    [
        pytest.param(a_closed_window(), 0, 0, 1, id="all that was asked for was done"),
        pytest.param(
            a_closed_window(missed=(25, 0, 0, 0)), 1 / 3, 0, 375 / 550, id="people went without though low work ran"
        ),
        pytest.param(
            a_closed_window(served=(100, 0, 0, 0), missed=(0, 50, 0, 0)), 0, 0, 1, id="more than there was is no harm"
        ),
        pytest.param(
            a_closed_window(served=(80, 0, 0, 20), missed=(0, 40, 0, 0)),
            20 / 120,
            0,
            660 / 720,
            id="what low work took could have spared half of it",
        ),
        pytest.param(
            a_closed_window(missed=(0, 0, 25, 25)), 0, 0, 375 / 400, id="lesser work turned away harms no one"
        ),
        pytest.param(
            a_closed_window(served=(25, 0, 0, 0), waited=(0, 0, 0, 40)),
            0,
            0.4,
            200 / 240,
            id="expired while low waited",
        ),
        pytest.param(
            a_closed_window(served=(70, 0, 0, 0), waited=(0, 0, 0, 40)), 0, 0.3, 560 / 590, id="no more than was unused"
        ),
        pytest.param(a_closed_window(served=(20, 0, 0, 0)), 0, 0, 1, id="nobody waited, nothing was lost"),
        pytest.param(
            a_closed_window(served=(150, 0, 0, 0), waited=(0, 0, 0, 9)), 0, 0, 1, id="more than the amount was used"
        ),
    ],
)
def test_one_window(window, harm, lost, value):
    found = pool([window])
    assert (found.avoidable_harm, found.lost, found.value) == pytest.approx((harm, lost, value))


def test_windows_are_pooled_as_sums_over_sums():
    first = a_closed_window(served=(10, 0, 0, 0), missed=(30, 0, 0, 0), runs=(1, 0, 0, 4), stalls=(1, 0, 0, 0))
    second = a_closed_window(served=(60, 0, 0, 40), runs=(3, 0, 0, 4), stalls=(0, 0, 0, 2))
    found = pool([first, second])
    assert (found.windows, found.since) == (2, MONDAY)
    assert (found.avoidable_harm, found.lost, found.utilisation) == (0.3, 0, 0.55)
    assert found.value == (80 + 520) / (320 + 520)
    assert found.classes == (
        ClassQuality("interactive", 0.3, 0.25),
        ClassQuality("high", None, None),
        ClassQuality("normal", None, None),
        ClassQuality("low", 0, 0.25),
    )


def test_where_nothing_was_asked_for_nothing_is_said():
    assert pool([a_closed_window(served=(0, 0, 0, 0))]).avoidable_harm is None


@pytest.mark.parametrize(
    ("waited", "amount"),
    [
        pytest.param(HOUR, 100, id="a run of an hour that waited for one"),
        pytest.param(4 * HOUR, 100, id="or longer"),
        pytest.param(HOUR / 4, 25, id="a quarter of it"),
        pytest.param(timedelta(0), 0, id="one that has just come"),
    ],
)
def test_could_have_used(waited, amount):
    assert could_have_used(100, waited=waited, takes=HOUR) == amount


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
