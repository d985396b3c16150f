"""Booking: what a batch of usage events changes, given what the ledger knows about the same responses and leases.

prepared   an instant too far ahead is now; what a lease's session or run brought gets the lease's labels
booking    known already? grown after its row was pruned? does it replace what a lease had reported?
counted    the changes in every window they touch, the reservations they shrink, the sessions they move
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change, Identity, count_once, named, pair_key, request_of
from quota_scheduler.core.ledger.sessions import Use, rechained
from quota_scheduler.core.ledger.settlement import LeasesOf, attribute, lease_prefix, owned
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Usage, UsageEvent

LARGEST_COST = 10**15
"""Most micro-dollars that one event may cost: a billion dollars. With it a batch of thousands stays an integer."""


class LedgerFacts(Struct, frozen=True):
    """What the ledger knows about a batch: see ``count_once`` for ``by_key`` and ``by_message``.

    ``pruned`` are the tokens counted for events whose rows are gone, ``reports`` what ended leases were settled as.
    """

    leases: LeasesOf = field(default_factory=lambda: LeasesOf(()))
    pruned: Mapping[Identity, int] = field(default_factory=dict)
    by_key: Mapping[Identity, UsageEvent] = field(default_factory=dict)
    by_message: Mapping[str, Sequence[UsageEvent]] = field(default_factory=dict)
    reports: Mapping[Identity, UsageEvent] = field(default_factory=dict)


class Booking(Struct, frozen=True):
    """What a batch changes: corrections of the ledger, and how many tokens are now counted for pruned events.

    ``accepted``, ``updated`` and ``duplicate`` add up to the size of the batch.
    """

    changes: tuple[Change, ...] = ()
    grown: tuple[tuple[Identity, int, datetime], ...] = ()
    accepted: int = 0
    updated: int = 0
    duplicate: int = 0


class SessionUses(Struct, frozen=True):
    """Instances whose sessions a batch may move, what was used of each ``since`` then, and what was reserved in."""

    instances: Mapping[str, LimitInstance] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    events: Sequence[UsageEvent] = ()
    reserved: frozenset[int] = frozenset()


def skewed(events: Iterable[UsageEvent], now: datetime) -> Counter[str]:
    """How many events of each provider lie further ahead than a clock may be wrong by."""
    return Counter(event.labels.provider for event in events if event.at > now + SKEW)


def prepared(events: Iterable[UsageEvent], leases: LeasesOf, *, now: datetime, history: bool) -> list[UsageEvent]:
    """The events as they will be recorded.

    ``history`` is what a source held before it was first read: it keeps its own times, also those of a clock that ran
    ahead, since nothing is decided on it.
    """
    ready = []
    ahead = now + SKEW
    for event in map(named, events):
        if not history and event.at > ahead:
            event = replace(event, at=now)
        if event.usage.tokens > LARGEST_EVENT or event.usage.cost_microusd > LARGEST_COST:
            event = replace(event, usage=_bounded(event.usage))
        owner = leases.owner(event) if leases.tickets else None
        ready.append(owned(event, owner) if owner else event)
    return ready


def _bounded(usage: Usage) -> Usage:
    bounds = (*[LARGEST_EVENT] * 6, LARGEST_COST, LARGEST_EVENT, usage.cost_rest)
    return Usage(*(min(amount, bound) for amount, bound in zip(usage, bounds, strict=True)))


def booking(incoming: Sequence[UsageEvent], facts: LedgerFacts) -> Booking:
    """Decide what recording prepared events changes; the same event again changes nothing, a larger one corrects."""
    grown = _grown_since_pruned(incoming, facts.pruned) if facts.pruned else []
    fresh = [event for event in incoming if event.identity not in facts.pruned] if facts.pruned else incoming
    alone, related = _parted(fresh, facts)
    changes = count_once(related, facts.by_key, facts.by_message)
    changes += [Change(None, event) for event in alone]
    changes += [Change(None, event) for event, _ in grown] + _replaced_reports(changes, facts)
    updated = sum(1 for old, new in changes if old and new)
    accepted = sum(1 for old, new in changes if new and not old)
    return Booking(
        tuple(changes),
        tuple((identity, tokens, event.at) for event, (identity, tokens) in grown),
        accepted,
        updated,
        max(0, len(incoming) - accepted - updated),
    )


def _parted(events: Sequence[UsageEvent], facts: LedgerFacts) -> tuple[list[UsageEvent], list[UsageEvent]]:
    """Events of which nothing else, in the batch or known, shares an id of any kind, and the others.

    Nearly all calls of a history are told once. Whatever the rules of ``count_once`` say of copies, such an event is
    simply new; asking them about each costs more than everything else that is decided about it.
    """
    known = [*facts.by_key.values(), *(event for events in facts.by_message.values() for event in events)]
    told = Counter(name for event in known for name in _names(event))
    for event in events:
        told.update(_names(event))
    alone: list[UsageEvent] = []
    related: list[UsageEvent] = []
    for event in events:
        (alone if all(told[name] == 1 for name in _names(event)) else related).append(event)
    taken = {pair_key(event) for event in related}
    if any(event.key in taken for event in alone):
        return [], list(events)
    return alone, related


def _names(event: UsageEvent) -> set[str]:
    """Every id by which a record may turn out to be of the same response as another."""
    return {event.key, event.message or event.key, request_of(event) or event.key}


def derived(changes: Iterable[Change], facts: LedgerFacts) -> Booking:
    """What changes that were derived, not told, change in all; they replace what leases reported like any other."""
    changes = list(changes)
    return Booking((*changes, *_replaced_reports(changes, facts)), updated=len(changes))


def _grown_since_pruned(
    incoming: Iterable[UsageEvent], pruned: Mapping[Identity, int]
) -> list[tuple[UsageEvent, tuple[Identity, int]]]:
    """The growth of events whose rows are gone, each under a key of its own, with what is counted for it from now."""
    largest: dict[Identity, UsageEvent] = {}
    for event in incoming:
        before = largest.get(event.identity)
        if event.identity in pruned and (before is None or event.usage.tokens > before.usage.tokens):
            largest[event.identity] = event
    grown = []
    for identity, event in largest.items():
        tokens, more = event.usage.tokens, event.usage.tokens - pruned[identity]
        if more > 0:
            growth = replace(event, key=f"{event.key}~{tokens}", usage=event.usage.scaled(more, tokens))
            grown.append((growth, (identity, tokens)))
    return grown


def _replaced_reports(changes: Iterable[Change], facts: LedgerFacts) -> list[Change]:
    """A settled lease's own report gives way to its session's transcript, whichever comes last."""
    if not facts.reports:
        return []
    owners = [owner for _, new in changes if new and (owner := facts.leases.owner(new))]
    prefixes = tuple({lease_prefix(t.id, t.lease.fence) for t in owners if t.lease and t.lease.ended_at})
    if not prefixes:
        return []
    return [Change(event, None) for event in facts.reports.values() if event.key.startswith(prefixes)]


def counted(changes: Sequence[Change], leases: LeasesOf, balances: Balances, sessions: SessionUses) -> None:
    """Count changes of the ledger: in windows, in the reservations of running leases, in sessions that they move."""
    bound = {ticket.run_id for ticket in leases.tickets}
    anew = sessions.instances.keys()
    for old, _ in changes:  # first what is taken back: what comes may open a session that never counted it
        if old:
            balances.book(old, None, leased=old.run in bound, but=anew)
    counts_from = cache(partial(balances.counts_from, remembered={}))
    fresh = [new for _, new in changes if new and new.at >= counts_from(new.labels)]
    balances.book_new(fresh, leased=lambda event: event.run in bound, but=anew)
    _count_sessions(changes, bound, balances, sessions)
    for ticket in leases.tickets:
        if ticket.lease and ticket.lease.ended_at is None:
            attribute(ticket, [change for change in changes if leases.has(change, ticket)], balances)


def _count_sessions(changes: Iterable[Change], bound: Iterable[str], balances: Balances, sessions: SessionUses) -> None:
    """Put moved sessions in their place and count them from all their uses."""
    if not sessions.instances:
        return
    uses = {event.identity: event for event in sessions.events}
    for old, _ in changes:
        if old:
            uses.pop(old.identity, None)
    uses |= {new.identity: new for _, new in changes if new}
    by_name: dict[str, list[Use]] = {name: [] for name in sessions.instances}
    for event in uses.values():
        for instance in balances.instances(event.labels):
            if event.at < sessions.since.get(instance.name, event.at):
                continue  # before its chain is sure: history
            counts = instance.name in by_name and event.at <= balances.now + SKEW
            if counts and (amount := instance.limit.fine_charge(event.usage)):
                by_name[instance.name].append(Use(event.at, amount))
    for name, instance in sessions.instances.items():
        rechained(balances, instance, by_name[name], since=sessions.since[name], reserved=sessions.reserved)
    signed = [(event, sign) for change in changes for event, sign in zip(change, (-1, +1), strict=True) if event]
    for touched, sign in signed if by_name else ():
        for instance in balances.instances(touched.labels):
            balance = balances.to_correct(instance, touched.at) if instance.name in by_name else None
            if balance:
                charge = sign * instance.limit.charge(touched.usage)
                balances.note_kind(balance, touched, charge, sign, leased=touched.run in bound)


def shown_apart(changes: Iterable[Change], balances: Balances) -> tuple[Counter[str], Counter[str]]:
    """By provider: how many tokens without a price these changes bring, and how many came after their window's end."""
    unpriced, late = Counter[str](), Counter[str]()
    any_closed = any(balance.closed for balance in balances.all())
    for old, new in changes:
        event = new or old
        if event is None:
            continue
        provider, before = event.labels.provider, old.usage if old else Usage()
        unpriced[provider] += (new.usage.unpriced_tokens if new else 0) - before.unpriced_tokens
        if (new and any_closed) and any(
            (balance := balances.to_correct(instance, new.at)) and balance.closed
            for instance in balances.instances(new.labels)
        ):
            late[provider] += new.usage.tokens - before.tokens
    return unpriced, late
