"""Limits changed → windows that count differently begin anew, and what runs or is offered holds its place in them.

limits that hold from now on
  → adapt     windows of redefined and removed limits end                       store
  → open      the windows of new ones, filled from the ledger
  → hold      reservations of what runs, with what it has used in them already
"""

from collections.abc import Collection, Sequence

from quota_scheduler.core.ledger.settlement import hold_anew
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.store import Transaction, ledger, tickets, windows


def redefine(tx: Transaction, limits: Sequence[Limit]) -> list[str]:
    """Bring windows and reservations in line with these limits; returns the rules whose windows ended."""
    known = windows.known_rules(tx)
    ended = windows.adapt(tx, limits)
    new = {limit.id for limit in limits} - (known - set(ended))
    open_tickets = [t for t in tickets.open_tickets(tx) if t.state is not State.WAITING] if new else []
    if open_tickets:
        _hold(tx, limits, new, open_tickets)
    return ended


def _hold(tx: Transaction, limits: Sequence[Limit], new: Collection[str], open_tickets: Sequence[Ticket]) -> None:
    board = windows.load(tx, limits, tickets=())
    windows.open_for(tx, board, {ticket.labels for ticket in open_tickets})
    for ticket in open_tickets:
        for binding in board.bindings(ticket.labels):
            if binding.limit.id in new:
                session = ticket.lease.session if ticket.lease else ""
                hold_anew(ticket, binding, ledger.by_session(tx, session) if session else [], board)
    windows.save(tx, board)
