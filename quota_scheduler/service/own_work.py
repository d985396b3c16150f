"""What a bound token may tell: its own work, and nothing about that of others, whatever ids it names.

A call that is recorded as somebody else's stays as it is, and a session that is somebody else's is not added to: the
call counts, as one of no session. Who sent it hears the same as of calls that were told before.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from quota_scheduler.core.ledger.metered import Metered
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.settlement import LEASE_KEY
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import SessionTotal, StatedUsage
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
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


def of_scope(delivery: Pushed, scope: Scope) -> Pushed:
    """What was pushed, with the labels of who pushed it; what claims to be of others is among the refused."""
    if not scope.is_bound:
        return delivery
    events: list[UsageEvent] = []
    metered: list[Metered] = []
    refused = list(delivery.refused)
    for event in map(scope.event, delivery.events):
        if isinstance(event, str):
            refused.append(event)
        else:
            events.append(event)
    for point in delivery.metered:
        draft = scope.event(point.draft)
        if isinstance(draft, str):
            refused.append(draft)
        else:
            series, group = scope.named(point.series), scope.named(point.group)
            metered.append(replace(point, draft=draft, series=series, group=group))
    produced = tuple(replace(one, series=scope.named(one.series)) for one in delivery.produced)
    observations, throttles = own_word(delivery.observations, delivery.throttles, scope)
    return replace(
        delivery,
        events=tuple(events),
        metered=tuple(metered),
        observations=observations,
        throttles=throttles,
        refused=tuple(refused),
        produced=produced,
        scope=scope,
    )


def own_word(
    observations: Sequence[Observation], throttles: Sequence[Throttle], scope: Scope
) -> tuple[tuple[Observation, ...], tuple[Throttle, ...]]:
    """What providers said about the account that a scope is bound to; about shared accounts all are believed."""
    own = dict(scope.bound).get("account")
    if own is None:
        return tuple(observations), tuple(throttles)
    unnamed = ("", DEFAULT_ACCOUNT, own)
    return (
        tuple(replace(one, account=own) for one in observations if one.account in unnamed),
        tuple(replace(one, account=own) for one in throttles if one.account in unnamed),
    )


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


def claimed(batch: Batch, scope: Scope) -> tuple[Batch, list[str]]:
    """A shipment with the labels of who sent it, and the sentences about what claims to be of others."""
    if not scope.is_bound:
        return batch, []
    events: list[UsageEvent] = []
    refused: list[str] = []
    for event in map(scope.event, batch.events):
        if isinstance(event, str):
            refused.append(event)
        else:
            events.append(event)
    totals: list[SessionTotal] = []
    for total in batch.totals:
        told = claimed_total(total, scope)
        if isinstance(told, str):
            refused.append(told)
        else:
            totals.append(told)
    observations, throttles = own_word(batch.observations, batch.throttles, scope)
    kept = replace(batch, events=tuple(events), totals=tuple(totals), observations=observations, throttles=throttles)
    return kept, refused


def claimed_total(total: SessionTotal, scope: Scope) -> SessionTotal | str:
    """A session's total with the labels of who tells it; a sentence where it claims to be of others."""
    stated: list[StatedUsage] = []
    for one in total.stated:
        labels = scope.filled(one.labels)
        if isinstance(labels, str):
            return labels
        stated.append(one._replace(labels=labels))
    return replace(total, stated=tuple(stated))
