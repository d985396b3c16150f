"""What runs every so many seconds in one process, and what becomes of each run.

Each job may run once at a time, runs that were missed are run once, and what was missed or overlapped is counted
instead of passing in silence. When they run stands in ``timetable``.

A timetable keeps the next run of a job as an instant of the wall clock: after a step back of half an hour nothing would
run for half an hour. So a watch compares wall and monotonic clock, and when they part lets every job run at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.errors import DatabaseAway, NotLeading, QuotaSchedulerError
from quota_scheduler.metrics import Metrics
from quota_scheduler.traces import OFF, Traces

if TYPE_CHECKING:
    from quota_scheduler.timetable import Timetable

log = logging.getLogger(__name__)
MISFIRE_GRACE_SECONDS = 30
"""A run may start this late; later it counts as missed, and the next one does its work."""
WATCH_SECONDS = 0.5
"""The clocks are compared this often."""
STEP_SECONDS = 2.0
"""Clocks that have parted by more than this since the jobs were dated: the wall clock was set, or the machine slept."""

STEADY_SHARE = 0.9
"""Of its distance, that the clock must have been steady for: a run comes a moment early or late."""

FIRST_SECONDS = 0.5
"""How long the other jobs wait for the first runs that come before them: a look at sources where little is new takes
a tenth of that, and a start is ready when it is over."""
AWAY = "the database is away"
NOT_LEADER = "not_leader"
"""Why a run did not happen that is the leader's."""


class Where(StrEnum):
    """On which of several replicas a job does its work."""

    LEADER = "leader"
    FOLLOWERS = "followers"
    EVERY = "every replica"


class Job(Struct, frozen=True):
    """A task by name, run at the start and then every ``seconds``, on the replicas that ``where`` names.

    One that ``is_first`` begins before the others, for which much is still to be loaded.
    One that is ``steady`` does its work only after the clock has gone on without a step for so long: what it deletes by
    age is gone for good, and a clock that is ahead once makes everything old.
    """

    name: str
    seconds: float
    work: Callable[[], object]
    steady: bool = False
    where: Where = Where.EVERY
    is_first: bool = False


class Jobs:
    """The schedule of one process."""

    def __init__(
        self,
        jobs: list[Job],
        metrics: Metrics,
        *,
        wall: Callable[[], float] = time.time,
        leads: Callable[[], bool] = lambda: True,
        traces: Traces = OFF,
    ) -> None:
        """``wall`` is the wall clock in seconds that is watched for steps; ``leads``: whether this process does."""
        self._metrics, self._wall, self._leads, self._traces = metrics, wall, leads, traces
        self._jobs = tuple(jobs)
        self._failing: dict[str, str] = {}
        self._running: set[str] = set()
        self._first: tuple[threading.Thread, ...] = ()
        self._stopping, self._beginning = threading.Event(), threading.Lock()
        self._steady_since = time.monotonic()
        self._timetable: Timetable | None = None

    def start(self, warm: Sequence[Callable[[], None]] = ()) -> None:
        """Begin: each job runs now for the first time. Does nothing after ``stop``; any thread may call it.

        ``warm`` loads what is wanted before long; it is called when all jobs have begun.
        """
        self._run_first()
        if self._stopping.is_set():
            return
        from quota_scheduler.timetable import Timetable  # and with it APScheduler, which nobody waits for

        with self._beginning:
            if self._stopping.is_set():
                return
            self._timetable = Timetable(self._skipped, MISFIRE_GRACE_SECONDS)
            for job in self._jobs:
                self._timetable.add(job.name, job.seconds, partial(self._run, job), has_run=job.is_first)
            self._timetable.start()
            threading.Thread(target=self._watch, name="jobs-clock", daemon=True).start()
        for load in warm:
            load()

    def _run_first(self) -> None:
        """Let the first jobs run, each in a thread of its own, and wait for them a little."""
        with self._beginning:
            if self._stopping.is_set():
                return
            self._first = tuple(
                threading.Thread(target=self._run, args=(job,), name=f"first-{job.name}", daemon=True)
                for job in self._jobs
                if job.is_first
            )
            for thread in self._first:
                thread.start()
        until = time.monotonic() + FIRST_SECONDS
        for thread in self._first:
            thread.join(max(0.0, until - time.monotonic()))

    def run_soon(self, name: str) -> None:
        """Let a job run now rather than at its next time, unless it does; from then on it goes on as ever."""
        if self._timetable and name not in self._running and not self._stopping.is_set():
            self._timetable.run_now(name)

    def stop(self) -> None:
        """Start nothing more, and wait for what runs."""
        with self._beginning:
            self._stopping.set()
        if self._timetable:
            self._timetable.stop()
        for thread in self._first:
            thread.join()

    def _watch(self) -> None:
        """Date all jobs anew when the wall clock steps."""
        apart = self._wall() - time.monotonic()
        while not self._stopping.wait(WATCH_SECONDS):
            now_apart = self._wall() - time.monotonic()
            if abs(now_apart - apart) > STEP_SECONDS:
                log.warning("clock.stepped seconds=%+.0f", now_apart - apart)
                apart, self._steady_since = now_apart, time.monotonic()
                self._run_all_now()

    def _run_all_now(self) -> None:
        for job in self._jobs:
            try:
                if self._timetable:
                    self._timetable.run_now(job.name)
            except Exception as error:  # one that cannot be dated must not keep the others waiting
                log.error("task.undated task=%s error=%s", job.name, error)

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        if job.name in self._running:  # a first run, of which the timetable does not know, may take long
            self._skipped(job.name, "overlap")
            return
        self._running.add(job.name)
        try:
            if not self._is_here(job):
                if job.where is Where.LEADER:
                    self._metrics.task_skipped(job.name, NOT_LEADER)
                return
            if not job.steady or started - self._steady_since >= STEADY_SHARE * job.seconds:
                with self._traces.task(job.name):
                    job.work()
        except NotLeading:  # another took over meanwhile: nothing was written, and it does the work
            self._metrics.task_skipped(job.name, NOT_LEADER)
        except Exception as error:
            self._failed(job, error)
            self._metrics.task_failed(job.name, time.monotonic() - started)
        else:
            if before := self._failing.pop(job.name, ""):
                log.info("task.works_again task=%s after=%s", job.name, before)
            self._metrics.task_ran(job.name, time.monotonic() - started)
        finally:
            self._running.discard(job.name)

    def _is_here(self, job: Job) -> bool:
        return job.where is Where.EVERY or (job.where is Where.LEADER) is self._leads()

    def _failed(self, job: Job, error: Exception) -> None:
        """Say what fails when that begins or changes, and not with each run; a defect with its traceback."""
        said = str(error) if isinstance(error, QuotaSchedulerError) else repr(error)
        reason = AWAY if isinstance(error, DatabaseAway) else said  # it is away in ever other words
        if self._failing.get(job.name) != reason:
            self._failing[job.name] = reason
            log.error("task.failed task=%s error=%s", job.name, said,
                      exc_info=None if isinstance(error, QuotaSchedulerError) else error)  # fmt: skip

    def _skipped(self, name: str, reason: str) -> None:
        self._metrics.task_skipped(name, reason)
