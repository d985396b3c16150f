"""Waste by workflow: measured by the workflow's own other runs, and silent below its thresholds."""

from typing import Any

import pytest

from quota_scheduler.core.advice.waste import by_workflow, cache_churn, dear_output, grown_context, wasted
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import run


def price(_run: RunSummary, usage: Usage) -> int:
    """One micro-dollar a token of input, 1.25 of a write, 0.1 of a read, 5 of output."""
    fresh, read, write_5m, write_1h, output = usage.kinds
    return round(fresh + 0.1 * read + 1.25 * write_5m + 2 * write_1h + 5 * output)


def runs(*usages: Usage) -> list[RunSummary]:
    return [
        run(number, 0, usage=usage._replace(cost_microusd=price(run(0, 0), usage)))
        for number, usage in enumerate(usages)
    ]


def said(suggestion: Any) -> Any:
    return suggestion and (suggestion.kind, suggestion.runs, suggestion.tokens, suggestion.microusd)


WRITES = Usage(cache_write_5m=400_000)


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        pytest.param(runs(*[WRITES] * 5), ("cache_churn", 5, 0, 500_000), id="2M written, none read: a quarter of it"),
        pytest.param(
            runs(*[WRITES._replace(cache_read=200_000)] * 5), ("cache_churn", 5, 0, 250_000), id="half of it was read",
        ),
        pytest.param(runs(*[WRITES._replace(cache_read=400_000)] * 5), None, id="all of it was read once"),
        pytest.param(runs(*[Usage(cache_write_5m=100_000)] * 5), None, id="little was written"),
    ],
)  # fmt: skip
def test_cache_writes_that_nobody_reads(some: list[RunSummary], expected: Any) -> None:
    assert said(cache_churn("nightly", some, price)) == expected


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        pytest.param(
            runs(*[Usage(input=100, output=100)] * 4, Usage(input=100, output=300)), ("dear_output", 1, 200, 1_000),
            id="one run wrote 200 more than usual",
        ),
        pytest.param(runs(*[Usage(input=100, output=100)] * 5), None, id="all write as much"),
        pytest.param(
            runs(*[Usage(input=10_000, output=100)] * 4, Usage(input=100, output=300)), None, id="input is the cost",
        ),
        pytest.param(runs(*[Usage()] * 5), None, id="nothing was used"),
    ],
)  # fmt: skip
def test_output_that_is_most_of_the_cost(some: list[RunSummary], expected: Any) -> None:
    assert said(dear_output("nightly", some, price)) == expected


SHORT = Usage(cache_read=100_000, requests=10)


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        pytest.param(
            runs(*[SHORT] * 4, Usage(cache_read=400_000, requests=10)), ("grown_context", 1, 300_000, 30_000),
            id="four times the usual context: three quarters of it less",
        ),
        pytest.param(runs(*[SHORT] * 4, Usage(cache_read=200_000, requests=10)), None, id="twice the usual"),
        pytest.param(runs(*[SHORT] * 4, Usage(cache_read=400_000, requests=40)), None, id="more requests"),
        pytest.param(runs(*[SHORT] * 3, Usage(cache_read=400_000, requests=10)), None, id="four runs show nothing"),
        pytest.param(runs(*[SHORT] * 4, Usage(cache_read=400_000, requests=1)), None, id="one request"),
    ],
)  # fmt: skip
def test_contexts_that_grew(some: list[RunSummary], expected: Any) -> None:
    assert said(grown_context("nightly", some, price)) == expected


@pytest.mark.parametrize(
    ("tokens", "cap", "expected"),
    [
        pytest.param([9, 1], 10, [("oversized_runs", 1, 0, 0)], id="one run beyond four fifths of the cap"),
        pytest.param([8, 1], 10, [], id="at four fifths"),
        pytest.param([9, 1], None, [], id="no cap"),
    ],
)
def test_runs_near_the_cap(tokens: list[int], cap: int | None, expected: Any) -> None:
    some = runs(*(Usage(input=one) for one in tokens))
    assert [said(one) for one in wasted("nightly", some, price, cap=cap)] == expected


def test_runs_without_a_workflow_or_usage_are_nobodys() -> None:
    assert by_workflow([run(1, 5), run(2, 5, workflow=""), run(3, 0)]) == {"nightly": [run(1, 5)]}
