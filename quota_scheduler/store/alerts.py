"""Alert states and silences in the database; what is owed to people because of them lies in store/outbox.py."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from quota_scheduler.core.alerts.routing import Target
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.core.alerts.state import AlertState, Cause, Phase, Silence, StepResult
from quota_scheduler.core.instants import from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.store import Row, Transaction, outbox

log = logging.getLogger(__name__)
STATE_COLUMNS = (
    "rule, scope, episode, phase, severity, since, value, facts, fired_at, resolved_at, cause, clear_since, "
    "absent_since, last_notified_at, acknowledged_at, acknowledged_by"
)

INSTANTS = (
    "since",
    "fired_at",
    "resolved_at",
    "clear_since",
    "absent_since",
    "last_notified_at",
    "acknowledged_at",
)
"""What a state remembers of the past."""


def load_states(tx: Transaction) -> tuple[AlertState, ...]:
    """Every state there is, in the order of their keys."""
    return tuple(_state(row[1:]) for row in _state_rows(tx))


def load_alerts(tx: Transaction) -> tuple[tuple[int, AlertState], ...]:
    """Every state with the id by which people acknowledge it."""
    return tuple((row[0], _state(row[1:])) for row in _state_rows(tx))


def put_right(tx: Transaction) -> None:
    """Let no state be of a time to come, nor a silence made in one: the clock was ahead, and has been put right.

    A silence that was to begin at once does so now, and lasts as long as it was to last.
    """
    now = to_micros(tx.now)
    moved = ", ".join(f"{name} = min({name}, {now})" for name in INSTANTS)
    tx.send(f"UPDATE alert_states SET {moved} WHERE {' OR '.join(f'{name} > {now}' for name in INSTANTS)}")
    tx.send(
        "UPDATE silences SET starts_at = starts_at - (made_at - ?1), ends_at = ends_at - (made_at - ?1), made_at = ?1 "
        "WHERE made_at > ?1",
        (now,),
    )


def save_step(tx: Transaction, result: StepResult, targets: Sequence[Target]) -> int:
    """Write what a step changed, and owe its notifications to whom they concern; returns how many are now owed.

    In one transaction with the readings that caused them: a crash keeps all or nothing.
    """
    tx.many("DELETE FROM alert_states WHERE rule = ? AND scope = ? AND episode = ?", result.dropped)
    tx.many(
        f"INSERT INTO alert_states ({STATE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (rule, scope, episode) DO UPDATE SET phase = excluded.phase, severity = excluded.severity, "
        "since = excluded.since, value = excluded.value, facts = excluded.facts, fired_at = excluded.fired_at, "
        "resolved_at = excluded.resolved_at, cause = excluded.cause, clear_since = excluded.clear_since, "
        "absent_since = excluded.absent_since, last_notified_at = excluded.last_notified_at, "
        "acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by",
        [_columns(state) for state in result.changed],
    )
    return outbox.owe(tx, ((target.id, due) for due in result.transitions for target in targets if due.reaches(target)))


def acknowledge(tx: Transaction, alert: int, by: str) -> bool:
    """Stop the repeats of a firing alert; False when there is no such alert, or it does not fire."""
    changed = tx.execute(
        "UPDATE alert_states SET acknowledged_at = ?, acknowledged_by = ? WHERE id = ? AND phase = 'firing'",
        (to_micros(tx.now), by, alert),
    )
    return changed > 0


def add_silence(tx: Transaction, silence: Silence) -> int:
    """Store a silence; returns its id."""
    return tx.insert(
        "INSERT INTO silences (matchers, author, comment, starts_at, ends_at, made_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            json.dumps(silence.matchers),
            silence.author,
            silence.comment,
            to_micros(silence.starts_at),
            to_micros(silence.ends_at),
            to_micros(tx.now),
        ),
    )


def end_silence(tx: Transaction, silence: int) -> bool:
    """End a silence now; False when there is none of that id that still lasts."""
    now = to_micros(tx.now)
    return tx.execute("UPDATE silences SET ends_at = ? WHERE id = ? AND ends_at > ?", (now, silence, now)) > 0


def prune(tx: Transaction, before: datetime) -> int:
    """Forget silences that ended, and notifications that were settled, before an instant; returns how many."""
    ended = tx.execute("DELETE FROM silences WHERE ends_at < ?", (to_micros(before),))
    return ended + outbox.prune(tx, before)


def load_silences(tx: Transaction, now: datetime) -> tuple[Silence, ...]:
    """The silences that have not ended at ``now``, oldest first; one that cannot be read silences nothing."""
    rows = tx.rows(
        "SELECT id, matchers, author, comment, starts_at, ends_at FROM silences WHERE ends_at > ? ORDER BY id",
        (to_micros(now),),
    )
    return tuple(silence for row in rows if (silence := _silence(row)))


def _silence(row: Row) -> Silence | None:
    key, matchers, author, comment, starts_at, ends_at = row
    try:
        return Silence(
            matchers=tuple((name, pattern) for name, pattern in json.loads(matchers)),
            author=author,
            comment=comment,
            starts_at=from_micros(starts_at),
            ends_at=from_micros(ends_at),
            id=key,
        )
    except (ValueError, TypeError, OverflowError) as error:
        _tell_unreadable(key, str(error))
        return None


@cache
def _tell_unreadable(silence: int, error: str) -> None:
    """Say it once: every tick reads it."""
    log.error("silence.unreadable silence=%d error=%s", silence, error)


def _state_rows(tx: Transaction) -> list[Row]:
    return tx.rows(f"SELECT id, {STATE_COLUMNS} FROM alert_states ORDER BY rule, scope, episode")


def _columns(state: AlertState) -> tuple[Any, ...]:
    times = (state.clear_since, state.absent_since, state.last_notified_at, state.acknowledged_at)
    return (
        *state.key,
        state.phase.value,
        state.severity.value,
        to_micros(state.since),
        state.value,
        json.dumps(dict(state.facts)),
        *map(micros_or_none, (state.fired_at, state.resolved_at)),
        state.cause.value if state.cause else None,
        *map(micros_or_none, times),
        state.acknowledged_by,
    )


def _state(row: Row) -> AlertState:
    rule, scope, episode, phase, severity, since, value, facts, fired_at, resolved_at, cause, *later = row
    clear_since, absent_since, last_notified_at, acknowledged_at = map(instant_or_none, later[:4])
    return AlertState(
        rule=rule,
        scope=scope,
        episode=episode,
        phase=Phase(phase),
        severity=Severity(severity),
        since=from_micros(since),
        value=value,
        facts=json.loads(facts),
        fired_at=instant_or_none(fired_at),
        resolved_at=instant_or_none(resolved_at),
        cause=Cause(cause) if cause else None,
        clear_since=clear_since,
        absent_since=absent_since,
        last_notified_at=last_notified_at,
        acknowledged_at=acknowledged_at,
        acknowledged_by=later[4],
    )
