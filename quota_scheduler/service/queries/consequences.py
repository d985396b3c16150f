"""What a deed of an operator would do, tried out on what is stored and thrown away: the same pass as any cycle.

terms, as they would be ─┐
what waits, as stored ───┼─► passes over the whole queue, nothing saved ─► who would start, who would end
the deed as a request ───┘
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Answer, Reply, Request
from quota_scheduler.core.cycle.result import Decided
from quota_scheduler.core.cycle.snapshot import LoadedRows, QueueState, Snapshot
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.tickets.ticket import TURN_TAKEN, State, Ticket
from quota_scheduler.service.cycle import snapshot_of
from quota_scheduler.service.memory import remember
from quota_scheduler.store import Transaction

MOST_SLICES = 400
"""Slices of the pass that are tried: thousands of starts, a second or two; a longer answer is cut and says so."""


class Consequences(Struct, frozen=True):
    """Who would ``start``, in order, and who would ``end``; ``is_cut`` where there may be more.

    ``reply`` is the answer to the deed itself, None for one that is about no ticket. ``over`` is, by limit that this
    ticket would take past its amount, how full it would be then (used and reserved; 1 is all).
    """

    starts: tuple[Ticket, ...]
    ends: tuple[Ticket, ...]
    is_cut: bool = False
    reply: Reply | None = None
    over: tuple[tuple[str, float], ...] = ()


def consequences(tx: Transaction, terms: Terms, request: Request | None = None) -> Consequences:
    """What would happen at once if these terms ruled, or this request came; nothing is written."""
    remembered = remember(tx, terms)
    waited = {ticket.id for ticket in remembered.queue}
    requests = [request] if request else []
    snapshot = snapshot_of(tx, requests, terms, remembered)
    decided = decide_batch(requests, snapshot)
    reply = decided.answers[0] if requests else None
    changed = dict(decided.changes.tickets)
    slices = 1
    while decided.onward.unfinished.groups and slices < MOST_SLICES:
        snapshot = _next_slice(snapshot, decided)
        decided = decide_batch([], snapshot)
        changed |= decided.changes.tickets
        slices += 1
    return Consequences(
        starts=tuple(ticket for ticket in changed.values() if ticket.state in TURN_TAKEN and ticket.id in waited),
        ends=tuple(ticket for ticket in changed.values() if ticket.state is State.CLOSED),
        is_cut=bool(decided.onward.unfinished.groups),
        reply=reply,
        over=tuple(_over(reply, snapshot.balances)),
    )


def _next_slice(snapshot: Snapshot, decided: Decided) -> Snapshot:
    """What the next slice of the same pass is given: nothing has been read or written in between."""
    onward = decided.onward
    state = QueueState(snapshot.queue.queue, onward.running, onward.unfinished, look_at_all=False)
    return replace(snapshot, queue=state, numbers=onward.numbers, rows=LoadedRows())


def _over(reply: Reply | None, balances: Balances) -> Iterable[tuple[str, float]]:
    """The limits of the ticket that has taken its turn, which are fuller than they should be."""
    if not isinstance(reply, Answer) or reply.ticket.state not in TURN_TAKEN:
        return
    for instance in balances.instances(reply.ticket.labels.asking):
        balance = balances.find(instance, balances.now)
        if balance and balance.spent + balance.reserved > balance.amount > 0:
            yield instance.name, (balance.spent + balance.reserved) / balance.amount
