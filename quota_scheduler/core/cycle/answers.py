"""Answers: a ticket as it stands after the cycle, with its verdict, why, until when, and what is advised."""

from collections.abc import Mapping
from typing import Any

from quota_scheduler.core.admission.decide import Admit, Defer, Reject, Verdict
from quota_scheduler.core.admission.explanation import ExpectedStart, cheaper_model, counterfactuals, expected_start
from quota_scheduler.core.admission.preflight import checks
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.efficiency.optimization import Optimization, optimization_level
from quota_scheduler.core.queue.order import place
from quota_scheduler.core.tickets.ticket import Outcome, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

Why = tuple[ExpectedStart | None, tuple[Mapping[str, Any], ...]]


def answer(ticket: Ticket, verdict: Verdict | None, work: Work, running: Mapping[str, int]) -> Answer:
    """What the runner of a ticket is told; ``verdict`` None where this cycle had nothing to decide about it.

    ``running`` counts by share what runs or is offered after the cycle.
    """
    if verdict is None and ticket.state in (State.OFFERED, State.RUNNING):
        verdict = Admit()
    if verdict is None and ticket.outcome is Outcome.REJECTED:
        verdict = Reject(ticket.reason, ())
    level, (expected, changes) = _optimization(ticket, work), _why(ticket, verdict, work)
    return Answer(
        ticket,
        verdict,
        position=place(work.queue, ticket.id, running, work.policy, now=work.now),
        reserved=_reserved(ticket, work),
        stop=ticket.id in work.stops,
        optimization=level,
        model=_model(ticket, level, work),
        expected=expected,
        counterfactuals=changes,
    )


def preview(draft: Ticket, verdict: Verdict, work: Work) -> Answer:
    """What would be decided about a ticket that is only asked about, with the three checks."""
    used = work.snap.runs.used.get(draft.run, Usage())
    level, (expected, changes) = _optimization(draft, work), _why(draft, verdict, work)
    return Answer(
        draft,
        verdict,
        optimization=level,
        model=_model(draft, level, work),
        expected=expected,
        counterfactuals=changes,
        checks=checks(draft, verdict, work.headrooms.of(draft), work.caps(draft), used, now=work.now),
    )


def _why(ticket: Ticket, verdict: Verdict | None, work: Work) -> Why:
    """Until when a ticket waits, and what would change it."""
    if not isinstance(verdict, Defer):
        return None, ()
    expected = expected_start(ticket, verdict, work.headrooms, busy_until=work.snap.terms.busy_until)
    terms = work.snap.terms
    changes = counterfactuals(ticket, verdict, work.headrooms, models=terms.models, reprice=terms.reprice)
    return expected, tuple(changes)


def _reserved(ticket: Ticket, work: Work) -> tuple[tuple[str, int], ...]:
    """What a ticket holds, by limit instance."""
    sums: dict[str, int] = {}
    for reservation in work.balances.open_reservations(ticket.id):
        sums[reservation.instance] = sums.get(reservation.instance, 0) + reservation.held
    return tuple(sums.items())


def _model(ticket: Ticket, level: Optimization, work: Work) -> str:
    """Where it is tight, a model that costs less."""
    if level not in (Optimization.AGGRESSIVE, Optimization.EMERGENCY):
        return ""
    return cheaper_model(ticket, work.snap.terms.models, work.snap.terms.reprice)


def _optimization(ticket: Ticket, work: Work) -> Optimization:
    """The level that the tightest binding limit asks for."""
    tightest = (1, 1)
    for headroom in work.headrooms.of(ticket):
        amount = headroom.balance.amount
        if amount and headroom.instance.limit.unit is not Unit.LEASES:
            left = headroom.allowance(work.now) - headroom.balance.spent - headroom.balance.reserved
            tightest = min(tightest, (left, amount), key=lambda pair: pair[0] / pair[1])
    return optimization_level(*tightest, work.snap.terms.thresholds)
