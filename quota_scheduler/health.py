"""Ready means it works: the last write was taken, and what runs in the background has run lately.

    task done ──► seen anew ──► silent for three of its intervals ──► not ready
    write refused ──► not ready, one line in the log ──► five seconds without refusal ──► ready, one line in the log

Everything is measured on the monotonic clock: a wall clock that is set back must not hide that nothing happens.
"""

import logging
import time
from collections.abc import Callable
from threading import Lock

from msgspec import Struct

from quota_scheduler.errors import StoreError

log = logging.getLogger(__name__)
INTERVALS = 3
"""A task that is silent for so many of its intervals does not work."""
LEAST_SECONDS = 15.0
"""No task is judged sooner: a busy machine, a long transaction."""
STUCK_SECONDS = 60.0
"""A first pass over a source that gets no further for so long does not work."""

CALM_SECONDS = 5.0
"""Writes must have been taken for so long: a nearly full disk takes the small ones in between."""


class _Task(Struct):
    every: float
    seen: float
    mark: object = None


class Health:
    """What works. Told by those who work, asked by the probes; any thread may do either."""

    def __init__(
        self, *, refused: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``refused`` is called for each write that the database did not take; ``clock`` is monotonic seconds."""
        self._refused, self._clock = refused, clock
        self._tasks: dict[str, _Task] = {}
        self._lock = Lock()
        self._trouble = ""
        self._trouble_since = 0.0
        self._refused_at = 0.0
        self._refusals = 0

    def expect(self, task: str, every: float) -> None:
        """From now on a task is due every so many seconds."""
        with self._lock:
            self._tasks[task] = _Task(every, self._clock())

    def done(self, task: str) -> None:
        """A task has done its work once more."""
        with self._lock:
            if task in self._tasks:
                self._tasks[task].seen = self._clock()
                self._tasks[task].mark = None

    def further(self, task: str, mark: object) -> None:
        """How far a long piece of a task's work is: it works as long as the mark moves."""
        with self._lock:
            expected = self._tasks.get(task)
            if expected and expected.mark != mark:
                expected.seen, expected.mark = self._clock(), mark

    def wrote(self, error: Exception | None) -> None:
        """A write was taken, or refused; what the database is not to blame for does not count."""
        if error is None:
            if self._trouble and self._clock() - self._refused_at >= CALM_SECONDS:
                after = self._clock() - self._trouble_since
                log.warning("writes.taken_again after_seconds=%.0f refused=%d", after, self._refusals)
                self._trouble, self._refusals = "", 0
        elif isinstance(error, StoreError):
            self._refused()
            self._refusals += 1
            self._refused_at = self._clock()
            if not self._trouble:
                self._trouble, self._trouble_since = str(error), self._clock()
                log.error("writes.refused error=%s", error)

    def problems(self) -> list[str]:
        """What does not work, one sentence each."""
        trouble = self._trouble
        problems = [f"the database takes no writes: {trouble}"] if trouble else []
        now = self._clock()
        with self._lock:
            for name, task in self._tasks.items():
                silent = now - task.seen
                if silent > self._patience(task):
                    problems.append(
                        f"{name} has not happened for {silent:.0f} s, it is due every {task.every:g} s: see the log"
                    )
        return problems

    @staticmethod
    def _patience(task: _Task) -> float:
        return STUCK_SECONDS if task.mark is not None else max(LEAST_SECONDS, INTERVALS * task.every)
