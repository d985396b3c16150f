"""The engine: the runs of a scenario under one policy, played event by event.

    reset │ session over │ run finished │ window empty │ run given up │ run arrives │ full hour
                                     └──► whoever may start now, starts

Runs use the quota at a constant rate, so between two events everything is a straight line. Ties are settled by the
order above and then by arrival: the same world and policy always give the same outcome.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Protocol

from quota_scheduler.core.tickets.ticket import PRESSING
from quota_scheduler.simulate.figures import SimOutcome
from quota_scheduler.simulate.jobs import Least, SimJob
from quota_scheduler.simulate.state import AUTOMATION, CLASSES, NEVER, Scenario, SimState
from quota_scheduler.simulate.windows import EMPTY
from quota_scheduler.simulate.world import HOUR, Run

REDONE = 0.3
"""Share of its work that a run redoes after it was cut off."""


class StartPolicy(Protocol):
    """Who may start. The engine asks; a policy only reads."""

    by_class: bool
    by_size: bool = False
    """Whether it knows how much a run will use, and need not go by what it asks for."""

    def update(self, state: SimState) -> None:
        """Learn what there is to know now: called at every full hour and every reset."""

    def begin(self, state: SimState) -> None:
        """Read the meters before a pass over what waits."""

    def admits(self, job: SimJob, state: SimState) -> bool:
        """Tell whether a waiting run may start now."""

    def may_admit(self, rank: int, group: int, least: Least, state: SimState) -> bool:
        """Tell whether any of a class and group could start: False spares looking at them all.

        ``least`` is what one of them needs at least.
        """

    def started(self, job: SimJob, state: SimState) -> None:
        """Take note that a run has started: the next one in the pass finds less."""

    def too_much(self, _rank: int, _group: int) -> tuple[float, float]:
        """Tell what has been refused in this pass: a run that needs as much, within so many seconds, need not ask."""
        return NEVER, 0.0


class Engine:
    """Plays one scenario."""

    def __init__(self, played: Scenario, policy: StartPolicy) -> None:
        self.state, self.policy = SimState(played), policy
        self.end, self._patience = played.end, played.patience
        self.outcome = SimOutcome()
        self._arrivals = iter([run for run in played.runs if played.start <= run.at < played.end])
        self._finishing: list[tuple[float, int, int]] = []
        self._giving_up: list[tuple[float, int, int]] = []
        self._jobs: dict[int, SimJob] = {}
        self._least: dict[tuple[int, int], Least] = {}

    def play(self) -> SimOutcome:
        """Play everything from the start to the end."""
        state, coming = self.state, next(self._arrivals, None)
        if self.end <= state.now:
            return self.outcome
        tick = (state.now // HOUR + 1) * HOUR
        self.policy.update(state)
        while True:
            times = (*self._ends(), coming.at if coming else NEVER, tick, self.end)
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
            elif kind == 6:
                tick += HOUR
                self.policy.update(state)
            else:
                return self._closed()
            self._wake()

    def _ends(self) -> Iterator[float]:
        """When the next window, session and run end, something is empty, and the next patience ends."""
        meters = self.state.meters
        yield min((meter.ends_at for meter in meters if not meter.session), default=NEVER)
        yield min((meter.ends_at for meter in meters if meter.session and meter.is_open), default=NEVER)
        yield self._next(self._finishing)
        yield self.state.empty_at()
        yield self._next(self._giving_up)

    def _next(self, heap: list[tuple[float, int, int]]) -> float:
        """The first entry that still holds."""
        while heap and self._jobs[heap[0][1]].version != heap[0][2]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def _arrive(self, run: Run) -> None:
        job = SimJob(run, run.size, self.state.now, self.state.pairs(run), presses_from=self._until(run, PRESSING))
        self._jobs[run.number] = job
        self.outcome.asked(run)
        self._wait(job)
        self._wake()
        if run.patience == 0 and not job.is_running:
            self._give_up(job)

    def _wait(self, job: SimJob) -> None:
        run = job.run
        self.state.queue(job)
        job.need = job.left if self.policy.by_size else job.asked
        if least := self._least.get((run.rank, run.group)):
            least.lower(job)
        job.version += 1
        if run.patience != 0:
            heapq.heappush(self._giving_up, (max(self._until(run), self.state.now), run.number, job.version))

    def _until(self, run: Run, share: float = 1.0) -> float:
        """When so much of the patience of a run is spent."""
        return run.at + share * (self._patience if run.patience is None else run.patience)

    def _give_up(self, job: SimJob) -> None:
        self._leave(job)
        job.version += 1
        self.outcome.given_up(job, self.state.now)

    def _wake(self) -> None:
        """Start whoever may, most important first, or first come first served."""
        state, policy = self.state, self.policy
        if not any(state.waiting):
            return
        open_groups = {group for group in range(len(state.bound)) if not state.is_shut(group)}
        if not open_groups:
            return
        policy.begin(state)
        if policy.by_class:
            for rank in CLASSES:
                self._wake_class(rank, open_groups)
            return
        for job in sorted((job for row in state.waiting for job in row.values()), key=lambda job: job.run.number):
            if job.run.group in open_groups:
                self._try(job)

    def _wake_class(self, rank: int, open_groups: set[int]) -> None:
        state, row = self.state, self.state.waiting[rank]
        if not row or (rank >= AUTOMATION and state.is_full):
            return
        groups = {
            group
            for group in open_groups
            if (least := self._least_of(rank, group)).is_any and self.policy.may_admit(rank, group, least, state)
        }
        refused = dict.fromkeys(groups, (NEVER, 0.0))
        for job in list(row.values()) if groups else ():
            if (group := job.run.group) in refused:
                size, seconds = refused[group]
                need = job.need
                if (need < size or need > job.run.rate * seconds) and not self._try(job):
                    refused[group] = self.policy.too_much(rank, group)

    def _least_of(self, rank: int, group: int) -> Least:
        """What those of a class and group that wait need at least; looked at again once any of them has left."""
        least = self._least.get((rank, group))
        if least is None:
            least = self._least[rank, group] = Least.of(
                (job for job in self.state.waiting[rank].values() if job.run.group == group),
                len(self.state.bound[group]),
            )
        return least

    def _try(self, job: SimJob) -> bool:
        """Start it, if it may."""
        starts = self.state.has_slot(job) and self.policy.admits(job, self.state)
        if starts:
            self._start(job)
            self.policy.started(job, self.state)
        return starts

    def _start(self, job: SimJob) -> None:
        state, run = self.state, job.run
        self._leave(job)
        state.run(job)
        self.outcome.started(job, state.now)
        job.start(state.now)
        heapq.heappush(self._finishing, (state.now + job.left / run.rate, run.number, job.version))

    def _leave(self, job: SimJob) -> None:
        """It waits no longer."""
        self.state.unqueue(job)
        self._least.pop((job.run.rank, job.run.group), None)

    def _stop(self, job: SimJob) -> None:
        job.stop(self.state.now)
        self.state.halt(job)

    def _finish(self, job: SimJob) -> None:
        self._stop(job)
        job.left = 0.0
        self.outcome.finished(job)

    def _cut_off(self) -> None:
        """A window is empty: all it binds stops, people's work for good, the rest until the reset."""
        state = self.state
        empty = state.next_empty()
        empty.used = empty.amount
        time_left = max(0.0, empty.ends_at - state.now)
        for job, charge in state.users(empty):
            self._stop(job)
            if job.left <= EMPTY:
                self.outcome.finished(job)
                continue
            more = min(job.left, job.run.rate * time_left)
            empty.tally.over += more * charge
            self.outcome.cut_off(job, more)
            if job.run.patience == 0:
                self.outcome.broken_off(job)
                continue
            redo = REDONE * (job.run.size - job.left)
            self.outcome.redo(redo)
            for meter, share in job.pairs:
                meter.tally.redone += redo * share
            job.left += redo
            self._wait(job)

    def _reset(self) -> None:
        state = self.state
        for meter in state.meters:
            if not meter.session and meter.ends_at <= state.now:
                meter.close(state.waited_for(meter))
                meter.begin(state.now)
        if state.now < self.end:
            self.policy.update(state)

    def _session_over(self) -> None:
        """The next session opens at once only for work that runs on."""
        for meter in self.state.meters:
            if meter.session and meter.is_open and meter.ends_at <= self.state.now:
                meter.close(self.state.waited_for(meter))
                if meter.running:
                    meter.begin(self.state.now)
        self.policy.update(self.state)

    def _closed(self) -> SimOutcome:
        for job in list(self.state.running.values()):
            self._stop(job)
            self.outcome.runs_on(job)
        for row in self.state.waiting:
            for job in row.values():
                self.outcome.still_waits(job, self.state.now)
        for meter in self.state.meters:
            if meter.starts_at < self.end:
                meter.close(0.0, whole=False)
        self.outcome.closed([meter.tally for meter in self.state.meters])
        return self.outcome
