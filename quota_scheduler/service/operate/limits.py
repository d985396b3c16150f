"""What operators do by hand: change limits, hold everything, hold, start or revoke one; each is written down.

The file is the base of every limit; changes at run time lie on top, are stored, and may expire. Windows that count
differently then begin anew, and what runs or is offered holds its place in them:

limits that hold from now on
  → adapt     windows of redefined and removed limits end                       store
  → open      the windows of new ones, filled from the ledger
  → hold      reservations of what runs, with what it has used in them already
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.ledger.settlement import hold_anew
from quota_scheduler.core.limits.changes import LimitChange, changed, effective
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.store import Transaction, audit, facts, ledger, limit_changes, tickets, windows

log = logging.getLogger(__name__)
HOLD = "hold"
"""Remembered fact: why everything is held, empty when nothing is."""


def limits_now(tx: Transaction, base: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits of the file with the stored changes that last."""
    return effective(base, limit_changes.load(tx), now=tx.now)


@dataclass(frozen=True, slots=True)
class LimitsHold:
    """The limits that hold from now on, and when the next run-time change of them expires."""

    limits: tuple[Limit, ...]
    expire_at: datetime | None


def change_limit(
    tx: Transaction,
    base: Sequence[Limit],
    rule: str,
    fields: Mapping[str, Any],
    *,
    who: str,
    until: datetime | None,
    dry_run: bool = False,
) -> LimitsHold | str:
    """Change fields of a limit, all of them or, with a sentence that says why not, none; None takes a change back.

    ``dry_run`` says what would hold and writes nothing.
    """
    limit = next((limit for limit in limits_now(tx, base) if limit.id == rule), None)
    if limit is None:
        return f"there is no limit {rule!r} any more: the configuration was read again; nothing was changed"
    try:
        for field, value in fields.items():
            limit = limit if value is None else changed(limit, field, value)
    except ValueError as error:
        return f"{error}; nothing was changed"
    if dry_run:
        others = [change for change in limit_changes.load(tx) if change.rule != rule or change.field not in fields]
        asked = [LimitChange(rule, name, value, who, tx.now) for name, value in fields.items() if value is not None]
        return LimitsHold(effective(base, [*others, *asked], now=tx.now), None)
    for field, value in fields.items():
        if value is None:
            limit_changes.take_back(tx, rule, field)
        else:
            limit_changes.save(tx, LimitChange(rule, field, value, who, tx.now, until))
    detail = {"limit": rule, "fields": dict(fields), "until": iso(until) if until else None}
    audit.write(tx, who, "limit.changed", detail)
    return adopt(tx, base)


def adopt(tx: Transaction, base: Sequence[Limit]) -> LimitsHold:
    """Let the limits of the file with the stored changes hold from now on."""
    limits = limits_now(tx, base)
    for rule in redefine(tx, limits):
        log.warning("limit.redefined limit=%s", rule)
    return LimitsHold(limits, next_expiry(tx))


def note(tx: Transaction, what: str, ticket: int, *, who: str) -> None:
    """Write down what was done to a ticket by hand."""
    audit.write(tx, who, what, {"ticket": ticket})


def next_expiry(tx: Transaction) -> datetime | None:
    """When the next change expires."""
    ends = [change.expires_at for change in limit_changes.load(tx) if change.expires_at and change.expires_at > tx.now]
    return min(ends, default=None)


def hold_all(tx: Transaction, reason: str, *, who: str) -> None:
    """Let nothing start, with a reason; an empty reason lets everything go on."""
    facts.remember(tx, HOLD, reason)
    audit.write(tx, who, "hold.all" if reason else "hold.ended", {"reason": reason})


def redefine(tx: Transaction, limits: Sequence[Limit]) -> list[str]:
    """Bring windows and reservations in line with these limits; returns the rules whose windows ended."""
    known = windows.known_rules(tx)
    ended = windows.adapt(tx, limits)
    new = {limit.id for limit in limits} - (known - set(ended))
    open_tickets = [t for t in tickets.open_tickets(tx) if t.state is not State.WAITING] if new else []
    if open_tickets:
        _hold(tx, limits, new, open_tickets)
    return ended


def _hold(tx: Transaction, limits: Sequence[Limit], new: Collection[str], open_tickets: Sequence[Ticket]) -> None:
    balances = windows.load(tx, limits, tickets=())
    windows.open_for(tx, balances, {ticket.labels.asking for ticket in open_tickets})
    for ticket in open_tickets:
        for instance in balances.instances(ticket.labels.asking):
            if instance.limit.id in new:
                session = ticket.lease.session if ticket.lease else ""
                hold_anew(ticket, instance, ledger.by_session(tx, session) if session else [], balances)
    windows.save(tx, balances)
