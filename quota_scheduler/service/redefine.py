"""Limits changed → windows that count differently begin anew, and what runs or is offered holds its place in them.

limits that hold from now on
  → adapt     windows of redefined and removed limits end                       store
  → open      the windows of new ones, filled from the ledger
  → hold      reservations of what runs, with what it has used in them already
"""

from collections.abc import Collection, Sequence

from quota_scheduler.core.board import Binding, Board
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.rooms import need
from quota_scheduler.core.settlement import is_of
from quota_scheduler.core.tickets import State, Ticket
from quota_scheduler.core.usage import total
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
                _hold_in(tx, board, binding, ticket)
    windows.save(tx, board)


def _hold_in(tx: Transaction, board: Board, binding: Binding, ticket: Ticket) -> None:
    """Reserve what a ticket needs of a limit; what it has used in the window already is a part of that."""
    running = ticket.state is State.RUNNING
    held = board.reserve(ticket.id, binding, need(ticket, binding), running=running)
    window, lease, charge = board.tally_of(held).window, ticket.lease, binding.limit.charge
    if not running or lease is None:
        return
    earlier = [c for c in lease.checkpoints if window is not None and c.at <= window.starts_at]
    held.before = charge(total(usage for _, usage in earlier[-1].reported)) if earlier else 0
    events = ledger.by_session(tx, lease.session) if lease.session else []
    own = [e for e in events if is_of(e, lease) and (window is None or window.contains(e.at))]
    board.update(held, ledgered=sum(charge(e.usage) for e in own), reported=max(0, charge(lease.usage) - held.before))
