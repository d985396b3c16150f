"""The log of tickets: a line when one waits, is offered a start, starts and ends: a grep by its id is its story.

    ticket.waits ─► ticket.offered ─► ticket.started ─► ticket.ended

Looks and renewals change nothing that anybody would look for later, and have none.
"""

import logging
from collections.abc import Sequence

from quota_scheduler.core.admission.decide import Defer
from quota_scheduler.core.instants import iso
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.service.cycle import CycleResult

log = logging.getLogger(__name__)


def tell(result: CycleResult) -> None:
    """Log what one cycle did to tickets, in the order of a life."""
    if not log.isEnabledFor(logging.INFO):
        return
    for ticket, verdict in result.decisions:
        if isinstance(verdict, Defer):
            _waits(ticket, verdict)
    _offered(result.offered)
    _started(result.started)
    _ended(result.closed)


def _waits(ticket: Ticket, verdict: Defer) -> None:
    log.info(
        "ticket.waits ticket=t%d key=%s class=%s provider=%s team=%s reason=%s limit=%s until=%s",
        ticket.id,
        ticket.key,
        ticket.priority.value,
        ticket.labels.provider,
        ticket.labels.team or "-",
        verdict.reason.value,
        verdict.held[0].instance if verdict.held else "-",
        iso(verdict.until),
    )


def _offered(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        until = iso(ticket.offer_until) if ticket.offer_until else "-"
        log.info("ticket.offered ticket=t%d key=%s offer=%d until=%s", ticket.id, ticket.key, ticket.offers, until)


def _started(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        assert ticket.lease is not None
        log.info(
            "ticket.started ticket=t%d key=%s class=%s provider=%s team=%s fence=%d waited_seconds=%.1f",
            ticket.id,
            ticket.key,
            ticket.priority.value,
            ticket.labels.provider,
            ticket.labels.team or "-",
            ticket.lease.fence,
            (ticket.lease.granted_at - ticket.created_at).total_seconds(),
        )


def _ended(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        lease, closed = ticket.lease, ticket.closed_at
        log.info(
            "ticket.ended ticket=t%d key=%s outcome=%s reason=%s fence=%s tokens=%d ran_seconds=%.1f",
            ticket.id,
            ticket.key,
            ticket.outcome.value if ticket.outcome else "-",
            ticket.reason.value,
            lease.fence if lease else "-",
            lease.usage.tokens if lease else 0,
            (closed - lease.granted_at).total_seconds() if lease and closed else 0.0,
        )
