"""The throttle queue and plans: what the API answers and the CLI reads from the file."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.admission.plan import plan
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.readings.refusing import breaker_documents
from quota_scheduler.core.tickets.run_history import usual_length
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.units import MICRO, in_units
from quota_scheduler.service.operate.holds import everything_held
from quota_scheduler.store import Transaction, breakers, tickets, windows

LENGTHS_FROM = timedelta(days=7)
"""How far back the usual length of a lease is looked for."""


def queue_document(tx: Transaction, policy: QueuePolicy) -> dict[str, Any]:
    """Every open ticket as JSON types, the waiting ones in the order they will be looked at."""
    document, ordered = queue_in_order(tx, policy)
    return {**document, "waiting": [ticket_row(ticket, place) for place, ticket in enumerate(ordered, 1)]}


def queue_in_order(tx: Transaction, policy: QueuePolicy) -> tuple[dict[str, Any], list[Ticket]]:
    """The same in two parts, of one moment: the document without the rows of those that wait, and those in order."""
    open_tickets = tickets.open_tickets(tx)
    waiting = [ticket for ticket in open_tickets if ticket.state is State.WAITING]
    ordered = order(waiting, tickets.running_shares(tx, policy.fair_share), policy, now=tx.now)
    return {**standing_document(tx), **_turns(open_tickets, windows.spent_ratios(tx))}, ordered


def standing_document(tx: Transaction) -> dict[str, Any]:
    """What keeps everybody or a whole account waiting, as of when."""
    held = everything_held(tx)
    return {
        "at": iso(tx.now),
        "hold": held.document() if held else None,
        "breakers": breaker_documents(breakers.load(tx), tx.now),
    }


def turns_document(tx: Transaction) -> dict[str, Any]:
    """What is offered and what runs, however much waits."""
    return _turns(tickets.with_turn(tx), windows.spent_ratios(tx))


def _turns(open_tickets: Sequence[Ticket], spent: Mapping[int, float]) -> dict[str, Any]:
    return {
        "offered": [ticket_row(ticket) for ticket in open_tickets if ticket.state is State.OFFERED],
        "running": [
            {**ticket_row(ticket), "spent_ratio": round(spent.get(ticket.id, 0.0), 4)}
            for ticket in open_tickets
            if ticket.state is State.RUNNING
        ],
    }


def ticket_row(ticket: Ticket, place: int | None = None) -> dict[str, Any]:
    """One open ticket as JSON types, with its place in the queue where it waits."""
    return {
        "position": place,
        "id": f"t{ticket.id}",
        "key": ticket.key,
        "class": ticket.priority.value,
        "reason": ticket.reason.value,
        "since": iso(ticket.lease.granted_at if ticket.lease else ticket.waiting_since),
        "expires_at": iso(ticket.lease.expires_at) if ticket.lease else None,
        "tokens": ticket.estimate.reserve.tokens,
        "on_hold": ticket.on_hold,
        "labels": {name: value for name, value in ticket.labels._asdict().items() if value},
    }


def expected_ends(tx: Transaction, limits: Sequence[Limit]) -> dict[str, datetime]:
    """By limit instance, when the next of its running leases is expected to end: granted plus the median length."""
    usual = usual_length(tickets.lease_lengths(tx, tx.now - LENGTHS_FROM))
    balances = windows.load(tx, limits, tickets=())
    ends: dict[str, datetime] = {}
    for labels, at in tickets.next_ends(tx, usual).items():
        for instance in balances.instances(labels.asking):
            ends[instance.name] = min(at, ends.get(instance.name, at))
    return ends


def plan_document(
    tx: Transaction, items: Sequence[Ticket], limits: Sequence[Limit], outlooks: Mapping[str, Outlook]
) -> dict[str, Any]:
    """What a plan's items are expected to cost together, and which of them will fit."""
    balances = windows.load(tx, limits, tickets=())
    outcome = plan(items, Headrooms(balances, outlooks), now=tx.now)
    return {
        "sentence": outcome.sentence(),
        "items": [
            {
                "key": i.key,
                "tokens": i.usage.tokens,
                "cost_usd": i.usage.cost_usd,
                "fits": i.fits,
                "short_of": i.short_of or None,
            }
            for i in outcome.items
        ],
        "tokens": outcome.usage.tokens,
        "tokens_sigma": round(outcome.tokens_sigma),
        "cost_usd": outcome.usage.cost_usd,
        "cost_usd_sigma": round(outcome.cost_sigma / MICRO, 6),
        "fitting": outcome.fitting,
        "remaining": {name: in_units(left, unit) for name, unit, left in outcome.remaining},
    }
