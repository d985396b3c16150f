"""The quota of a simulation: whole windows of one kind, and how full they are.

Three kinds: 30 days; a week that begins on some weekday and hour; a week with five-hour sessions of an eighth of it,
each opened by its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from msgspec import Struct, field

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.simulate.world import DAY, HOUR, World

HISTORY_DAYS = 7
"""Days recorded before the first window: below that the core forecasts nothing."""
SESSION = 5 * HOUR
"""Length of a session, in seconds: a subscription's."""
SESSION_SHARE = 1 / 8
"""Share of the week that a session may use."""
EMPTY = 1e-9
"""Mean days of usage below which a window has nothing left."""
SOON = 12 * HOUR
"""This close to a reset a run may use less of the window than it would reserve."""


class WindowKind(StrEnum):
    """Which windows a quota has."""

    MONTH = "month"
    WEEK = "week"
    SESSION = "session"

    @property
    def length(self) -> float:
        """How long the window with the quota is, in seconds."""
        return (30 if self is WindowKind.MONTH else 7) * DAY


def first_window(world: World, kind: WindowKind) -> float:
    """Tell where the first window begins: after a week of history, at an hour (weeks: a weekday) of the world's own."""
    dice = np.random.default_rng([7, *world.name.encode()])
    hour = int(dice.integers(24))
    day = int(dice.integers(7))
    return world.start + (HISTORY_DAYS + (0 if kind is WindowKind.MONTH else day)) * DAY + hour * HOUR


def whole_windows(world: World, kind: WindowKind) -> int:
    """Tell how many whole windows the recording holds after its history."""
    return max(0, int((world.end - first_window(world, kind)) // kind.length))


Span = Callable[[float], tuple[float, float]]
"""When the window of an instant begins and ends, where that stands in a calendar."""


class Tally(Struct):
    """What became of the windows of a limit: ``amount`` is ``used``, ``unused`` or, in the last, ``unfinished``.

    ``lost`` is the part of what was unused that somebody waited for; ``redone`` that of what was used that was for
    nothing, ``carried`` what had been used before the start; ``over`` what had been started and it could not give.
    """

    windows: int = 0
    amount: float = 0.0
    used: float = 0.0
    unused: float = 0.0
    unfinished: float = 0.0
    lost: float = 0.0
    redone: float = 0.0
    carried: float = 0.0
    over: float = 0.0


class Meter(Struct, eq=False):
    """One window as it fills; a ``session`` is closed until the first use opens it.

    ``rate`` is what running work takes out of it in a second, ``asked`` and ``work`` what the waiting of a class would
    reserve in it, and really needs; ``running`` names the runs that use it, with what a unit of their size takes out of
    it, and how fast they do. ``limit`` is what it stands for, None for a quota that is nobody's.
    """

    amount: float
    length: float
    starts_at: float
    ends_at: float
    session: bool = False
    used: float = 0.0
    is_open: bool = True
    name: str = ""
    limit: Limit | None = None
    span: Span | None = None
    rate: float = 0.0
    asked: list[float] = field(default_factory=lambda: [0.0] * 4)
    work: list[float] = field(default_factory=lambda: [0.0] * 4)
    running: dict[int, tuple[float, float]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=lambda: [0] * 4)
    usage: dict[int, float] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def left(self) -> float:
        """What it can still give."""
        return self.amount - self.used

    @property
    def is_empty(self) -> bool:
        """Whether it can give no more."""
        return self.is_open and self.left <= EMPTY

    def reset_after(self, now: float) -> float:
        """Tell when it ends; a session not yet open, if it began now."""
        return self.ends_at if self.is_open else now + self.length

    def begin(self, now: float) -> None:
        """Open the next window."""
        self.starts_at, self.ends_at = self.span(now) if self.span else (now, now + self.length)
        self.used, self.is_open = 0.0, True

    def close(self, waited: float, *, whole: bool = True) -> None:
        """Add up a window that has ended; ``waited`` is what those who wait for it could have used of it."""
        if not self.is_open:
            return
        tally, unused = self.tally, max(0.0, self.left)
        tally.windows += whole
        tally.amount += self.amount
        tally.used += self.amount - unused
        if whole:
            tally.unused += unused
            tally.lost += min(unused, waited)
        else:
            tally.unfinished += unused
        self.is_open, self.used = False, 0.0

    def queue(self, rank: int, asked: float, work: float) -> None:
        """Count a run that waits for it."""
        self.asked[rank] += asked
        self.work[rank] += work
        self.waiting[rank] += 1

    def unqueue(self, rank: int, asked: float, work: float) -> None:
        """Count one that waits no more; sums of many leave crumbs, an empty queue none."""
        self.waiting[rank] -= 1
        self.asked[rank] = self.asked[rank] - asked if self.waiting[rank] else 0.0
        self.work[rank] = self.work[rank] - work if self.waiting[rank] else 0.0

    def count_rates(self) -> None:
        """Add up what runs, anew each time: differences of many sums would leave crumbs."""
        self.rate = sum(rate for _, rate in self.running.values())


def meters(kind: WindowKind, amount: float, start: float) -> list[Meter]:
    """Return the windows that bind everything, the one with the quota first."""
    windows = [Meter(amount, kind.length, start, start + kind.length)]
    if kind is WindowKind.SESSION:
        windows.append(Meter(amount * SESSION_SHARE, SESSION, start, start, session=True, is_open=False))
    return windows
