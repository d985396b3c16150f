"""Ticket → verdict → lease, and resets: one batch of requests → one snapshot → decisions → one write.

requests (one or a thousand, or none when only the clock asks)
  → load      windows, reservations, the tickets that wait, are named or have fallen due     one transaction
  → decide    core.cycle.decide_batch: settle, expire, reset, order, admit
  → save      ledger, windows, tickets, leases; provisional ids become real
  → answers   after the commit, so that nothing is told that could be lost
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.admission.decide import Admit, Verdict
from quota_scheduler.core.admission.loans import moved
from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.needs import Needs, drafts_of, named_by, needs_of
from quota_scheduler.core.cycle.requests import Reply, Request
from quota_scheduler.core.cycle.result import Changes, Decided
from quota_scheduler.core.cycle.snapshot import LoadedRows, Numbers, RunTotals, Snapshot, promised
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.settlement import LeasesOf
from quota_scheduler.core.tickets.ticket import Lease, State, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.comments import owe_comments
from quota_scheduler.service.memory import JITTER, Memory, Remembered
from quota_scheduler.service.rebuild import open_for
from quota_scheduler.service.run_caps import count_passed
from quota_scheduler.store import (
    Foreseen,
    Transaction,
    breakers,
    counters,
    decision_counts,
    forecasts,
    ledger,
    loans,
    quality,
    ramps,
    run_history,
    tickets,
    windows,
)
from quota_scheduler.store.database import Asked


class CycleResult(Struct, frozen=True):
    """What a cycle did: an answer per request, the tickets that changed, and what metrics and the log tell.

    ``started`` are those whose lease it granted, ``offered`` those that it offered one, ``closed`` those it closed.
    ``unfinished``: a long pass was cut, and goes on with the next cycle.
    """

    answers: tuple[Reply, ...]
    changed: frozenset[int]
    decisions: tuple[tuple[Ticket, Verdict], ...]
    closed: tuple[Ticket, ...]
    started: tuple[Ticket, ...] = ()
    offered: tuple[Ticket, ...] = ()
    unfinished: bool = False


def run_cycle(tx: Transaction, requests: Sequence[Request], terms: Terms, memory: Memory) -> CycleResult:
    """Answer a batch with one decision, inside one transaction."""
    remembered = memory.of(tx, terms)
    snapshot = snapshot_of(tx, requests, terms, remembered)
    decided = decide_batch(requests, snapshot)
    _save(tx, decided, snapshot, shared=memory.shared)
    changed = decided.changes.tickets.values()
    quiet = not decided.changes.breakers and not snapshot.breakers.is_any
    memory.go_on(tx, decided.onward, changed, seen_all=snapshot.queue.look_at_all, quiet=quiet)
    return _result(decided, tx.now)


def _result(decided: Decided, now: datetime) -> CycleResult:
    changed = decided.changes.tickets
    closed = tuple(ticket for ticket in changed.values() if ticket.state is State.CLOSED)
    started = tuple(ticket for ticket in changed.values() if ticket.lease and ticket.lease.granted_at == now)
    admitted = {ticket.id for ticket, verdict in decided.decisions if isinstance(verdict, Admit)}
    offered = tuple(ticket for number in admitted if (ticket := changed[number]).state is State.OFFERED)
    unfinished = bool(decided.onward.unfinished.groups)
    return CycleResult(decided.answers, frozenset(changed), decided.decisions, closed, started, offered, unfinished)


# load


def snapshot_of(tx: Transaction, requests: Sequence[Request], terms: Terms, remembered: Remembered) -> Snapshot:
    """What a decision about these requests needs; only looks, so that a view that cannot write will do."""
    accounts, too_soon, with_keys = _ask_first(tx, requests, remembered)
    balances = remembered.balances_now(tx)
    named = _named(tx, requests, remembered, with_keys)
    needs = needs_of(requests, named, now=tx.now)
    past = _past_leases(tx, needs.past)
    sessions = {session: _unclaimed(tx, session, needs, past) for session in needs.sessions}
    windows.recall(tx, balances, tickets=named, since=needs.corrected_since(past), too_soon=too_soon)
    bound = (event.labels for events in sessions.values() for event in events)
    open_for(tx, balances, needs.labels.union(bound))
    rows = LoadedRows(
        tickets=named,
        own_events=ledger.of_leases(tx, needs.settled),
        session_events=sessions,
        transcribed=_transcribed(tx, needs.leases(past)),
        past_leases=past,
    )
    used = ledger.run_usage(tx, needs.runs) if needs.runs else {}
    runs = RunTotals(used, _promised(tx, needs.shared_runs, terms))
    queue = remembered.queue_state(tx.now)
    return Snapshot(tx.now, terms, balances, queue, rows, runs, remembered.numbers, accounts())


def foresee(tx: Foreseen, requests: Sequence[Request], memory: Memory) -> None:
    """Ask what a cycle with these requests will ask first."""
    if memory.remembered:
        memory.foresee(tx)
        _ask_first(tx, requests, memory.remembered)


def _ask_first(
    tx: Transaction, requests: Sequence[Request], remembered: Remembered
) -> tuple[Callable[[], Breakers], Asked, Callable[[], list[int]]]:
    """What can be asked before the turn is taken: nothing of it depends on the instant, or on what others wrote."""
    with_keys = tickets.numbers_of(tx, [draft.key for draft in drafts_of(requests)])
    if remembered.is_quiet(tx.now):
        return Breakers, list, with_keys
    too_soon = windows.closed_too_soon(tx, since=remembered.balances.now - JITTER)
    return breakers.ask(tx), too_soon, with_keys


def _named(
    tx: Transaction, requests: Sequence[Request], remembered: Remembered, with_keys: Callable[[], list[int]]
) -> dict[int, Ticket]:
    """The tickets that requests name, that are offered, or that have fallen due."""
    named = named_by(requests)
    waiting = {number: ticket for number in named if (ticket := remembered.queue.get(number))}
    rows = tickets.for_cycle(
        tx,
        ids=(named | remembered.offered.keys()) - waiting.keys(),
        due=remembered.expired_by(tx.now),
        ended=[balance.id for balance in remembered.balances.due()],
    )
    if asked_again := [number for number in with_keys() if number not in rows]:
        rows |= tickets.for_cycle(tx, ids=asked_again)
    return rows | waiting


def _past_leases(tx: Transaction, named: Iterable[tuple[int, int]]) -> dict[int, Lease]:
    leases = (tickets.lease_of(tx, ticket, fence) for ticket, fence in named)
    return {lease.fence: lease for lease in leases if lease}


def _unclaimed(tx: Transaction, session: str, needs: Needs, past: Mapping[int, Lease]) -> list[UsageEvent]:
    """The events of a session that a lease may be bound to, and that no other lease of it has."""
    granted = min((lease.granted_at for lease, _ in needs.leases(past)), default=tx.now)
    leases = LeasesOf(tickets.with_leases(tx, sessions=[session], runs=()))
    return [event for event in ledger.by_session(tx, session, granted=granted) if not leases.owner(event)]


def _transcribed(tx: Transaction, leases: Iterable[tuple[Lease, str]]) -> dict[int, Usage]:
    """What the transcripts of leases, or events of their named runs, have brought to the ledger, by fence."""
    usages = {lease.fence: ledger.transcript(tx, lease, run) for lease, run in leases}
    return {fence: usage for fence, usage in usages.items() if usage is not None}


def _promised(tx: Transaction, runs: Collection[str], terms: Terms) -> Mapping[str, Usage]:
    """What the open tickets of named runs may still use, where a cap asks for it."""
    if not runs or not terms.run_caps:
        return {}
    open_tickets = tickets.open_of_runs(tx, runs)
    return promised(
        open_tickets, _transcribed(tx, ((ticket.lease, ticket.run) for ticket in open_tickets if ticket.lease))
    )


# save


def _save(tx: Transaction, decided: Decided, snapshot: Snapshot, *, shared: bool) -> None:
    """Write what was decided; the order only matters where rows refer to each other.

    ``shared``: others remember what is written here, too.
    """
    changes = decided.changes
    if changes.ledger:
        ledger.apply(tx, changes.ledger)
        count_passed(tx, changes.ledger, snapshot.terms.run_caps)
    tickets.save(tx, changes.tickets.values(), changes.past_leases, new=snapshot.numbers.ticket)
    owe_comments(tx, changes.tickets.values(), decided.decisions)
    windows.save(tx, snapshot.balances, tells=shared)
    ramps.save(tx, snapshot.queue.queue.ramps.moved())
    if any(limit.parent for limit in snapshot.balances.limits):
        loans.save(tx, moved(snapshot.balances, loans.standing(tx)))
    breakers.save(tx, changes.breakers)
    _advance(tx, snapshot.numbers, decided.onward.numbers)
    _save_what_closed(tx, changes)
    for name, labels in changes.counters:
        counters.add(tx, name, labels)
    decision_counts.add(tx, changes.tallied)


def _save_what_closed(tx: Transaction, changes: Changes) -> None:
    ledger.finish_runs(tx, ((run.run, run.status) for run in changes.finished))
    forecasts.record_unmet(tx, changes.unmet)
    quality.turn_away(tx, changes.turned_away)
    run_history.remember(tx, changes.finished)


def _advance(tx: Transaction, before: Numbers, after: Numbers) -> None:
    if after != before:
        tickets.advance(tx, ticket=after.ticket, fence=after.fence)
