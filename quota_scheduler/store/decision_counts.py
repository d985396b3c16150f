"""What was decided, counted for good: in the transaction of the decision, kept longer than tickets and events."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from quota_scheduler.core.cycle.tally import THROTTLES, Counted, Tallied
from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.store import Transaction, counters
from quota_scheduler.store.lists import NUMBERS

KEPT = timedelta(days=400)
"""Thirteen months, so that a month can be compared with that of a year before."""
METRICS = {
    Counted.DEFERRED: "quota_tickets_deferred_total",
    Counted.THROTTLED: "quota_tickets_throttled_total",
    Counted.REJECTED: "quota_tickets_rejected_total",
}
"""Counters that rise with it; woken tickets have theirs, by each limit that binds them."""


class DecisionCount(NamedTuple):
    """How often something was decided in one UTC hour."""

    hour: datetime
    instance: str
    priority: str
    counted: Counted
    reason: str
    value: int


def add(tx: Transaction, decided: Sequence[Tallied]) -> None:
    """Count what one cycle decided."""
    if not decided:
        return
    tx.many(
        "INSERT INTO deferred_under (ticket, instance) VALUES (?, ?) "
        "ON CONFLICT (ticket) DO UPDATE SET instance = excluded.instance",
        [(row.ticket, row.instance) for row in decided if row.counted is Counted.DEFERRED],
    )
    named = [*(row for row in decided if row.counted is not Counted.WOKEN), *_woken(tx, decided)]
    hour = to_micros(tx.now) // HOUR_MICROS * HOUR_MICROS
    tx.many(
        "INSERT INTO decision_counts (hour, instance, class, decision, reason, value) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (hour, instance, class, decision, reason) "
        "DO UPDATE SET value = decision_counts.value + excluded.value",
        [(hour, *map(str, row), value) for row, value in sorted(Counter(row[1:] for row in named).items())],
    )
    _raise_metrics(tx, named)


def _woken(tx: Transaction, decided: Sequence[Tallied]) -> list[Tallied]:
    """The woken tickets, each under the limit that had deferred it."""
    woken = [row for row in decided if row.counted is Counted.WOKEN]
    if not woken:
        return []
    numbers = json.dumps([row.ticket for row in woken])
    among = f"FROM deferred_under WHERE ticket IN {NUMBERS}"
    under: dict[int, str] = dict(tx.rows(f"SELECT ticket, instance {among}", (numbers,)))
    return [row._replace(instance=under.get(row.ticket, "")) for row in woken]


def _raise_metrics(tx: Transaction, decided: Sequence[Tallied]) -> None:
    rises: Counter[tuple[str, tuple[str, str]]] = Counter()
    for row in decided:
        if row.counted in METRICS:
            rises[METRICS[row.counted], (row.instance, row.priority)] += 1
        if row.counted is Counted.DEFERRED and row.reason in THROTTLES:
            rises[METRICS[Counted.THROTTLED], (row.instance, row.priority)] += 1
    for (name, labels), amount in sorted(rises.items()):
        counters.add(tx, name, labels, amount)


def since(tx: Transaction, begins_at: datetime) -> list[DecisionCount]:
    """The counts of the hours from an instant on, oldest first."""
    rows = tx.rows(
        "SELECT hour, instance, class, decision, reason, value FROM decision_counts WHERE hour >= ? "
        "ORDER BY hour, instance, class, decision, reason",
        (to_micros(begins_at) // HOUR_MICROS * HOUR_MICROS,),
    )
    return [
        DecisionCount(from_micros(hour), instance, priority, Counted(word), reason, value)
        for hour, instance, priority, word, reason, value in rows
    ]


def prune(tx: Transaction) -> None:
    """Drop counts older than ``KEPT``, and what is remembered of tickets that wait no more."""
    tx.send("DELETE FROM decision_counts WHERE hour < ?", (to_micros(tx.now - KEPT),))
    tx.send("DELETE FROM deferred_under WHERE ticket NOT IN (SELECT id FROM tickets WHERE state = 'waiting')")
