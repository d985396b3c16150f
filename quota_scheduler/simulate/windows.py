"""The quota of a simulation: whole windows of one kind, and how full they are.

Three kinds: 30 days; a week that begins on some weekday and hour; a week with five-hour sessions of an eighth of it,
each opened by its first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

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


@dataclass(slots=True)
class Meter:
    """One window as it fills; a ``session`` is closed until the first use opens it."""

    amount: float
    length: float
    starts_at: float
    ends_at: float
    session: bool = False
    used: float = 0.0
    is_open: bool = True

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
        self.starts_at, self.ends_at, self.used, self.is_open = now, now + self.length, 0.0, True


def meters(kind: WindowKind, amount: float, start: float) -> list[Meter]:
    """Return the windows that bind everything, the one with the quota first."""
    windows = [Meter(amount, kind.length, start, start + kind.length)]
    if kind is WindowKind.SESSION:
        windows.append(Meter(amount * SESSION_SHARE, SESSION, start, start, session=True, is_open=False))
    return windows
