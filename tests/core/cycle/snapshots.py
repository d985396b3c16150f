"""Snapshots of a cycle without a database: limits, what was used, who waits, runs or is offered."""

from collections.abc import Iterable, Mapping
from typing import Any

from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Refused, Reply, Request
from quota_scheduler.core.cycle.result import Decided
from quota_scheduler.core.cycle.snapshot import LoadedRows, Numbers, QueueState, RunTotals, Snapshot
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.tickets.ticket import TURN_TAKEN, Reservation, State, Ticket, need
from tests.builders import MONDAY, a_limit, a_window, some_balances

RESET = a_window().ends_at
"""When the window of ``a_snapshot`` ends."""


def a_snapshot(
    *tickets: Ticket,
    limits: Iterable[Limit] = (a_limit(),),
    used: Mapping[str, int] | None = None,
    now: Any = MONDAY,
    rows: Mapping[str, Any] | None = None,
    runs: RunTotals | None = None,
    **terms: Any,
) -> Snapshot:
    """A day that began on Monday at nine; what runs or is offered holds what it needs in every limit."""
    limits = tuple(limits)
    windows = [
        Balance(
            n, limit, "", a_window() if limit.is_windowed else None, used=(used or {}).get(limit.id, 0), dirty=False
        )
        for n, limit in enumerate((limit for limit in limits if not limit.is_per_run), 1)
    ]
    balances = some_balances(*limits, now=now, rows=windows)
    for ticket in tickets:
        if ticket.state in TURN_TAKEN:
            for window in windows:
                amount = need(ticket, window.limit)
                held = Reservation(ticket.id, window.id, window.name, amount, whole=amount)
                balances.reservations.setdefault(ticket.id, []).append(held)
                window.reserved += amount
    rules = Terms(limits, **terms)
    waiting = [ticket for ticket in tickets if ticket.state is State.WAITING]
    queue = ThrottleQueue(waiting, balances.instances, share_label=rules.policy.fair_share)
    running: dict[str, int] = {}
    for ticket in tickets:
        if ticket.state in TURN_TAKEN:
            running[ticket.labels.team] = running.get(ticket.labels.team, 0) + 1
    named = {ticket.id: ticket for ticket in tickets if ticket.state is not State.WAITING}
    numbers = Numbers(max((ticket.id for ticket in tickets), default=0) + 1, len(named) + 1)
    loaded = LoadedRows(**({"tickets": named} | dict(rows or {})))
    return Snapshot(now, rules, balances, QueueState(queue, running), loaded, runs or RunTotals(), numbers)


def decided(snapshot: Snapshot, *requests: Request) -> Decided:
    """One cycle."""
    return decide_batch(requests, snapshot)


def in_words(reply: Reply) -> tuple[str, ...]:
    """An answer in a few words: the refusal, or the verdict and its reason, or how the ticket was closed."""
    if isinstance(reply, Refused):
        return "refused", reply.refusal.value
    name = type(reply.verdict).__name__.lower() if reply.verdict else ""
    if name in ("defer", "reject"):
        return name, reply.verdict.reason.value  # type: ignore[union-attr]
    return (name,) if name else ("closed", reply.ticket.outcome.value if reply.ticket.outcome else "")


def states(result: Decided) -> dict[int, str]:
    """The changed tickets and how they stand."""
    return {number: (t.outcome or t.state).value for number, t in sorted(result.changes.tickets.items())}


def reserved(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """What is used and reserved in each limit."""
    return {window.name: (window.used, window.reserved) for window in snapshot.balances.all()}
