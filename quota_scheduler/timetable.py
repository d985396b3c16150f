"""APScheduler: "call this every so many seconds". It never supplies a time that a decision depends on.

Loaded when the first job begins, beside the first answers: it looks for extensions of its own in all that is installed.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

MOST_AT_ONCE = 20
"""Jobs that may run at once, above what a service has: each has at most one run."""


class EverySeconds(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Every so many seconds from the last look at the clock.

    The library's own interval goes through all runs that were missed, one by one: a clock that jumps a year ahead would
    keep it busy for a minute.
    """

    def __init__(self, seconds: float) -> None:
        self._wait = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """The next run, always later than ``now``."""
        return now + self._wait


class Timetable:
    """When each piece of work runs next; in memory, and defined in code."""

    def __init__(self, skipped: Callable[[str, str], None], grace_seconds: int) -> None:
        """``skipped`` is told a name and why a run did not take place; one may start ``grace_seconds`` late."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(max_workers=MOST_AT_ONCE)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": grace_seconds},
        )

        def told(event: JobExecutionEvent) -> None:
            skipped(event.job_id, "overlap" if event.code == EVENT_JOB_MAX_INSTANCES else "misfire")

        self._scheduler.add_listener(told, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def add(self, name: str, seconds: float, work: Callable[[], None], *, has_run: bool = False) -> None:
        """Let work run now, and every so many seconds from then on; what ``has_run`` is not due before."""
        due = datetime.now(UTC) + (timedelta(seconds=seconds) if has_run else timedelta(0))
        self._scheduler.add_job(work, EverySeconds(seconds), id=name, next_run_time=due)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def run_now(self, name: str) -> None:
        """Date the next run of a piece of work now."""
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """Start nothing more, and wait for what runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
