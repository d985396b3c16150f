"""Counting a run once: its lease's reports and its session's transcript describe the same usage.

Until a lease settles, its reports move amounts from *reserved* to *reported*. At settle the ledger gets one event per
model under ``lease:<id>``, unless the session has ledger events; if those come later they replace it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from quota_scheduler.core.instants import MICROSECOND, SKEW
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.tickets.ticket import Checkpoint, Lease, ModelUsage, Outcome, State, Ticket, need
from quota_scheduler.core.usage import Usage, UsageEvent, relabelled, total

LEASE_KEY = "lease:"
"""Prefix of the ledger keys that a lease's own report is written under."""


def lease_key(ticket: int, fence: int, part: int, model: str) -> str:
    """The ledger key of one model's usage in one part of a lease: between resets and providers' words."""
    return f"{lease_prefix(ticket, fence)}{part}:{model}"


def lease_prefix(ticket: int, fence: int) -> str:
    """What the keys of all reports of a lease begin with."""
    return f"{LEASE_KEY}{ticket}:{fence}:"


def merged(before: ModelUsage, report: ModelUsage | None) -> ModelUsage:
    """A lease's reports so far with one more: totals only grow, model by model."""
    totals = dict(before)
    for model, usage in report or ():
        totals[model] = usage.at_least(totals.get(model, Usage()))
    return tuple(sorted(totals.items()))


def report(ticket: Ticket, lease: Lease, balances: Balances) -> None:
    """Move what a lease has reported from reserved to reported, in each of its windows."""
    usage = lease.usage
    for held in balances.open_reservations(ticket.id):
        limit = balances.balance_of(held).limit
        if held is _newest(balances, ticket.id, held.instance):
            balances.update(held, reported=max(held.reported, limit.charge(usage) - held.before))


def _newest(balances: Balances, ticket: int, instance: str) -> object:
    return [held for held in balances.open_reservations(ticket) if held.instance == instance][-1]


def attribute(ticket: Ticket, changes: Iterable[Change], balances: Balances) -> None:
    """Tell a running lease's reservations what its session's transcript has just brought to the ledger."""
    lease = ticket.lease
    if lease is None:
        return
    signed = [(event, sign) for change in changes for event, sign in zip(change, (-1, +1), strict=True) if event]
    mine = [(event, sign) for event, sign in signed if is_of(event, lease, ticket.run)]
    for held in balances.open_reservations(ticket.id):
        balance, window = balances.balance_of(held), balances.balance_of(held).window
        inside = ((event, sign) for event, sign in mine if window is None or window.contains(event.at))
        moved = sum(sign * balance.limit.charge(event.usage) for event, sign in inside)
        if moved:
            balances.update(held, ledgered=max(0, held.ledgered + moved))


def hold_anew(ticket: Ticket, instance: LimitInstance, events: Iterable[UsageEvent], balances: Balances) -> None:
    """Hold the place of what runs or is offered in a window that is new to it.

    What it has used there already is a part of that: as its lease reported, and as ``events`` of its session tell.
    """
    held = balances.reserve(ticket.id, instance, need(ticket, instance.limit), running=ticket.state is State.RUNNING)
    window, lease, charge = balances.balance_of(held).window, ticket.lease, instance.limit.charge
    if ticket.state is not State.RUNNING or lease is None:
        return
    earlier = [c for c in lease.checkpoints if window is not None and c.at <= window.starts_at]
    held.before = charge(total(usage for _, usage in earlier[-1].reported)) if earlier else 0
    inside = [e for e in events if is_of(e, lease, ticket.run) and (window is None or window.contains(e.at))]
    balances.update(
        held, ledgered=sum(charge(e.usage) for e in inside), reported=max(0, charge(lease.usage) - held.before)
    )


def is_of(event: UsageEvent, lease: Lease, run: str = "") -> bool:
    """Whether an event is of the transcript of this lease's run, and not itself a lease's report.

    Both name the same session, or, where one of them names none, the same ``run``. The clocks of two hosts differ: up
    to two minutes before the grant and after the end it is taken as the lease's. Where several leases may claim it,
    ``LeasesOf`` says whose it is.
    """
    return is_linked(event, lease, run) and reach(lease).contains(event.at)


def is_linked(event: UsageEvent, lease: Lease, run: str) -> bool:
    """Whether an event and a lease name the same session, or else the same run."""
    if event.key.startswith(LEASE_KEY):
        return False
    if event.session and lease.session:
        return event.session == lease.session
    return bool(run) and event.run == run


class Reach(NamedTuple):
    """The instants that a lease's transcript may carry, both included; ``until`` None while it runs."""

    start: datetime
    until: datetime | None

    def contains(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        return self.start <= at and (self.until is None or at <= self.until)


def reach(lease: Lease, others: Iterable[Lease] = ()) -> Reach:
    """From two minutes before a lease was granted to two minutes after it ended.

    ``others`` are leases of the same session or run. What came within two minutes after the end of an earlier one is
    that one's, what came after a later one was granted is the later one's.
    """
    start = lease.granted_at - SKEW
    until = lease.ended_at + SKEW if lease.ended_at else None
    for other in others:
        if other.ended_at and other.ended_at <= lease.granted_at and other.fence != lease.fence:
            start = max(start, min(lease.granted_at, other.ended_at + SKEW + MICROSECOND))
        if until and lease.ended_at and lease.ended_at <= other.granted_at:
            until = min(until, other.granted_at - MICROSECOND)
    return Reach(start, until)


class LeasesOf:
    """The leases that a batch of events may be of, each as the ticket it belonged to at the time."""

    def __init__(self, tickets: Iterable[Ticket]) -> None:
        """Take tickets with a lease, newest lease first; one that was taken up again comes with each of its leases."""
        self.tickets = [ticket for ticket in tickets if ticket.lease]
        self._by_session: dict[str, list[Ticket]] = {}
        self._by_run: dict[str, list[Ticket]] = {}
        for ticket in self.tickets:
            if ticket.lease and ticket.lease.session:
                self._by_session.setdefault(ticket.lease.session, []).append(ticket)
            if ticket.run:
                self._by_run.setdefault(ticket.run, []).append(ticket)

    def owner(self, event: UsageEvent) -> Ticket | None:
        """The ticket, with the lease of that time, whose transcript an event is of; its session says more than its run.

        A lease that ran at the time, or had ended two minutes before at most, goes before one that was granted later.
        """
        of_session = self._by_session.get(event.session, ()) if event.session else ()
        of_run = self._by_run.get(event.run, ()) if event.run else ()
        return _holder(event, of_session) or _holder(event, of_run)

    def has(self, change: Change, ticket: Ticket) -> bool:
        """Whether a change of the ledger is of this ticket's lease, and of no other's."""
        event = change.new or change.old
        owner = self.owner(event) if event else None
        return owner is not None and owner.lease == ticket.lease


def _holder(event: UsageEvent, tickets: Iterable[Ticket]) -> Ticket | None:
    claims = [t for t in tickets if t.lease and is_of(event, t.lease, t.run)]
    begun = next((t for t in claims if t.lease and t.lease.granted_at <= event.at), None)
    return begun or (claims[-1] if claims else None)


def adopted(events: Iterable[UsageEvent], ticket: Ticket) -> list[Change]:
    """Ledger changes that give a session's events to the lease it turned out to belong to."""
    lease = ticket.lease
    mine = [event for event in events if lease and is_of(event, lease, ticket.run)]
    return [Change(event, owned(event, ticket)) for event in mine if owned(event, ticket) != event]


def owned(event: UsageEvent, ticket: Ticket) -> UsageEvent:
    """A session's event with the labels, run and class of its lease: they know better than rules."""
    mine = relabelled(event, ticket.labels, run=ticket.run_id, priority=ticket.priority)
    return replace(mine, flags=ticket.flags or event.flags)


def at_reset(lease: Lease, at: datetime) -> Lease:
    """A lease that goes on over a reset, or past a provider's word, remembers what it had reported by then."""
    last = lease.checkpoints[-1].reported if lease.checkpoints else ()
    if lease.reported == last:
        return lease
    return lease._replace(checkpoints=(*lease.checkpoints, Checkpoint(at, lease.reported)))


def own_events(ticket: Ticket, lease: Lease, *, now: datetime) -> list[UsageEvent]:
    """A lease's reports as ledger events: one per model and part (see ``at_reset``), each dated inside its part."""
    parts = [(c.at - MICROSECOND, c.reported) for c in lease.checkpoints]
    parts.append((lease.ended_at or now, lease.reported))
    events: list[UsageEvent] = []
    before: dict[str, Usage] = {}
    for number, (at, reported) in enumerate(parts):
        for model, usage in reported:
            delta = usage.minus(before.get(model, Usage()))
            if delta.tokens or delta.cost_pico or delta.requests:
                key = lease_key(ticket.id, lease.fence, number, model)
                events.append(_own_event(ticket, lease, key, model, delta, max(lease.granted_at, min(at, now))))
        before.update(dict(reported))
    return events


def _own_event(ticket: Ticket, lease: Lease, key: str, model: str, usage: Usage, at: datetime) -> UsageEvent:
    return UsageEvent(
        key=key,
        at=at,
        labels=ticket.labels._replace(model=model or ticket.labels.model),
        usage=usage,
        run=ticket.run_id,
        session=lease.session,
        priority=ticket.priority,
        flags=ticket.flags,
        estimated=usage.unpriced_tokens > 0,
        terms=None,  # nor whether the runner named the cost itself
    )


def settle(
    ticket: Ticket, balances: Balances, outcome: Outcome, *, session_counts: bool, now: datetime
) -> tuple[Ticket, Sequence[UsageEvent]]:
    """Close a ticket: return what was reserved and unspent, and turn its reports into ledger events.

    ``session_counts`` says that its session has ledger events: then those are the usage.
    """
    for held in balances.open_reservations(ticket.id):
        balances.update(held, open=False)
    lease = ticket.lease._replace(ended_at=now) if ticket.lease else None
    events = own_events(ticket, lease, now=now) if lease and not session_counts else []
    return ticket._replace(state=State.CLOSED, outcome=outcome, closed_at=now, offer_until=None, lease=lease), events
