"""Scheduling quality in the store: what windows turned away, and what closed ones came to."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from quota_scheduler.core.cycle.closing import TurnedAway
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import instance_name, parts_of
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.readings.closed_windows import WaitedTicket
from quota_scheduler.core.readings.scheduling_quality import NOTHING, ClosedWindow
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction
from quota_scheduler.store.usage_columns import summed

KEPT = timedelta(days=400)
"""How long the quality of a closed window is kept, as long as the keys of its events."""
_BY_RANK = ("served", "missed", "stalls", "runs", "waited")
_TURN_AWAY = (
    "INSERT INTO turned_away (rule, value, starts_at, rank, amount, stalls) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (rule, value, starts_at, rank) DO UPDATE SET amount = turned_away.amount + excluded.amount, "
    "stalls = turned_away.stalls + excluded.stalls"
)
_OWED = (
    "SELECT w.rule, w.value, w.starts_at, w.ends_at, w.amount, w.used + w.reported, q.body FROM windows w "
    "LEFT JOIN quality q ON q.rule = w.rule AND q.value = w.value AND q.starts_at = w.starts_at "
    "WHERE w.closed = 1 AND w.end_reason = '' AND w.amount > 0 AND w.starts_at IS NOT NULL AND w.ends_at >= ? "
    "AND (q.used IS NULL AND w.ends_at >= ? OR q.used != w.used + w.reported) ORDER BY w.ends_at, w.rule, w.value"
)
_WAITED = (
    "SELECT t.priority, t.labels, t.estimate, t.waiting_since FROM tickets t LEFT JOIN leases l ON l.fence = t.fence "
    "WHERE t.waiting_since < ? AND t.held = 0 AND (t.state IN ('waiting', 'offered') "
    "OR t.state = 'running' AND l.granted_at >= ? "
    "OR t.state = 'closed' AND t.closed_at >= ? AND (l.granted_at IS NULL OR l.granted_at >= ?))"
)


def turn_away(tx: Transaction, work: Iterable[TurnedAway]) -> None:
    """Count work in the windows that turned it away."""
    tx.many(
        _TURN_AWAY,
        [(row.rule, row.value, to_micros(row.starts_at), row.rank, row.amount, int(row.stalled)) for row in work],
    )


def owed(tx: Transaction, limits: Iterable[str], *, since: datetime, first_since: datetime) -> list[ClosedWindow]:
    """Closed windows that are still to be judged, or whose usage was corrected after they were.

    The former as far back as ``first_since``, the latter as far as ``since``. One that was judged brings what had
    waited; of ``served`` and ``runs`` nothing is said.
    """
    rules, windows = frozenset(limits), []
    for rule, value, starts_at, ends_at, amount, used, body in tx.rows(
        _OWED, (to_micros(since), to_micros(first_since))
    ):
        if rule not in rules:
            continue
        waited = tuple(json.loads(body)["waited"]) if body else ()
        missed, stalls = _turned_away(tx, rule, value, starts_at)
        span = from_micros(starts_at), from_micros(ends_at)
        instance = instance_name(rule, value)
        windows.append(ClosedWindow(instance, *span, amount, used, NOTHING, missed, stalls, NOTHING, waited))
    return windows


def _turned_away(tx: Transaction, rule: str, value: str, starts_at: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows = tx.rows(
        "SELECT rank, amount, stalls FROM turned_away WHERE rule = ? AND value = ? AND starts_at = ?",
        (rule, value, starts_at),
    )
    by_rank = {rank: (amount, stalls) for rank, amount, stalls in rows}
    missed, stalls = zip(*(by_rank.get(rank, (0, 0)) for rank in range(len(CLASSES))), strict=True)
    return missed, stalls


def used_between(tx: Transaction, start: datetime, end: datetime) -> list[tuple[int, Usage]]:
    """Usage of a span by label set, to the event."""
    rows = tx.rows(
        f"SELECT label_set, {summed()} FROM events WHERE at >= ? AND at < ? GROUP BY label_set ORDER BY label_set",
        (to_micros(start), to_micros(end)),
    )
    return [(row[0], Usage(*row[1:])) for row in rows]


def runs_between(tx: Transaction, start: datetime, end: datetime) -> list[tuple[int, int]]:
    """How many runs were last active in a span, by label set."""
    rows = tx.rows(
        "SELECT label_set, count(*) FROM runs WHERE last_at >= ? AND last_at < ? GROUP BY label_set ORDER BY label_set",
        (to_micros(start), to_micros(end)),
    )
    return [(row[0], row[1]) for row in rows]


def waited_at(tx: Transaction, at: datetime) -> list[WaitedTicket]:
    """The tickets that waited at an instant, as far as they are still known: those that closed are for a day."""
    waited = []
    for priority, labels, estimate, since in tx.rows(_WAITED, (to_micros(at),) * 4):
        parts = json.loads(estimate)
        takes = None if parts[6] is None else timedelta(seconds=parts[6])
        median = Usage(*parts[0])
        waited.append(WaitedTicket(Priority(priority), Labels(*json.loads(labels)), median, from_micros(since), takes))
    return waited


def save(tx: Transaction, judged: Iterable[ClosedWindow]) -> None:
    """Keep what closed windows came to; one that is judged again is replaced."""
    rows = []
    for window in judged:
        rule, value = parts_of(window.instance)
        body = json.dumps({name: getattr(window, name) for name in _BY_RANK})
        span = to_micros(window.starts_at), to_micros(window.ends_at)
        rows.append((rule, value, *span, window.amount, window.used, body))
    tx.many(
        "INSERT INTO quality (rule, value, starts_at, ends_at, amount, used, body) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (rule, value, starts_at) DO UPDATE SET ends_at = excluded.ends_at, amount = excluded.amount, "
        "used = excluded.used, body = excluded.body",
        rows,
    )
    if rows:
        before = to_micros(tx.now - KEPT)
        tx.send("DELETE FROM quality WHERE ends_at < ?", (before,))
        tx.send("DELETE FROM turned_away WHERE starts_at < ?", (before,))


def judged(tx: Transaction, since: datetime) -> list[ClosedWindow]:
    """What windows that closed since an instant came to, oldest first."""
    rows = tx.rows(
        "SELECT rule, value, starts_at, ends_at, amount, used, body FROM quality WHERE ends_at >= ? "
        "ORDER BY ends_at, rule, value",
        (to_micros(since),),
    )
    windows = []
    for rule, value, starts_at, ends_at, amount, used, body in rows:
        by_rank = {name: tuple(values) for name, values in json.loads(body).items()}
        instance = instance_name(rule, value)
        windows.append(ClosedWindow(instance, from_micros(starts_at), from_micros(ends_at), amount, used, **by_rank))
    return windows
