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

from quota_scheduler.simulate.figures import SimOutcome
from quota_scheduler.simulate.jobs import SimJob
from quota_scheduler.simulate.state import AUTOMATION, CLASSES, NEVER, SLOTS, SimState
from quota_scheduler.simulate.windows import EMPTY, WindowKind, whole_windows
from quota_scheduler.simulate.world import HOUR, Run, World

REDONE = 0.3
"""Share of its work that a run redoes after it was cut off."""
WINDOWS_OF_PATIENCE = 1.2
"""Windows that a run without a patience of its own waits."""


class StartPolicy(Protocol):
    """Who may start. The engine asks; a policy only reads."""

    by_class: bool

    def update(self, state: SimState) -> None:
        """Learn what there is to know now: called at every full hour and every reset."""

    def begin(self, state: SimState) -> None:
        """Read the meters before a pass over what waits."""

    def admits(self, job: SimJob, state: SimState) -> bool:
        """Tell whether a waiting run may start now."""

    def may_admit(self, rank: int, least: float, state: SimState) -> bool:
        """Tell whether a run of this class that needs ``least`` could start: False spares looking at all of them."""

    def started(self, job: SimJob, state: SimState) -> None:
        """Take note that a run has started: the next one in the pass finds less."""


class Engine:
    """Plays one scenario."""

    def __init__(self, world: World, kind: WindowKind, factor: float, policy: StartPolicy) -> None:
        self.state, self.policy = SimState(world, kind, factor), policy
        self.end = self.state.now + whole_windows(world, kind) * kind.length
        self.outcome = SimOutcome()
        self._arrivals = iter([run for run in world.runs if self.state.now <= run.at < self.end])
        self._finishing: list[tuple[float, int, int]] = []
        self._giving_up: list[tuple[float, int, int]] = []
        self._jobs: dict[int, SimJob] = {}
        self._least = [NEVER] * len(CLASSES)

    def play(self) -> SimOutcome:
        """Play everything from the first window to the last reset."""
        state, coming = self.state, next(self._arrivals, None)
        if self.end <= state.now:
            return self.outcome
        tick = (state.now // HOUR + 1) * HOUR
        self.policy.update(state)
        while True:
            times = (*self._ends(), coming.at if coming else NEVER, tick)
            at = min(times)
            kind = times.index(at)
            state.pass_time(at)
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
                self.policy.update(state)
            self._wake()

    def _ends(self) -> Iterator[float]:
        """When the window, the session, the next run, what is left, and the next patience end."""
        quota = self.state.meters[0]
        yield quota.ends_at
        yield next((m.ends_at for m in self.state.meters[1:] if m.is_open), NEVER)
        yield self._next(self._finishing)
        yield self.state.empty_at()
        yield self._next(self._giving_up)

    def _next(self, heap: list[tuple[float, int, int]]) -> float:
        """The first entry that still holds."""
        while heap and self._jobs[heap[0][1]].version != heap[0][2]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def _arrive(self, run: Run) -> None:
        job = SimJob(run, run.size, self.state.now)
        self._jobs[run.number] = job
        self.outcome.asked(run)
        self._wait(job)
        self._wake()
        if run.patience == 0 and not job.is_running:
            self._give_up(job)

    def _wait(self, job: SimJob) -> None:
        rank, patience = job.run.rank, job.run.patience
        self.state.queue(job)
        self._least[rank] = min(self._least[rank], job.left, job.asked)
        job.version += 1
        if patience != 0:
            until = job.run.at + (WINDOWS_OF_PATIENCE * self.state.kind.length if patience is None else patience)
            heapq.heappush(self._giving_up, (max(until, self.state.now), job.run.number, job.version))

    def _give_up(self, job: SimJob) -> None:
        self.state.unqueue(job)
        job.version += 1
        self.outcome.given_up(job, self.state.now)

    def _wake(self) -> None:
        """Start whoever may, most important first, or first come first served."""
        state, policy = self.state, self.policy
        if not any(state.waiting) or any(meter.is_empty for meter in state.meters):
            return
        policy.begin(state)
        if policy.by_class:
            for rank in CLASSES:
                self._wake_class(rank)
            return
        for job in sorted((job for row in state.waiting for job in row.values()), key=lambda job: job.run.number):
            self._try(job)

    def _wake_class(self, rank: int) -> None:
        state, row = self.state, self.state.waiting[rank]
        if not row or (rank >= AUTOMATION and min(state.slots) >= SLOTS):
            return
        if not self.policy.may_admit(rank, self._least[rank], state):
            return
        for job in list(row.values()):
            self._try(job)
        self._least[rank] = min((min(job.left, job.asked) for job in row.values()), default=NEVER)

    def _try(self, job: SimJob) -> None:
        if self.state.has_slot(job) and self.policy.admits(job, self.state):
            self._start(job)
            self.policy.started(job, self.state)

    def _start(self, job: SimJob) -> None:
        state, run = self.state, job.run
        for meter in state.meters:
            if not meter.is_open:
                meter.begin(state.now)
        state.unqueue(job)
        state.running[run.number] = job
        state.rate += run.rate
        if run.rank >= AUTOMATION:
            state.slots[run.member] += 1
        self.outcome.started(job, state.now)
        job.start(state.now)
        heapq.heappush(self._finishing, (state.now + job.left / run.rate, run.number, job.version))

    def _stop(self, job: SimJob) -> None:
        state, run = self.state, job.run
        job.stop(state.now)
        del state.running[run.number]
        state.rate = sum(other.run.rate for other in state.running.values())
        if run.rank >= AUTOMATION:
            state.slots[run.member] -= 1

    def _finish(self, job: SimJob) -> None:
        self._stop(job)
        job.left = 0.0
        self.outcome.finished(job)

    def _cut_off(self) -> None:
        """A window is empty: everything that runs stops, people's work for good, the rest until the reset."""
        state = self.state
        empty = min(state.meters, key=lambda meter: meter.left)
        empty.used = empty.amount
        time_left = max(0.0, empty.ends_at - state.now)
        for job in list(state.running.values()):
            self._stop(job)
            if job.left <= EMPTY:
                self.outcome.finished(job)
                continue
            self.outcome.cut_off(job, min(job.left, job.run.rate * time_left))
            if job.run.patience == 0:
                self.outcome.broken_off(job)
                continue
            redo = REDONE * (job.run.size - job.left)
            self.outcome.lost += redo
            self.outcome.redone += redo
            job.left += redo
            self._wait(job)

    def _reset(self) -> None:
        state = self.state
        unused = max(0.0, state.quota.left)
        waited = sum(job.could_have_used(state.now) for row in state.waiting for job in row.values())
        self.outcome.lost += min(unused, waited)
        self.outcome.quota += state.quota.amount
        self.outcome.used += state.quota.used
        state.quota.begin(state.now)
        if state.now < self.end:
            self.policy.update(state)

    def _session_over(self) -> None:
        """The next session opens at once only for work that runs on."""
        session = self.state.meters[1]
        if self.state.running:
            session.begin(self.state.now)
        else:
            session.is_open, session.used = False, 0.0
        self.policy.update(self.state)

    def _closed(self) -> SimOutcome:
        for job in list(self.state.running.values()):
            self._stop(job)
            self.outcome.runs_on(job)
        for row in self.state.waiting:
            for job in row.values():
                self.outcome.still_waits(job, self.state.now)
        return self.outcome
