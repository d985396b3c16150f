"""Tickets: what they need, and which ends mean what."""

import pytest

from quota_scheduler.core.tickets.ticket import GIVEN_UP, NEVER_RAN, REOPENING, Outcome, Reservation, need
from quota_scheduler.core.units import Unit
from tests.builders import a_concurrency_limit, a_limit, a_ticket


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
