"""The policies to compare, from first come first served to the clairvoyant.

``two-sided`` asks the core (``two_sided.py``); the clairvoyant asks the same test and knows what is to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from quota_scheduler.core.forecast.baselines import weighted_mean
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.priority import Priority
from quota_scheduler.simulate.demand import instant
from quota_scheduler.simulate.engine import StartPolicy
from quota_scheduler.simulate.jobs import Least, SimJob
from quota_scheduler.simulate.state import SimState
from quota_scheduler.simulate.two_sided import TwoSided
from quota_scheduler.simulate.windows import EMPTY, SOON, Meter
from quota_scheduler.simulate.world import DAY, HOUR

STOP = 0.90
"""Used share of a window at which automation stops (founding documents; also what ``fixed90`` goes by)."""
NORMAL_STOP = 0.80
"""Used share of a window at which normal work stops (founding documents)."""
PROJECTED = 0.85
"""Projected share of a window from which low work waits (founding documents)."""
SPIKE = 2.0
"""Times the usual day that today must have used for low work to wait (founding documents)."""
USUAL_DAYS = 14
"""Days whose mean is the usual day (founding documents)."""
PROJECT_EVERY = 3
"""Hours between two projections; nothing in them changes faster."""


@dataclass(slots=True)
class Unruled(StartPolicy):
    """First come first served until the window is empty; automation stops at ``stop``."""

    stop: float = 1.0
    by_class: bool = False
    stopped: frozenset[int] = frozenset()

    def update(self, state: SimState) -> None:
        """It learns nothing."""

    def begin(self, state: SimState) -> None:
        full = {n for n, m in enumerate(state.meters) if m.is_open and m.used >= self.stop * m.amount - EMPTY}
        self.stopped = frozenset(group for group, places in enumerate(state.bound) if not full.isdisjoint(places))

    def may_admit(self, _rank: int, _group: int, _least: Least, _state: SimState) -> bool:
        return True

    def admits(self, job: SimJob, _state: SimState) -> bool:
        return job.run.rank == 0 or job.run.group not in self.stopped

    def started(self, job: SimJob, state: SimState) -> None:
        """Nothing is reserved."""


@dataclass(slots=True)
class Safe(StartPolicy):
    """Class order; automation starts if used + reserved + its P80 fits, as Slurm's ``safe`` limits do."""

    by_class: bool = True

    def update(self, state: SimState) -> None:
        """It learns nothing."""

    def begin(self, state: SimState) -> None:
        """Everything is read when it is asked."""

    def may_admit(self, rank: int, group: int, least: Least, state: SimState) -> bool:
        meters = [state.meters[place] for place in state.bound[group]]
        if rank == 0:
            return True
        return all(
            need <= _free(meter, state) + EMPTY or meter.reset_after(state.now) - state.now < SOON
            for need, meter in zip(least.needs, meters, strict=True)
        )

    def admits(self, job: SimJob, state: SimState) -> bool:
        return job.run.rank == 0 or all(
            job.outstanding * charge <= _free(meter, state) + EMPTY for meter, charge in job.pairs
        )

    def started(self, job: SimJob, state: SimState) -> None:
        """Everything is read when it is asked."""


@dataclass(slots=True)
class FixedThresholds(StartPolicy):
    """The founding documents' thresholds: by projection, spike, and usage of 80 and 90 %."""

    by_class: bool = True
    today: float = 0.0
    usual: dict[int, float] = field(default_factory=dict)
    risky: frozenset[int] = frozenset()
    stale: bool = True
    used: list[float] = field(default_factory=list)

    def update(self, state: SimState) -> None:
        if not state.waiting[Priority.LOW.rank] or state.now // HOUR % PROJECT_EVERY:
            self.stale |= not state.waiting[Priority.LOW.rank]
            return
        self._project(state)

    def _project(self, state: SimState) -> None:
        """Project every window but sessions, and compare today with the usual day."""
        self.stale = False
        today = state.now // DAY * DAY
        if today != self.today:
            self.today, self.usual = today, {}
        self.risky = frozenset(
            place for place, meter in enumerate(state.meters) if not meter.session and self._is_risky(place, state)
        )

    def _is_risky(self, place: int, state: SimState) -> bool:
        now, meter, at = state.now, state.meters[place], instant(state.now)
        hours = range(int(now // HOUR) - 7 * 24, int(now // HOUR))
        week = [(instant(hour * HOUR), meter.usage[hour]) for hour in hours if hour in meter.usage]
        projected = meter.used + weighted_mean(week, at, at, instant(meter.ends_at))
        if place not in self.usual:
            self.usual[place] = _between(meter, self.today - USUAL_DAYS * DAY, self.today) / USUAL_DAYS
        return projected >= PROJECTED * meter.amount or _between(meter, self.today, now) > SPIKE * self.usual[place]

    def begin(self, state: SimState) -> None:
        if self.stale and state.waiting[Priority.LOW.rank]:
            self._project(state)
        self.used = [
            (meter.used + EMPTY) / max(meter.amount, EMPTY) if meter.is_open else 0.0 for meter in state.meters
        ]

    def may_admit(self, rank: int, group: int, _least: Least, state: SimState) -> bool:
        return self._may(rank, group, state)

    def _may(self, rank: int, group: int, state: SimState) -> bool:
        if rank == 0:
            return True
        places = state.bound[group]
        used = max((self.used[place] for place in places), default=0.0)
        if used >= STOP or (rank >= Priority.NORMAL.rank and used >= NORMAL_STOP):
            return False
        return rank < Priority.LOW.rank or self.risky.isdisjoint(places)

    def admits(self, job: SimJob, state: SimState) -> bool:
        return self._may(job.run.rank, job.run.group, state)

    def started(self, job: SimJob, state: SimState) -> None:
        """Nothing is reserved."""


def _free(meter: Meter, state: SimState) -> float:
    """What neither use nor reservations have taken."""
    until = meter.reset_after(state.now)
    reserved = sum(job.reserved_at(state.now, until) * charge for job, charge in state.users(meter))
    return (meter.left if meter.is_open else meter.amount) - reserved


def _between(meter: Meter, start: float, end: float) -> float:
    return sum(meter.usage.get(hour, 0.0) for hour in range(int(start // HOUR), int(end // HOUR)))


POLICIES = ("none", "fixed90", "safe", "fixed-thresholds", "two-sided", "clairvoyant")
BEST = "clairvoyant"
"""The policy that the others are measured by."""
OLD_NAMES = {"seed": "fixed-thresholds"}
"""What a policy was called at first, and is still understood."""


def current_name(policy: str) -> str:
    """Return the name of a policy that may be given by its old one: ``seed`` is ``fixed-thresholds``."""
    return OLD_NAMES.get(policy, policy)


class LooksAhead(Protocol):
    """Whoever knows, or forecasts, what will be asked of a meter."""

    def truth(self, state: SimState, meter: Meter) -> Outlook:
        """Tell what will really come."""

    def forecast(self, state: SimState, meter: Meter) -> Outlook:
        """Tell what is expected to come."""


def policy(name: str, demand: LooksAhead) -> StartPolicy:
    """Make a fresh policy by name. Raises KeyError for an unknown one."""
    makers: dict[str, Callable[[], StartPolicy]] = {
        "none": Unruled,
        "fixed90": lambda: Unruled(STOP),
        "safe": Safe,
        "fixed-thresholds": FixedThresholds,
        "two-sided": lambda: TwoSided(demand.forecast),
        "clairvoyant": lambda: TwoSided(demand.truth, exact=True),
    }
    return makers[current_name(name)]()
