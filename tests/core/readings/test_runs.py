"""Runs as a tick shows them."""

from datetime import date

import pytest

from quota_scheduler.core.efficiency.cache import DayUsage
from quota_scheduler.core.efficiency.runs import RunKind, RunSummary
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.runs import IDLE, day_usage, ends, flagged, labels_of, mean_tokens, run_reading
from quota_scheduler.core.usage import Usage
from tests.builders import DAY, MICRO, MONDAY, some_labels, some_usage

RUN = RunSummary(
    "r1", "nightly", "testing", "growth", "anthropic", "opus", (), (), some_usage(30), MONDAY - DAY, MONDAY
)


@pytest.mark.parametrize(
    ("run", "now", "finished"),
    [
        pytest.param(RUN, MONDAY + IDLE, False, id="half an hour is a pause"),
        pytest.param(RUN, MONDAY + IDLE + MICRO, True, id="more is the end"),
        pytest.param(RUN._replace(status="failed"), MONDAY, True, id="it said so"),
    ],
)
def test_when_a_run_counts_as_finished(run, now, finished):
    reading = run_reading(run, over_cap=True, now=now)
    assert (reading.finished, reading.tokens, reading.over_cap) == (finished, 30, True)


GROWTH, OPS = some_labels(workflow="nightly", team="growth"), some_labels(provider="openai", workflow="docs")
SETS = {1: (GROWTH, Priority.NORMAL), 2: (GROWTH, Priority.LOW), 3: (OPS, Priority.LOW)}


def a_kind(label_set: int, *flags: str, earlier: bool = True, lately: bool = True) -> RunKind:
    return RunKind(label_set, flags, (), earlier, lately, 30)


def test_means_are_over_runs_not_over_labels() -> None:
    sums = [(1, 1, some_usage(30)), (2, 3, some_usage(10)), (3, 2, some_usage(7))]
    assert mean_tokens(sums, SETS) == {"anthropic": 10.0, "openai": 3.5}


def test_days_are_of_workflows_whatever_the_class() -> None:
    rows = [(20_780, 1, 60, 100), (20_780, 2, 20, 100), (20_781, 3, 0, 5)]
    assert day_usage(rows, SETS) == [
        DayUsage("nightly", date(2026, 11, 23), Usage(input=120, cache_read=80), "anthropic"),
        DayUsage("docs", date(2026, 11, 24), Usage(input=5), "openai"),
    ]


def test_effects_are_compared_in_workflows_that_have_had_a_flag() -> None:
    kinds = [a_kind(1), a_kind(2, "batching"), a_kind(3)]
    assert flagged(kinds, SETS) == {1, 2}


def test_the_ends_of_a_kind_say_which_traits_were_there_when() -> None:
    kinds = [a_kind(1, "batching", lately=False), a_kind(1), a_kind(3, earlier=False)]
    assert [(run.workflow, run.flags, run.last_at) for run in ends(kinds, SETS, since=MONDAY)] == [
        ("nightly", ("batching",), MONDAY - MICRO),
        ("nightly", (), MONDAY - MICRO),
        ("nightly", (), MONDAY),
        ("docs", (), MONDAY),
    ]
    assert labels_of(RUN) == some_labels(model="opus", team="growth", workflow="nightly", task_type="testing")
