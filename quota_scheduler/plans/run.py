"""Running a plan: before each task and each work item it is asked whether the quota allows it; then it runs.

load state ─► estimate ─► for each task: week? ─► for each item: week? fits? ─► run ─► save ─► report
                              │ stop                  │ no                      │ 75
                              └── paused_quota ◄──────┴─────────────────────────┘
                                    once: end with 75; else wait for the reset, and go on with the next cycle
"""

import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from quota_scheduler.client.errors import Unavailable
from quota_scheduler.plans.budget import Week, why_stop
from quota_scheduler.plans.checks import Checks
from quota_scheduler.plans.launch import ItemProcess, RunTerms, left_behind
from quota_scheduler.plans.plan import PlanBudget, Task, TaskPlan, WorkItem
from quota_scheduler.plans.report import PlanFigures, report
from quota_scheduler.plans.state import (
    DONE,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SKIPPED,
    ItemState,
    PlanState,
    StateFile,
    birth_of,
    still_runs,
)
from quota_scheduler.wrapper.statuses import LIMIT_HIT, NEVER, UNAVAILABLE, WAITS

COMPLETED, INTERRUPTED = "completed", "interrupted"
LOOK_AGAIN = 60.0
"""Seconds between two looks at a quota that is waited for: a reset may come early, and limits are raised by hand."""
ORPHAN_SECONDS = 0.5
"""How often a command that a killed run left behind is looked at."""
EXIT_STATUS = {COMPLETED: 0, PAUSED: LIMIT_HIT, INTERRUPTED: 130}
"""Of the plan's states; everything else is 1."""


class Paused(Exception):
    """The quota does not allow more now: why, until when (None: nobody knows), and whether that still holds."""

    def __init__(self, reason: str, until: datetime | None, still: Callable[[], bool]) -> None:
        super().__init__(reason)
        self.until, self.still = until, still


class PlanEnded(Exception):
    """Somebody ended the plan."""


class PlanRun:
    """One run of a plan, from where the last one stopped."""

    def __init__(
        self,
        plan: TaskPlan,
        budget: PlanBudget,
        checks: Checks,
        file: StateFile,
        terms: RunTerms,
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._budget, self._checks, self._file, self._terms, self._say = (
            plan, budget, checks, file, terms, say,
        )  # fmt: skip
        self._state = PlanState(uuid.uuid4().hex[:12], started_at=_now())
        self._ended = threading.Event()
        self._step: ItemProcess | None = None
        self._sentence = ""
        self._week: Week | None = None
        self._estimates: Mapping[str, Mapping[str, Any]] = {}

    def end(self) -> None:
        """Stop: the running command is asked to end, the plan can be gone on with. Safe in a signal handler."""
        self._ended.set()
        if self._step is not None:
            self._step.end()

    def run(self, *, restart: bool = False) -> tuple[int, dict[str, Any]]:
        """Run to the end or to a pause; returns the exit status and the report. Raises StateUnusable, Refused."""
        with self._file.locked():
            self._resume(restart)
            try:
                status = self._cycles()
            except PlanEnded:
                status = self._stop(INTERRUPTED, "somebody ended it; the next run goes on")
            except Unavailable as away:
                self._stop(INTERRUPTED, f"the service is away: {away}")
                status = UNAVAILABLE
            return status, report(self._plan, self._state, self._figures())

    def _figures(self) -> PlanFigures:
        try:
            used = self._checks.used_since(self._plan.name, self._state.started_at)
        except Unavailable:
            used = None
        return PlanFigures(self._sentence, self._week, used)

    # Where it stopped

    def _resume(self, restart: bool) -> None:
        before = None if restart else self._file.load()
        if before is None or before.state == COMPLETED:
            self._file.save(self._state)
            return
        self._state = before
        done = [item.id for item in self._plan.items if before.item(item.id).state == DONE]
        self._say(f"Going on with run {before.run}: {len(done)} of {len(self._plan.items)} work items are done")
        for item in self._plan.items:
            row = before.item(item.id)
            if row.state == RUNNING:
                self._await_orphan(item, row)
            if row.state == DONE and row.digest != item.digest:
                self._say(f"{item.id} has changed since it was done: it runs again")
                row.state = PENDING
            elif row.state != DONE:
                row.state, row.reason = PENDING, ""
        before.state, before.reason, before.until = RUNNING, "", ""
        self._file.save(before)

    def _await_orphan(self, item: WorkItem, row: ItemState) -> None:
        """Let a command that outlived its plan end; what it leaves behind is its result."""
        if still_runs(row):
            self._say(f"{item.id} still runs as process {row.process}, which a killed run has started: waiting for it")
        while still_runs(row):
            if self._ended.wait(ORPHAN_SECONDS):
                raise PlanEnded
        left = left_behind(self._file.exit_file)
        if left and left[0] == self._key(item, row):
            self._conclude(item, row, left[1])
        else:
            self._say(f"{item.id} was killed with its run: it runs again")
            row.state = PENDING

    def _key(self, item: WorkItem, row: ItemState) -> str:
        return f"plan:{self._state.run}:{item.id}:{row.attempt}"

    # Cycles

    def _cycles(self) -> int:
        while True:
            try:
                self._estimate()
                return self._cycle()
            except Paused as paused:
                until = paused.until.isoformat(timespec="seconds") if paused.until else ""
                self._stop(PAUSED, str(paused), until)
                self._say(str(paused))
                if self._terms.once:
                    return LIMIT_HIT
                self._wait(paused)
                self._state.state, self._state.reason, self._state.until = RUNNING, "", ""

    def _estimate(self) -> None:
        """Say what is still to do, and warn where it does not fit."""
        todo = [item for item in self._plan.items if self._state.item(item.id).state != DONE]
        if not todo:
            return
        tasks = sum(any(item in todo for item in task.items) for task in self._plan.tasks)
        self._week = self._checks.week()
        whole = self._checks.whole(todo, tasks, self._week)
        self._estimates = whole.items
        if whole.sentence != self._sentence:
            self._say(whole.sentence)
            if whole.warning:
                self._say(whole.warning)
        self._sentence = whole.sentence

    def _cycle(self) -> int:
        for task in self._plan.tasks:
            todo = [item for item in task.items if self._state.item(item.id).state != DONE]
            if not todo:
                continue
            if missing := [name for name in task.depends_on if not self._is_done(name)]:
                self._skip(task, f"{missing[0]}, which it depends on, is not done")
                continue
            self._look_at_week()
            self._run_task(todo)
        states = {self._state.item(item.id).state for item in self._plan.items}
        worst = next((state for state in (FAILED, SKIPPED) if state in states), COMPLETED)
        return self._stop(worst, "" if worst == COMPLETED else self._first_reason(worst))

    def _is_done(self, name: str) -> bool:
        task = next(task for task in self._plan.tasks if task.id == name)
        return all(self._state.item(item.id).state == DONE for item in task.items)

    def _first_reason(self, state: str) -> str:
        name = next(item.id for item in self._plan.items if self._state.item(item.id).state == state)
        return f"{name} {self._state.item(name).reason}".strip()

    def _skip(self, task: Task, reason: str) -> None:
        for item in task.items:
            row = self._state.item(item.id)
            if row.state != DONE:
                row.state, row.reason = SKIPPED, reason
        self._file.save(self._state)

    def _run_task(self, todo: list[WorkItem]) -> None:
        for number, item in enumerate(todo):
            if number:
                self._look_at_week()
            self._run_item(item)
            if self._state.item(item.id).state != DONE:
                for after in todo[number + 1 :]:
                    row = self._state.item(after.id)
                    row.state, row.reason = SKIPPED, f"{item.id}, which comes before it, is not done"
                self._file.save(self._state)
                return

    def _look_at_week(self) -> None:
        """Raise Paused where the week is used as far as the plan may."""
        if self._ended.is_set():
            raise PlanEnded
        self._week = self._checks.week()
        if why := why_stop(self._week, self._budget):
            assert self._week is not None
            raise Paused(why, self._week.resets_at, self._is_used_up)

    def _is_used_up(self) -> bool:
        self._week = self._checks.week()
        return bool(why_stop(self._week, self._budget))

    # One work item

    def _run_item(self, item: WorkItem) -> None:
        row = self._state.item(item.id)
        if self._is_refused(item, row):
            return
        row.attempt += 1
        row.state, row.reason, row.digest = RUNNING, "", item.digest
        row.started_at, row.ended_at, row.exit_status, row.process, row.born = _now(), "", None, 0, 0
        self._file.save(self._state)  # before it starts: a kill in between finds neither process nor exit status
        self._say(f"{item.id}: starting")
        self._step = ItemProcess(item, self._key(item, row), self._terms, self._file.exit_file)
        row.process, row.born = self._step.process.pid, birth_of(self._step.process.pid)
        self._file.save(self._state)
        self._step.begin()
        if self._ended.is_set():
            self._step.end()
        status = self._step.wait()
        self._step = None
        self._conclude(item, row, status)
        self._file.save(self._state)
        self._say(f"{item.id}: {row.state}{f' ({row.reason})' if row.reason else ''}")
        if self._ended.is_set():
            raise PlanEnded
        if status == UNAVAILABLE:
            raise Unavailable(f"{item.id} could not ask for its turn")
        if row.state == PAUSED:
            decision = self._checks.verdict(item)
            until = decision.until if decision.verdict == "defer" else None
            raise Paused(f"Stopping: {item.id} {row.reason}", until, lambda: self._has_to_wait(item))

    def _is_refused(self, item: WorkItem, row: ItemState) -> bool:
        """Whether an item can never run as it is: it is skipped. Raises Paused for one that does not fit now."""
        lack = self._checks.lack(self._estimates.get(item.id), self._week)
        if lack:
            assert self._week is not None
            self._pass_over(item, row, lack.reason)
            if lack.for_ever:
                return True
            reason = f"Stopping: {item.id} is {lack.reason}"
            raise Paused(reason, self._week.resets_at, lambda: self._still_lacks(item))
        decision = self._checks.verdict(item)
        if decision.verdict == "reject":
            self._pass_over(item, row, f"may never start: {decision.message}")
        elif decision.verdict == "defer" and self._terms.once:
            self._pass_over(item, row, f"unlikely to complete: {decision.message}")
            reason = f"Stopping: {item.id} has to wait ({decision.message})"
            raise Paused(reason, decision.until, lambda: self._has_to_wait(item))
        return decision.verdict == "reject"

    def _still_lacks(self, item: WorkItem) -> bool:
        self._week = self._checks.week()
        return self._checks.lack(self._estimates.get(item.id), self._week) is not None

    def _has_to_wait(self, item: WorkItem) -> bool:
        return self._checks.verdict(item).verdict == "defer"

    def _pass_over(self, item: WorkItem, row: ItemState, reason: str) -> None:
        row.state, row.reason = SKIPPED, reason
        self._file.save(self._state)
        self._say(f"{item.id}: skipped ({reason})")

    def _conclude(self, item: WorkItem, row: ItemState, status: int) -> None:
        """What an exit status means for a work item; those of ``run`` that say nothing about the work leave it open."""
        row.exit_status, row.ended_at, row.process, row.born = status, _now(), 0, 0
        if status == 0:
            row.state, row.reason = DONE, ""
        elif status == LIMIT_HIT:
            row.state, row.reason = PAUSED, "met the end of the quota while it ran"
        elif status == WAITS:
            row.state, row.reason = PAUSED, "has to wait for room"
        elif status == UNAVAILABLE or self._ended.is_set():
            row.state, row.reason = PENDING, ""
        elif status == NEVER:
            row.state, row.reason = SKIPPED, "may never start as it is"
        else:
            row.state, row.reason = FAILED, f"ended with status {status}"
        row.digest = item.digest

    # Ends and waits

    def _stop(self, state: str, reason: str, until: str = "") -> int:
        self._state.state, self._state.reason, self._state.until = state, reason, until
        self._file.save(self._state)
        return EXIT_STATUS.get(state, 1)

    def _wait(self, paused: Paused) -> None:
        """Wait for the next cycle: until the reset, looking now and then whether room has come sooner."""
        until = paused.until
        self._say(f"Waiting for the next cycle{f', until {until.isoformat()}' if until else ''}")
        while True:
            left = (until - datetime.now(UTC)).total_seconds() if until else LOOK_AGAIN
            if self._ended.wait(min(LOOK_AGAIN, max(1.0, left))):
                raise PlanEnded
            if not paused.still():
                return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
