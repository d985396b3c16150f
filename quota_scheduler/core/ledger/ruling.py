"""Ruling: the provider's word decides where a window begins and ends, and in percent how much of it is used.

    reported window ─┬─ bounds ────────────────────────────────────────► the window of now; one it cut short ends
                     └─ ratio as of an instant + usage here since then ─► used (percent only)

A window whose reset has passed is ruled by nobody until a fresh report: it counts from nothing what is used here, and a
lease reserves a fixed part at least (see ``Headroom.usable``).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.instants import MICROSECOND, SKEW
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.observations.points import POINT, WHOLE
from quota_scheduler.core.observations.reported_window import ReportedWindow
from quota_scheduler.core.tickets.ticket import Lease
from quota_scheduler.core.units import LARGEST_SUM, Unit
from quota_scheduler.core.usage import UsageEvent, total

ECHOED = 3 * POINT // 2
"""A report that stays the same while so much must have been used here since it was first made is an echo: a point of
it may be rounding."""


def rules_at(reported: ReportedWindow, now: datetime) -> bool:
    """Whether a reported window is the one of now."""
    return reported.began_at <= now + SKEW and now < reported.ends_at


def counted_from(reported: ReportedWindow, limit: Limit) -> datetime:
    """From when on usage has to be known to rule: see ``rule``."""
    if limit.unit is Unit.PERCENT and reported.ratio is not None:
        return reported.first_at
    return reported.began_at


def rule(
    balances: Balances, instance: LimitInstance, reported: ReportedWindow, events: Sequence[UsageEvent]
) -> Balance | None:
    """Let a reported window rule an instance; returns its balance, None where the reported window is not of now.

    ``events`` is what the instance used since ``counted_from``.
    """
    if not rules_at(reported, balances.now):
        return None
    balance = _placed(balances, instance, reported)
    balance.exhausted, balance.overage = reported.exhausted, reported.overage
    if instance.limit.unit is not Unit.PERCENT or reported.ratio is None:
        inside = (event for event in events if balance.window and balance.window.contains(event.at))
        balance.count_anew(_fine(instance.limit, inside))
        balance.anchored_at = None
    else:
        _anchor(balance, anchor_of(reported, events, instance.limit), reported.ratio, events)
    balance.dirty = True
    return balance


def _anchor(balance: Balance, at: datetime, ratio: float, events: Iterable[UsageEvent]) -> None:
    balance.anchored_at = at
    balance.used, balance.rest = min(LARGEST_SUM, round(ratio * WHOLE)), 0
    balance.use(_fine(balance.limit, (event for event in events if event.at > at)))


def anchor_of(reported: ReportedWindow, events: Iterable[UsageEvent], limit: Limit) -> datetime:
    """As of when a reported usage is true: its newest report, or its first where the others must be echoes of it.

    All of it, and more, is no echo: many doors stop at 100 %.
    """
    if limit.rate is None or (reported.ratio is not None and reported.ratio >= 1):
        return reported.observed_at
    between = [event for event in events if reported.first_at < event.at <= reported.observed_at]
    least = total(event.usage for event in between).cost_pico * limit.rate.low // limit.fineness
    return reported.first_at if least > ECHOED else reported.observed_at


def _fine(limit: Limit, events: Iterable[UsageEvent]) -> int:
    return sum(limit.fine_charge(event.usage) for event in events)


# in which balance


def _placed(balances: Balances, instance: LimitInstance, reported: ReportedWindow) -> Balance:
    """The balance of a reported window: the one there is, put where it says, or a new one."""
    span = Window(min(reported.began_at, balances.now), reported.ends_at)  # what jitters begins now, not in a moment
    rows = [row for row in balances.by_name.get(instance.name, ()) if not row.closed]
    unbegun = [row for row in rows if row.window is None]
    same = [row for row in rows if row.window and abs(row.window.ends_at - span.ends_at) <= SKEW]
    guessed = [row for row in rows if row.window and row.window.ends_at > balances.now and not _precedes(row, reported)]
    chosen = next(iter([*same, *unbegun, *reversed(guessed)]), None)
    for row in rows:
        if row is not chosen and row.window and row.window.ends_at > span.starts_at:
            _cut(row, row.window, min(span.starts_at, balances.now))
    if chosen is None:
        return balances.add(Balance(0, instance.limit, instance.value, span))
    if chosen.window != span:
        balances.move(chosen, span)
    return chosen


def _precedes(row: Balance, reported: ReportedWindow) -> bool:
    """Whether a balance is of the window that the reported one has cut short."""
    return bool(reported.follows and row.window and abs(row.window.ends_at - reported.follows) <= SKEW)


def _cut(row: Balance, window: Window, at: datetime) -> None:
    """End a window early: the next cycle closes it, and what is still held in it moves on."""
    row.window, row.dirty = Window(window.starts_at, max(at, window.starts_at + MICROSECOND)), True


def has_grown(reported: ReportedWindow, balance: Balance, counted: datetime | None) -> bool:
    """Whether a ruled balance is now told to be used otherwise than when it was last ruled, as of ``counted``.

    A word that is only judged again, or repeats what it said, holds nothing of what leases have reported since.
    """
    return balance.anchored_at is not None and (counted is None or counted < reported.first_at)


def rebase(balances: Balances, balance: Balance, leases: Mapping[int, Lease]) -> set[int]:
    """Let what leases had reported by themselves be a part of what the provider says: it would count twice.

    ``leases`` are those that run, by ticket. Returns the tickets whose reports are in it now: not those of leases that
    were granted after the provider's word.
    """
    assert balance.anchored_at is not None
    rows = [held for row in balances.reservations.values() for held in row if held.open and held.window == balance.id]
    by_then = {ticket for ticket, lease in leases.items() if lease.granted_at <= balance.anchored_at}
    moved = [held for held in rows if held.extra and held.ticket in by_then]
    for reservation in moved:
        before, left = reservation.before + reservation.reported, reservation.whole - reservation.spent
        amount = max(0, reservation.amount - reservation.spent)
        balances.update(reservation, reported=0, ledgered=0, before=before, amount=amount, whole=max(amount, left))
    return {reservation.ticket for reservation in moved}
