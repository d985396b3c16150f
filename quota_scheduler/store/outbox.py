"""The outbox: notifications owed, each one transition for one target.

      owed ──claimed──▶ sending ──▶ delivered
       ▲                   │  └───▶ dead       given up: too old, or its receiver is no longer configured
       └──── failed, wait ─┘

A target's rows leave in the order they came; its oldest one decides when the next attempt is made, so a dead receiver
is asked once per wait and not once per alert. Rows that a killed process left in ``sending`` are claimed again.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from quota_scheduler.core.alerts.message import PART, receiver_of
from quota_scheduler.core.alerts.retries import GIVE_UP_AFTER, is_too_old, may_be_tried, wait
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.core.alerts.state import NoticeKind, Transition
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.store import Row, Transaction

MOST_AT_ONCE = 500
"""Most rows claimed as one message; more follow as the next."""


class OutboxState(StrEnum):
    """Where a notification is on its way."""

    OWED = "owed"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"


class OwedMessage(Struct, frozen=True):
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


def open_targets(tx: Transaction, now: datetime) -> dict[str, timedelta]:
    """Targets with open notifications, and how long each is still to be left alone by the stored instants."""
    rows = tx.rows(
        "SELECT o.target, o.state, o.attempts, o.next_try_at FROM outbox o JOIN (SELECT min(id) AS id FROM outbox "
        "WHERE state IN ('owed', 'sending') GROUP BY target) first ON first.id = o.id ORDER BY o.target"
    )
    return {target: _wait_left(state, attempts, next_try, now) for target, state, attempts, next_try in rows}


def _wait_left(state: str, attempts: int, next_try: int, now: datetime) -> timedelta:
    """None for what was not tried yet, or left over by a killed process: that never waits, whatever the clock does."""
    tried = state == OutboxState.OWED and attempts
    return max(timedelta(0), from_micros(next_try) - now) if tried else timedelta(0)


def claim(tx: Transaction, target: str, now: datetime, *, waited: bool = False) -> tuple[OwedMessage, ...]:
    """Take the oldest open notifications of a target that can go as one message; empty when none is due.

    One message is what came together or has piled up, oldest first, up to the first one of the other direction: news
    and all-clears are told apart by their type. ``waited`` says that the wait is known to be over, whatever the stored
    instant. The caller commits, sends, and settles; there is one caller per target.
    """
    rows = tx.rows(
        "SELECT id, target, rule, scope, episode, kind, severity, subject, body, created_at, attempts + 1, "
        "next_try_at, state FROM outbox WHERE target = ? AND state IN ('owed', 'sending') ORDER BY id LIMIT ?",
        (target, MOST_AT_ONCE),
    )
    if not rows:
        return ()
    attempts, next_try, state = rows[0][-3:]
    if not waited and not may_be_tried(_wait_left(state, attempts - 1, next_try, now)):
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


def delivered_late(tx: Transaction, group: Sequence[OwedMessage], detail: str) -> int:
    """Settle as delivered what was to be tried again, since the receiver has taken it after all; returns how many."""
    now = to_micros(tx.now)
    return sum(
        tx.execute(
            "UPDATE outbox SET state = 'delivered', settled_at = ?, detail = ? "
            "WHERE id = ? AND state IN ('owed', 'sending')",
            (now, detail, row.id),
        )
        for row in group
    )


def failed(
    tx: Transaction, group: Sequence[OwedMessage], detail: str, retry_after: timedelta = timedelta(0)
) -> timedelta | None:
    """Settle a failed attempt: try again after a wait, or give up what has become too old; returns the wait, if any."""
    old = [row for row in group if is_too_old(row.created_at, row.attempts, now=tx.now)]
    dead(tx, old, f"given up after {GIVE_UP_AFTER // timedelta(hours=1)} h: {detail}")
    young = [row for row in group if row not in old]
    waits = {row.id: wait(row.attempts, asked=retry_after) for row in young}
    tx.many(
        "UPDATE outbox SET state = 'owed', next_try_at = ?, detail = ? WHERE id = ? AND state = 'sending'",
        [(to_micros(tx.now + waits[row.id]), detail, row.id) for row in young],
    )
    return waits[young[0].id] if young else None


def share(tx: Transaction, receiver: str, targets: Sequence[str]) -> bool:
    """Give what is owed to a receiver to each of its ``targets``; returns whether anything had to be moved.

    What is owed to a target that its address no longer names is given up.
    """
    if tuple(targets) == (receiver,):
        return bool(
            _give_up(tx, _open_names(tx, f"{receiver}{PART}"), "the receiver's address no longer names this target")
        )
    gone = [name for name in _open_names(tx, f"{receiver}{PART}") if name not in targets]
    moved = _give_up(tx, gone, "the receiver's address no longer names this target")
    for target in targets:
        moved += tx.execute(
            "INSERT INTO outbox (target, rule, scope, episode, kind, severity, subject, body, created_at, next_try_at) "
            "SELECT ?, rule, scope, episode, kind, severity, subject, body, created_at, next_try_at FROM outbox "
            "WHERE target = ? AND state IN ('owed', 'sending') ORDER BY id",
            (target, receiver),
        )
    tx.send("DELETE FROM outbox WHERE target = ? AND state IN ('owed', 'sending')", (receiver,))
    return bool(moved)


def forget_targets(tx: Transaction, receivers: Collection[str]) -> int:
    """Give up what is owed to receivers that are no longer configured; returns how many.

    A target such as ``ops/2`` belongs to the receiver ``ops``.
    """
    gone = [name for name in _open_names(tx) if receiver_of(name) not in receivers]
    return _give_up(tx, gone, "the receiver is no longer configured")


def _open_names(tx: Transaction, start: str = "") -> list[str]:
    names = [row[0] for row in tx.rows("SELECT DISTINCT target FROM outbox WHERE state IN ('owed', 'sending')")]
    return [name for name in names if name.startswith(start)]


def _give_up(tx: Transaction, names: Collection[str], detail: str) -> int:
    return sum(
        tx.execute(
            "UPDATE outbox SET state = 'dead', settled_at = ?, detail = ? "
            "WHERE target = ? AND state IN ('owed', 'sending')",
            (to_micros(tx.now), detail, name),
        )
        for name in names
    )


def oldest_owed(tx: Transaction) -> datetime | None:
    """When the oldest notification that is not yet settled came up; None when nothing is owed."""
    oldest = tx.scalar("SELECT min(created_at) FROM outbox WHERE state IN ('owed', 'sending')")
    return None if oldest is None else from_micros(oldest)


def counts(tx: Transaction) -> dict[tuple[str, OutboxState], int]:
    """How many notifications of each target are in each state."""
    rows = tx.rows("SELECT target, state, count(*) FROM outbox GROUP BY target, state ORDER BY target, state")
    return {(target, OutboxState(state)): count for target, state, count in rows}


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
