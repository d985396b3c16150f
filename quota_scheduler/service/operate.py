"""What operators do by hand: change limits, hold everything, hold, start or revoke one; each is written down.

The file is the base of every limit; changes at run time lie on top, are stored, and may expire.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.changes import LimitChange, changed, effective
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.service.redefine import redefine
from quota_scheduler.store import Transaction, changes, counters

log = logging.getLogger(__name__)
HOLD = "hold"
"""Remembered fact: why everything is held, empty when nothing is."""


def limits_now(tx: Transaction, base: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits of the file with the stored changes that last."""
    return effective(base, changes.load(tx), now=tx.now)


@dataclass(frozen=True, slots=True)
class LimitsHold:
    """The limits that hold from now on, and when the next run-time change of them expires."""

    limits: tuple[Limit, ...]
    expire_at: datetime | None


def change_limit(
    tx: Transaction, base: Sequence[Limit], rule: str, fields: Mapping[str, Any], *, who: str, until: datetime | None
) -> LimitsHold | str:
    """Change fields of a limit, all of them or, with a sentence that says why not, none; None takes a change back."""
    limit = next(limit for limit in limits_now(tx, base) if limit.id == rule)
    try:
        for field, value in fields.items():
            limit = limit if value is None else changed(limit, field, value)
    except ValueError as error:
        return f"{error}; nothing was changed"
    for field, value in fields.items():
        if value is None:
            changes.take_back(tx, rule, field)
        else:
            changes.save(tx, LimitChange(rule, field, value, who, tx.now, until))
    detail = {"limit": rule, "fields": dict(fields), "until": iso(until) if until else None}
    counters.audit(tx, who, "limit.changed", detail)
    return adopt(tx, base)


def adopt(tx: Transaction, base: Sequence[Limit]) -> LimitsHold:
    """Let the limits of the file with the stored changes hold from now on."""
    limits = limits_now(tx, base)
    for rule in redefine(tx, limits):
        log.warning("limit.redefined limit=%s", rule)
    return LimitsHold(limits, next_expiry(tx))


def note(tx: Transaction, what: str, ticket: int, *, who: str) -> None:
    """Write down what was done to a ticket by hand."""
    counters.audit(tx, who, what, {"ticket": ticket})


def next_expiry(tx: Transaction) -> datetime | None:
    """When the next change expires."""
    ends = [change.expires_at for change in changes.load(tx) if change.expires_at and change.expires_at > tx.now]
    return min(ends, default=None)


def hold_all(tx: Transaction, reason: str, *, who: str) -> None:
    """Let nothing start, with a reason; an empty reason lets everything go on."""
    counters.remember(tx, HOLD, reason)
    counters.audit(tx, who, "hold.all" if reason else "hold.ended", {"reason": reason})


def held_because(tx: Transaction) -> str:
    """Why everything is held; empty when nothing is."""
    return counters.fact(tx, HOLD) or ""
