"""Answers: a ticket as it stands, with its verdict, position, what it holds, and what is advised."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.admission.expected_start import ExpectedStart
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.cycle.answers import answer, preview
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.efficiency.optimization import Optimization
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from quota_scheduler.core.units import Unit
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, MONDAY, a_concurrency_limit, a_limit, a_running_ticket, a_ticket
from tests.core.cycle.snapshots import RESET, a_snapshot

FULL = Defer(RESET, Reason.NO_HEADROOM, (Blocker("day", Reason.NO_HEADROOM, RESET),))
WAITING = a_ticket(50, number=1, model="big")
AT_RESET = ExpectedStart(RESET, RESET, RESET)
WITH_80 = {"figures": {"day": Figures(Unit.TOKENS, asked=50, used=80, reserved=0, ceiling=100, amount=100)}}
WITH_40 = {"figures": {"day": Figures(Unit.TOKENS, asked=50, used=40, reserved=0, ceiling=100, amount=100)}}
FREED = MONDAY + HOUR
UNTIL_FREED = Defer(FREED, Reason.NO_HEADROOM, (Blocker("day", Reason.NO_HEADROOM, FREED),))
TOKENS_LEFT = ({"change": "estimate", "tokens": 20},)


def cheaper(ticket, model):
    """With the small model everything takes a tenth."""
    reserve = ticket.estimate.reserve.scaled(1, 10)._replace(cost_microusd=0)
    return ticket._replace(
        labels=ticket.labels._replace(model=model), estimate=ticket.estimate._replace(reserve=reserve)
    )


PRICED = WAITING._replace(
    estimate=WAITING.estimate._replace(reserve=WAITING.estimate.reserve._replace(cost_microusd=1_000))
)


def closed(outcome, reason=Reason.FITS):
    return a_ticket(number=1, state=State.CLOSED, outcome=outcome, reason=reason)


@pytest.mark.parametrize(
    ("ticket", "verdict", "terms", "expected"),
    [
        pytest.param(
            a_running_ticket(10),
            None,
            {},
            {"verdict": Admit(), "reserved": (("day", 10), ("leases", 1)), "optimization": Optimization.MINIMAL},
            id="it runs",
        ),
        pytest.param(
            closed(Outcome.COMPLETED),
            None,
            {},
            {"verdict": None, "optimization": Optimization.MINIMAL},
            id="it is done",
        ),
        pytest.param(
            closed(Outcome.REJECTED, Reason.NEVER_FITS),
            None,
            {},
            {"verdict": Reject(Reason.NEVER_FITS, ()), "optimization": Optimization.MINIMAL},
            id="it was rejected before",
        ),
        pytest.param(
            WAITING,
            FULL,
            {"used": {"day": 80}},
            {
                "verdict": FULL,
                "position": 1,
                "expected": AT_RESET,
                "counterfactuals": TOKENS_LEFT,
                "optimization": Optimization.AGGRESSIVE,
                **WITH_80,
            },
            id="it waits for the reset; a smaller one would start",
        ),
        pytest.param(
            PRICED,
            FULL,
            {"used": {"day": 80}, "models": ("claude-haiku-4-5",), "reprice": cheaper},
            {
                "verdict": FULL,
                "position": 1,
                "expected": AT_RESET,
                "counterfactuals": ({"change": "model", "model": "claude-haiku-4-5"}, *TOKENS_LEFT),
                "optimization": Optimization.AGGRESSIVE,
                "model": "claude-haiku-4-5",
                **WITH_80,
            },
            id="so would one with another model",
        ),
        pytest.param(
            WAITING,
            FULL,
            {"used": {"day": 40}, "busy_until": {"day": MONDAY + HOUR}},
            {
                "verdict": UNTIL_FREED,
                "position": 1,
                "expected": ExpectedStart(MONDAY, FREED, RESET),
                "optimization": Optimization.BALANCED,
                **WITH_40,
            },
            id="it waits for running work to end",
        ),
    ],
)
def test_answers(ticket, verdict, terms, expected):
    snapshot = a_snapshot(ticket, limits=[a_limit(), a_concurrency_limit(5)], **terms)
    assert answer(ticket, verdict, Work(snapshot), snapshot.queue.running) == Answer(ticket, **expected)


def test_positions_follow_the_order_of_starts():
    tickets = [a_ticket(number=n, at=MONDAY - (9 - n) * MINUTE, team=team) for n, team in enumerate("aab", 1)]
    snapshot = a_snapshot(*tickets)
    work = Work(snapshot)
    held = Defer(MONDAY, Reason.HELD, ())
    assert [answer(ticket, held, work, {"a": 1}).position for ticket in tickets] == [2, 3, 1]


def test_a_question_is_answered_with_the_three_checks():
    found = preview(a_ticket(50), FULL, Work(a_snapshot(used={"day": 80})))
    assert [(check.check, check.ok) for check in found.checks] == [
        ("quota", False), ("forecast", True), ("run_budget", True)
    ]  # fmt: skip
    assert (found.position, found.reserved, found.expected) == (None, (), AT_RESET)


def test_M6_until_and_expected_start_are_one_instant_and_each_in_line_has_its_own():
    tickets = [a_ticket(90, number=n, at=MONDAY - (9 - n) * MINUTE) for n in (1, 2, 3, 4)]
    work = Work(a_snapshot(*tickets, used={"day": 100}))
    full = Defer(RESET, Reason.EXHAUSTED, (Blocker("day", Reason.EXHAUSTED, RESET),))
    answers = [answer(ticket, full, work, {}) for ticket in tickets]
    days = [RESET, *(MIDNIGHT + DAY * n for n in (1, 2, 3))]  # the window of a snapshot ends at nine
    assert [one.expected.expected for one in answers] == days
    assert [one.verdict.until for one in answers] == days
    assert [one.verdict.held[0].until for one in answers] == days


def test_B12_of_nothing_nothing_is_left():
    work = Work(a_snapshot(limits=[a_limit(0)]))
    assert preview(a_ticket(1), Reject(Reason.NEVER_FITS, ()), work).optimization == Optimization.EMERGENCY


def test_M17_what_a_run_holds_itself_is_left_for_it():
    running = a_running_ticket(90)
    assert answer(running, None, Work(a_snapshot(running)), {}).optimization == Optimization.MINIMAL
    beside = a_running_ticket(5, number=2)
    assert answer(beside, None, Work(a_snapshot(running, beside)), {}).optimization == Optimization.EMERGENCY
