"""Sentences: why a ticket waits, was rejected or closed, and until when."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.admission.explanation import WHY, explain, reset_text
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from quota_scheduler.core.units import Unit
from tests.builders import DAY, HOUR, MIDNIGHT, SECOND, a_running_ticket, a_ticket

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
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: day and week have no room for it.",
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
        pytest.param(
            a_ticket(),
            Defer(MIDNIGHT, Reason.PACED, ()),
            "It waits until Tue 24 Nov 01:00 Europe/Berlin: it would fit, and those ahead of it in line go first.",
            id="M8: nobody more important is expected where no limit says so",
        ),
        pytest.param(
            a_ticket(),
            Defer(MIDNIGHT, Reason.HELD, ()),
            "It waits until an operator lets it go on: an operator holds it.",
            id="M3: nobody knows until when",
        ),
        pytest.param(a_ticket(), None, "It waits.", id="nobody has looked at it yet"),
    ],
)
def test_explain(ticket, verdict, sentence):
    assert explain(ticket, verdict, zone=BERLIN) == sentence


PACED = Defer(MIDNIGHT, Reason.PACED, held("day", reason=Reason.PACED))
KEPT = "what day has left is kept for more important work that is expected before the reset"
LATEST = "Tue 24 Nov 01:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("verdict", "expected", "sentence"),
    [
        pytest.param(PACED, None, f"It waits until {LATEST}: {KEPT}.", id="nobody knows"),
        pytest.param(PACED, MIDNIGHT, f"It waits until {LATEST}: {KEPT}.", id="with the reset"),
        pytest.param(PACED, MIDNIGHT + 9 * SECOND, f"It waits until {LATEST}: {KEPT}.", id="within its minute"),
        pytest.param(
            PACED,
            MIDNIGHT - 6 * HOUR,
            f"It waits until Mon 23 Nov 19:00 Europe/Berlin if all goes as expected, else until {LATEST}: {KEPT}.",
            id="before the reset",
        ),
        pytest.param(
            Defer(MIDNIGHT, Reason.NO_HEADROOM, held("day")),
            MIDNIGHT + 2 * DAY,
            "It waits until Thu 26 Nov 01:00 Europe/Berlin if all goes as expected: day has no room for it.",
            id="behind others, two windows later",
        ),
        pytest.param(
            Defer(MIDNIGHT, Reason.HELD, ()),
            MIDNIGHT - HOUR,
            "It waits until an operator lets it go on: an operator holds it.",
            id="a person decides",
        ),
        pytest.param(
            Defer(MIDNIGHT, Reason.PROVIDER_THROTTLED, ()),
            MIDNIGHT - HOUR,
            "It waits until 01:00:00 Europe/Berlin: anthropic refuses requests for the moment, so one ticket tries "
            "after a pause.",
            id="its provider decides",
        ),
    ],
)
def test_until_when_is_what_is_expected(verdict, expected, sentence):
    assert explain(a_ticket(), verdict, zone=BERLIN, expected=expected) == sentence


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        pytest.param(
            95, "day has no room for it (asks for 10 tokens; 95 tokens used of 100 tokens)", id="no room: the figures"
        ),
        pytest.param(
            20,
            "what day has left is kept for larger work ahead of it in line "
            "(asks for 10 tokens; 20 tokens used of 100 tokens)",
            id="M8: there is room, and somebody larger stands ahead",
        ),
    ],
)
def test_figures_of_the_binding_limit(used, sentence):
    verdict = Defer(MIDNIGHT, Reason.NO_HEADROOM, held("day"))
    figures = {"day": Figures(Unit.TOKENS, 10, used, 0, 100, 100)}
    told = explain(a_ticket(), verdict, zone=BERLIN, figures=figures)
    assert told == f"It waits until Tue 24 Nov 01:00 Europe/Berlin: {sentence}."


def test_every_reason_has_its_words():
    assert set(WHY) == set(Reason)


@pytest.mark.parametrize(("ends_at", "text"), [(MIDNIGHT, "Tue 24 Nov 00:00 UTC"), (None, "never")])
def test_reset_text(ends_at, text):
    assert reset_text(ends_at, "UTC") == text
