"""The state: everything that runs and waits in a scenario, and how full the windows are. Policies look at it."""

from __future__ import annotations

from quota_scheduler.simulate.jobs import SimJob
from quota_scheduler.simulate.windows import Meter, WindowKind, first_window, meters
from quota_scheduler.simulate.world import DAY, HOUR, World

CLASSES = range(4)
AUTOMATION = 2
"""Ranks from this on are automation: normal and low."""
SLOTS = 6
"""Normal and low runs of one series that run at a time."""
NEVER = float("inf")


class SimState:
    """Everything that runs and waits, and how full the windows are."""

    def __init__(self, world: World, kind: WindowKind, factor: float) -> None:
        self.world, self.kind = world, kind
        self.now = first_window(world, kind)
        self.meters = meters(kind, factor * world.level * kind.length / DAY, self.now)
        self.running: dict[int, SimJob] = {}
        self.waiting: list[dict[int, SimJob]] = [{} for _ in CLASSES]
        self.asked = [0.0] * len(CLASSES)
        self.work = [0.0] * len(CLASSES)
        self.slots = [0] * world.members
        self.rate = 0.0
        self.usage: dict[int, float] = {}
        for run in world.runs:
            if run.at < self.now:
                hour = int(run.at // HOUR)
                self.usage[hour] = self.usage.get(hour, 0.0) + run.size

    def queue(self, job: SimJob) -> None:
        """Let it wait; ``asked`` and ``work`` are what the waiting of a class would reserve, and really need."""
        rank, job.asked = job.run.rank, job.outstanding
        self.waiting[rank][job.run.number] = job
        self.asked[rank] += job.asked
        self.work[rank] += job.left

    def unqueue(self, job: SimJob) -> None:
        """It waits no longer."""
        rank = job.run.rank
        del self.waiting[rank][job.run.number]
        empty = not self.waiting[rank]
        self.asked[rank] = 0.0 if empty else self.asked[rank] - job.asked
        self.work[rank] = 0.0 if empty else self.work[rank] - job.left

    @property
    def quota(self) -> Meter:
        """The window with the quota."""
        return self.meters[0]

    def has_slot(self, job: SimJob) -> bool:
        """Tell whether its series may run one more of its kind."""
        return job.run.rank < AUTOMATION or self.slots[job.run.member] < SLOTS

    def pass_time(self, until: float) -> None:
        """Let everything run on."""
        spent = self.rate * (until - self.now)
        if spent > 0:
            hour = int(self.now // HOUR)
            self.usage[hour] = self.usage.get(hour, 0.0) + spent
            for meter in self.meters:
                meter.used += spent
        self.now = until

    def empty_at(self) -> float:
        """Tell when a window will have nothing left, if nothing changes."""
        if self.rate <= 0:
            return NEVER
        return self.now + max(0.0, min(meter.left for meter in self.meters)) / self.rate
