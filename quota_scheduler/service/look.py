"""Looking at the queue and efficiency: what the API answers and the CLI reads from the file."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.admission.headroom import Rooms
from quota_scheduler.core.admission.plan import plan
from quota_scheduler.core.efficiency.runs import EfficiencyRow, RunSummary, by_run, by_workflow
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.units import MICRO, in_units
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.store import Transaction, ledger, tickets, windows

LENGTHS_FROM = timedelta(days=7)
"""How far back the usual length of a lease is looked for."""


def queue_document(tx: Transaction, policy: QueuePolicy) -> dict[str, Any]:
    """Every open ticket as JSON types, the waiting ones in the order they will be looked at."""
    found = tickets.open_tickets(tx)
    waiting = [ticket for ticket in found if ticket.state is State.WAITING]
    ordered = order(waiting, tickets.running_shares(tx, policy.fair_share), policy, now=tx.now)
    return {
        "at": iso(tx.now),
        "waiting": [_row(ticket, place) for place, ticket in enumerate(ordered, 1)],
        "offered": [_row(ticket) for ticket in found if ticket.state is State.OFFERED],
        "running": [_row(ticket) for ticket in found if ticket.state is State.RUNNING],
    }


def _row(ticket: Ticket, place: int | None = None) -> dict[str, Any]:
    return {
        "position": place,
        "id": f"t{ticket.id}",
        "key": ticket.key,
        "class": ticket.priority.value,
        "reason": ticket.reason.value,
        "since": iso(ticket.lease.granted_at if ticket.lease else ticket.waiting_since),
        "expires_at": iso(ticket.lease.expires_at) if ticket.lease else None,
        "tokens": ticket.estimate.reserve.tokens,
        "labels": {name: value for name, value in ticket.labels._asdict().items() if value},
    }


def expected_ends(tx: Transaction, limits: Sequence[Limit]) -> dict[str, datetime]:
    """By limit instance, when the next of its running leases is expected to end: granted plus the median length."""
    usual = tickets.usual_length(tx, tx.now - LENGTHS_FROM)
    board = windows.load(tx, limits, tickets=())
    ends: dict[str, datetime] = {}
    for labels, at in tickets.next_ends(tx, usual).items():
        for binding in board.bindings(labels):
            ends[binding.instance] = min(at, ends.get(binding.instance, at))
    return ends


def plan_document(
    tx: Transaction, items: Sequence[Ticket], limits: Sequence[Limit], outlooks: Mapping[str, Outlook]
) -> dict[str, Any]:
    """What a plan's items are expected to cost together, and which of them will fit."""
    board = windows.load(tx, limits, tickets=())
    found = plan(items, Rooms(board, outlooks), now=tx.now)
    return {
        "sentence": found.sentence(),
        "items": [
            {
                "key": i.key,
                "tokens": i.usage.tokens,
                "cost_usd": i.usage.cost_microusd / MICRO,
                "fits": i.fits,
                "short_of": i.short_of or None,
            }
            for i in found.items
        ],
        "tokens": found.usage.tokens,
        "tokens_sigma": round(found.tokens_sigma),
        "cost_usd": found.usage.cost_microusd / MICRO,
        "cost_usd_sigma": round(found.cost_sigma / MICRO, 6),
        "fitting": found.fitting,
        "remaining": {name: in_units(left, unit) for name, unit, left in found.remaining},
    }


def efficiency_document(tx: Transaction, days: int) -> dict[str, Any]:
    """Tokens by kind and cache hit rate of every workflow, over the last ``days``."""
    runs = ledger.runs_since(tx, tx.now - timedelta(days=days))
    return {"days": days, "workflows": [_efficiency_row(row) for row in by_workflow(runs)]}


def usage_document(tx: Transaction, days: int, by: Sequence[str]) -> dict[str, Any]:
    """Usage of the last ``days`` added up by UTC ``day`` and labels, in the order of ``by``."""
    sums: dict[tuple[str, ...], Usage] = {}
    for day, labels, usage in ledger.by_day(tx, tx.now - timedelta(days=days)):
        slot = tuple(day if name == "day" else labels.value(name) for name in by)
        sums[slot] = sums.get(slot, Usage()).plus(usage)
    rows = [
        {
            **dict(zip(by, slot, strict=True)),
            **dict(zip(KINDS, usage.kinds, strict=True)),
            "tokens": usage.tokens,
            "requests": usage.requests,
            "cost_usd": usage.cost_microusd / MICRO,
            "unpriced_tokens": usage.unpriced_tokens,
        }
        for slot, usage in sorted(sums.items())
        if any(usage)
    ]
    return {"days": days, "by": list(by), "usage": rows}


def runs_document(tx: Transaction, days: int, most: int) -> dict[str, Any]:
    """The largest runs of the last ``days``, with what they used by kind."""
    found = ledger.runs_since(tx, tx.now - timedelta(days=days))
    facts = {run.run: run for run in found}
    rows = by_run(found)[:most]
    return {"days": days, "runs": [_run_row(row, facts[row.name]) for row in rows]}


def _run_row(row: EfficiencyRow, run: RunSummary) -> dict[str, Any]:
    figures = _efficiency_row(row)
    del figures["workflow"], figures["runs"], figures["success_rate"], figures["tokens_per_run"]
    return {
        "run": run.run,
        "workflow": run.workflow,
        "task_type": run.task_type,
        "model": run.model,
        "status": run.status or None,
        "started_at": iso(run.started_at),
        "last_at": iso(run.last_at),
        **figures,
    }


def _efficiency_row(row: EfficiencyRow) -> dict[str, Any]:
    rate = row.cache_hit_rate
    return {
        "workflow": row.name,
        "runs": row.runs,
        **dict(zip(KINDS, row.usage.kinds, strict=True)),
        "tokens": row.usage.tokens,
        "tokens_per_run": round(row.tokens_per_run),
        "cost_usd": row.usage.cost_microusd / MICRO,
        "cache_hit_rate": None if rate is None else round(rate, 4),
        "success_rate": row.success_rate,
        "flags": list(row.flags),
    }
