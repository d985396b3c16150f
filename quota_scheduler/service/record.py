"""Usage in: events → ledger → windows, each counted once, in one transaction.

raw record ─source or API─► UsageEvent ─price─► record_usage ── one transaction ─────────────────────────
                                                  owned      the labels of a lease bound to the session win
                                                  count_once what the ledger knows already is corrected, not added
                                                  apply      events, rollups and runs move together
                                                  book       the windows that contain each event's own time
                                                  attribute  a running lease's reservation shrinks by what came
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change, count_once
from quota_scheduler.core.ledger.settlement import attribute, is_of, lease_prefix, owned
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session, Window
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.service.run_caps import count_passed
from quota_scheduler.store import Transaction, counters, ledger, repricing, tickets, windows

SESSION_MEMORY = timedelta(days=8)
"""How far back sessions are chained when they are rebuilt: longer than any week, so a break in use is found."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch; the four counts add up to its size."""

    accepted: int = 0
    updated: int = 0
    duplicate: int = 0

    def plus(self, other: "Recorded") -> "Recorded":
        """Both together."""
        return Recorded(self.accepted + other.accepted, self.updated + other.updated, self.duplicate + other.duplicate)


def record_usage(
    tx: Transaction, events: Sequence[UsageEvent], limits: Sequence[Limit], *, history: bool = False
) -> Recorded:
    """Record priced events; the same event again changes nothing, a larger one corrects by the difference.

    ``history`` is what a source held before it was first read: it keeps its own times, also those of a clock that ran
    ahead, since nothing is decided on it.
    """
    if not events:
        return Recorded()
    incoming = list(events) if history else _clamped(tx, events)
    leases = tickets.running_by_session(tx, (event.session for event in incoming if event.session))
    incoming = [_owned(event, leases) for event in incoming]
    fresh, counted = _unpruned(tx, incoming)
    known = ledger.by_key(tx, {event.identity for event in fresh})
    changes = count_once(fresh, known, ledger.by_message(tx, (event.message for event in fresh if event.message)))
    changes += counted + _replaced_reports(tx, changes, leases)
    if changes:
        _book(tx, changes, leases, limits)
    updated = sum(1 for old, new in changes if old and new)
    accepted = sum(1 for old, new in changes if new and not old)
    return Recorded(accepted, updated, max(0, len(events) - accepted - updated))


def _clamped(tx: Transaction, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    ahead = [event for event in events if event.at > tx.now + SKEW]
    for event in ahead:
        counters.add(tx, "quota_skewed_events_total", (event.labels.provider,))
    return (
        [replace(event, at=tx.now) if event.at > tx.now + SKEW else event for event in events]
        if ahead
        else list(events)
    )


def _owned(event: UsageEvent, leases: dict[str, list[Ticket]]) -> UsageEvent:
    """Give an event to the lease that its session was bound to at the time."""
    owner = _owner(event, leases)
    return owned(event, owner) if owner else event


def _owner(event: UsageEvent, leases: dict[str, list[Ticket]]) -> Ticket | None:
    """The ticket, with the lease of that time, whose transcript an event is of."""
    found = leases.get(event.session, ())
    return next((ticket for ticket in found if ticket.lease and is_of(event, ticket.lease)), None)


def _unpruned(tx: Transaction, events: list[UsageEvent]) -> tuple[list[UsageEvent], list[Change]]:
    """Set aside events whose rows are gone: those that grew since count their growth, the others nothing."""
    gone = ledger.pruned(tx, [event.identity for event in events])
    if not gone:
        return events, []
    largest: dict[tuple[str, str], UsageEvent] = {}
    for event in events:
        before = largest.get(event.identity)
        if event.identity in gone and (before is None or event.usage.tokens > before.usage.tokens):
            largest[event.identity] = event
    grown: list[Change] = []
    for identity, event in largest.items():
        tokens, more = event.usage.tokens, event.usage.tokens - gone[identity]
        if more > 0:
            grown.append(
                Change(None, replace(event, key=f"{event.key}~{tokens}", usage=event.usage.scaled(more, tokens)))
            )
            ledger.keep_key(tx, identity, tokens, event.at)
    return [event for event in events if event.identity not in gone], grown


def _replaced_reports(tx: Transaction, changes: Sequence[Change], leases: dict[str, list[Ticket]]) -> list[Change]:
    """A settled lease's own report gives way to its session's transcript, whichever comes last."""
    owners = [owner for _, new in changes if new and (owner := _owner(new, leases))]
    settled = {lease.fence: ticket for ticket in owners if (lease := ticket.lease) and lease.ended_at}
    if not settled:
        return []
    prefixes = tuple(lease_prefix(ticket.id, fence) for fence, ticket in settled.items())
    reports = ledger.of_leases(tx, {ticket.id: ticket for ticket in settled.values()}.values())
    return [Change(event, None) for event in reports.values() if event.key.startswith(prefixes)]


def _book(tx: Transaction, changes: Sequence[Change], leases: dict[str, list[Ticket]], limits: Sequence[Limit]) -> None:
    oldest = min(event.at for change in changes for event in change if event)
    running = [t for row in leases.values() for t in row if t.lease and t.lease.ended_at is None]
    balances = windows.load(tx, limits, since=oldest, tickets={ticket.id for ticket in running})
    windows.open_for(tx, balances, (event.labels for change in changes for event in change if event))
    ledger.apply(tx, changes)
    count_passed(tx, changes, limits)
    bound = {ticket.run_id for row in leases.values() for ticket in row}
    for old, _ in changes:  # first what is taken back: what comes may open a session that never counted it
        balances.book(old, None, leased=old is not None and old.run in bound)
    for _, new in changes:
        balances.book(None, new, leased=new is not None and new.run in bound)
    for ticket in running:
        attribute(ticket, changes, balances)
    windows.save(tx, balances)
    _count(tx, changes, balances)


def correct(tx: Transaction, changes: Sequence[Change], limits: Sequence[Limit]) -> int:
    """Write costs that are known better now: the same usage, in the same windows; returns how many events changed.

    Events that have changed meanwhile stay as they are. What was late or without a lease stays what it was.
    """
    stored = ledger.by_key(tx, [old.identity for old, _ in changes if old])
    changes = [change for change in changes if change.old and stored.get(change.old.identity) == change.old]
    if not changes:
        return 0
    leases = tickets.running_by_session(tx, (old.session for old, _ in changes if old and old.session))
    running = [t for row in leases.values() for t in row if t.lease and t.lease.ended_at is None]
    oldest = min(old.at for old, _ in changes if old)
    balances = windows.load(tx, limits, since=oldest, tickets={ticket.id for ticket in running})
    windows.open_for(tx, balances, (old.labels for old, _ in changes if old))
    late = [(balance, balance.late) for balance in balances.all()]
    ledger.apply(tx, changes)
    count_passed(tx, changes, limits)
    for old, new in changes:
        balances.book(old, new, leased=True)
    for balance, before in late:
        balance.late = before
    for ticket in running:
        attribute(ticket, changes, balances)
    windows.save(tx, balances)
    return len(changes)


def forget_estimates(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Let no open window be called estimated in which nothing is any more."""
    balances = windows.load(tx, limits, tickets=())
    for balance in list(balances.all()):
        if balance.estimated and not balance.closed and balance.window:
            labels = repricing.estimated_in(tx, balance.window.starts_at, balance.window.ends_at)
            balance.estimated = any(b.name == balance.name for each in labels for b in balances.instances(each))
            balance.dirty = not balance.estimated
    windows.save(tx, balances)


def _count(tx: Transaction, changes: Sequence[Change], balances: Balances) -> None:
    """Late and unpriced tokens are shown apart."""
    unpriced: dict[str, int] = {}
    late: dict[str, int] = {}
    for old, new in changes:
        event = new or old
        if event is None:
            continue
        grown = (new.usage.unpriced_tokens if new else 0) - (old.usage.unpriced_tokens if old else 0)
        unpriced[event.labels.provider] = unpriced.get(event.labels.provider, 0) + grown
        if new and any(
            (balance := balances.to_correct(b, new.at)) and balance.closed for b in balances.instances(new.labels)
        ):
            late[event.labels.provider] = (
                late.get(event.labels.provider, 0) + new.usage.tokens - (old.usage.tokens if old else 0)
            )
    for provider, tokens in unpriced.items():
        counters.add(tx, "quota_unpriced_tokens_total", (provider,), tokens)
    for provider, tokens in late.items():
        counters.add(tx, "quota_late_usage_tokens_total", (provider,), tokens)


def rebuild_sessions(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Find the session windows that are open now from what the ledger knows.

    After a first pass over a source, whose files are not in order of time, or for a new limit. A session that a lease
    has reserved in stays as it is: perhaps the lease opened it.
    """
    sessions = [limit for limit in limits if isinstance(limit.schedule, Session)]
    if not sessions:
        return
    balances = windows.load(tx, limits)
    events = ledger.between(tx, tx.now - SESSION_MEMORY, tx.now + SKEW)
    uses: dict[str, list[UsageEvent]] = {}
    for event in events:
        for instance in balances.instances(event.labels):
            if instance.limit in sessions and instance.limit.fine_charge(event.usage):
                uses.setdefault(instance.name, []).append(event)
    for name, own in uses.items():
        instance = next(b for b in balances.instances(own[0].labels) if b.name == name)
        found = balances.find(instance, tx.now)
        if found is None or not windows.was_reserved(tx, found.id):
            _rebuild(balances, instance, own, tx.now)
    windows.save(tx, balances)


def _rebuild(balances: Balances, instance: LimitInstance, events: list[UsageEvent], now: datetime) -> None:
    """Put the newest session where its uses say; one that was over before now is closed by the next cycle."""
    assert isinstance(instance.limit.schedule, Session)
    starts_at, ends_at = instance.limit.schedule.opened(event.at for event in events)[-1]
    balance = balances.find(instance, now) or (balances.open_for_use(instance, starts_at) if ends_at > now else None)
    if balance is None or (
        balance.window is None and ends_at <= now
    ):  # one that has not begun is not the one that is over
        return
    balance.window = Window(starts_at, ends_at)
    balance.used = balance.rest = 0
    balance.use(sum(instance.limit.fine_charge(event.usage) for event in events if starts_at <= event.at < ends_at))
    balance.dirty = True
