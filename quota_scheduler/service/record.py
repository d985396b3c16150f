"""Usage in: events → ledger → windows, each counted once, in one transaction.

raw record ─source or API─► UsageEvent ─price─► record_usage ── one transaction ─────────────────────────
                                                  load     what the ledger, leases and windows know already
                                                  decide   core.ledger.booking: own, count once, count in windows
                                                  save     events, rollups, runs and windows move together
                                                  tell     counters, and what became of each event
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from quota_scheduler.core.ledger import doors
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.booking import (
    Booking,
    LedgerFacts,
    SessionUses,
    booking,
    counted,
    derived,
    prepared,
    shown_apart,
    skewed,
)
from quota_scheduler.core.ledger.deduplicate import Change, Identity, vendor_requests
from quota_scheduler.core.ledger.plain_events import NOTHING, PlainEvents
from quota_scheduler.core.ledger.sessions import moved_by
from quota_scheduler.core.ledger.settlement import LeasesOf, attribute
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.service import chained_sessions
from quota_scheduler.service.rebuild import open_for, uses_of
from quota_scheduler.service.record_plain import in_and_beside, still_plain
from quota_scheduler.service.run_caps import count_passed
from quota_scheduler.service.throttles import answered
from quota_scheduler.store import Transaction, counters, ledger, pruned, repricing, session_totals, tickets, windows
from quota_scheduler.store import doors as door_store


class Recorded(Struct, frozen=True):
    """What became of a batch; the counts add up to its size."""

    accepted: int = 0
    updated: int = 0
    duplicate: int = 0

    def plus(self, other: "Recorded") -> "Recorded":
        """Both together."""
        return Recorded(self.accepted + other.accepted, self.updated + other.updated, self.duplicate + other.duplicate)


def record_usage(
    tx: Transaction,
    events: Sequence[UsageEvent],
    limits: Sequence[Limit],
    *,
    history: bool = False,
    plain: PlainEvents = NOTHING,
) -> Recorded:
    """Record priced events; the same event again changes nothing, a larger one corrects by the difference.

    ``history`` is what a source held before it was first read: see ``prepared``. Its sessions are found when all of it
    has been read. ``plain`` is history as well, and counts as its events would: see ``plain_events``.
    """
    if not events and not plain:
        return Recorded()
    if not history:
        answered(tx, events)
    leases = _leases(tx, [*events, *plain.kinds])
    plain, told = still_plain(tx, plain, events, leases, limits)
    incoming = prepared(told, leases, now=tx.now, history=history)
    incoming, left_out, plain = _of_chosen_doors(tx, incoming, limits, plain, history=history)
    facts = _facts(tx, incoming, leases)
    booked = booking(incoming, facts)
    _book(tx, booked, leases, limits, plain, history=history)
    session_totals.touch(tx, [*(event for change in booked.changes for event in change if event), *plain.ends()])
    for provider, count in () if history else skewed(events, tx.now).items():
        counters.add(tx, "quota_skewed_events_total", (provider,), count)
    return Recorded(booked.accepted + len(plain), booked.updated, booked.duplicate + left_out)


def _of_chosen_doors(
    tx: Transaction, events: list[UsageEvent], limits: Sequence[Limit], plain: PlainEvents, *, history: bool
) -> tuple[list[UsageEvent], int, PlainEvents]:
    """The events that count, and how many others there are, of which another door tells that cannot be matched.

    Plain events stay so where no other door tells of any. What stands of such doors for hours that nobody else told of
    until now is taken back.
    """
    hourly = plain.hourly()
    hours = doors.told([*events, *hourly])
    if fresh := door_store.note(tx, hours):
        taken_back = [event for event in door_store.beside(tx, fresh) if doors.is_ruled_out(event, fresh)]
        record_derived(tx, taken_back, [], limits, history=history)
    asked = doors.asked(hours)
    ruling = (hours & asked) | door_store.known(tx, asked)
    if not ruling:
        return events, 0, plain
    if any(doors.is_ruled_out(event, ruling) for event in hourly):
        events, plain = [*events, *prepared(plain.events(), LeasesOf(()), now=tx.now, history=True)], NOTHING
    counting: list[UsageEvent] = []
    for event in events:
        if not doors.is_ruled_out(event, ruling):
            counting.append(event)
        else:
            source = (event.origin.partition("@")[0],)
            counters.add(tx, "quota_left_out_tokens_total", source, event.usage.tokens)
    return counting, len(events) - len(counting), plain


def record_derived(
    tx: Transaction, before: Sequence[UsageEvent], now: Sequence[UsageEvent], limits: Sequence[Limit], *, history: bool
) -> int:
    """Let derived and priced events stand in place of others; returns how many changed."""
    if not before and not now:
        return 0
    leases = _leases(tx, [*before, *now])
    stored = {event.identity: event for event in before}
    fresh = {event.identity: event for event in prepared(now, leases, now=tx.now, history=history)}
    changes = [Change(stored.get(one), fresh.get(one)) for one in dict.fromkeys((*stored, *fresh))]
    changes = [change for change in changes if change.old != change.new]
    booked = derived(changes, LedgerFacts(leases, reports=_reports(tx, leases)))
    _book(tx, booked, leases, limits, NOTHING, history=history)
    return len(changes)


def _book(
    tx: Transaction,
    booked: Booking,
    leases: LeasesOf,
    limits: Sequence[Limit],
    plain: PlainEvents,
    *,
    history: bool,
) -> None:
    if booked.changes or plain:
        if history:
            chained_sessions.lost(tx)
        ends = [Change(None, event) for event in plain.ends()]
        balances, sessions = _windows(tx, [*booked.changes, *ends], leases, limits, history=history)
        in_windows, beside = in_and_beside(plain, balances)
        changes = [*booked.changes, *in_windows]
        counted(changes, leases, balances, sessions)
        _save(tx, booked, balances, limits, plain)
        _count(tx, changes, balances, beside)


def _leases(tx: Transaction, events: Sequence[UsageEvent]) -> LeasesOf:
    sessions, runs = ({getattr(event, name) for event in events} for name in ("session", "run"))
    return LeasesOf(tickets.with_leases(tx, sessions=sessions, runs=runs))


def _reports(tx: Transaction, leases: LeasesOf) -> dict[Identity, UsageEvent]:
    """What ended leases were settled as."""
    return ledger.of_leases(tx, {t.id: t for t in leases.tickets if t.lease and t.lease.ended_at}.values())


def _facts(tx: Transaction, events: Sequence[UsageEvent], leases: LeasesOf) -> LedgerFacts:
    """What the ledger knows about the same responses, and the leases that they may be of."""
    identities = {event.identity for event in events}
    return LedgerFacts(
        leases,
        pruned.counted(tx, list(identities)),
        ledger.by_key(tx, identities | ledger.elsewhere(tx, vendor_requests(events))),
        ledger.by_message(tx, (event.message for event in events if event.message)),
        _reports(tx, leases),
    )


def _windows(
    tx: Transaction, changes: Sequence[Change], leases: LeasesOf, limits: Sequence[Limit], *, history: bool
) -> tuple[Balances, SessionUses]:
    """The windows that changes touch, and what the sessions that they may move were used for."""
    touched = [event for change in changes for event in change if event]
    running = {ticket.id for ticket in leases.tickets if ticket.lease and ticket.lease.ended_at is None}
    oldest = min(event.at for event in touched)
    balances = windows.load(tx, limits, since=oldest, tickets=running)
    open_for(tx, balances, (event.labels for event in touched))
    return balances, SessionUses() if history else uses_of(tx, balances, moved_by(changes, balances))


def _save(tx: Transaction, booked: Booking, balances: Balances, limits: Sequence[Limit], plain: PlainEvents) -> None:
    ledger.apply(tx, booked.changes, plain)
    for identity, tokens, at in booked.grown:
        pruned.keep_key(tx, identity, tokens, at)
    windows.save(tx, balances)
    count_passed(tx, booked.changes, limits)


def correct(tx: Transaction, changes: Sequence[Change], limits: Sequence[Limit]) -> int:
    """Write costs that are known better now: the same usage, in the same windows; returns how many events changed.

    Events that have changed meanwhile stay as they are. What was late or without a lease stays what it was.
    """
    stored = ledger.by_key(tx, [old.identity for old, _ in changes if old])
    changes = [change for change in changes if change.old and stored.get(change.old.identity) == change.old]
    if not changes:
        return 0
    chained_sessions.lost(tx)
    sessions, runs = ({getattr(old, name) for old, _ in changes if old} for name in ("session", "run"))
    leases = LeasesOf(tickets.with_leases(tx, sessions=sessions, runs=runs))
    running = [ticket for ticket in leases.tickets if ticket.lease and ticket.lease.ended_at is None]
    oldest = min(old.at for old, _ in changes if old)
    balances = windows.load(tx, limits, since=oldest, tickets={ticket.id for ticket in running})
    open_for(tx, balances, (old.labels for old, _ in changes if old))
    late = [(balance, balance.late) for balance in balances.all()]
    ledger.apply(tx, changes)
    count_passed(tx, changes, limits)
    for old, new in changes:
        balances.book(old, new, leased=True)
    for balance, before in late:
        balance.late = before
    for ticket in running:
        attribute(ticket, [change for change in changes if leases.has(change, ticket)], balances)
    windows.save(tx, balances)
    return len(changes)


def forget_estimates(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Let no open window be called estimated in which nothing is any more."""
    balances = windows.load(tx, limits, tickets=())
    for balance in list(balances.all()):
        if balance.estimated and not balance.closed and balance.window:
            labels = repricing.estimated_in(tx, balance.window.starts_at, balance.window.ends_at)
            balance.estimated = any(b.name == balance.name for these in labels for b in balances.instances(these))
            balance.dirty = not balance.estimated
    windows.save(tx, balances)


def _count(tx: Transaction, changes: Iterable[Change], balances: Balances, beside: Counter[str]) -> None:
    """Late and unpriced tokens are shown apart; ``beside`` are unpriced ones that lie before every window."""
    unpriced, late = shown_apart(changes, balances)
    unpriced.update(beside)
    for provider, tokens in unpriced.items():
        counters.add(tx, "quota_unpriced_tokens_total", (provider,), tokens)
    for provider, tokens in late.items():
        counters.add(tx, "quota_late_usage_tokens_total", (provider,), tokens)
