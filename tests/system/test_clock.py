"""The service as a process whose wall clock is set back and forth; the monotonic clock is the machine's own."""

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.system.service_process import HttpReceiver, Place, ServiceProcess, until
from tests.system.transcripts import Agent

LIBRARY = next(
    (path for folder in ("/usr/lib", "/usr/lib64") for path in Path(folder).glob("**/faketime/libfaketime.so.1")), None
)
TASKS = ("tick", "read", "deliver", "learn", "ends", "prune")


@pytest.fixture
def library() -> Path:
    """libfaketime, which is installed where the build promises it."""
    if LIBRARY is None:
        reason = "there is no libfaketime: apt-get install faketime"
        (pytest.fail if os.environ.get("REQUIRE_PROGRAMS") else pytest.skip)(reason)
    return LIBRARY


class Clock:
    """The wall clock of a process: it runs, and is moved by writing how far it is from the machine's."""

    def __init__(self, place: Place, library: Path) -> None:
        self.file = place.home / "faketime"
        place.environ |= {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        self.ahead(timedelta(0))

    def ahead(self, by: timedelta) -> None:
        """Set it, all at once."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{by.total_seconds():+.0f}\n")
        fresh.replace(self.file)
        self.offset = by

    def now(self) -> str:
        """What it shows, as an instant."""
        return (datetime.now(UTC) + self.offset).isoformat()


CONFIG = """
limits:
  - {id: d, unit: tokens, amount: 100k, window: {every: day, starts: "BEGUN"}}
receivers:
  - {id: ops, url: "RECEIVER"}
alerts:
  rules: {usage_high: {for: 0s}, exhausted: {for: 0s}, usage_nearly_exhausted: {for: 0s}}
"""


def runs(service: ServiceProcess) -> dict[str, float]:
    """How often each job has run."""
    return {dict(labels)["task"]: n for labels, n in service.sample("quota_scheduler_task_runs_total").items()}


def all_ran_since(service: ServiceProcess, before: dict[str, float]) -> bool:
    """Whether every job has run again."""
    now = runs(service)
    return all(now[task] > before[task] for task in TASKS)


def spend(service: ServiceProcess, clock: Clock, key: str, tokens: int) -> None:
    """Report usage over HTTP, now as the service's clock has it."""
    event = {"provider": "anthropic", "key": key, "at": clock.now(), "model": "claude-haiku-4-5", "input": tokens}
    assert service.ask("POST", "/v1/usage", event).status == 200


def used(service: ServiceProcess) -> float:
    """What the gauge of the limit shows."""
    return sum(service.sample("quota_used_tokens", limit="d").values())


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([timedelta(minutes=-30)], id="R3, B1: half an hour back"),
        pytest.param([timedelta(hours=8), timedelta(0)], id="R3: eight hours ahead and back"),
    ],
)
def test_every_job_goes_on_within_seconds_after_the_clock_was_set(place: Place, library: Path, steps) -> None:
    clock, agent = Clock(place, library), Agent(place.home)
    with HttpReceiver() as ops:
        begun = f"{datetime.now(UTC) - timedelta(hours=12):%H:%M}"
        place.config(CONFIG.replace("RECEIVER", ops.url).replace("BEGUN", begun))
        with ServiceProcess(place) as service:
            service.caught_up()
            spend(service, clock, "before", 1_000)
            until(lambda: used(service) == 1_000, what="the first gauge")
            for step in steps:  # patiently: the library reads its file at every look at the clock
                until(lambda: min(runs(service)[task] for task in TASKS) > 0, seconds=60, what="every job")
                before = runs(service)
                clock.ahead(step)
                until(partial(all_ran_since, service, before), seconds=60, what="every job")
            spend(service, clock, "after", 90_000)
            agent.spend(ago=timedelta(minutes=35), input=4_900, output=100)
            until(lambda: used(service) == 96_000, seconds=60, what="a gauge that shows all")
            until(lambda: ops.got, what="a message")
