"""Answers: a ticket as it stands after the cycle, with its verdict, why, until when, and what is advised."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from quota_scheduler.core.admission.decide import Admit, Defer, Reject, Verdict
from quota_scheduler.core.admission.expected_start import ExpectedStart, expected_start, starts_by_limit
from quota_scheduler.core.admission.explanation import cheaper_model, counterfactuals
from quota_scheduler.core.admission.figures import Figures, figures_of, figures_of_cap
from quota_scheduler.core.admission.preflight import checks
from quota_scheduler.core.cycle.requests import Answer
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.efficiency.optimization import Optimization, optimization_level
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.order import place
from quota_scheduler.core.tickets.ticket import Outcome, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

Why = tuple[Verdict | None, ExpectedStart | None, tuple[Mapping[str, Any], ...]]
"""A verdict, when it ends, and what would change it."""


def answer(ticket: Ticket, verdict: Verdict | None, work: Work, running: Mapping[str, int]) -> Answer:
    """What the runner of a ticket is told; ``verdict`` None where this cycle had nothing to decide about it.

    ``running`` counts by share what runs or is offered after the cycle.
    """
    if verdict is None and ticket.state in (State.OFFERED, State.RUNNING):
        verdict = Admit()
    if verdict is None and ticket.outcome is Outcome.REJECTED:
        verdict = Reject(ticket.reason, ())
    position = place(work.queue, ticket.id, running, work.policy, now=work.now)
    reserved = _reserved(ticket, work)
    level, (told, expected, changes) = _optimization(ticket, reserved, work), _why(ticket, verdict, work)
    return Answer(
        ticket,
        told,
        position=position,
        reserved=reserved,
        stop=ticket.id in work.stops,
        optimization=level,
        model=_model(ticket, level, work),
        expected=expected,
        counterfactuals=changes,
        figures=_figures(ticket, verdict, work),
        refused_until=_refused_until(ticket, told, work),
    )


def preview(draft: Ticket, verdict: Verdict, work: Work) -> Answer:
    """What would be decided about a ticket that is only asked about, with the three checks."""
    used = work.snap.runs.used.get(draft.run, Usage())
    level, (told, expected, changes) = _optimization(draft, (), work), _why(draft, verdict, work)
    return Answer(
        draft,
        told,
        optimization=level,
        model=_model(draft, level, work),
        expected=expected,
        counterfactuals=changes,
        figures=_figures(draft, verdict, work),
        refused_until=_refused_until(draft, told, work),
        checks=checks(draft, verdict, work.headrooms.of(draft), work.caps(draft), used, now=work.now),
    )


def _refused_until(ticket: Ticket, verdict: Verdict | None, work: Work) -> datetime | None:
    """Until when its provider refuses, for one that may start all the same: people are told and not kept waiting."""
    may_start = isinstance(verdict, Admit) and ticket.priority is Priority.INTERACTIVE
    return work.breakers.refuses_until(ticket, work.now) if may_start else None


def _why(ticket: Ticket, verdict: Verdict | None, work: Work) -> Why:
    """Until when a ticket waits, and what would change it."""
    if not isinstance(verdict, Defer):
        return verdict, None, ()
    terms = work.snap.terms
    starts = starts_by_limit(ticket, verdict, work.headrooms, busy_until=terms.busy_until, ahead=work.queue.ahead)
    expected = expected_start(verdict, starts)
    changes = counterfactuals(ticket, verdict, work.headrooms, models=terms.models, reprice=terms.reprice)
    return _agreeing(verdict, expected, starts), expected, tuple(changes)


def _agreeing(verdict: Defer, expected: ExpectedStart | None, starts: Mapping[str, ExpectedStart]) -> Defer:
    """A verdict whose every ``until`` is what is expected: there is one truth about when."""
    held = tuple(
        replace(blocker, until=starts[blocker.instance].expected) if blocker.instance in starts else blocker
        for blocker in verdict.held
    )
    return replace(verdict, until=expected.expected if expected else verdict.until, held=held)


def _figures(ticket: Ticket, verdict: Verdict | None, work: Work) -> Mapping[str, Figures]:
    """By limit instance, the figures of the limits that keep a ticket out."""
    names = {blocker.instance for blocker in verdict.held} if isinstance(verdict, Defer | Reject) else set()
    if not names:
        return {}
    figures = {headroom.balance.name: figures_of(ticket, headroom, work.now) for headroom in work.headrooms.of(ticket)}
    used, promised = work.snap.runs.used.get(ticket.run_id, Usage()), work.snap.runs.promised.get(ticket.run, Usage())
    figures |= {cap.id: figures_of_cap(ticket, cap, used, promised) for cap in work.caps(ticket)}
    return {name: figures[name] for name in sorted(names) if name in figures}


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


def _optimization(ticket: Ticket, holds: Iterable[tuple[str, int]], work: Work) -> Optimization:
    """The level that the tightest binding limit asks for; what the ticket holds itself is left for it."""
    tightest, own = (1, 1), dict(holds)
    for headroom in work.headrooms.of(ticket):
        amount = headroom.balance.amount
        if not amount and headroom.instance.limit.unit is not Unit.LEASES:
            return optimization_level(0, 1, work.snap.terms.thresholds)  # nothing at all may be spent
        if amount and headroom.instance.limit.unit is not Unit.LEASES:
            reserved = headroom.balance.reserved - own.get(headroom.balance.name, 0)
            left = headroom.allowance(work.now) - headroom.balance.spent - reserved
            tightest = min(tightest, (left, amount), key=lambda pair: pair[0] / pair[1])
    return optimization_level(*tightest, work.snap.terms.thresholds)
