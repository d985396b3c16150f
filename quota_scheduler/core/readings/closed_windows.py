"""What a closed window came to: who used it, what ran in it, and what waiting work could have used of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.readings.scheduling_quality import NOTHING, ClosedWindow, could_have_used
from quota_scheduler.core.tickets.run_history import USUAL_LENGTH
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

LabelSets = Mapping[int, tuple[Labels, Priority]]


class WaitedTicket(Struct, frozen=True):
    """A ticket that waited when a window was reset. ``takes`` is how long its run was expected to be, if known."""

    priority: Priority
    labels: Labels
    median: Usage
    since: datetime
    takes: timedelta | None


class WindowFacts(Struct, frozen=True):
    """What happened in the span of a window, by label set: usage and runs; and the tickets that waited at its reset."""

    used: Sequence[tuple[int, Usage]] = ()
    runs: Sequence[tuple[int, int]] = ()
    waited: Sequence[WaitedTicket] = field(default=())


def judged(window: ClosedWindow, facts: WindowFacts, sets: LabelSets, balances: Balances) -> ClosedWindow:
    """The window with who used it, what ran, and what waited; what had waited when it was judged before stays."""
    served, runs = [0] * len(CLASSES), [0] * len(CLASSES)
    for number, usage in facts.used:
        labels, priority = sets[number]
        if instance := _bound(labels, window.instance, balances):
            served[priority.rank] += instance.limit.charge(usage)
    for number, count in facts.runs:
        labels, priority = sets[number]
        if _bound(labels, window.instance, balances):
            runs[priority.rank] += count
    waited = window.waited or _could_have_used(window, facts.waited, balances)
    return replace(window, served=tuple(served), runs=tuple(runs), waited=waited)


def _bound(labels: Labels, name: str, balances: Balances) -> LimitInstance | None:
    return next((instance for instance in balances.instances(labels) if instance.name == name), None)


def _could_have_used(window: ClosedWindow, waited: Iterable[WaitedTicket], balances: Balances) -> tuple[int, ...]:
    """What waited at the reset, as far as it could have been used in this window and no other limit held it."""
    if window.used >= window.amount:
        return NOTHING
    amounts = [0] * len(CLASSES)
    for ticket in waited:
        instance = _bound(ticket.labels.asking, window.instance, balances)
        others = (other for other in balances.instances(ticket.labels.asking) if other != instance)
        if instance is None or any(_held_by(other, ticket, balances) for other in others):
            continue
        span, takes = window.ends_at - max(ticket.since, window.starts_at), ticket.takes or USUAL_LENGTH
        amounts[ticket.priority.rank] += could_have_used(instance.limit.charge(ticket.median), waited=span, takes=takes)
    return tuple(amounts)


def _held_by(other: LimitInstance, ticket: WaitedTicket, balances: Balances) -> bool:
    """Whether another limit has no room for a ticket, so that nothing was lost for it here."""
    if other.limit.mode is not Mode.ENFORCE:
        return False
    balance = balances.ruling(other)
    need = 1 if other.limit.unit is Unit.LEASES else other.limit.charge(ticket.median)
    return balance.spent + balance.reserved + need > balance.amount
