"""APScheduler: "call this every so many seconds". It never supplies a time that a decision depends on.

Jobs live in memory and are defined in code; each may run once at a time, runs that were missed are run once, and what
was missed or overlapped is counted instead of passing in silence.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.metrics import Metrics

log = logging.getLogger(__name__)
MISFIRE_GRACE_SECONDS = 30
"""A run may start this late; later it counts as missed, and the next one does its work."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task by name, run at the start and then every ``seconds``."""

    name: str
    seconds: float
    work: Callable[[], object]


class Jobs:
    """The schedule of one process."""

    def __init__(self, jobs: list[Job], metrics: Metrics) -> None:
        self._metrics = metrics
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(max_workers=max(4, len(jobs)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_GRACE_SECONDS},
        )
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for job in jobs:
            trigger = IntervalTrigger(seconds=job.seconds, timezone="UTC")
            self._scheduler.add_job(self._run, trigger, args=[job], id=job.name, next_run_time=datetime.now(UTC))

    def start(self) -> None:
        """Begin."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more, and wait for what runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            job.work()
        except QuotaSchedulerError as error:
            log.error("task.failed task=%s error=%s", job.name, error)
            self._metrics.task_failed(job.name, time.monotonic() - started)
        except Exception:
            log.exception("task.failed task=%s", job.name)
            self._metrics.task_failed(job.name, time.monotonic() - started)
        else:
            self._metrics.task_ran(job.name, time.monotonic() - started)

    def _skipped(self, event: JobExecutionEvent) -> None:
        reason = "overlap" if event.code == EVENT_JOB_MAX_INSTANCES else "misfire"
        self._metrics.task_skipped(event.job_id, reason)
