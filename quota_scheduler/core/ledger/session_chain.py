"""The sessions that uses open, followed use by use in order of time: what they come to is kept, they are not.

uses ──take──► chain: the beginning of each session, and what was used in each of its hours
hours that have moved since ──rewound──► the chain as it was before them, to be taken from there once more
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct, field

from quota_scheduler.core.limits.schedule import Window


class Grounds(NamedTuple):
    """What sessions stand on beside uses.

    ``cut`` is where the chain begins anew, since a provider reset early or what was before is sure; ``openings`` are
    the sessions that leases opened, in order, which are uses like any other.
    """

    cut: datetime | None = None
    openings: tuple[datetime, ...] = ()


class ChainedSession(Struct):
    """One session of a chain: its span, and what was used in it by the hour that began then."""

    span: Window
    by_hour: dict[datetime, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """What was used in it, in parts of the limit's base."""
        return sum(self.by_hour.values())


class SessionChain(Struct):
    """The sessions of one limit instance, oldest first; each lasts ``length``."""

    length: timedelta
    grounds: Grounds
    sessions: list[ChainedSession] = field(default_factory=list)
    passed: int = 0
    """How many of the openings were looked at."""

    def take(self, at: datetime, amount: int) -> None:
        """Count a use, which comes no earlier than all that were taken before; an amount of 0 opens a session too."""
        openings = self.grounds.openings
        while self.passed < len(openings) and openings[self.passed] <= at:
            self._open(openings[self.passed])
            self.passed += 1
        if self.grounds.cut and at < self.grounds.cut:
            return
        self._open(at)
        by_hour, hour = self.sessions[-1].by_hour, hour_of(at)
        by_hour[hour] = by_hour.get(hour, 0) + amount

    def end(self) -> None:
        """Open what leases have opened after the last use."""
        for at in self.grounds.openings[self.passed :]:
            self._open(at)
        self.passed = len(self.grounds.openings)

    def _open(self, at: datetime) -> None:
        if not self.sessions or at >= self.sessions[-1].span.ends_at:
            self.sessions.append(ChainedSession(Window(at, at + self.length)))

    def rewind(self, to: datetime) -> None:
        """Forget every use from an instant on, which is the beginning of an hour."""
        while self.sessions and self.sessions[-1].span.starts_at >= to:
            self.sessions.pop()
        for session in self.sessions[-1:]:
            session.by_hour = {hour: amount for hour, amount in session.by_hour.items() if hour < to}
        self.passed = sum(at < to for at in self.grounds.openings)

    def stand_on(self, grounds: Grounds, since: datetime) -> datetime | None:
        """Take other grounds; returns from when on uses have to be taken anew, None where nothing differs.

        ``since`` is where the first use was looked for.
        """
        differing = {*grounds.openings} ^ {*self.grounds.openings}
        if grounds.cut != self.grounds.cut:
            differing.add(since)
        self.grounds = grounds
        return min(differing, default=None)


def hour_of(at: datetime) -> datetime:
    """The beginning of the hour, in UTC, in which an instant lies."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def spans_of(sessions: Sequence[ChainedSession]) -> dict[Window, int]:
    """What was used in each session, oldest first."""
    return {session.span: session.used for session in sessions}
