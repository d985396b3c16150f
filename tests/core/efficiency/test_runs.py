"""Runs and workflows added up: hit rates, means, success."""

import pytest

from quota_scheduler.core.efficiency.runs import EfficiencyRow, by_run, by_workflow, cache_hit_rate
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import run

ISSUE_35 = Usage(input=326_432, cache_read=4_234_687, cache_write_5m=28_413, output=48_366)


@pytest.mark.parametrize(
    ("usage", "rate"),
    [
        pytest.param(Usage(input=50, cache_read=50), 0.5, id="half read, half fresh"),
        pytest.param(Usage(cache_read=90, cache_write_5m=5, cache_write_1h=5), 0.9, id="both kinds of writes count"),
        pytest.param(Usage(input=10, cache_read=90, output=1_000), 0.9, id="output is not in the denominator"),
        pytest.param(Usage(output=10), None, id="nothing went in"),
        pytest.param(ISSUE_35, 4_234_687 / 4_589_532, id="the founding example: 92.3 %"),
    ],
)
def test_cache_hit_rate(usage: Usage, rate: float | None) -> None:
    assert cache_hit_rate(usage) == rate


def test_runs_add_up_to_workflows() -> None:
    runs = [
        run(1, 100, "batching"),
        run(2, 300, status="failed"),
        run(3, 200, status=""),
        run(4, 50, workflow="", status=""),
    ]
    assert by_workflow(runs) == (
        EfficiencyRow("nightly", 3, Usage(input=600), 0.5, ("batching",)),
        EfficiencyRow("none", 1, Usage(input=50), None, ()),
    )
    assert [(row.name, row.usage.tokens) for row in by_run(runs)] == [("r2", 300), ("r3", 200), ("r1", 100), ("r4", 50)]


def test_a_row_knows_its_mean_and_its_hit_rate() -> None:
    row = by_run([run(35, 0, usage=ISSUE_35)])[0]
    assert (row.tokens_per_run, row.cache_hit_rate) == (4_637_898, cache_hit_rate(ISSUE_35))
