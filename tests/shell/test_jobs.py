"""The schedule: what runs, what is counted when it fails, overlaps or comes too late, and how it ends."""

import threading
import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.metrics import Metrics


class Schedule:
    """Jobs with metrics of their own."""

    def __init__(self, *jobs: Job) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, version="0", tasks=[job.name for job in jobs], targets=())
        self.jobs = Jobs(list(jobs), self.metrics)

    def count(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(name, labels)
        assert found is not None, f"no such sample: {name} {labels}"
        return found


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.timeout(60)
def test_a_job_runs_at_once_and_again_and_what_fails_is_counted_and_runs_again() -> None:
    runs: list[str] = []

    def fail() -> None:
        runs.append("fail")
        raise OSError("as it happens")

    schedule = Schedule(Job("work", 0.05, lambda: runs.append("work")), Job("fail", 0.05, fail))
    schedule.jobs.start()
    until(lambda: runs.count("work") > 2 and runs.count("fail") > 2)
    schedule.jobs.stop()
    assert schedule.count("quota_scheduler_task_failures_total", task="fail") == runs.count("fail")
    assert schedule.count("quota_scheduler_task_failures_total", task="work") == 0


@pytest.mark.timeout(60)
def test_a_job_never_overlaps_itself_and_what_was_left_out_is_counted() -> None:
    going, most, now = threading.Event(), [0], [0]

    def slow() -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        going.wait(20)
        now[0] -= 1

    schedule = Schedule(Job("slow", 0.02, slow))
    schedule.jobs.start()
    until(lambda: schedule.count("quota_scheduler_task_skipped_total", task="slow", reason="overlap") > 2)
    going.set()
    schedule.jobs.stop()
    assert most == [1]


@pytest.mark.timeout(60)
def test_stopping_waits_for_what_runs_and_starts_nothing_more() -> None:
    begun, going, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        going.wait(20)
        ended.append("work")

    schedule = Schedule(Job("work", 3600, work))
    schedule.jobs.start()
    begun.wait(20)
    threading.Timer(0.05, going.set).start()
    schedule.jobs.stop()
    assert ended == ["work"]
    schedule.jobs.stop()
