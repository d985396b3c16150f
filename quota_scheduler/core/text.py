"""Sentences for people: what a verdict means, and what a limit looks like."""

from datetime import datetime

from quota_scheduler.core.admission import Admit, Defer, Held, Reject, Verdict
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State, Ticket

WHY = {
    Reason.NO_HEADROOM: "{limit} has no room for it",
    Reason.THROTTLED: "{limit} is throttled for {priority} work",
    Reason.PACED: "what {limit} has left is kept for more important work that is expected before the reset",
    Reason.PAUSED: "automation's share of {limit} is spent",
    Reason.EXHAUSTED: "{limit} is exhausted",
    Reason.CONCURRENCY: "all leases of {limit} are in use",
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


def explain(ticket: Ticket, verdict: Verdict | None, *, zone: str) -> str:
    """One sentence on what became of a ticket and why; times in ``zone``."""
    if ticket.state is State.CLOSED:
        return _closed(ticket, verdict)
    match verdict:
        case Admit():
            return "It may start now." if ticket.state is not State.RUNNING else "It is running."
        case Defer(until, reason, held):
            return f"It waits until {local_time(until, zone)}: {_why(reason, held, ticket)}."
        case Reject(reason, held):
            return f"Rejected: {_why(reason, held, ticket)}."
        case _:
            return "It waits."


def _closed(ticket: Ticket, verdict: Verdict | None) -> str:
    if ticket.outcome is Outcome.REJECTED:
        held = verdict.held if isinstance(verdict, Reject) else ()
        return f"Rejected: {_why(ticket.reason, held, ticket)}."
    if ticket.reason in (Reason.DEADLINE, Reason.WAITED_TOO_LONG, Reason.ABANDONED):
        return f"Closed: {_why(ticket.reason, (), ticket)}."
    return f"Closed: {ticket.outcome.value if ticket.outcome else 'done'}."


def _why(reason: Reason, held: tuple[Held, ...], ticket: Ticket) -> str:
    names = [each.instance for each in held if each.reason is reason] or ["the limit"]
    return WHY[reason].format(limit=" and ".join(names), priority=ticket.priority.value)


def reset_text(ends_at: datetime | None, zone: str) -> str:
    """When a window resets, for people."""
    return local_time(ends_at, zone) if ends_at else "never"
