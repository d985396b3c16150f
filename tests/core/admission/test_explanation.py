"""Sentences: why a ticket waits, was rejected or closed, and until when."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.admission.explanation import WHY, explain, reset_text
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from tests.builders import MIDNIGHT, a_running_ticket, a_ticket

BERLIN = "Europe/Berlin"


def held(*instances, reason=Reason.NO_HEADROOM):
    return tuple(Blocker(instance, reason, MIDNIGHT) for instance in instances)


def closed(outcome, reason=Reason.FITS):
    return a_ticket(state=State.CLOSED, outcome=outcome, reason=reason)


@pytest.mark.parametrize(
    ("ticket", "verdict", "sentence"),
    [
        pytest.param(a_running_ticket(), Admit(), "It is running.", id="it runs"),
        pytest.param(a_ticket(state=State.OFFERED), Admit(), "It may start now.", id="it is offered"),
        pytest.param(
            a_ticket(),
            Defer(MIDNIGHT, Reason.NO_HEADROOM, held("day")),
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: day has no room for it.",
            id="it waits, in local time",
        ),
        pytest.param(
            a_ticket(),
            Defer(MIDNIGHT, Reason.EXHAUSTED, (*held("day"), *held("week", reason=Reason.EXHAUSTED))),
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: week is exhausted.",
            id="only the limits of that reason",
        ),
        pytest.param(
            a_ticket(),
            Defer(MIDNIGHT, Reason.NO_HEADROOM, held("day", "week")),
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: day and week has no room for it.",
            id="several limits",
        ),
        pytest.param(
            a_ticket(priority=Priority.LOW),
            Defer(MIDNIGHT, Reason.THROTTLED, held("day", reason=Reason.THROTTLED)),
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: day is throttled for low work.",
            id="the class by name",
        ),
        pytest.param(
            closed(Outcome.REJECTED, Reason.NEVER_FITS),
            Reject(Reason.NEVER_FITS, held("day", reason=Reason.NEVER_FITS)),
            "Rejected: its estimate is larger than day allows in a whole window.",
            id="it never fits",
        ),
        pytest.param(
            closed(Outcome.REJECTED, Reason.RUN_CAP),
            None,
            "Rejected: its estimate would take the run over the limit.",
            id="rejected some time ago",
        ),
        pytest.param(
            closed(Outcome.DEADLINE, Reason.DEADLINE), None, "Closed: its deadline has passed.", id="deadline"
        ),
        pytest.param(
            closed(Outcome.ABANDONED, Reason.ABANDONED),
            None,
            "Closed: its runner did not claim three offers.",
            id="abandoned",
        ),
        pytest.param(
            closed(Outcome.WAITED_TOO_LONG, Reason.WAITED_TOO_LONG),
            None,
            "Closed: it waited longer than it was to wait.",
            id="waited too long",
        ),
        pytest.param(closed(Outcome.COMPLETED), None, "Closed: completed.", id="done"),
        pytest.param(closed(Outcome.EXPIRED), None, "Closed: expired.", id="expired"),
        pytest.param(a_ticket(), None, "It waits.", id="nobody has looked at it yet"),
    ],
)
def test_explain(ticket, verdict, sentence):
    assert explain(ticket, verdict, zone=BERLIN) == sentence


def test_every_reason_has_its_words():
    assert set(WHY) == set(Reason)


@pytest.mark.parametrize(("ends_at", "text"), [(MIDNIGHT, "Tue 24 Nov 00:00 UTC"), (None, "never")])
def test_reset_text(ends_at, text):
    assert reset_text(ends_at, "UTC") == text
