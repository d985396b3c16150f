"""Throttle level of a limit: what people, alerts and dashboards see. It decides nothing.

    open ──holding a class back──► throttled ──allowance spent──► paused ──amount spent──► exhausted

Up at once. Down only when the cause has been gone for five minutes, and usage counts as gone only 3 points below the
mark, so that a level does not flicker. A new window starts fresh, and so does a correction: when an operator changes
the limit, or usage turns out to be less than was counted, the level follows at once.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

HYSTERESIS = 0.03
"""How far below its mark usage must fall before a level counts as left, as a share of the amount."""
LINGER = timedelta(minutes=5)
"""How long the cause of a level must be gone before the level is lowered."""


class ThrottleLevel(StrEnum):
    """The throttle levels, mildest first."""

    OPEN = "open"
    THROTTLED = "throttled"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(ThrottleLevel)}


class LevelFacts(Struct, frozen=True):
    """What a level follows from. Amounts are in the base of the limit's unit.

    ``holding``: admission is holding some class back in this limit. ``spent``: the provider says that nothing is left.
    ``starts_at`` names the window; None for a limit without windows, which is never paused or exhausted: a full set of
    running leases is normal and passes by itself. ``loan`` is what a member of a pool may go beyond its amount now.
    """

    used: int
    allowance: int
    amount: int
    holding: bool = False
    spent: bool = False
    starts_at: datetime | None = None
    loan: int = 0


@dataclass(frozen=True, slots=True)
class LevelState:
    """A level, ``since`` when, and ``caused_at``: when its cause was last there. ``starts_at`` names the window.

    ``used`` and ``amount`` are what it followed from, None where that is not known.
    """

    level: ThrottleLevel
    since: datetime
    caused_at: datetime
    starts_at: datetime | None = None
    used: int | None = field(default=None, compare=False)
    amount: int | None = field(default=None, compare=False)

    def is_corrected(self, facts: LevelFacts) -> bool:
        """Whether the amount was changed, or usage is less than was counted."""
        changed = self.amount is not None and self.amount != facts.amount
        return changed or (self.used is not None and facts.used < self.used)


def step(previous: LevelState | None, facts: LevelFacts, now: datetime, *, corrected: bool = False) -> LevelState:
    """Move a level on to ``now``; the same facts at the same instant change nothing.

    ``corrected``: something else about the limit was changed by hand. A level that was told of in a future, by a clock
    that was ahead, has been there since now.
    """
    if previous is None or previous.starts_at != facts.starts_at:
        return LevelState(_level(facts, slack_up_to=None), now, now, facts.starts_at, facts.used, facts.amount)
    at_once = corrected or previous.is_corrected(facts)
    wanted = _level(facts, slack_up_to=None if at_once else previous.level)
    since = min(previous.since, now)
    if wanted.rank == previous.level.rank:
        return replace(previous, since=since, caused_at=now, used=facts.used, amount=facts.amount)
    if wanted.rank < previous.level.rank and not at_once and abs(now - previous.caused_at) < LINGER:
        caused_at = min(previous.caused_at, now)
        return replace(previous, since=since, caused_at=caused_at, used=facts.used, amount=facts.amount)
    return LevelState(wanted, now, now, facts.starts_at, facts.used, facts.amount)


def _level(facts: LevelFacts, *, slack_up_to: ThrottleLevel | None) -> ThrottleLevel:
    """The level that the facts call for; thresholds up to the present level are three points lower."""
    if facts.starts_at is not None:
        if facts.spent or _reached(facts, facts.amount + facts.loan, _eased(ThrottleLevel.EXHAUSTED, slack_up_to)):
            return ThrottleLevel.EXHAUSTED
        if _reached(facts, facts.allowance + facts.loan, _eased(ThrottleLevel.PAUSED, slack_up_to)):
            return ThrottleLevel.PAUSED
    return ThrottleLevel.THROTTLED if facts.holding else ThrottleLevel.OPEN


def _eased(level: ThrottleLevel, present: ThrottleLevel | None) -> float:
    return HYSTERESIS if present is not None and level.rank <= present.rank else 0.0


def _reached(facts: LevelFacts, mark: int, slack: float) -> bool:
    return facts.used >= mark - slack * facts.amount
