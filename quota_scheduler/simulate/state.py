"""The state: everything that runs and waits in a scenario, and how full the windows are. Policies look at it."""

from __future__ import annotations

from msgspec import Struct

from quota_scheduler.simulate.jobs import SimJob
from quota_scheduler.simulate.windows import Meter, WindowKind, first_window, meters, whole_windows
from quota_scheduler.simulate.world import DAY, HOUR, Run, World

CLASSES = range(4)
AUTOMATION = 2
"""Ranks from this on are automation: normal and low."""
SLOTS = 6
"""Normal and low runs of one series that run at a time."""
NEVER = float("inf")
WINDOWS_OF_PATIENCE = 1.2
"""Windows that a run without a patience of its own waits."""


class Scenario(Struct, frozen=True):
    """What is played: runs in order of arrival, and the meters that bind them from ``start`` to ``end``.

    ``bound`` names the places of the meters that bind the runs of each group. Runs before ``start`` are history.
    ``patience`` is that of runs which have none of their own, in seconds; ``slots`` how many normal and low runs of one
    member run at a time.
    """

    runs: tuple[Run, ...]
    start: float
    end: float
    meters: tuple[Meter, ...]
    bound: tuple[tuple[int, ...], ...]
    members: int
    patience: float
    slots: float = NEVER


def scenario(world: World, kind: WindowKind, factor: float) -> Scenario:
    """Return a world under a quota of ``factor`` times its mean demand, over whole windows after a week of history."""
    start = first_window(world, kind)
    windows = tuple(meters(kind, factor * world.level * kind.length / DAY, start))
    return Scenario(
        world.runs,
        start,
        start + whole_windows(world, kind) * kind.length,
        windows,
        (tuple(range(len(windows))),),
        world.members,
        WINDOWS_OF_PATIENCE * kind.length,
        SLOTS,
    )


class SimState:
    """Everything that runs and waits, and how full the windows are."""

    def __init__(self, played: Scenario) -> None:
        self.now, self.meters, self.bound = played.start, played.meters, played.bound
        self.running: dict[int, SimJob] = {}
        self.waiting: list[dict[int, SimJob]] = [{} for _ in CLASSES]
        self.slots, self._most = [0] * played.members, played.slots
        for run in played.runs:
            if run.at < self.now:
                for meter, charge in self.pairs(run):
                    hour = int(run.at // HOUR)
                    meter.usage[hour] = meter.usage.get(hour, 0.0) + run.size * charge

    def pairs(self, run: Run) -> tuple[tuple[Meter, float], ...]:
        """The meters that bind a run, each with what a unit of its size takes out of it."""
        places = self.bound[run.group]
        return tuple(zip((self.meters[place] for place in places), run.charges or (1.0,) * len(places), strict=True))

    def is_shut(self, group: int) -> bool:
        """Tell whether a meter that binds this group is empty."""
        return any(self.meters[place].is_empty for place in self.bound[group])

    def queue(self, job: SimJob) -> None:
        """Let it wait."""
        rank, job.asked = job.run.rank, job.outstanding
        self.waiting[rank][job.run.number] = job
        for meter, charge in job.pairs:
            meter.queue(rank, job.asked * charge, job.left * charge)

    def unqueue(self, job: SimJob) -> None:
        """It waits no longer."""
        rank = job.run.rank
        del self.waiting[rank][job.run.number]
        for meter, charge in job.pairs:
            meter.unqueue(rank, job.asked * charge, job.left * charge)

    def run(self, job: SimJob) -> None:
        """Let it run, in windows that are open from now on."""
        for meter, charge in job.pairs:
            if not meter.is_open:
                meter.begin(self.now)
            meter.running[job.run.number] = charge, job.run.rate * charge
            meter.rate += job.run.rate * charge
        self.running[job.run.number] = job
        self.slots[job.run.member] += job.run.rank >= AUTOMATION

    def halt(self, job: SimJob) -> None:
        """It runs no longer."""
        del self.running[job.run.number]
        for meter, _ in job.pairs:
            del meter.running[job.run.number]
            meter.count_rates()
        self.slots[job.run.member] -= job.run.rank >= AUTOMATION

    def users(self, meter: Meter) -> list[tuple[SimJob, float]]:
        """The runs that use a meter now, each with what a unit of its size takes out of it."""
        return [(self.running[number], charge) for number, (charge, _) in meter.running.items()]

    def waited_for(self, meter: Meter) -> float:
        """What all that waits for a meter could have used of it since it came."""
        return sum(
            job.could_have_used(self.now) * charge
            for row in self.waiting
            for job in row.values()
            for other, charge in job.pairs
            if other is meter
        )

    @property
    def is_full(self) -> bool:
        """Whether no member may run one more of normal or low."""
        return min(self.slots) >= self._most

    def has_slot(self, job: SimJob) -> bool:
        """Tell whether its series may run one more of its kind."""
        return job.run.rank < AUTOMATION or self.slots[job.run.member] < self._most

    def pass_time(self, until: float) -> None:
        """Let everything run on."""
        hour = int(self.now // HOUR)
        for meter in self.meters:
            if meter.rate > 0 and (spent := meter.rate * (until - self.now)) > 0:
                meter.usage[hour] = meter.usage.get(hour, 0.0) + spent
                meter.used += spent
        self.now = until

    def empty_at(self) -> float:
        """Tell when a window will have nothing left, if nothing changes."""
        return min((self._empty_at(meter) for meter in self.meters if meter.rate > 0), default=NEVER)

    def next_empty(self) -> Meter:
        """The window that has nothing left first."""
        return min((meter for meter in self.meters if meter.rate > 0), key=self._empty_at)

    def _empty_at(self, meter: Meter) -> float:
        return self.now + max(0.0, meter.left) / meter.rate
