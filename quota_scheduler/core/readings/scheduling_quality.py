"""Scheduling quality: what closed windows of a limit did to people's work and to the quota.

avoidable harm      important work refused, given up or broken off, beyond what no order could have spared / its demand
lost while waited   unused at the reset, as far as waiting work could have used it / amount
value               8, 4, 2, 1 x what was used by class / the most that the window could have been worth
stalls              runs that ended unfinished in an exhausted window / runs

Sums over windows are divided by sums. The best that was possible is a bound: the whole window known beforehand and used
in order of class, whenever its demand came; so harm is never told too small, nor value too large.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from quota_scheduler.core.priority import CLASSES, Priority

WORTH = (8, 4, 2, 1)
"""What a token is worth, by class (reference figures, section 2)."""
IMPORTANT = Priority.NORMAL.rank
"""Classes above this rank are important: people, and high."""
NOTHING = (0,) * len(CLASSES)
"""No amount in any class."""


def could_have_used(amount: int, *, waited: timedelta, takes: timedelta) -> int:
    """Tell what a waiting run could have used since it came, had it been let in."""
    return amount if waited >= takes else int(amount * (waited / takes))


class ClosedWindow(Struct, frozen=True):
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


class ClassQuality(Struct, frozen=True):
    """How one class fared: ``denied`` is the share of its demand that was turned away, ``stalls`` that of its runs."""

    priority: str
    denied: float | None
    stalls: float | None


class QualityReading(Struct, frozen=True):
    """Scheduling quality over ``windows`` closed windows since ``since``; ratios, None where there was no demand."""

    windows: int
    since: datetime
    avoidable_harm: float | None
    lost: float | None
    utilisation: float | None
    value: float | None
    classes: tuple[ClassQuality, ...] = field(default=())


def pool(windows: Sequence[ClosedWindow]) -> QualityReading:
    """Return the quality of closed windows of one limit taken together, at least one."""
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
