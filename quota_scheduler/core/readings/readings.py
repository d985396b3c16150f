"""Readings: every computed number at one instant. Gauges show them, alerts look at them, the CLI and API print them.

One immutable set is published per tick; it is also stored, so that a reader of the database file and a second replica
see what the leader computed.
"""

from datetime import date, datetime
from typing import Any

from msgspec import Struct, field

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.efficiency.flag_effect import FlagReading
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.track_record import TrackReading
from quota_scheduler.core.readings.observed import ObservedReading
from quota_scheduler.core.readings.scheduling_quality import QualityReading
from quota_scheduler.core.units import Unit


class DayOfUse(Struct, frozen=True):
    """One civil day of a limit: what was used, in its unit, and how many runs began."""

    day: date
    used: int
    runs: int


class Burn(Struct, frozen=True):
    """Burn over one lookback: ``rate`` 1 is on pace; ``remaining`` above 1 runs out before the reset."""

    lookback: str
    rate: float
    remaining: float


class ClassReading(Struct, frozen=True):
    """What waits in one priority class of a limit."""

    priority: str
    waiting: int
    oldest_at: datetime | None


class HeldReading(Struct, frozen=True):
    """What one limit holds of one class for one reason; ``until`` is the earliest instant that could change it."""

    limit: str
    reason: str
    priority: str
    waiting: int
    oldest_at: datetime
    until: datetime


class QueueReading(Struct, frozen=True):
    """Everybody who waits once: by class, all of them named, and by reason; and by who holds them, where they may be
    counted in several limits."""

    classes: tuple[ClassReading, ...]
    reasons: tuple[tuple[str, int], ...] = ()
    held: tuple[HeldReading, ...] = ()


class Spending(Struct, frozen=True):
    """Who spends a limit, and in what portions, as far as the ledger tells.

    ``cause``: one sentence on who spends most of the current window. ``run_tokens``: mean tokens per run over seven
    days, ``run_amount`` the same in the limit's unit. ``cache_hits``: (lookback, cache-read share of input tokens);
    ``cache_baseline``: the median of its daily ones over the 14 days before. ``unleased`` and ``overrun``: what was
    used without a lease and beyond reservations, over all windows, in the limit's unit.
    """

    cause: str = ""
    run_tokens: float | None = None
    run_amount: float | None = None
    cache_hits: tuple[tuple[str, float], ...] = ()
    cache_baseline: float | None = None
    unleased: int = 0
    overrun: int = 0


class BalanceReading(Struct, frozen=True):
    """What is used, reserved and left of a limit, in the base of its unit.

    ``used`` includes what running leases reported; ``used_today`` is what was used since midnight in the limit's zone,
    ``usual_today`` what was used by this time of the day on the last seven, in the mean; None before there was a day.
    ``starts_at`` and ``ends_at`` are None where a limit has no windows, or none is open. ``loan`` is what a member of a
    pool that has spent most of its own may go beyond its amount now, what it has borrowed already included.
    """

    amount: int
    allowance: int
    used: int
    reserved: int
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    estimated: bool = False
    used_today: int = 0
    usual_today: int | None = None
    loan: int = 0

    @property
    def usable(self) -> int:
        """The amount, and what may be borrowed on top."""
        return self.amount + self.loan

    @property
    def headroom(self) -> int:
        """Allowance less what is used and reserved; negative says by how much too much."""
        return self.allowance - self.used - self.reserved

    @property
    def committed_ratio(self) -> float:
        """Used and reserved over amount."""
        return (self.used + self.reserved) / self.amount if self.amount else 1.0


class ProjectionReading(Struct, frozen=True):
    """Where a window ends: its forecast, what that was measured against, how it fared, and what follows from it.

    ``forecast`` is None where a limit has no windows, ``track`` until a forecast of it was verified.
    ``weighted_mean`` is the baseline's projection, in the base of the limit's unit; ``burns`` are empty while a window
    is too young or too short for one.
    """

    forecast: Forecast | None = None
    weighted_mean: int | None = None
    track: TrackReading | None = None
    risk: str = "unknown"
    burns: tuple[Burn, ...] = ()


class LimitQueueReading(Struct, frozen=True):
    """What waits for a limit and runs in it.

    ``overshoot_bound`` is by how much running leases have passed their reservations, in the base of its unit.
    """

    waiting: tuple[ClassReading, ...] = ()
    leases: int = 0
    overshoot_bound: int = 0


class LimitReading(Struct, frozen=True):
    """One limit instance as everybody sees it.

    ``parent`` is the pool it belongs to, empty without one; ``labels`` are those that everything in it carries.
    ``level`` is the throttle level (open, throttled, paused, exhausted), in force since ``level_since`` and with a
    cause seen last at ``level_caused_at`` (None while open); ``optimization`` is what is asked of runners (minimal,
    balanced, aggressive, emergency). ``quality`` is None until a window has closed, ``observed`` where no provider
    reports on it. ``warn_at`` (0-1) and ``at_limit`` are what who tracks its calls goes by, where that is configured.
    ``loans`` stand, and it is their lender or borrower.
    """

    limit: str
    rule: str
    value: str
    provider: str
    scope: str
    unit: Unit
    period: str
    zone: str
    mode: str
    balance: BalanceReading
    projection: ProjectionReading = ProjectionReading()
    queue: LimitQueueReading = LimitQueueReading()
    level: str = "open"
    level_since: datetime | None = None
    level_caused_at: datetime | None = None
    optimization: str = "minimal"
    spending: Spending = field(default_factory=Spending)
    parent: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    quality: QualityReading | None = None
    observed: ObservedReading | None = None
    warn_at: float | None = None
    at_limit: str = ""
    loans: tuple[Loan, ...] = ()

    @property
    def usage_ratio(self) -> float:
        """Used over amount, of a limit on leases those that run; a limit of nothing is full."""
        used = self.queue.leases if self.unit is Unit.LEASES else self.balance.used
        return used / self.balance.amount if self.balance.amount else 1.0

    @property
    def exhausts_at(self) -> datetime | None:
        """When it is expected to run out before its reset; since when it has, not a little later with each forecast."""
        forecast, amount = self.projection.forecast, self.balance.amount
        if forecast is None or amount <= 0:
            return None
        if max(self.balance.used, forecast.used) >= amount:
            return self.level_since if self.level == "exhausted" else None
        return forecast.exhaustion(amount)

    @property
    def runs_remaining(self) -> float | None:
        """How many runs of the mean size of seven days the headroom is good for; None before there were any."""
        per_run = self.spending.run_amount
        return max(0, self.balance.headroom) / per_run if per_run else None


class RunReading(Struct, frozen=True):
    """One run that is large enough to be looked at; ``charges`` are what it took out of each limit instance."""

    run: str
    workflow: str
    task_type: str
    team: str
    provider: str
    tokens: int
    cost_microusd: int
    cache_hit_rate: float
    started_at: datetime
    last_at: datetime
    finished: bool
    over_cap: bool = False
    charges: tuple[tuple[str, int], ...] = ()


class Counter(Struct, frozen=True):
    """A monotone total with its label values, in the order that its metric declares them."""

    name: str
    labels: tuple[str, ...]
    value: float


class SourceReading(Struct, frozen=True):
    """How an origin of usage is doing."""

    source: str
    catching_up: bool
    lag_seconds: float
    errors: int
    files: int = 0
    done_bytes: int = 0
    total_bytes: int = 0


class Readings(Struct, frozen=True):
    """Everything computed at ``at``.

    ``concurrency`` is by provider: its running leases, and how many it may have at once (None: no limit on them all).
    ``queue`` is None while nobody has looked at the line yet, which is not the same as nobody waiting.
    ``breakers`` are of accounts whose provider refuses for a moment, or did so lately; ``loans`` are those that stand.
    """

    at: datetime
    limits: tuple[LimitReading, ...] = ()
    caches: tuple[CacheReading, ...] = ()
    runs: tuple[RunReading, ...] = ()
    flags: tuple[FlagReading, ...] = ()
    concurrency: tuple[tuple[str, int, int | None], ...] = ()
    counters: tuple[Counter, ...] = ()
    sources: tuple[SourceReading, ...] = ()
    last_usage: tuple[tuple[str, datetime], ...] = ()
    alerts_firing: tuple[tuple[str, str, int], ...] = ()
    outbox_oldest_at: datetime | None = None
    queue: QueueReading | None = None
    breakers: tuple[Breaker, ...] = ()
    loans: tuple[Loan, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
