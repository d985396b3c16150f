"""Answers: a ticket as it stands, with its verdict, position, what it holds, and what is advised."""

import pytest

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.admission.explanation import ExpectedStart
from quota_scheduler.core.cycle.answers import answer, preview
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.efficiency.optimization import Optimization
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from tests.builders import HOUR, MINUTE, MONDAY, a_concurrency_limit, a_limit, a_running_ticket, a_ticket
from tests.core.cycle.snapshots import RESET, a_snapshot

FULL = Defer(RESET, Reason.NO_HEADROOM, (Blocker("day", Reason.NO_HEADROOM, RESET),))
WAITING = a_ticket(50, number=1, model="big")
AT_RESET = ExpectedStart(RESET, RESET, RESET)
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
            },
            id="so would one with another model",
        ),
        pytest.param(
            WAITING,
            FULL,
            {"used": {"day": 40}, "busy_until": {"day": MONDAY + HOUR}},
            {
                "verdict": FULL,
                "position": 1,
                "expected": ExpectedStart(MONDAY, MONDAY + HOUR, RESET),
                "optimization": Optimization.BALANCED,
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
