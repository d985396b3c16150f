"""Scheduling quality: what closed windows of a limit did to people's work and to the quota.

avoidable harm      important work refused, given up or broken off, beyond what no order could have spared / its demand
lost while waited   unused at the reset, as far as waiting work could have used it / amount
value               8, 4, 2, 1 x what was used by class / the most that the window could have been worth
stalls              runs that ended unfinished in an exhausted window / runs

Sums over windows are divided by sums. The best that was possible is a bound: the whole window known beforehand and used
in order of class, whenever its demand came; so harm is never told too small, nor value too large.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State, Ticket
from quota_scheduler.core.units import Unit

WORTH = (8, 4, 2, 1)
"""What a token is worth, by class (reference figures, section 2)."""
IMPORTANT = Priority.NORMAL.rank
"""Classes above this rank are important: people, and high."""
GIVEN_UP = frozenset({Outcome.WITHDRAWN, Outcome.DEADLINE, Outcome.WAITED_TOO_LONG})
"""Outcomes of a ticket that waited in vain; one whose runner stopped asking is no harm of ours."""
BROKEN_OFF = frozenset({Outcome.FAILED, Outcome.EXPIRED, Outcome.REVOKED})
"""Outcomes of a lease that did not finish its work."""
NO_ROOM = frozenset({Reason.PAUSED, Reason.EXHAUSTED, Reason.NO_HEADROOM, Reason.THROTTLED, Reason.PACED})
"""Reasons of rejections for want of room."""
NOTHING = (0,) * len(CLASSES)
"""No amount in any class."""


@dataclass(frozen=True, slots=True)
class Harm:
    """Work of a class that one limit turned away (``amount`` in its unit), and whether it had begun: a stall."""

    instance: LimitInstance
    rank: int
    amount: int
    stalled: bool


def harm_of(ticket: Ticket, balances: Balances) -> list[Harm]:
    """Which limits a ticket was turned away by as it closed; empty for one that was not.

    Those that had no room for it. When each had some, the test held it back for others, and all that bind it count;
    unless it waited for a lease or for an operator, which is no matter of quota.
    """
    if ticket.state is not State.CLOSED or not _harmed(ticket):
        return []
    short: list[Harm] = []
    held_back: list[Harm] = []
    quotas_rule = not ticket.on_hold
    for instance in balances.instances(ticket.labels):
        balance, limit = balances.find(instance, balances.now), instance.limit
        if balance is None or limit.mode is not Mode.ENFORCE:
            continue
        if limit.unit is Unit.LEASES:
            quotas_rule &= balance.reserved < balance.amount
            continue
        need = limit.charge(ticket.estimate.median)
        done = limit.charge(ticket.lease.usage) if ticket.lease else 0
        harm = Harm(instance, ticket.priority.rank, max(0, need - done), ticket.lease is not None)
        full = (
            balance.spent >= balance.amount
            if ticket.lease
            else balance.spent + balance.reserved + need > balance.amount
        )
        (short if full else held_back).append(harm)
    return short if short or ticket.lease or not quotas_rule else held_back


def _harmed(ticket: Ticket) -> bool:
    if ticket.lease:
        return ticket.outcome in BROKEN_OFF
    return ticket.outcome in GIVEN_UP or (ticket.outcome is Outcome.REJECTED and ticket.reason in NO_ROOM)


def could_have_used(amount: int, *, waited: timedelta, takes: timedelta) -> int:
    """What a waiting run could have used since it came, had it been let in."""
    return amount if waited >= takes else int(amount * (waited / takes))


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """What happened in one closed window of a limit, in its unit; tuples are by rank.

    ``used`` is all that was used, ``served`` the same by class; ``missed`` was turned away, ``stalls`` of those had
    begun, ``runs`` is how many there were; ``waited`` is what waiting work could have used before the reset.
    """

    instance: str
    starts_at: datetime
    ends_at: datetime
    amount: int
    used: int
    served: tuple[int, ...] = NOTHING
    missed: tuple[int, ...] = NOTHING
    stalls: tuple[int, ...] = NOTHING
    runs: tuple[int, ...] = NOTHING
    waited: tuple[int, ...] = NOTHING

    @property
    def lost(self) -> int:
        """What expired though somebody waited who could have used it."""
        return min(max(0, self.amount - self.used), sum(self.waited))

    @property
    def demand(self) -> tuple[int, ...]:
        """What was asked for by class and could have been used here."""
        return tuple(map(sum, zip(self.served, self.missed, self.waited, strict=True)))

    @property
    def avoidable(self) -> int:
        """Important work turned away, less what no order could have spared."""
        denied = sum(self.missed[:IMPORTANT])
        return max(0, denied - max(0, self.important - max(self.amount, sum(self.served))))

    @property
    def important(self) -> int:
        """Important work that was asked for and not merely still waiting."""
        return sum(self.served[:IMPORTANT]) + sum(self.missed[:IMPORTANT])

    @property
    def worth(self) -> int:
        """What was used, each class by its worth."""
        return sum(worth * served for worth, served in zip(WORTH, self.served, strict=True))

    @property
    def most_worth(self) -> int:
        """The most it could have been worth: filled in order of class."""
        left, worth_so_far = max(self.amount, sum(self.served)), 0
        for worth, wanted in zip(WORTH, self.demand, strict=True):
            worth_so_far, left = worth_so_far + worth * min(left, wanted), left - min(left, wanted)
        return worth_so_far


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """How one class fared: ``denied`` is the share of its demand that was turned away, ``stalls`` that of its runs."""

    priority: str
    denied: float | None
    stalls: float | None


@dataclass(frozen=True, slots=True)
class QualityReading:
    """Scheduling quality over ``windows`` closed windows since ``since``; ratios, None where there was no demand."""

    windows: int
    since: datetime
    avoidable_harm: float | None
    lost: float | None
    utilisation: float | None
    value: float | None
    classes: tuple[ClassQuality, ...] = field(default=())


def pool(windows: Sequence[ClosedWindow]) -> QualityReading:
    """The quality of closed windows of one limit taken together, at least one."""
    amount = sum(window.amount for window in windows)
    return QualityReading(
        windows=len(windows),
        since=min(window.starts_at for window in windows),
        avoidable_harm=_ratio((window.avoidable for window in windows), sum(window.important for window in windows)),
        lost=_ratio((window.lost for window in windows), amount),
        utilisation=_ratio((window.used for window in windows), amount),
        value=_ratio((window.worth for window in windows), sum(window.most_worth for window in windows)),
        classes=tuple(_class(priority, windows) for priority in CLASSES),
    )


def _class(priority: Priority, windows: Sequence[ClosedWindow]) -> ClassQuality:
    rank = priority.rank
    asked = sum(window.served[rank] + window.missed[rank] for window in windows)
    stalls, runs = sum(window.stalls[rank] for window in windows), sum(window.runs[rank] for window in windows)
    denied = _ratio((window.missed[rank] for window in windows), asked)
    return ClassQuality(priority.value, denied, _ratio([stalls], max(stalls, runs)))


def _ratio(parts: Iterable[int], whole: int) -> float | None:
    return sum(parts) / whole if whole > 0 else None
