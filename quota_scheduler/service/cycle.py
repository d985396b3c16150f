"""Ticket → verdict → lease, and resets: one batch of requests → one snapshot → decisions → one write.

requests (one or a thousand, or none when only the clock asks)
  → load      windows, reservations, the tickets that wait, are named or have fallen due     one transaction
  → decide    core.cycle.run: settle, expire, reset, order, admit
  → save      ledger, windows, tickets, leases; provisional ids become real
  → answers   after the commit, so that nothing is told that could be lost
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core import cycle as core
from quota_scheduler.core.admission import Admit, Defer, Reject, Verdict
from quota_scheduler.core.board import Board
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.line import GroupKey, Line
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.queue import QueuePolicy
from quota_scheduler.core.requests import Answer, Release, Renew, Request, Submit, Withdraw
from quota_scheduler.core.snapshot import Decided, Snapshot
from quota_scheduler.core.tickets import Lease, State, Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, counters, ledger, tickets, windows

LOOK_AT_ALL = timedelta(seconds=2)
"""The whole line is looked at this often: demand still to come shrinks with time, not only with events."""


@dataclass(slots=True)
class Terms:
    """What rules every cycle; the app swaps ``outlooks`` after each tick and ``catching_up`` as sources get there."""

    limits: tuple[Limit, ...]
    policy: QueuePolicy = field(default_factory=QueuePolicy)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    catching_up: frozenset[str] = frozenset()
    expire_leases: bool = True
    hold: bool = False
    memory: "Memory | None" = None

    def forget(self) -> None:
        """Load what waits anew with the next cycle: limits changed, or a transaction failed half-way."""
        self.memory = None


@dataclass(slots=True)
class Memory:
    """What cycles of one process remember of the store: the line, what a pass cut short has left, when all was seen."""

    line: Line
    groups: frozenset[GroupKey] = frozenset()
    shadows: Mapping[str, int] = field(default_factory=dict)
    seen_all_at: datetime | None = None
    next_slot: datetime | None = None

    def due(self) -> datetime | None:
        """The earliest instant at which something remembered falls due."""
        return min((at for at in (self.next_slot, self.line.next_due()) if at), default=None)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a cycle did: an answer per request, the tickets that changed, and what metrics count.

    ``unfinished``: a long pass was cut, and goes on with the next cycle.
    """

    answers: tuple[Answer, ...]
    changed: frozenset[int]
    decisions: tuple[tuple[Ticket, Verdict], ...]
    closed: tuple[Ticket, ...]
    unfinished: bool = False


def run(tx: Transaction, requests: Sequence[Request], terms: Terms) -> Answered:
    """Answer a batch with one decision, inside one transaction."""
    memory = terms.memory
    if memory is None:
        memory = terms.memory = _remember(tx, terms)
    snapshot = _load(tx, requests, terms, memory)
    decided = core.run(requests, snapshot, terms.policy)
    if decided.changes:
        ledger.apply(tx, decided.changes)
    tickets.save(tx, decided.tickets.values(), decided.past_leases)
    windows.save(tx, snapshot.board)
    tickets.advance(tx, "ticket", snapshot.next_ticket)
    tickets.advance(tx, "fence", snapshot.next_fence)
    _count(tx, decided, snapshot.board)
    memory.groups, memory.shadows, memory.next_slot = decided.groups, decided.shadows, decided.next_slot
    if snapshot.look_at_all:
        memory.seen_all_at = tx.now
    closed = tuple(t for t in decided.tickets.values() if t.state is State.CLOSED)
    return Answered(
        tuple(decided.answers), frozenset(decided.tickets), tuple(decided.decisions), closed, bool(decided.groups)
    )


def _remember(tx: Transaction, terms: Terms) -> Memory:
    board = windows.load(tx, terms.limits, tickets=())
    return Memory(Line(tickets.waiting(tx), board.bindings, share_label=terms.policy.fair_share))


def _load(tx: Transaction, requests: Sequence[Request], terms: Terms, memory: Memory) -> Snapshot:
    drafts = [request.draft for request in requests if isinstance(request, Submit)]
    named = {request.ticket for request in requests if not isinstance(request, Submit)}
    found = tickets.for_cycle(tx, ids=named, keys=[draft.key for draft in drafts], due=tx.now)
    board = windows.load(tx, terms.limits, tickets=found)
    windows.open_for(tx, board, {t.labels for t in (*drafts, *found.values()) if t.state is not State.CLOSED})
    seen = memory.seen_all_at
    settling = _settling(found, requests, tx)
    runs = {t.run for t in drafts if t.run} | {t.run_id for t in found.values()}
    return Snapshot(
        now=tx.now,
        board=board,
        line=memory.line,
        tickets=found,
        keys={ticket.key: number for number, ticket in found.items()},
        outlooks=terms.outlooks,
        run_caps=tuple(limit for limit in terms.limits if limit.is_per_run),
        run_used=ledger.run_usage(tx, runs) if runs else {},
        own_events=ledger.of_leases(tx, settling),
        session_events=_newly_bound(tx, found, requests),
        transcribed=_transcribed(tx, settling),
        past_leases=_past(tx, found, requests),
        running=tickets.running_shares(tx, terms.policy.fair_share),
        catching_up=terms.catching_up,
        next_ticket=tickets.sequence(tx, "ticket"),
        next_fence=tickets.sequence(tx, "fence"),
        expire_leases=terms.expire_leases,
        hold=terms.hold,
        groups=memory.groups,
        shadows=memory.shadows,
        look_at_all=seen is None or tx.now - seen >= LOOK_AT_ALL or (memory.next_slot or tx.now) < tx.now,
    )


def _settling(found: Mapping[int, Ticket], requests: Sequence[Request], tx: Transaction) -> list[Ticket]:
    """Tickets whose lease may be settled in this cycle."""
    named = {r.ticket for r in requests if isinstance(r, Renew | Release | Withdraw)}
    due = {
        number for number, t in found.items() if t.state is State.RUNNING and t.lease and t.lease.expires_at <= tx.now
    }
    return [found[number] for number in sorted(named | due) if number in found and found[number].lease]


def _newly_bound(
    tx: Transaction, found: Mapping[int, Ticket], requests: Iterable[Request]
) -> dict[str, list[UsageEvent]]:
    sessions = set()
    for request in requests:
        if isinstance(request, Renew | Release) and request.session:
            ticket = found.get(request.ticket)
            if ticket and ticket.lease and ticket.lease.session != request.session:
                sessions.add(request.session)
    return {session: ledger.by_session(tx, session) for session in sorted(sessions)}


def _transcribed(tx: Transaction, settling: Iterable[Ticket]) -> frozenset[int]:
    leases = [ticket.lease for ticket in settling if ticket.lease and ticket.lease.session]
    return frozenset(lease.fence for lease in leases if ledger.has_transcript(tx, lease.session, lease.granted_at))


def _past(tx: Transaction, found: Mapping[int, Ticket], requests: Iterable[Request]) -> dict[int, Lease]:
    past = {}
    for request in requests:
        if isinstance(request, Renew | Release) and request.ticket in found:
            lease = found[request.ticket].lease
            if (lease is None or lease.fence != request.fence) and (
                old := tickets.lease_of(tx, request.ticket, request.fence)
            ):
                past[old.fence] = old
    return past


def _count(tx: Transaction, decided: Decided, board: Board) -> None:
    """Raise the counters of what left the queue, what ran out, and what limits in mode warn would have held."""
    for ticket, verdict in decided.decisions:
        for held in verdict.warned if isinstance(verdict, Admit | Defer | Reject) else ():
            counters.add(tx, "quota_would_defer_total", (held.instance, ticket.priority.value))
    for ticket in decided.expired:
        for binding in board.bindings(ticket.labels):
            counters.add(tx, "quota_leases_expired_total", (binding.instance,))
    for number, ticket in decided.tickets.items():
        woken = decided.before.get(number) is State.WAITING and ticket.state in (State.OFFERED, State.RUNNING)
        lost = decided.before.get(number) in (State.WAITING, State.OFFERED) and ticket.state is State.CLOSED
        name = "quota_tickets_woken_total" if woken else "quota_tickets_abandoned_total" if lost else ""
        for binding in board.bindings(ticket.labels) if name else ():
            counters.add(tx, name, (binding.instance, ticket.priority.value))
