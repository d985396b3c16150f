"""Counting a run once: its lease's reports and its session's transcript describe the same usage.

Until a lease settles, its reports move amounts from *reserved* to *reported*. At settle the ledger gets one event per
model under ``lease:<id>``, unless the session has ledger events; if those come later they replace it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.tickets.ticket import Checkpoint, Lease, ModelUsage, Outcome, State, Ticket, need
from quota_scheduler.core.usage import Usage, UsageEvent, relabelled, total

AFTERWARDS = SKEW
"""A transcript's last lines may carry an instant this much after the lease's end."""
LEASE_KEY = "lease:"
"""Prefix of the ledger keys that a lease's own report is written under."""


def lease_key(ticket: int, fence: int, part: int, model: str) -> str:
    """The ledger key of one model's usage in one part (between two resets) of a lease."""
    return f"{lease_prefix(ticket, fence)}{part}:{model}"


def lease_prefix(ticket: int, fence: int) -> str:
    """What the keys of all reports of a lease begin with."""
    return f"{LEASE_KEY}{ticket}:{fence}:"


def merged(before: ModelUsage, report: ModelUsage | None) -> ModelUsage:
    """A lease's reports so far with one more: totals only grow, model by model."""
    known = dict(before)
    for model, usage in report or ():
        known[model] = usage.at_least(known.get(model, Usage()))
    return tuple(sorted(known.items()))


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
    if lease is None or not lease.session:
        return
    for held in balances.open_reservations(ticket.id):
        balance = balances.balance_of(held)
        moved = 0
        for old, new in changes:
            for event, sign in ((old, -1), (new, +1)):
                if event and is_of(event, lease) and (balance.window is None or balance.window.contains(event.at)):
                    moved += sign * balance.limit.charge(event.usage)
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
    own = [e for e in events if is_of(e, lease) and (window is None or window.contains(e.at))]
    balances.update(
        held, ledgered=sum(charge(e.usage) for e in own), reported=max(0, charge(lease.usage) - held.before)
    )


def is_of(event: UsageEvent, lease: Lease) -> bool:
    """Whether an event is of the transcript of this lease's run, and not itself a lease's report."""
    until = event.at if lease.ended_at is None else lease.ended_at + AFTERWARDS
    is_report = event.key.startswith(LEASE_KEY)
    return event.session == lease.session and lease.granted_at <= event.at <= until and not is_report


def adopted(events: Iterable[UsageEvent], ticket: Ticket) -> list[Change]:
    """Ledger changes that give a session's events to the lease it turned out to belong to."""
    lease = ticket.lease
    mine = [event for event in events if lease and is_of(event, lease)]
    return [Change(event, owned(event, ticket)) for event in mine if owned(event, ticket) != event]


def owned(event: UsageEvent, ticket: Ticket) -> UsageEvent:
    """A session's event with the labels, run and class of its lease: they know better than rules."""
    mine = relabelled(event, ticket.labels, run=ticket.run_id, priority=ticket.priority)
    return replace(mine, flags=ticket.flags or event.flags)


def at_reset(lease: Lease, at: datetime) -> Lease:
    """A lease that goes on over a reset remembers what it had reported by then."""
    last = lease.checkpoints[-1].reported if lease.checkpoints else ()
    if lease.reported == last:
        return lease
    return lease._replace(checkpoints=(*lease.checkpoints, Checkpoint(at, lease.reported)))


def own_events(ticket: Ticket, lease: Lease, *, now: datetime) -> list[UsageEvent]:
    """A lease's reports as ledger events: one per model and part between resets, each dated inside its part."""
    parts = [(c.at - timedelta(microseconds=1), c.reported) for c in lease.checkpoints]
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
