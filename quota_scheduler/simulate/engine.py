"""The engine: one world, one quota, one policy, played event by event.

    reset │ session over │ run finished │ window empty │ run given up │ run arrives │ full hour
                                     └──► whoever may start now, starts

Runs use the quota at a constant rate, so between two events everything is a straight line. Ties are settled by the
order above and then by arrival: the same world and policy always give the same outcome.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Protocol

from quota_scheduler.simulate.desk import AUTOMATION, CLASSES, NEVER, SLOTS, Desk
from quota_scheduler.simulate.figures import Outcome
from quota_scheduler.simulate.jobs import Job
from quota_scheduler.simulate.windows import EMPTY, Kind, whole_windows
from quota_scheduler.simulate.world import HOUR, Run, World

REDONE = 0.3
"""Share of its work that a run redoes after it was cut off."""
WINDOWS_OF_PATIENCE = 1.2


class Policy(Protocol):
    """Who may start. The engine asks; a policy only looks."""

    by_class: bool

    def look(self, desk: Desk) -> None:
        """Learn what can be known now: called at every full hour and every reset."""

    def begin(self, desk: Desk) -> None:
        """Look at the meters before a pass over the line."""

    def admits(self, job: Job, desk: Desk) -> bool:
        """Whether a waiting run may start now."""

    def may_admit(self, rank: int, least: float, desk: Desk) -> bool:
        """Whether a run of this class that needs ``least`` could start: False spares looking at all of them."""

    def started(self, job: Job, desk: Desk) -> None:
        """A run has started; the next one in the pass finds less."""


class Engine:
    """Plays one scenario."""

    def __init__(self, world: World, kind: Kind, factor: float, policy: Policy) -> None:
        self.desk, self.policy = Desk(world, kind, factor), policy
        self.end = self.desk.now + whole_windows(world, kind) * kind.length
        self.outcome = Outcome()
        self._arrivals = iter([run for run in world.runs if self.desk.now <= run.at < self.end])
        self._finishing: list[tuple[float, int, int]] = []
        self._giving_up: list[tuple[float, int, int]] = []
        self._jobs: dict[int, Job] = {}
        self._least = [NEVER] * len(CLASSES)

    def play(self) -> Outcome:
        """Everything from the first window to the last reset."""
        desk, coming = self.desk, next(self._arrivals, None)
        if self.end <= desk.now:
            return self.outcome
        tick = (desk.now // HOUR + 1) * HOUR
        self.policy.look(desk)
        while True:
            times = (*self._ends(), coming.at if coming else NEVER, tick)
            at = min(times)
            kind = times.index(at)
            desk.pass_time(at)
            if kind == 0:
                self._reset()
                if at >= self.end:
                    return self._closed()
            elif kind == 1:
                self._session_over()
            elif kind == 2:
                self._finish(self._jobs[heapq.heappop(self._finishing)[1]])
            elif kind == 3:
                self._cut_off()
            elif kind == 4:
                self._give_up(self._jobs[heapq.heappop(self._giving_up)[1]])
            elif kind == 5 and coming:
                self._arrive(coming)
                coming = next(self._arrivals, None)
                continue
            else:
                tick += HOUR
                self.policy.look(desk)
            self._wake()

    def _ends(self) -> Iterator[float]:
        """When the window, the session, the next run, what is left, and the next patience end."""
        quota = self.desk.meters[0]
        yield quota.ends_at
        yield next((m.ends_at for m in self.desk.meters[1:] if m.is_open), NEVER)
        yield self._next(self._finishing)
        yield self.desk.empty_at()
        yield self._next(self._giving_up)

    def _next(self, heap: list[tuple[float, int, int]]) -> float:
        """The first entry that still holds."""
        while heap and self._jobs[heap[0][1]].version != heap[0][2]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def _arrive(self, run: Run) -> None:
        job = Job(run, run.size, self.desk.now)
        self._jobs[run.number] = job
        self.outcome.asked(run)
        self._wait(job)
        self._wake()
        if run.patience == 0 and not job.is_running:
            self._give_up(job)

    def _wait(self, job: Job) -> None:
        rank, patience = job.run.rank, job.run.patience
        self.desk.queue(job)
        self._least[rank] = min(self._least[rank], job.left, job.asked)
        job.version += 1
        if patience != 0:
            until = job.run.at + (WINDOWS_OF_PATIENCE * self.desk.kind.length if patience is None else patience)
            heapq.heappush(self._giving_up, (max(until, self.desk.now), job.run.number, job.version))

    def _give_up(self, job: Job) -> None:
        self.desk.unqueue(job)
        job.version += 1
        self.outcome.given_up(job, self.desk.now)

    def _wake(self) -> None:
        """Start whoever may, most important first, or first come first served."""
        desk, policy = self.desk, self.policy
        if not any(desk.waiting) or any(meter.is_empty for meter in desk.meters):
            return
        policy.begin(desk)
        if policy.by_class:
            for rank in CLASSES:
                self._wake_class(rank)
            return
        for job in sorted((job for row in desk.waiting for job in row.values()), key=lambda job: job.run.number):
            self._try(job)

    def _wake_class(self, rank: int) -> None:
        desk, row = self.desk, self.desk.waiting[rank]
        if not row or (rank >= AUTOMATION and min(desk.slots) >= SLOTS):
            return
        if not self.policy.may_admit(rank, self._least[rank], desk):
            return
        for job in list(row.values()):
            self._try(job)
        self._least[rank] = min((min(job.left, job.asked) for job in row.values()), default=NEVER)

    def _try(self, job: Job) -> None:
        if self.desk.has_slot(job) and self.policy.admits(job, self.desk):
            self._start(job)
            self.policy.started(job, self.desk)

    def _start(self, job: Job) -> None:
        desk, run = self.desk, job.run
        for meter in desk.meters:
            if not meter.is_open:
                meter.begin(desk.now)
        desk.unqueue(job)
        desk.running[run.number] = job
        desk.rate += run.rate
        if run.rank >= AUTOMATION:
            desk.slots[run.member] += 1
        self.outcome.started(job, desk.now)
        job.start(desk.now)
        heapq.heappush(self._finishing, (desk.now + job.left / run.rate, run.number, job.version))

    def _stop(self, job: Job) -> None:
        desk, run = self.desk, job.run
        job.stop(desk.now)
        del desk.running[run.number]
        desk.rate = sum(other.run.rate for other in desk.running.values())
        if run.rank >= AUTOMATION:
            desk.slots[run.member] -= 1

    def _finish(self, job: Job) -> None:
        self._stop(job)
        job.left = 0.0
        self.outcome.finished(job)

    def _cut_off(self) -> None:
        """A window is empty: everything that runs stops, people's work for good, the rest until the reset."""
        desk = self.desk
        empty = min(desk.meters, key=lambda meter: meter.left)
        empty.used = empty.amount
        rest = max(0.0, empty.ends_at - desk.now)
        for job in list(desk.running.values()):
            self._stop(job)
            if job.left <= EMPTY:
                self.outcome.finished(job)
                continue
            self.outcome.cut_off(job, min(job.left, job.run.rate * rest))
            if job.run.patience == 0:
                self.outcome.broken_off(job)
                continue
            redo = REDONE * (job.run.size - job.left)
            self.outcome.lost += redo
            self.outcome.redone += redo
            job.left += redo
            self._wait(job)

    def _reset(self) -> None:
        desk = self.desk
        unused = max(0.0, desk.quota.left)
        waited = sum(job.could_have_used(desk.now) for row in desk.waiting for job in row.values())
        self.outcome.lost += min(unused, waited)
        self.outcome.quota += desk.quota.amount
        self.outcome.used += desk.quota.used
        desk.quota.begin(desk.now)
        if desk.now < self.end:
            self.policy.look(desk)

    def _session_over(self) -> None:
        """The next session opens at once only for work that runs on."""
        session = self.desk.meters[1]
        if self.desk.running:
            session.begin(self.desk.now)
        else:
            session.is_open, session.used = False, 0.0
        self.policy.look(self.desk)

    def _closed(self) -> Outcome:
        for job in list(self.desk.running.values()):
            self._stop(job)
            self.outcome.runs_on(job)
        for row in self.desk.waiting:
            for job in row.values():
                self.outcome.still_waits(job, self.desk.now)
        return self.outcome
