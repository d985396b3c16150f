"""Runs as a tick shows them."""

from datetime import date

import pytest

from quota_scheduler.core.efficiency.cache import DayUsage
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.runs import IDLE, day_usage, labels_of, mean_tokens, run_reading
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


def test_means_and_days():
    older = RUN._replace(usage=some_usage(10), last_at=MONDAY - DAY)
    assert mean_tokens([RUN, older], since=MONDAY - DAY) == {"anthropic": 20.0}
    assert mean_tokens([RUN, older], since=MONDAY) == {"anthropic": 30.0}
    labels = some_labels(workflow="nightly")
    sets = {1: (labels, Priority.NORMAL)}
    days = [DayUsage("nightly", date(2026, 11, 23), some_usage(5), "anthropic")]
    assert day_usage([(MONDAY, 1, some_usage(5))], sets) == days
    assert labels_of(RUN) == some_labels(model="opus", team="growth", workflow="nightly", task_type="testing")
