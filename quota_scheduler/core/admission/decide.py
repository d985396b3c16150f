"""Who may start: one test for submit, wake and resume.

A ticket of class c starts iff in every enforced limit that binds it

    used + reserved + its own reservation + what waits in classes above c
         + quantile q(c, horizon) of the demand of classes above c still to come before the reset  <=  ceiling

The ceiling is the allowance, for ``interactive`` the amount. Towards the reset the demand still to come shrinks to
nothing, so that cheap work is let in rather than quota left to expire; early in a tight window it is held: one
inequality, both sides, no release rule (measured against fixed thresholds in docs/explanation/admission.md). q is
lower for a ticket that is pressing: who will be given up before long gains little by waiting on.
"""

from datetime import datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Mode, Policy
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Reason, Ticket
from quota_scheduler.core.units import Unit

RETRY = timedelta(seconds=60)
"""How far ahead ``until`` lies when nothing but the next look can tell: a lease to end, a source to catch up."""

EXPECTED = frozenset({Reason.PACED, Reason.THROTTLED})
"""Reasons that rest on what is expected; a limit without room is the truer one where both hold."""


def admits(
    headroom: Headroom, amount: int, priority: Priority, now: datetime, *, pressing: bool = False
) -> Reason | None:
    """The test for one limit: None when ``amount`` may start now, else why not."""
    balance, ceiling = headroom.balance, headroom.ceiling(priority, now)
    if headroom.catching_up and priority is not Priority.INTERACTIVE:
        return Reason.CATCHING_UP
    if balance.overage:
        return None  # the provider lets work go on for money, whatever of the window is used
    if balance.exhausted:
        return Reason.EXHAUSTED
    committed = headroom.committed(priority)
    if balance.limit.unit is Unit.LEASES:
        return None if committed + amount <= ceiling else Reason.CONCURRENCY
    if committed + amount > ceiling:
        return _short_of(balance, ceiling)
    if balance.limit.policy is Policy.FIXED_THRESHOLDS:
        return _fixed_thresholds_hold(headroom, priority)
    rest = headroom.waiting_above(priority) + headroom.protected(priority, now, pressing=pressing)
    return None if committed + amount + rest <= ceiling else Reason.PACED


def _short_of(balance: Balance, ceiling: int) -> Reason:
    if balance.spent >= balance.amount:
        return Reason.EXHAUSTED
    return Reason.PAUSED if balance.spent >= ceiling else Reason.NO_HEADROOM


def _fixed_thresholds_hold(headroom: Headroom, priority: Priority) -> Reason | None:
    """The founding documents' thresholds: by risk, projection, spike and usage."""
    if priority in (Priority.INTERACTIVE, Priority.HIGH):
        stops = (
            priority is Priority.HIGH
            and headroom.balance.spent >= headroom.thresholds.fixed_stop * headroom.balance.amount
        )
        return Reason.PAUSED if stops else None
    used, outlook = headroom.balance.spent / max(1, headroom.balance.amount), headroom.outlook
    if used >= headroom.thresholds.fixed_stop:
        return Reason.PAUSED
    if used >= headroom.thresholds.fixed_normal:
        return Reason.THROTTLED
    if priority is Priority.LOW and outlook:
        risky = (
            outlook.risk in ("high", "critical")
            or outlook.projected_ratio > headroom.thresholds.fixed_stop
            or outlook.spike
        )
        return Reason.THROTTLED if risky else None
    return None


class Blocker(Struct, frozen=True):
    """A limit that does not let a ticket start now, and the earliest instant that could change it."""

    instance: str
    reason: Reason
    until: datetime


class Admit(Struct, frozen=True):
    """Start now. ``warned`` are limits in mode warn that would have said no."""

    warned: tuple[Blocker, ...] = ()


class Defer(Struct, frozen=True):
    """Wait until ``until``: the last of the resets of the limits without room, else of those that expect others."""

    until: datetime
    reason: Reason
    held: tuple[Blocker, ...]
    warned: tuple[Blocker, ...] = ()


class Reject(Struct, frozen=True):
    """Never, as asked."""

    reason: Reason
    held: tuple[Blocker, ...]
    warned: tuple[Blocker, ...] = ()


Verdict = Admit | Defer | Reject


def decide(ticket: Ticket, headrooms: Headrooms, *, now: datetime) -> Verdict:
    """Admit, defer or reject a ticket against every limit that binds it, and the breaker of its account.

    Where both hold it, whichever does so longer is the reason.
    """
    if never := never_fits(ticket, headrooms, now=now):
        return never
    held: list[Blocker] = []
    warned: list[Blocker] = []
    pressing = ticket.presses(now)
    for headroom, whole in headrooms.asked(ticket):
        amount = headroom.usable(whole, ticket.estimate.duration, now)
        reason = Reason.HELD if ticket.on_hold else admits(headroom, amount, ticket.priority, now, pressing=pressing)
        if reason is not None:
            blocker = Blocker(headroom.balance.name, reason, _until(headroom, reason, now))
            (held if headroom.enforced or ticket.on_hold else warned).append(blocker)
    if ticket.on_hold and not held:
        return Defer(now + RETRY, Reason.HELD, (), tuple(warned))
    refused_until = headrooms.breakers.waits_until(ticket, now)
    if refused_until and all(blocker.until <= refused_until for blocker in held):
        return Defer(refused_until, Reason.PROVIDER_THROTTLED, tuple(held), tuple(warned))
    if held:
        last = max(held, key=lambda blocker: (blocker.reason not in EXPECTED, blocker.until, blocker.instance))
        return Defer(last.until, last.reason, tuple(held), tuple(warned))
    return Admit(tuple(warned))


def never_fits(ticket: Ticket, headrooms: Headrooms, *, now: datetime) -> Reject | None:
    """Reject what even an empty window is too small for: by a declared estimate, or by the median of a guessed one."""
    if all(whole <= headroom.balance.amount for headroom, whole in headrooms.asked(ticket)):
        return None
    estimate = ticket.estimate
    usage = estimate.reserve if estimate.declared else estimate.median
    too_small = []
    for instance in headrooms.balances.instances(ticket.labels.asking):
        limit = instance.limit
        amount = 1 if limit.unit is Unit.LEASES else limit.charge(usage)
        if limit.mode is Mode.ENFORCE and amount > limit.amount_of(instance.value) + limit.borrow:
            too_small.append(Blocker(instance.name, Reason.NEVER_FITS, now))
    return Reject(Reason.NEVER_FITS, tuple(too_small)) if too_small else None


def _until(headroom: Headroom, reason: Reason, now: datetime) -> datetime:
    ends_at = headroom.ends_at(now)
    if ends_at is None or reason in (Reason.CATCHING_UP, Reason.HELD):
        return now + RETRY
    return ends_at


def occupy(ticket: Ticket, headrooms: Headrooms, *, running: bool) -> None:
    """Reserve an admitted ticket's need in every binding limit, warned ones included."""
    now = headrooms.balances.now
    for headroom, whole in headrooms.asked(ticket):
        amount = headroom.usable(whole, ticket.estimate.duration, now)
        headrooms.balances.reserve(ticket.id, headroom.instance, amount, running=running, whole=whole)
