"""Balances of limit instances: what is used, reported and reserved in one window."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.units import LARGEST_SUM

HOUR = timedelta(hours=1)
MOST_DRIFT = timedelta(hours=1)
"""Use elsewhere is allowed for this long after a report: what went on for an hour need not go on for the next."""


@dataclass(slots=True)
class Balance:
    """The counters of one window of one limit instance. ``id`` 0: not stored yet; ``window`` None: it never resets.

    ``rest`` is what was used beyond ``used``, in parts of the limit's base: see ``Limit.fine_charge``. ``ramp`` is how
    long the starts of what waited for this window are spread after its beginning.

    ``anchored_at`` is as of when the provider said how much is used: what happened up to then is in its word.
    ``exhausted`` says that it refuses until the reset, ``overage`` that it lets work go on for money. ``drift`` is what
    is used elsewhere in an hour, and ``drifted`` what that may have come to since its word, as of the last look.
    ``stored_span`` is the window, and whether it is closed, as the store has it.
    """

    id: int
    limit: Limit
    value: str
    window: Window | None
    used: int = 0
    reported: int = 0
    reserved: int = 0
    late: int = 0
    unleased: int = 0
    overrun: int = 0
    estimated: bool = False
    closed: bool = False
    ramp: timedelta = timedelta(0)
    rest: int = 0
    anchored_at: datetime | None = None
    exhausted: bool = False
    overage: bool = False
    drift: int = 0
    drifted: int = field(default=0, compare=False)
    dirty: bool = field(default=True, compare=False)
    stored_span: tuple[Window | None, bool] | None = field(default=None, compare=False)
    name: str = field(init=False, compare=False)
    amount: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Name the instance it belongs to, and the amount that rules it: asked for at every decision."""
        self.name, self.amount = self.limit.instance_id(self.value), self.limit.amount_of(self.value)

    @property
    def span(self) -> tuple[Window | None, bool]:
        """Which span of time it is about, and whether that is closed: seldom changes, unlike the counters."""
        return self.window, self.closed

    def use(self, fine: int) -> int:
        """Count usage in parts of the base, less than nothing for what is taken back; returns by how much it moves.

        It never falls below nothing: a session that is not in place yet may not have counted what goes.
        """
        before, fineness = self.used, self.limit.fineness
        self.used, self.rest = divmod(max(0, self.used * fineness + self.rest + fine), fineness)
        self.used = min(LARGEST_SUM, self.used)
        return self.used - before

    def count_anew(self, fine: int) -> None:
        """Count this usage, in parts of the base, in place of what was counted; marks the window if that differs."""
        before, self.used, self.rest = (self.used, self.rest), 0, 0
        self.use(fine)
        self.dirty |= (self.used, self.rest) != before

    @property
    def spent(self) -> int:
        """Usage, whoever reported it."""
        return self.used + self.reported + self.drifted

    def let_drift(self, now: datetime) -> None:
        """Allow for what is used elsewhere since the provider's word, for as long as that says anything."""
        if self.drift and self.anchored_at:
            age = min(max(timedelta(0), now - self.anchored_at), MOST_DRIFT)
            self.drifted = int(self.drift * (age / HOUR))

    def has_counted(self, at: datetime) -> bool:
        """Whether what was used at an instant is in the provider's word."""
        return self.anchored_at is not None and at <= self.anchored_at


@dataclass(frozen=True, slots=True)
class LimitInstance:
    """A limit, and the value it is for where it is ``per`` a label: what usage and tickets count against.

    ``name`` is what people, metrics and the database call it: the limit's id, with the value behind a slash.
    """

    limit: Limit
    value: str
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.limit.instance_id(self.value))

    def __hash__(self) -> int:
        """Of the name alone: those of one journey have names of their own, and a limit has twenty parts to go over."""
        return hash(self.name)
