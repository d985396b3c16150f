"""What a bound token may tell: its own work, and nothing about that of others, whatever ids it names.

A call that is recorded as somebody else's stays as it is, and a session that is somebody else's is not added to: the
call counts, as one of no session. Who sent it hears the same as of calls that were told before.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from quota_scheduler.core.ledger.settlement import LEASE_KEY
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import SessionTotal
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, ledger, session_owners, tickets


def own_events(tx: Transaction, events: Sequence[UsageEvent], scope: Scope) -> list[UsageEvent]:
    """The events that a scope may add; those that are recorded as another's are left out."""
    if not scope.is_bound or not events:
        return list(events)
    theirs = _foreign_sessions(tx, {event.session for event in events}, scope)
    known = list(ledger.by_key(tx, [event.identity for event in events]).values())
    copies = ledger.by_message(tx, (event.message for event in events if event.message))
    known += [copy for events_of in copies.values() for copy in events_of]
    taken = {event.identity for event in known if not scope.holds(event.labels)}
    messages = {event.message for event in known if event.message and not scope.holds(event.labels)}
    return [
        replace(event, session="", run="" if event.run == event.session else event.run)
        if event.session in theirs
        else event
        for event in events
        if event.identity not in taken and event.message not in messages and not event.key.startswith(LEASE_KEY)
    ]


def own_totals(tx: Transaction, totals: Sequence[SessionTotal], scope: Scope) -> list[SessionTotal]:
    """The totals of sessions that are not somebody else's."""
    if not scope.is_bound or not totals:
        return list(totals)
    theirs = _foreign_sessions(tx, {total.session for total in totals}, scope)
    return [total for total in totals if total.session not in theirs]


def _foreign_sessions(tx: Transaction, sessions: Collection[str], scope: Scope) -> set[str]:
    """Those of some sessions that leases or recorded calls of others have."""
    named = {session for session in sessions if session}
    leased = {
        ticket.lease.session
        for ticket in tickets.with_leases(tx, sessions=named, runs=())
        if ticket.lease and not scope.holds(ticket.labels)
    }
    told = {session for session, labels in session_owners.labels_of(tx, named) if isinstance(scope.filled(labels), str)}
    return leased | told


def own_batch(tx: Transaction, batch: Batch, scope: Scope) -> Batch:
    """What a shipment tells of a scope's own work; its plain events are among its events."""
    if not scope.is_bound:
        return batch
    totals = own_totals(tx, batch.totals, scope)
    sessions = {total.session for total in totals}
    named = {*(one.session for one in batch.inherited), *(one.session for one in batch.going_on)} - sessions
    theirs = _foreign_sessions(tx, named, scope)
    return replace(
        batch,
        events=tuple(own_events(tx, batch.events, scope)),
        totals=tuple(totals),
        inherited=tuple(one for one in batch.inherited if one.session not in theirs),
        going_on=tuple(one for one in batch.going_on if one.session not in theirs),
    )
