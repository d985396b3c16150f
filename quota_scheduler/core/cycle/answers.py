"""Answers: a ticket as it stands after the cycle, with its verdict, why, until when, and what is advised."""

from collections.abc import Mapping
from typing import Any

from quota_scheduler.core.admission.decide import Admit, Defer, Reject, Verdict
from quota_scheduler.core.admission.explanation import ExpectedStart, cheaper_model, counterfactuals, expected_start
from quota_scheduler.core.admission.preflight import checks
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.cycle.snapshot import Work
from quota_scheduler.core.efficiency.optimization import Optimization, optimization_level
from quota_scheduler.core.queue.order import place
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.tickets.ticket import Outcome, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

Why = tuple[ExpectedStart | None, tuple[Mapping[str, Any], ...]]


def answer(ticket: Ticket, verdict: Verdict | None, work: Work, policy: QueuePolicy) -> Answer:
    """What the runner of a ticket is told; ``verdict`` None where this cycle had nothing to decide about it."""
    if verdict is None and ticket.state in (State.OFFERED, State.RUNNING):
        verdict = Admit()
    if verdict is None and ticket.outcome is Outcome.REJECTED:
        verdict = Reject(ticket.reason, ())
    level, (expected, changes) = _optimization(ticket, work), _why(ticket, verdict, work)
    return Answer(
        ticket,
        verdict,
        position=place(work.queue, ticket.id, work.snap.running, policy, now=work.now),
        reserved=_held(ticket, work),
        stop=ticket.id in work.stops,
        optimization=level,
        model=_model(ticket, level, work),
        expected=expected,
        counterfactuals=changes,
    )


def preview(draft: Ticket, verdict: Verdict, work: Work) -> Answer:
    """What would be decided about a ticket that is only asked about, with the three checks."""
    used = work.snap.run_used.get(draft.run, Usage())
    found = checks(draft, verdict, work.headrooms.of(draft), work.caps(draft), used, now=work.now)
    level, (expected, changes) = _optimization(draft, work), _why(draft, verdict, work)
    return Answer(
        draft,
        verdict,
        optimization=level,
        model=_model(draft, level, work),
        expected=expected,
        counterfactuals=changes,
        checks=found,
    )


def _why(ticket: Ticket, verdict: Verdict | None, work: Work) -> Why:
    """Until when a ticket waits, and what would change it."""
    if not isinstance(verdict, Defer):
        return None, ()
    expected = expected_start(ticket, verdict, work.headrooms, busy_until=work.snap.busy_until)
    changes = counterfactuals(ticket, verdict, work.headrooms, models=work.snap.models, reprice=work.snap.reprice)
    return expected, tuple(changes)


def _held(ticket: Ticket, work: Work) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for held in work.balances.open_reservations(ticket.id):
        sums[held.instance] = sums.get(held.instance, 0) + held.held
    return tuple(sums.items())


def _model(ticket: Ticket, level: Optimization, work: Work) -> str:
    """Where it is tight, a model that costs less."""
    if level not in (Optimization.AGGRESSIVE, Optimization.EMERGENCY):
        return ""
    return cheaper_model(ticket, work.snap.models, work.snap.reprice)


def _optimization(ticket: Ticket, work: Work) -> Optimization:
    """The level that the tightest binding limit asks for."""
    tightest = (1, 1)
    for headroom in work.headrooms.of(ticket):
        amount = headroom.balance.amount
        if amount and headroom.instance.limit.unit is not Unit.LEASES:
            left = headroom.allowance(work.now) - headroom.balance.spent - headroom.balance.reserved
            tightest = min(tightest, (left, amount), key=lambda pair: pair[0] / pair[1])
    return optimization_level(*tightest, work.snap.thresholds)
