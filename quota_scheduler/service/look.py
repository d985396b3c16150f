"""Looking at the queue, alerts and efficiency: what the API answers and the CLI reads from the file."""

from datetime import timedelta
from typing import Any

from quota_scheduler.core.efficiency import EfficiencyRow, by_workflow
from quota_scheduler.core.instants import iso
from quota_scheduler.core.queue import QueuePolicy, order
from quota_scheduler.core.tickets import State, Ticket
from quota_scheduler.core.units import MICRO
from quota_scheduler.core.usage import KINDS
from quota_scheduler.store import Transaction, ledger, tickets
from quota_scheduler.store import alerts as alert_store


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


def alerts_document(tx: Transaction) -> dict[str, Any]:
    """Every alert state as JSON types."""
    return {
        "alerts": [
            {
                "id": number,
                "rule": state.rule,
                "scope": state.scope,
                "episode": state.episode,
                "phase": state.phase.value,
                "severity": state.severity.value,
                "since": iso(state.since),
                "value": state.value,
            }
            for number, state in alert_store.load_alerts(tx)
        ]
    }


def efficiency_document(tx: Transaction, days: int) -> dict[str, Any]:
    """Tokens by kind and cache hit rate of every workflow, over the last ``days``."""
    runs = ledger.runs_since(tx, tx.now - timedelta(days=days))
    return {"days": days, "workflows": [_efficiency_row(row) for row in by_workflow(runs)]}


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
