"""Who spends a limit, and in what portions."""

from datetime import timedelta

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Spending
from quota_scheduler.core.readings.runs import EPOCH
from quota_scheduler.core.readings.spending import cache_baselines, cache_hits, causes, run_means, spending
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY, a_limit, some_balances, some_labels, some_usage

DOCS, TESTS, NAMELESS, OTHER = (
    some_labels(workflow="docs", model="opus"),
    some_labels(workflow="tests", model="sonnet"),
    some_labels(),
    some_labels(workflow="docs", model="haiku"),
)
SETS: dict[int, tuple[Labels, Priority]] = {
    number: (labels, Priority.NORMAL) for number, labels in enumerate((DOCS, TESTS, NAMELESS, OTHER), 1)
}
BIND = some_balances(a_limit(), a_limit(id="docs", match=(("workflow", frozenset({"docs"})),))).instances


@pytest.mark.parametrize(
    ("sums", "wanted", "sentences"),
    [
        pytest.param([(1, some_usage(72)), (2, some_usage(28))], ["day"], {"day": "72 % by workflow docs (opus)"},
                     id="the largest share and its model"),
        pytest.param([(1, some_usage(30)), (4, some_usage(40)), (2, some_usage(30))], ["day"],
                     {"day": "70 % by workflow docs (haiku)"}, id="a workflow's models are one share"),
        pytest.param([(3, some_usage(9))], ["day"], {"day": "100 % by work without a workflow"}, id="no workflow"),
        pytest.param([(1, some_usage(1)), (2, some_usage(1))], ["day", "docs"],
                     {"day": "50 % by workflow docs (opus)", "docs": "100 % by workflow docs (opus)"},
                     id="each instance has its own, and of equals the first by name"),
        pytest.param([(1, some_usage(1))], [], {}, id="nobody asked"),
        pytest.param([], ["day"], {}, id="nothing used"),
    ],
)  # fmt: skip
def test_causes(sums, wanted, sentences):
    assert causes(sums, SETS, BIND, wanted) == sentences


def test_run_means_are_over_all_runs_of_an_instance():
    means = run_means([(1, 2, some_usage(30)), (2, 1, some_usage(60))], SETS, BIND)
    assert means == {"day": (30, 30), "docs": (15, 15)}


def test_cache_hits_are_shares_of_what_went_in():
    sums = [(1, Usage(input=10, cache_read=90)), (2, Usage(input=100)), (3, Usage(output=5))]
    assert cache_hits(sums, SETS, BIND) == {"day": 0.45, "docs": 0.9}


@pytest.mark.parametrize(
    ("days", "rates"),
    [
        pytest.param(7, {"day": 0.75, "docs": 0.75}, id="the median day of a week"),
        pytest.param(6, {}, id="six days are too few"),
    ],
)
def test_cache_baselines(days, rates):
    monday = (MONDAY.date() - EPOCH).days
    rows = [(monday - back, 1, 375_000, 500_000) for back in range(1, days + 1) for _ in range(2)]
    assert cache_baselines(rows, SETS, BIND, before=MONDAY) == rates
    assert cache_baselines(rows, SETS, BIND, before=MONDAY - timedelta(days=99)) == {}


def test_spending_joins_what_is_there_and_leaves_the_others_empty():
    joined = spending(
        {"day": "why"}, {"day": (30.0, 15.0)}, {"1h": {"day": 0.5, "week": 0.25}}, {"week": 0.75}, {"run": (7, 2)}
    )
    assert joined == {
        "day": Spending("why", 30.0, 15.0, (("1h", 0.5),)),
        "week": Spending(cache_hits=(("1h", 0.25),), cache_baseline=0.75),
        "run": Spending(unleased=7, overrun=2),
    }
