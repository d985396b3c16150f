"""Tickets: what they need, and which ends mean what."""

import pytest

from quota_scheduler.core.tickets.ticket import (
    GIVEN_UP,
    NEVER_RAN,
    REOPENING,
    Lease,
    Outcome,
    Reason,
    Reservation,
    State,
    need,
)
from quota_scheduler.core.units import Unit
from tests.builders import HOUR, MONDAY, a_concurrency_limit, a_limit, a_ticket


@pytest.mark.parametrize(
    ("limit", "amount"),
    [
        pytest.param(a_limit(), 10, id="tokens"),
        pytest.param(a_limit(unit=Unit.REQUESTS), 1, id="requests"),
        pytest.param(a_concurrency_limit(), 1, id="one lease, however large"),
        pytest.param(a_limit(weights=(1000, 1000, 1000, 1000, 500)), 5, id="by the weights of the limit"),
    ],
)
def test_need(limit, amount):
    assert need(a_ticket(10), limit) == amount


@pytest.mark.parametrize(
    ("fields", "hours"),
    [
        pytest.param({}, 54, id="after two days and a quarter when it says nothing"),
        pytest.param({"wait_until": MONDAY + 8 * HOUR}, 6, id="after three quarters of its longest wait"),
        pytest.param({"deadline": MONDAY + 4 * HOUR}, 3, id="or of the time to its deadline"),
        pytest.param({"wait_until": MONDAY + 8 * HOUR, "deadline": MONDAY + 2 * HOUR}, 1.5, id="whichever comes first"),
        pytest.param({"deadline": MONDAY - HOUR}, 0, id="who comes late presses from the first"),
    ],
)
def test_when_a_ticket_presses(fields, hours):
    ticket = a_ticket(**fields)
    assert (ticket.presses_from, ticket.presses(MONDAY + 2 * HOUR)) == (MONDAY + hours * HOUR, hours <= 2)


def test_who_was_abandoned_never_ran_but_was_offered_room():
    assert {Outcome.ABANDONED} == NEVER_RAN - GIVEN_UP
    assert {Outcome.ABANDONED, Outcome.EXPIRED, Outcome.PAUSED_QUOTA} == REOPENING


@pytest.mark.parametrize(
    ("reservation", "spent", "held", "extra", "overrun"),
    [
        pytest.param(Reservation(1, 1, "day", 10), 0, 10, 0, 0, id="nothing used yet"),
        pytest.param(Reservation(1, 1, "day", 10, 4, 3), 4, 6, 1, 0, id="the larger of report and transcript"),
        pytest.param(Reservation(1, 1, "day", 10, 3, 4), 4, 6, 0, 0, id="whoever says it"),
        pytest.param(Reservation(1, 1, "day", 10, 12), 12, 0, 12, 2, id="beyond what was reserved"),
        pytest.param(Reservation(1, 1, "day", 10, 4, open=False), 4, 0, 0, 0, id="settled it holds nothing"),
    ],
)
def test_a_reservation(reservation, spent, held, extra, overrun):
    figures = reservation.spent, reservation.held, reservation.extra, reservation.overrun
    assert figures == (spent, held, extra, overrun)


def test_the_quick_copies_are_what_replacing_fields_would_make():
    """They go by place: a field that is added in between must not end up in another's."""
    ticket = a_ticket(number=3, offer_until=MONDAY, was_deferred=True)
    lease = Lease(7, MONDAY, MONDAY + HOUR, HOUR, "")
    assert ticket.numbered(9) == ticket._replace(id=9)
    assert ticket.granted(lease) == ticket._replace(
        state=State.RUNNING, offer_until=None, lease=lease, reason=Reason.FITS
    )
