"""The outbox: notifications owed, each one transition for one target.

      owed ──claimed──▶ sending ──▶ delivered
       ▲                   │  └───▶ dead       given up: too old, or its receiver is no longer configured
       └──── failed, wait ─┘

A target's rows leave in the order they came; its oldest one decides when the next attempt is made, so a dead receiver
is asked once per wait and not once per alert. Rows that a killed process left in ``sending`` are claimed again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.core.alerts.state import NoticeKind, Transition
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Row, Transaction

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
"""Waits between attempts double from the first to the longest."""
GIVE_UP_AFTER = timedelta(hours=24)
"""Age at which a notification is given up: news of yesterday helps nobody, and the state is still to be seen."""
MOST_AT_ONCE = 500
"""Most rows claimed as one message; more follow as the next."""


class OutboxState(StrEnum):
    """Where a notification is on its way."""

    OWED = "owed"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class OwedMessage:
    """One claimed notification; ``attempts`` counts this one."""

    id: int
    target: str
    rule: str
    scope: str
    episode: str
    kind: NoticeKind
    severity: Severity
    subject: str
    body: str
    created_at: datetime
    attempts: int


def owe(tx: Transaction, notifications: Iterable[tuple[str, Transition]]) -> int:
    """Put notifications for targets into the outbox, to be delivered at once."""
    now = to_micros(tx.now)
    rows = [
        (target, *due.key, due.kind.value, due.severity.value, due.subject, due.body, now, now)
        for target, due in notifications
    ]
    tx.many(
        "INSERT INTO outbox (target, rule, scope, episode, kind, severity, subject, body, created_at, next_try_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return len(rows)


def due_targets(tx: Transaction, now: datetime) -> tuple[str, ...]:
    """Targets whose oldest open notification may be tried at ``now``, by name."""
    found = tx.rows(
        "SELECT o.target FROM outbox o JOIN (SELECT min(id) AS id FROM outbox WHERE state IN ('owed', 'sending') "
        "GROUP BY target) first ON first.id = o.id WHERE o.state = 'sending' OR o.next_try_at <= ? ORDER BY o.target",
        (to_micros(now),),
    )
    return tuple(row[0] for row in found)


def claim(tx: Transaction, target: str, now: datetime) -> tuple[OwedMessage, ...]:
    """Take the oldest open notifications of a target that can go as one message; empty when none is due.

    One message is what came together or has piled up, oldest first, up to the first one of the other direction: news
    and all-clears are told apart by their type. The caller commits, sends, and settles; there is one caller per target.
    """
    rows = tx.rows(
        "SELECT id, target, rule, scope, episode, kind, severity, subject, body, created_at, attempts + 1, "
        "next_try_at, state FROM outbox WHERE target = ? AND state IN ('owed', 'sending') ORDER BY id LIMIT ?",
        (target, MOST_AT_ONCE),
    )
    if not rows or (rows[0][-1] == OutboxState.OWED and rows[0][-2] > to_micros(now)):
        return ()
    over = rows[0][5] == NoticeKind.RESOLVED
    taken: list[Row] = []
    for row in rows:
        if (row[5] == NoticeKind.RESOLVED) is not over:
            break
        taken.append(row)
    tx.many("UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?", [(row[0],) for row in taken])
    return tuple(_owed(row) for row in taken)


def delivered(tx: Transaction, group: Sequence[OwedMessage], detail: str = "") -> None:
    """Settle claimed notifications as delivered."""
    _settle(tx, group, OutboxState.DELIVERED, detail)


def dead(tx: Transaction, group: Sequence[OwedMessage], detail: str) -> None:
    """Settle claimed notifications as given up."""
    _settle(tx, group, OutboxState.DEAD, detail)


def failed(tx: Transaction, group: Sequence[OwedMessage], detail: str, retry_after: timedelta = timedelta(0)) -> None:
    """Settle a failed attempt: try again after a wait, or give up what has become too old."""
    old = [row for row in group if tx.now - row.created_at >= GIVE_UP_AFTER]
    dead(tx, old, f"given up after {GIVE_UP_AFTER // timedelta(hours=1)} h: {detail}")
    young = [row for row in group if tx.now - row.created_at < GIVE_UP_AFTER]
    tx.many(
        "UPDATE outbox SET state = 'owed', next_try_at = ?, detail = ? WHERE id = ?",
        [(to_micros(tx.now + max(retry_after, wait(row.attempts))), detail, row.id) for row in young],
    )


def wait(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings))


def forget_targets(tx: Transaction, known: Collection[str]) -> int:
    """Give up what is owed to receivers that are no longer configured; returns how many."""
    names = [row[0] for row in tx.rows("SELECT DISTINCT target FROM outbox WHERE state IN ('owed', 'sending')")]
    return sum(
        tx.execute(
            "UPDATE outbox SET state = 'dead', settled_at = ?, detail = 'the receiver is no longer configured' "
            "WHERE target = ? AND state IN ('owed', 'sending')",
            (to_micros(tx.now), name),
        )
        for name in names
        if name not in known
    )


def oldest_owed(tx: Transaction) -> datetime | None:
    """When the oldest notification that is not yet settled came up; None when nothing is owed."""
    found = tx.scalar("SELECT min(created_at) FROM outbox WHERE state IN ('owed', 'sending')")
    return None if found is None else from_micros(found)


def counts(tx: Transaction) -> dict[tuple[str, OutboxState], int]:
    """How many notifications of each target are in each state."""
    found = tx.rows("SELECT target, state, count(*) FROM outbox GROUP BY target, state ORDER BY target, state")
    return {(target, OutboxState(state)): count for target, state, count in found}


def prune(tx: Transaction, before: datetime) -> int:
    """Forget notifications that were settled before an instant; returns how many."""
    return tx.execute(
        "DELETE FROM outbox WHERE state IN ('delivered', 'dead') AND settled_at < ?", (to_micros(before),)
    )


def _settle(tx: Transaction, group: Sequence[OwedMessage], state: OutboxState, detail: str) -> None:
    now = to_micros(tx.now)
    tx.many(
        "UPDATE outbox SET state = ?, settled_at = ?, detail = ? WHERE id = ?",
        [(state.value, now, detail, row.id) for row in group],
    )


def _owed(row: Row) -> OwedMessage:
    key, target, rule, scope, episode, kind, severity, subject, body, created_at, attempts, *_ = row
    at = from_micros(created_at)
    return OwedMessage(
        key, target, rule, scope, episode, NoticeKind(kind), Severity(severity), subject, body, at, attempts
    )
