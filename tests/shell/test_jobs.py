"""The schedule: what runs, what is counted when it fails, overlaps or comes too late, and how it ends."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from quota_scheduler.errors import StoreError
from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.metrics import Metrics
from quota_scheduler.timetable import EverySeconds


class Schedule:
    """Jobs with metrics of their own."""

    def __init__(self, *jobs: Job, **options: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, version="0", tasks=[job.name for job in jobs], targets=())
        self.jobs = Jobs(list(jobs), self.metrics, **options)

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
def test_a_job_runs_soon_when_asked_but_not_twice_at_once() -> None:
    runs, going = [0], threading.Event()

    def work() -> None:
        runs[0] += 1
        going.wait(20)

    schedule = Schedule(Job("work", 3600, work))
    schedule.jobs.start()
    until(lambda: runs == [1])
    schedule.jobs.run_soon("work")  # it runs, so it need not
    going.set()
    until(lambda: schedule.count("quota_scheduler_task_duration_seconds_count", task="work") == 1)
    schedule.jobs.run_soon("work")
    until(lambda: runs == [2])
    schedule.jobs.stop()
    schedule.jobs.run_soon("work")
    assert runs == [2]
    assert schedule.count("quota_scheduler_task_skipped_total", task="work", reason="overlap") == 0


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


@pytest.mark.timeout(60)
def test_a_first_job_runs_before_the_others_and_what_is_loaded_beside_them_comes_last() -> None:
    order: list[str] = []
    schedule = Schedule(
        Job("other", 3600, lambda: order.append("other")),
        Job("first", 3600, lambda: order.append("first"), is_first=True),
    )
    schedule.jobs.start([lambda: until(lambda: "other" in order), lambda: order.append("loaded")])
    schedule.jobs.stop()
    assert order == ["first", "other", "loaded"]


@pytest.mark.timeout(60)
def test_a_first_job_that_takes_long_keeps_nobody_waiting_and_is_waited_for_at_the_end() -> None:
    going, ended, others, now, most = threading.Event(), [], [0], [0], [0]

    def first() -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        going.wait(20)
        now[0] -= 1
        ended.append("first")

    def other() -> None:
        others[0] += 1

    schedule = Schedule(Job("first", 0.02, first, is_first=True), Job("other", 3600, other))
    schedule.jobs.start()
    until(lambda: schedule.count("quota_scheduler_task_skipped_total", task="first", reason="overlap") > 2)
    assert (others, ended) == ([1], [])
    threading.Timer(0.05, going.set).start()
    schedule.jobs.stop()
    assert (most, ended[:1]) == ([1], ["first"])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([-1800.0], id="R3, B1: half an hour back"),
        pytest.param([8 * 3600.0, -8 * 3600.0], id="R3: eight hours ahead and back"),
        pytest.param([365 * 86400.0, -365 * 86400.0], id="R1: a year ahead and back"),
    ],
)
def test_every_job_goes_on_at_once_after_the_wall_clock_stepped(steps: list[float]) -> None:
    ahead, runs = [0.0], {"tick": 0, "prune": 0}

    def job(name: str) -> Job:
        return Job(name, 3600, lambda: runs.__setitem__(name, runs[name] + 1))

    schedule = Schedule(*map(job, runs), wall=lambda: time.time() + ahead[0])
    schedule.jobs.start()
    until(lambda: min(runs.values()) == 1)
    for number, step in enumerate(steps, 2):
        ahead[0] += step
        until(lambda number=number: min(runs.values()) == number)
    schedule.jobs.stop()


@pytest.mark.timeout(60)
def test_R1_what_deletes_by_age_waits_until_the_clock_has_been_steady() -> None:
    ahead, runs = [0.0], {"steady": 0, "other": 0}

    def job(name: str) -> Job:
        return Job(name, 4, lambda: runs.__setitem__(name, runs[name] + 1), steady=name == "steady")

    schedule = Schedule(*map(job, runs), wall=lambda: time.time() + ahead[0])
    schedule.jobs.start()
    for number, step in enumerate([365 * 86400.0, -365 * 86400.0], 2):
        until(lambda number=number: runs["other"] == number - 1)
        ahead[0] += step
    until(lambda: runs["other"] == 3)
    assert runs["steady"] == 0
    until(lambda: runs["steady"] > 0)
    schedule.jobs.stop()


def test_a_clock_that_is_a_year_ahead_gives_one_run_and_not_all_that_were_missed() -> None:
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert EverySeconds(0.2).get_next_fire_time(now - timedelta(days=365), now) == now + timedelta(seconds=0.2)


@pytest.mark.timeout(60)
def test_what_fails_is_told_when_it_begins_when_it_changes_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    answers = [StoreError("the disk is full")] * 3 + [OSError("no such device")] * 3
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        if answers:
            raise answers.pop(0)

    schedule = Schedule(Job("read", 0.02, work))
    schedule.jobs.start()
    until(lambda: len(runs) > 8)
    schedule.jobs.stop()
    assert [line.getMessage() for line in caplog.records if line.name == "quota_scheduler.jobs"] == [
        "task.failed task=read error=the disk is full",
        "task.failed task=read error=OSError('no such device')",
        "task.works_again task=read after=OSError('no such device')",
    ]
    assert schedule.count("quota_scheduler_task_failures_total", task="read") == 6
