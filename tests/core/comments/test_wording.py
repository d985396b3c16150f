"""What a comment says, whole."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer
from quota_scheduler.core.admission.expected_start import ExpectedStart
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.comments.wording import CommentFacts, comment
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from tests.builders import HOUR, MIDNIGHT, MINUTE, MONDAY, a_running_ticket, a_ticket, some_labels

BERLIN = CommentFacts("Europe/Berlin", {}, {})
START = ExpectedStart(MIDNIGHT - HOUR, MIDNIGHT, MIDNIGHT + HOUR)
WAITING = a_ticket(2_500_000, number=1, workflow="nightly", team="growth")
HELD = (Blocker("day", Reason.EXHAUSTED, MIDNIGHT),)


def test_what_waits_says_why_where_in_line_and_until_when():
    answer = Answer(
        WAITING,
        Defer(MIDNIGHT, Reason.EXHAUSTED, HELD),
        position=3,
        expected=START,
        figures={"day": Figures(Unit.TOKENS, 2_500_000, 10_000_000, 0, 10_000_000, 10_000_000)},
        counterfactuals=({"change": "model", "model": "claude-haiku-4-5"}, {"change": "estimate", "tokens": 120_000}),
    )
    assert comment(answer, BERLIN) == (
        "⏸️ **Cannot Start Workflow**\n\n"
        "**Reason:** `day` is exhausted.\n\n"
        "**Figures:**\n- `day`: asks for 2.5M tokens; 10M tokens used of 10M tokens\n\n"
        "**Place in line:** 3\n"
        "**Expected start:** Tue 24 Nov 01:00 Europe/Berlin "
        "(between Tue 24 Nov 00:00 Europe/Berlin and Tue 24 Nov 02:00 Europe/Berlin)\n\n"
        "**Recommendations:**\n- with the model `claude-haiku-4-5` it could start now\n"
        "- with up to 120k tokens it could start now\n\n"
        "It starts by itself; nobody has to do anything.\n\n"
        "<sub>workflow `nightly` · team `growth` · class normal · ticket t1</sub>"
    )


def test_what_is_throttled_says_so():
    held = (Blocker("week", Reason.PACED, MIDNIGHT),)
    text = comment(Answer(WAITING, Defer(MIDNIGHT, Reason.PACED, held), position=1, expected=START), BERLIN)
    assert text.startswith(
        "⏳ **Workflow Throttled**\n\n**Reason:** What `week` has left is kept for more important work"
    )


def test_what_runs_says_what_it_is_expected_to_take_and_how_long_it_waited():
    ticket = a_running_ticket(2_500_000)
    ticket = ticket._replace(lease=ticket.lease._replace(granted_at=MONDAY + 3 * HOUR + 5 * MINUTE), created_at=MONDAY)
    assert comment(Answer(ticket, Admit()), BERLIN) == (
        "✅ **Pre-Flight Checks Passed**\n\n"
        "**Estimated tokens:** 2,500,000 (confidence 100%, $0.00)\n"
        "**Started:** Mon 23 Nov 13:05 Europe/Berlin, after it had waited 3 h 05 min\n\n"
        "🚀 Starting workflow…\n\n"
        "<sub>class normal · ticket t1</sub>"
    )


def test_what_has_ended_says_what_it_cost():
    ticket = a_running_ticket(1_000)
    ticket = ticket._replace(state=State.CLOSED, outcome=Outcome.COMPLETED, closed_at=MONDAY + 12 * MINUTE)
    used = Usage(output=900, cost_microusd=3_251_000)
    assert comment(Answer(ticket, None), replace(BERLIN, used=used)) == (
        "✅ **Workflow Finished**\n\n"
        "**Ended:** Mon 23 Nov 10:12 Europe/Berlin, after 12 min\n"
        "**Final cost:** $3.25 for 900 tokens (expected: $0.00 for 1,000)\n\n"
        "<sub>class normal · ticket t1</sub>"
    )


@pytest.mark.parametrize("outcome", [pytest.param(outcome, id=outcome.value) for outcome in Outcome])
def test_every_way_to_end_has_a_first_line(outcome):
    ticket = a_ticket(number=1, state=State.CLOSED, outcome=outcome, closed_at=MONDAY, reason=Reason.NEVER_FITS)
    assert comment(Answer(ticket, None), BERLIN).split("\n")[0].count("**") == 2


@pytest.mark.parametrize("reason", [pytest.param(reason, id=reason.value) for reason in Reason])
def test_every_reason_has_a_sentence(reason):
    text = comment(Answer(WAITING, Defer(MIDNIGHT, reason, (Blocker("day", reason, MIDNIGHT),))), BERLIN)
    assert "**Reason:** " in text
    assert "{" not in text


def test_nothing_that_others_wrote_stands_outside_a_code_span():
    evil = "`@all` <img src=x> [a](b) #1\n# h"
    labels = some_labels(provider="@p", workflow=evil, team=evil, model=evil)
    held = tuple(Blocker(f"team/{evil}{number}", Reason.NO_HEADROOM, MIDNIGHT) for number in range(2))
    text = comment(
        Answer(WAITING._replace(labels=labels), Defer(MIDNIGHT, Reason.NO_HEADROOM, held), position=1), BERLIN
    )
    spans = "`` `@all` <img src=x> [a](b) #1 # h ``", "``team/`@all` <img src=x> [a](b) #1 # h"
    outside = text
    for span in (spans[0], f"{spans[1]}0``", f"{spans[1]}1``"):
        outside = outside.replace(span, "")
    assert [sign for sign in ("@", "<img", "](", "#") if sign in outside] == []


def test_a_lease_that_is_to_stop_says_so():
    text = comment(Answer(a_running_ticket(), Admit(), stop=True), BERLIN)
    assert text.startswith("🛑 **Workflow Is Stopping**")


def test_a_short_wait_is_not_worth_a_word():
    ticket = a_running_ticket()
    ticket = ticket._replace(lease=ticket.lease._replace(granted_at=MONDAY + timedelta(seconds=5)), created_at=MONDAY)
    assert "waited" not in comment(Answer(ticket, Admit()), BERLIN)
