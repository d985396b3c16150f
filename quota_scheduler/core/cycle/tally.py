"""What a cycle decided, as it is counted for good: each decision once, under one limit, class and reason."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from quota_scheduler.core.admission.decide import Admit, Reject, Verdict
from quota_scheduler.core.cycle.closing import Moved
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.tickets.ticket import NO_ROOM, State, Ticket


class Counted(StrEnum):
    """What is counted. ``THROTTLED`` is no decision of its own: it is deferred for want of room in a quota."""

    ADMITTED = "admitted"
    DEFERRED = "deferred"
    THROTTLED = "throttled"
    WOKEN = "woken"
    REJECTED = "rejected"


THROTTLES = frozenset(reason.value for reason in NO_ROOM)
"""Reasons of deferrals that a quota is to blame for: not holds, concurrency, or a provider that is out of breath."""


class Tallied(NamedTuple):
    """One decision about a ticket. ``instance`` is the limit that held it, else the first that binds it, or empty.

    That of a woken ticket is empty here: whoever counts knows under which limit it was deferred.
    """

    ticket: int
    instance: str
    priority: str
    counted: Counted
    reason: str


def tally(decisions: Sequence[tuple[Ticket, Verdict]], moved: Iterable[Moved], balances: Balances) -> list[Tallied]:
    """The decisions of one cycle, then the tickets that it let out of the queue."""
    rows = [
        Tallied(ticket.id, _instance(ticket, verdict, balances), ticket.priority.value, *_outcome(verdict))
        for ticket, verdict in decisions
    ]
    return rows + [
        Tallied(ticket.id, "", ticket.priority.value, Counted.WOKEN, before.reason.value)
        for before, ticket in moved
        if before is not None and before.state is State.WAITING and ticket.state in (State.OFFERED, State.RUNNING)
    ]


def _outcome(verdict: Verdict) -> tuple[Counted, str]:
    if isinstance(verdict, Admit):
        return Counted.ADMITTED, "fits"
    return Counted.REJECTED if isinstance(verdict, Reject) else Counted.DEFERRED, verdict.reason.value


def _instance(ticket: Ticket, verdict: Verdict, balances: Balances) -> str:
    held = () if isinstance(verdict, Admit) else verdict.held
    if held:
        return held[0].instance
    instances = balances.instances(ticket.labels.asking)
    return instances[0].name if instances else ""
