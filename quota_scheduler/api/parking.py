"""When a parked question is to be answered, whichever way it came in."""

from typing import TypeGuard

from quota_scheduler.core.cycle.requests import Answer, Reply
from quota_scheduler.core.tickets.ticket import State


def stands(reply: Reply, before: Answer | None) -> TypeGuard[Answer]:
    """Whether a ticket waits, as it did when ``before`` was answered: what woke its reader was seen by then already."""
    waits = isinstance(reply, Answer) and reply.ticket.state is State.WAITING
    return waits and (before is None or reply.ticket == before.ticket)
