"""What a cycle is given: one frozen snapshot in named parts.

terms     what rules every cycle                       replaced by operators, reload, tick
balances  the open windows, and what requests touch    counters that the cycle moves in place
queue     what waits, what runs, what a pass has left  the queue itself is moved in place
rows      what requests name, from the store
runs      what runs have used and may still use
numbers   the next free ids
breakers  accounts whose provider refuses for a moment  moved in place
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.admission.headroom import Shadow
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.queue.throttle_queue import GroupKey, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Lease, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent


class Unfinished(Struct, frozen=True):
    """What a pass cut short has left: by group the place to go on from, and the shadows that were cast so far."""

    groups: Mapping[GroupKey, int] = field(default_factory=dict)
    shadows: Mapping[int, Shadow] = field(default_factory=dict)


class QueueState(Struct, frozen=True):
    """Who waits and who has had a turn.

    ``running`` counts by share what runs or is offered. ``look_at_all`` begins a pass over the whole queue; else only
    groups are looked at that something has touched, and those that are ``unfinished``.
    """

    queue: ThrottleQueue
    running: Mapping[str, int] = field(default_factory=dict)
    unfinished: Unfinished = Unfinished()
    look_at_all: bool = True


class LoadedRows(Struct, frozen=True):
    """What was read for these requests beside the queue.

    ``tickets`` are those that requests name, by id or key, that are offered, or that have fallen due. ``own_events``
    are the ledger events that leases of named tickets were settled as, ``session_events`` those of sessions that a
    request binds to a lease, ``transcribed`` what the transcript of a lease has brought to the ledger, by the fences
    that have one, and ``past_leases`` the earlier leases that a request names, by fence.
    """

    tickets: Mapping[int, Ticket] = field(default_factory=dict)
    own_events: Mapping[tuple[str, str], UsageEvent] = field(default_factory=dict)
    session_events: Mapping[str, Sequence[UsageEvent]] = field(default_factory=dict)
    transcribed: Mapping[int, Usage] = field(default_factory=dict)
    past_leases: Mapping[int, Lease] = field(default_factory=dict)


class RunTotals(Struct, frozen=True):
    """By run: what was ``used`` already, and what its open tickets are ``promised``: with both it stays in its cap."""

    used: Mapping[str, Usage] = field(default_factory=dict)
    promised: Mapping[str, Usage] = field(default_factory=dict)


class Numbers(Struct, frozen=True):
    """The next free ticket id and fence."""

    ticket: int = 1
    fence: int = 1


class Snapshot(Struct, frozen=True):
    """Everything a cycle needs, as of ``now``: the only time it sees."""

    now: datetime
    terms: Terms
    balances: Balances
    queue: QueueState
    rows: LoadedRows = LoadedRows()
    runs: RunTotals = RunTotals()
    numbers: Numbers = Numbers()
    breakers: Breakers = field(default_factory=Breakers)


def promised(tickets: Iterable[Ticket], transcribed: Mapping[int, Usage]) -> dict[str, Usage]:
    """By run, what its open tickets may still use: what each reserves, less what it is known to have used."""
    by_run: dict[str, Usage] = {}
    for ticket in tickets:
        used = Usage()
        if ticket.lease:
            used = ticket.lease.usage.at_least(transcribed.get(ticket.lease.fence, used))
        left = Usage(*(max(0, whole - part) for whole, part in zip(ticket.estimate.reserve, used, strict=True)))
        by_run[ticket.run] = by_run.get(ticket.run, Usage()).plus(left)
    return by_run
