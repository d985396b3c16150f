"""Stored run-time changes of limits."""

import json
import logging

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.limits.changes import LimitChange
from quota_scheduler.store import Row, Transaction

log = logging.getLogger(__name__)


def load(tx: Transaction) -> list[LimitChange]:
    """Every stored change, also those that have expired; one that cannot be read is said and passed over."""
    changes = []
    for row in tx.rows("SELECT rule, field, value, who, at, expires_at FROM limit_changes ORDER BY at, rule, field"):
        try:
            changes.append(_change(row))
        except (ValueError, TypeError, OverflowError) as error:
            log.error("limit.change_unreadable limit=%s field=%s error=%s", row[0], row[1], error)
    return changes


def _change(row: Row) -> LimitChange:
    rule, field, value, who, at, expires = row
    return LimitChange(rule, field, json.loads(value), who, from_micros(at), from_micros(expires) if expires else None)


def save(tx: Transaction, change: LimitChange) -> None:
    """Store a change in place of the one before."""
    expires = to_micros(change.expires_at) if change.expires_at else None
    tx.send(
        "INSERT INTO limit_changes (rule, field, value, who, at, expires_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (rule, field) DO UPDATE SET value = excluded.value, who = excluded.who, at = excluded.at, "
        "expires_at = excluded.expires_at",
        (change.rule, change.field, json.dumps(change.value), change.who, to_micros(change.at), expires),
    )


def take_back(tx: Transaction, rule: str, field: str) -> None:
    """Let the file's value hold again; of a field by value, with all its values."""
    tx.send(
        "DELETE FROM limit_changes WHERE rule = ? AND (field = ? OR substr(field, 1, ?) = ?)",
        (rule, field, len(field) + 1, f"{field}."),
    )
