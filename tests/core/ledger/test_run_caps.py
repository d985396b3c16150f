"""Runs that pass their cap: once, by the usage that takes them over it."""

import pytest

from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.run_caps import RunGrowth, growth_of, is_over, passes
from quota_scheduler.core.usage import Usage
from tests.builders import a_run_cap, a_usage_event, some_labels, some_usage

SMALL, LARGE = a_usage_event(10, run="r1"), a_usage_event(30, run="r1")


@pytest.mark.parametrize(
    ("changes", "growth"),
    [
        pytest.param([Change(None, SMALL)], {"r1": RunGrowth(SMALL.usage, SMALL.labels)}, id="what is new"),
        pytest.param(
            [Change(SMALL, LARGE)], {"r1": RunGrowth(some_usage(20, requests=0), LARGE.labels)}, id="what it grew by"
        ),
        pytest.param([Change(SMALL, None)], {}, id="a run that something only went from"),
        pytest.param([Change(None, a_usage_event(10))], {}, id="usage of no run"),
    ],
)
def test_growth(changes, growth):
    assert growth_of(changes) == growth


@pytest.mark.parametrize(
    ("grew", "after", "passed"),
    [
        pytest.param(10, 100, False, id="just its cap"),
        pytest.param(10, 101, True, id="one over it, now"),
        pytest.param(10, 111, False, id="over it before"),
    ],
)
def test_passing_a_cap_counts_once(grew, after, passed):
    growth = RunGrowth(some_usage(grew), some_labels())
    assert passes(growth, some_usage(after), [a_run_cap(100)]) is passed
    assert is_over(some_usage(after), some_labels(), [a_run_cap(100)]) is (after > 100)
    assert passes(RunGrowth(Usage(), None), some_usage(after), [a_run_cap(1)]) is False
