"""Why a ticket waits, in words and with the figures, and what would change it.

Computed when somebody reads a ticket, from the headrooms of that moment; nothing is kept per waiting ticket.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject, Verdict, decide
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.names import canonical_model, could_call
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State, Ticket, need
from quota_scheduler.core.units import Unit

Reprice = Callable[[Ticket, str], Ticket]
"""A ticket as it would be with another model."""


WHY = {
    Reason.NO_HEADROOM: "{limit} has no room for it",
    Reason.THROTTLED: "{limit} is throttled for {priority} work",
    Reason.PACED: "what {limit} has left is kept for more important work that is expected before the reset",
    Reason.PAUSED: "automation's share of {limit} is spent",
    Reason.EXHAUSTED: "{limit} is exhausted",
    Reason.CONCURRENCY: "all leases of {limit} are in use",
    Reason.PROVIDER_THROTTLED: "{provider} refuses requests for the moment, so one ticket tries after a pause",
    Reason.CATCHING_UP: "usage of its provider is still being read",
    Reason.HELD: "an operator holds it",
    Reason.NEVER_FITS: "its estimate is larger than {limit} allows in a whole window",
    Reason.RUN_CAP: "its estimate would take the run over {limit}",
    Reason.UNPRICED_MODEL: "its model has no price and {limit} counts dollars",
    Reason.DEADLINE: "its deadline has passed",
    Reason.WAITED_TOO_LONG: "it waited longer than it was to wait",
    Reason.ABANDONED: "its runner did not claim three offers",
    Reason.FITS: "it fits",
}
WHY_SEVERAL = {
    Reason.NO_HEADROOM: "{limit} have no room for it",
    Reason.THROTTLED: "{limit} are throttled for {priority} work",
    Reason.PACED: "what {limit} have left is kept for more important work that is expected before the reset",
    Reason.EXHAUSTED: "{limit} are exhausted",
    Reason.NEVER_FITS: "its estimate is larger than {limit} allow in a whole window",
}
"""The same of several limits."""
IN_LINE = "it would fit, and those ahead of it in line go first"
BEHIND = "what {limit} has left is kept for larger work ahead of it in line"
"""Why a ticket waits that there is room for, but not beside those who came before it."""
NO_FIGURES: Mapping[str, Figures] = MappingProxyType({})


def counterfactuals(
    ticket: Ticket, verdict: Verdict, headrooms: Headrooms, *, models: Sequence[str], reprice: Reprice
) -> list[dict[str, Any]]:
    """What would let a deferred ticket start now: a cheaper model, or a smaller estimate."""
    if not isinstance(verdict, Defer):
        return []
    now = headrooms.balances.now
    changes: list[dict[str, Any]] = []
    for model, other in _cheaper(ticket, models, reprice):
        if isinstance(decide(other, headrooms, now=now), Admit):
            changes.append({"change": "model", "model": model})
            break
    if (tokens := _largest_that_fits(ticket, headrooms)) > 0:
        changes.append({"change": "estimate", "tokens": tokens})
    return changes


def cheaper_model(ticket: Ticket, models: Sequence[str], reprice: Reprice) -> str:
    """The first model in order of preference that the same work costs less with; empty when there is none.

    Empty too for a ticket that names no model: it is priced as the dearest, so that any model would be advised.
    """
    return next((model for model, _ in _cheaper(ticket, models, reprice)), "") if ticket.labels.model else ""


def _cheaper(ticket: Ticket, models: Sequence[str], reprice: Reprice) -> Iterator[tuple[str, Ticket]]:
    """The same work with each other model that its provider could call, whose price is known, and that costs less."""
    asked = canonical_model(ticket.labels.model)
    for model in models:
        if canonical_model(model) == asked or not could_call(ticket.labels.provider, model):
            continue
        other = reprice(ticket, model)
        cheaper = other.estimate.reserve.cost_pico < ticket.estimate.reserve.cost_pico
        if cheaper and not other.estimate.estimated_cost:
            yield model, other


def _largest_that_fits(ticket: Ticket, headrooms: Headrooms) -> int:
    """The largest estimate, in tokens split as this one is, that could start now; 0 when none could."""
    now, usage = headrooms.balances.now, ticket.estimate.reserve
    pressing, share = ticket.presses(now), 1.0
    for headroom in headrooms.of(ticket):
        if not headroom.enforced or headroom.instance.limit.unit is Unit.LEASES:
            continue
        expected = headroom.protected(ticket.priority, now, pressing=pressing)
        rest = headroom.waiting_above(ticket.priority) + expected
        free = headroom.ceiling(ticket.priority, now) - headroom.committed(ticket.priority) - rest
        share = min(share, free / max(1, need(ticket, headroom.instance.limit)))
    if share <= 0:
        return 0
    smaller = ticket._replace(estimate=ticket.estimate._replace(reserve=usage.scaled(int(share * 10**6), 10**6)))
    fits = not isinstance(decide(smaller, headrooms, now=now), Defer)
    return smaller.estimate.reserve.tokens if fits and smaller.estimate.reserve.tokens < usage.tokens else 0


def explain(
    ticket: Ticket,
    verdict: Verdict | None,
    *,
    zone: str,
    expected: datetime | None = None,
    figures: Mapping[str, Figures] = NO_FIGURES,
) -> str:
    """One sentence on what became of a ticket and why, with ``figures`` by limit instance; times in ``zone``.

    ``expected`` is when it is expected to start, where that is known.
    """
    if ticket.state is State.CLOSED:
        return _closed(ticket, verdict, figures)
    match verdict:
        case Admit():
            return "It may start now." if ticket.state is not State.RUNNING else "It is running."
        case Defer(_, Reason.HELD, _):
            return f"It waits until an operator lets it go on: {WHY[Reason.HELD]}."
        case Defer(until, Reason.PROVIDER_THROTTLED as reason, held):
            clock = f"{until.astimezone(ZoneInfo(zone)):%H:%M:%S}"
            return f"It waits until {clock} {zone}: {_why(reason, held, ticket, figures)}."
        case Defer(until, reason, held):
            return f"It waits until {_when(until, expected or until, zone)}: {_why(reason, held, ticket, figures)}."
        case Reject(reason, held):
            return f"Rejected: {_why(reason, held, ticket, figures)}."
        case _:
            return "It waits."


def _when(until: datetime, expected: datetime, zone: str) -> str:
    """Until when it waits: what is left comes free before its window ends, or others stand before it in the next."""
    latest, likely = local_time(until, zone), local_time(expected, zone)
    if likely == latest:
        return latest
    return f"{likely} if all goes as expected" + (f", else until {latest}" if expected < until else "")


def unnamed_model(ticket: Ticket, limits: Iterable[Limit]) -> str:
    """One sentence where a ticket that names no model is bound by limits of models; else empty."""
    if ticket.labels.model:
        return ""
    bound = [limit.id for limit in limits if "model" in dict(limit.match) and limit.selects(ticket.labels.asking)]
    if not bound:
        return ""
    these = f"the limit {bound[0]}, which is" if len(bound) == 1 else f"the limits {' and '.join(bound)}, which are"
    return f"It names no model, so it is bound by {these} about models it could call: name the model it will call."


def _closed(ticket: Ticket, verdict: Verdict | None, figures: Mapping[str, Figures]) -> str:
    if ticket.outcome is Outcome.REJECTED:
        held = verdict.held if isinstance(verdict, Reject) else ()
        return f"Rejected: {_why(ticket.reason, held, ticket, figures)}."
    if ticket.reason in (Reason.DEADLINE, Reason.WAITED_TOO_LONG, Reason.ABANDONED):
        return f"Closed: {_why(ticket.reason, (), ticket, figures)}."
    return f"Closed: {ticket.outcome.value if ticket.outcome else 'done'}."


def _why(reason: Reason, held: tuple[Blocker, ...], ticket: Ticket, figures: Mapping[str, Figures]) -> str:
    """The limits of a reason and what they say, each with its figures."""
    named = [blocker.instance for blocker in held if blocker.reason is reason]
    if not named:
        return (
            IN_LINE
            if reason is Reason.PACED
            else WHY[reason].format(limit="the limit", priority=ticket.priority.value, provider=ticket.labels.provider)
        )
    behind = reason is Reason.NO_HEADROOM and all(name in figures and figures[name].has_room for name in named)
    words, several = (BEHIND, BEHIND) if behind else (WHY[reason], WHY_SEVERAL.get(reason, WHY[reason]))
    sentence = (words if len(named) == 1 else several).format(limit=" and ".join(named), priority=ticket.priority.value)
    told = [(name, figures[name].sentence()) for name in named if name in figures]
    if not told:
        return sentence
    if len(named) == 1:
        return f"{sentence} ({told[0][1]})"
    return f"{sentence} ({'; '.join(f'{name}: {text}' for name, text in told)})"


def reset_text(ends_at: datetime | None, zone: str) -> str:
    """When a window resets, for people."""
    return local_time(ends_at, zone) if ends_at else "never"
