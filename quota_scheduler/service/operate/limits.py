"""What operators do by hand: change limits, hold everything, hold, start or revoke one; each is written down.

The file is the base of every limit; changes at run time lie on top, are stored, and may expire. Windows that count
differently then begin anew, and what runs or is offered holds its place in them:

limits that hold from now on
  → rename    a limit that only has another id is followed by what it matches     store.rename_limit
  → adapt     windows of redefined and removed limits end                       store
  → rebuild   the windows of new ones, filled from the ledger before anybody looks
  → hold      reservations of what runs, with what it has used in them already
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.ledger.settlement import LeasesOf, hold_anew
from quota_scheduler.core.limits.changes import LimitChange, LimitsHold, changed, effective, holding, one_by_one
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.service import chained_sessions
from quota_scheduler.service.observe import rule_windows
from quota_scheduler.service.rebuild import open_for, rebuild
from quota_scheduler.service.upkeep.learn_rates import with_rates
from quota_scheduler.store import (
    Transaction,
    audit,
    facts,
    ledger,
    limit_changes,
    rename_limit,
    tickets,
    turns,
    windows,
)

log = logging.getLogger(__name__)
HOLD = "hold"
"""Remembered fact: why everything is held, empty when nothing is."""


def limits_now(tx: Transaction, base: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits of the file with the stored changes that last, and what was learned of those in percent."""
    return with_rates(tx, effective(base, limit_changes.load(tx), now=tx.now))


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
    changes = one_by_one(fields)
    try:
        for field, value in changes.items():
            limit = limit if value is None else changed(limit, field, value)
    except ValueError as error:
        return f"{error}; nothing was changed"
    if dry_run:
        others = [change for change in limit_changes.load(tx) if change.rule != rule or not _replaces(changes, change)]
        asked = [LimitChange(rule, name, value, who, tx.now) for name, value in changes.items() if value is not None]
        return LimitsHold(with_rates(tx, effective(base, [*others, *asked], now=tx.now)))
    for field, value in changes.items():
        if value is None:
            limit_changes.take_back(tx, rule, field)
        else:
            limit_changes.save(tx, LimitChange(rule, field, value, who, tx.now, until))
    detail = {"limit": rule, "fields": dict(fields), "until": iso(until) if until else None}
    turns.terms_moved(tx)
    audit.write(tx, who, "limit.changed", detail)
    return apply_limits(tx, base)


def _replaces(changes: Mapping[str, Any], before: LimitChange) -> bool:
    """Whether these changes stand in place of one: of the same field, or of all values of it taken back."""
    field = before.field.partition(".")[0]
    return before.field in changes or (field in changes and changes[field] is None)


def apply_limits(tx: Transaction, base: Sequence[Limit], *, starting: bool = False) -> LimitsHold:
    """Let the limits of the file with the stored changes hold from now on.

    ``starting``: nobody has looked after the database for a while, so every window of now is opened and filled.
    """
    limits = limits_now(tx, base)
    names = {limit.id for limit in limits}
    for rule in redefine(tx, limits):
        if rule in names:
            log.warning("limit.redefined limit=%s", rule)
        else:
            log.info("limit.removed limit=%s", rule)
    if starting:
        rebuild(tx, limits, trusting=True)
    else:
        chained_sessions.lost_unless_of(tx, limits)
    rule_windows(tx, limits)
    return holding(limits, limit_changes.load(tx), now=tx.now)


def limits_hold(tx: Transaction, base: Sequence[Limit]) -> LimitsHold:
    """The limits that hold by what is stored, and how long; changes nothing."""
    return holding(limits_now(tx, base), limit_changes.load(tx), now=tx.now)


def write_down(tx: Transaction, what: str, detail: Mapping[str, Any], *, who: str) -> None:
    """Write down a deed that is no ticket's."""
    audit.write(tx, who, what, detail)


def note(tx: Transaction, what: str, ticket: int, *, who: str, **more: Any) -> None:
    """Write down what was done to a ticket by hand, with what ``more`` there is to say."""
    audit.write(tx, who, what, {"ticket": ticket, **more})


def hold_all(tx: Transaction, reason: str, *, who: str) -> None:
    """Let nothing start, with a reason; an empty reason lets everything go on."""
    facts.remember(tx, HOLD, reason)
    turns.terms_moved(tx)
    audit.write(tx, who, "hold.all" if reason else "hold.ended", {"reason": reason})


def redefine(tx: Transaction, limits: Sequence[Limit]) -> list[str]:
    """Bring windows and reservations in line with these limits; returns the rules whose windows ended."""
    for old, new in windows.renamed(tx, limits).items():
        log.info("limit.renamed from=%s to=%s", old, new)
        turns.everything_moved(tx)
        rename_limit.follow(tx, old, new)
    kept = windows.known_rules(tx)
    ended = windows.adapt(tx, limits)
    fresh = {limit.id for limit in limits} - (kept - set(ended))
    if fresh:
        rebuild(tx, limits, fresh)
        _hold(tx, limits, fresh, [t for t in tickets.open_tickets(tx) if t.state is not State.WAITING])
    return ended


def _hold(tx: Transaction, limits: Sequence[Limit], fresh: Collection[str], open_tickets: Sequence[Ticket]) -> None:
    """Let what runs or is offered hold its place in the windows of these rules."""
    if not open_tickets:
        return
    balances = windows.load(tx, limits, tickets=())
    open_for(tx, balances, {ticket.labels.asking for ticket in open_tickets})
    for ticket in open_tickets:
        for instance in balances.instances(ticket.labels.asking):
            if instance.limit.id in fresh:
                hold_anew(ticket, instance, _transcript(tx, ticket), balances)
    windows.save(tx, balances)


def _transcript(tx: Transaction, ticket: Ticket) -> list[UsageEvent]:
    """The events of a lease's session or run that are this lease's and no other's."""
    if ticket.lease is None:
        return []
    events = (
        ledger.by_session(tx, ticket.lease.session, granted=ticket.lease.granted_at) if ticket.lease.session else []
    )
    events += ledger.by_run(tx, ticket.run, granted=ticket.lease.granted_at) if ticket.run else []
    leases = LeasesOf(tickets.with_leases(tx, sessions=[ticket.lease.session], runs=[ticket.run]))
    unique = {event.identity: event for event in events}.values()
    return [event for event in unique if (owner := leases.owner(event)) and owner.lease == ticket.lease]
