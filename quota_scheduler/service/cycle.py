"""Ticket → verdict → lease, and resets: one batch of requests → one snapshot → decisions → one write.

requests (one or a thousand, or none when only the clock asks)
  → load      windows, reservations, the tickets that wait, are named or have fallen due     one transaction
  → decide    core.cycle.decide_batch: settle, expire, reset, order, admit
  → save      ledger, windows, tickets, leases; provisional ids become real
  → answers   after the commit, so that nothing is told that could be lost
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.admission.decide import Admit, Defer, Reject, Verdict
from quota_scheduler.core.admission.explanation import Reprice
from quota_scheduler.core.admission.headroom import Shadow
from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Release, Renew, Reply, Request, Revoke, Submit, Withdraw
from quota_scheduler.core.cycle.snapshot import Decided, Snapshot, same
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.settlement import LeasesOf
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import GroupKey, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Lease, Outcome, State, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.rebuild import open_for, rebuild
from quota_scheduler.service.run_caps import count_passed
from quota_scheduler.store import Transaction, counters, forecasts, ledger, run_history, tickets, windows

LATEST = datetime.max.replace(tzinfo=UTC)
JITTER = timedelta(seconds=1)
"""By less a clock may go back and nothing is read anew."""
LOOK_AT_ALL = timedelta(seconds=2)
"""The whole queue is looked at this often: demand still to come shrinks with time, not only with events."""


@dataclass(slots=True)
class Terms:
    """What rules every cycle; the app swaps ``outlooks`` after each tick and ``catching_up`` as sources get there."""

    limits: tuple[Limit, ...]
    policy: QueuePolicy = field(default_factory=QueuePolicy)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    catching_up: frozenset[str] = frozenset()
    expire_leases: bool = True
    hold: bool = False
    busy_until: Mapping[str, datetime] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    reprice: Reprice = same
    thresholds: Thresholds = DEFAULT
    memory: "Memory | None" = None

    def forget(self) -> None:
        """Load what waits anew with the next cycle: limits changed, or a transaction failed half-way."""
        self.memory = None

    def windows_moved(self) -> None:
        """Somebody else than a cycle has written: the next one reads the open windows again."""
        if self.memory:
            self.memory.balances_are_current = False


@dataclass(slots=True)
class Memory:
    """What cycles of one process remember of the store, whose only writer they are.

    The open windows, the throttle queue, how many leases run by share, the next free numbers, what a pass cut short has
    left, and
    when all was seen.
    """

    balances: Balances
    queue: ThrottleQueue
    running: dict[str, int]
    next_ticket: int
    next_fence: int
    balances_are_current: bool = True
    groups: dict[GroupKey, int] = field(default_factory=dict)
    shadows: Mapping[int, Shadow] = field(default_factory=dict)
    seen_all_at: datetime | None = None
    next_slot: datetime | None = None

    def count(self, decided: Decided, label: str) -> None:
        """Keep count of what runs by share."""
        for number, ticket in decided.tickets.items():
            was, runs = decided.before.get(number) is State.RUNNING, ticket.state is State.RUNNING
            if was is not runs:
                share = ticket.labels.value(label)
                self.running[share] = self.running.get(share, 0) + (1 if runs else -1)

    def due(self) -> datetime | None:
        """The earliest instant at which something remembered falls due."""
        return min((at for at in (self.next_slot, self.queue.next_due(), self.balances.ends_next) if at), default=None)


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What a cycle did: an answer per request, the tickets that changed, and what metrics count.

    ``unfinished``: a long pass was cut, and goes on with the next cycle.
    """

    answers: tuple[Reply, ...]
    changed: frozenset[int]
    decisions: tuple[tuple[Ticket, Verdict], ...]
    closed: tuple[Ticket, ...]
    unfinished: bool = False


def run_cycle(tx: Transaction, requests: Sequence[Request], terms: Terms) -> CycleResult:
    """Answer a batch with one decision, inside one transaction."""
    memory = remembered(tx, terms)
    snapshot = _load(tx, requests, terms, memory)
    decided = decide_batch(requests, snapshot, terms.policy)
    _save(tx, decided, snapshot, memory)
    memory.count(decided, terms.policy.fair_share)
    memory.groups, memory.shadows = decided.groups, decided.shadows
    slots = (at for at in (memory.next_slot, decided.next_slot) if at and at > tx.now)
    memory.next_slot = min(slots, default=None)  # one that this cycle had no cause to look at is still to come
    if snapshot.look_at_all:
        memory.seen_all_at = tx.now
    closed = tuple(t for t in decided.tickets.values() if t.state is State.CLOSED)
    return CycleResult(
        tuple(decided.answers), frozenset(decided.tickets), tuple(decided.decisions), closed, bool(decided.groups)
    )


def remembered(tx: Transaction, terms: Terms) -> Memory:
    """What cycles remember; read from the store when they have nothing to remember yet.

    Read anew, too, when the clock was put back: what was ahead is put right first, and windows that are missing open.
    """
    if terms.memory and tx.now < terms.memory.balances.now - JITTER:
        terms.memory = None
        rebuild(tx, terms.limits)
    if terms.memory is None:
        terms.memory = _remember(tx, terms)
    return terms.memory


def _remember(tx: Transaction, terms: Terms) -> Memory:
    tickets.put_right(tx, claim_within=terms.policy.claim_within)
    balances = Balances(terms.limits, (), now=tx.now)
    windows.reload(tx, balances)
    return Memory(
        balances,
        ThrottleQueue(tickets.waiting(tx), balances.instances, share_label=terms.policy.fair_share),
        tickets.running_shares(tx, terms.policy.fair_share),
        tickets.sequence(tx, "ticket"),
        tickets.sequence(tx, "fence"),
    )


def _save(tx: Transaction, decided: Decided, snapshot: Snapshot, memory: Memory) -> None:
    """Write what was decided, and let go what only this cycle needed."""
    if decided.changes:
        ledger.apply(tx, decided.changes)
        count_passed(tx, decided.changes, snapshot.run_caps)
    for ticket in decided.tickets.values():
        if ticket.outcome in (Outcome.COMPLETED, Outcome.FAILED):
            ledger.finish_run(tx, ticket.run_id, ticket.outcome.value)
    forecasts.record_unmet(tx, decided, snapshot.balances)
    tickets.save(tx, decided.tickets.values(), decided.past_leases, new=memory.next_ticket)
    windows.save(tx, snapshot.balances)
    if snapshot.next_ticket > memory.next_ticket:
        tickets.advance(tx, "ticket", snapshot.next_ticket)
    if snapshot.next_fence > memory.next_fence:
        tickets.advance(tx, "fence", snapshot.next_fence)
    run_history.remember(tx, decided.tickets.values(), snapshot.transcribed)
    memory.next_ticket, memory.next_fence = snapshot.next_ticket, snapshot.next_fence
    _count(tx, decided, snapshot.balances)
    snapshot.balances.rest()


def _load(tx: Transaction, requests: Sequence[Request], terms: Terms, memory: Memory) -> Snapshot:
    drafts = [request.draft for request in requests if isinstance(request, Submit)]
    named = {request.ticket for request in requests if not isinstance(request, Submit)}
    balances = _balances(tx, memory)
    ended = [balance.id for balance in balances.due()]
    waiting = {number: ticket for number in named if (ticket := memory.queue.get(number))}
    others = named - waiting.keys()
    found = tickets.for_cycle(tx, ids=others, keys=[draft.key for draft in drafts], due=tx.now, ended=ended) | waiting
    seen = memory.seen_all_at
    settling, settled = _settling(found, requests, tx)
    past = _past(tx, found, requests)
    sessions = _newly_bound(tx, found, past, requests)
    windows.recall(tx, balances, tickets=found, since=_since((*settling, *settled), past, sessions))
    told = (event for events in sessions.values() for event in events)
    asked = {ticket.labels for ticket in (*drafts, *found.values())}
    open_for(tx, balances, asked.union(event.labels for event in told))
    runs = {t.run for t in drafts if t.run} | {t.run_id for t in found.values()}
    return Snapshot(
        now=tx.now,
        balances=balances,
        queue=memory.queue,
        tickets=found,
        keys={ticket.key: number for number, ticket in found.items()},
        outlooks=terms.outlooks,
        run_caps=tuple(limit for limit in terms.limits if limit.is_per_run),
        run_used=ledger.run_usage(tx, runs) if runs else {},
        run_open=_run_open(tx, {draft.run for draft in drafts if draft.run}, terms.limits),
        own_events=ledger.of_leases(tx, settled),
        session_events=sessions,
        transcribed=_transcribed(tx, [*((t.lease, t.run) for t in settling), *_with_runs(past, found, requests)]),
        past_leases=past,
        running=memory.running,
        catching_up=terms.catching_up,
        next_ticket=memory.next_ticket,
        next_fence=memory.next_fence,
        expire_leases=terms.expire_leases,
        hold=terms.hold,
        groups=memory.groups,
        shadows=memory.shadows,
        busy_until=terms.busy_until,
        models=terms.models,
        reprice=terms.reprice,
        thresholds=terms.thresholds,
        look_at_all=seen is None or tx.now - seen >= LOOK_AT_ALL or (memory.next_slot or LATEST) <= tx.now,
    )


def _run_open(tx: Transaction, runs: Collection[str], limits: Iterable[Limit]) -> dict[str, Usage]:
    """What the open tickets of named runs may still use: with what is used they stay within the cap of the run."""
    if not runs or not any(limit.is_per_run for limit in limits):
        return {}
    found: dict[str, Usage] = {}
    for ticket in tickets.open_of_runs(tx, runs):
        known = Usage()
        if ticket.lease:
            known = ticket.lease.usage.at_least(ledger.transcript(tx, ticket.lease, ticket.run) or known)
        rest = Usage(*(max(0, whole - part) for whole, part in zip(ticket.estimate.reserve, known, strict=True)))
        found[ticket.run] = found.get(ticket.run, Usage()).plus(rest)
    return found


def _balances(tx: Transaction, memory: Memory) -> Balances:
    """The open windows as of now."""
    memory.balances.now = tx.now
    if not memory.balances_are_current:
        windows.reload(tx, memory.balances)
        memory.balances_are_current = True
    return memory.balances


def _settling(
    found: Mapping[int, Ticket], requests: Sequence[Request], tx: Transaction
) -> tuple[list[Ticket], list[Ticket]]:
    """Tickets whose lease may be settled in this cycle, and those of them that may have been settled before."""
    fences = {(r.ticket, r.fence) for r in requests if isinstance(r, Renew | Release)}
    named = {r.ticket for r in requests if isinstance(r, Renew | Release | Withdraw | Revoke)}
    due = {n for n, t in found.items() if t.state is State.RUNNING and t.lease and t.lease.expires_at <= tx.now}
    both = [found[number] for number in sorted(named | due) if number in found]
    past = {ticket for ticket, fence in fences if ticket in found and fence != _fence(found[ticket])}
    return both, [t for t in both if t.state is not State.RUNNING or t.id in past]


def _fence(ticket: Ticket) -> int:
    return ticket.lease.fence if ticket.lease else 0


def _newly_bound(
    tx: Transaction, found: Mapping[int, Ticket], past: Mapping[int, Lease], requests: Iterable[Request]
) -> dict[str, list[UsageEvent]]:
    sessions: dict[str, datetime] = {}
    for request in requests:
        if isinstance(request, Renew | Release) and request.session:
            lease = found[request.ticket].lease if request.ticket in found else None
            if lease is None or (lease.fence, lease.session) != (request.fence, request.session):
                leases = [known for known in (lease, past.get(request.fence)) if known]
                granted = min((known.granted_at for known in leases), default=tx.now)
                sessions[request.session] = min(granted, sessions.get(request.session, granted))
    return {session: _unclaimed(tx, session, granted) for session, granted in sorted(sessions.items())}


def _unclaimed(tx: Transaction, session: str, granted: datetime) -> list[UsageEvent]:
    """The events of a session that no other lease of it has."""
    events = ledger.by_session(tx, session, granted=granted)
    leases = LeasesOf(tickets.with_leases(tx, sessions=[session], runs=()))
    return [event for event in events if not leases.owner(event)]


def _since(
    settling: Iterable[Ticket], past: Mapping[int, Lease], sessions: Mapping[str, Sequence[UsageEvent]]
) -> datetime | None:
    """How far back closed windows may have to be corrected: to the beginning of what reports late or is bound anew."""
    late = any(t.state is not State.RUNNING for t in settling)
    if not late and not past and not sessions:
        return None
    leases = (*(ticket.lease for ticket in settling), *past.values())
    return min((lease.granted_at for lease in leases if lease), default=None)


def _transcribed(tx: Transaction, leases: Iterable[tuple[Lease | None, str]]) -> dict[int, Usage]:
    found = {lease.fence: ledger.transcript(tx, lease, run) for lease, run in leases if lease}
    return {fence: usage for fence, usage in found.items() if usage is not None}


def _with_runs(
    past: Mapping[int, Lease], found: Mapping[int, Ticket], requests: Iterable[Request]
) -> list[tuple[Lease, str]]:
    """Past leases with the named run of their ticket."""
    named = [r for r in requests if isinstance(r, Renew | Release) and r.fence in past]
    return [(past[r.fence], found[r.ticket].run) for r in named]


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


def _count(tx: Transaction, decided: Decided, balances: Balances) -> None:
    """Raise the counters of what left the queue, what ran out, and what limits in mode warn would have held."""
    for ticket, verdict in decided.decisions:
        for held in verdict.warned if isinstance(verdict, Admit | Defer | Reject) else ():
            counters.add(tx, "quota_would_defer_total", (held.instance, ticket.priority.value))
    for ticket in decided.expired:
        for instance in balances.instances(ticket.labels):
            counters.add(tx, "quota_leases_expired_total", (instance.name,))
    for number, ticket in decided.tickets.items():
        woken = decided.before.get(number) is State.WAITING and ticket.state in (State.OFFERED, State.RUNNING)
        lost = decided.before.get(number) in (State.WAITING, State.OFFERED) and ticket.state is State.CLOSED
        name = "quota_tickets_woken_total" if woken else "quota_tickets_abandoned_total" if lost else ""
        for instance in balances.instances(ticket.labels) if name else ():
            counters.add(tx, name, (instance.name, ticket.priority.value))
