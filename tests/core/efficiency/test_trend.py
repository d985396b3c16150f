"""The span before, out of the newer span and both together."""

import pytest

from quota_scheduler.core.efficiency.trend import with_trend


def row(workflow: str = "nightly", *, runs: int, tokens: int, cost: float, fresh: int = 0, read: int = 0) -> dict:
    return {
        "workflow": workflow, "runs": runs, "tokens": tokens, "cost_usd": cost, "input": fresh, "cache_read": read,
        "cache_write_5m": 0, "cache_write_1h": 0,
    }  # fmt: skip


RECENT = row(runs=2, tokens=200, cost=0.5, fresh=50, read=50)


@pytest.mark.parametrize(
    ("both", "before"),
    [
        pytest.param(
            row(runs=5, tokens=800, cost=2.0, fresh=75, read=125),
            {"runs": 3, "tokens_per_run": 200, "cost_usd": 1.5, "cache_hit_rate": 0.75},
            id="what the newer span is not",
        ),
        pytest.param(
            row(runs=3, tokens=300, cost=0.5, fresh=50, read=50),
            {"runs": 1, "tokens_per_run": 100, "cost_usd": 0.0, "cache_hit_rate": None},
            id="runs that took in nothing have no hit rate",
        ),
        pytest.param(RECENT, None, id="nothing ran before"),
        pytest.param(row("other", runs=9, tokens=1, cost=1.0), None, id="the longer span does not have it"),
    ],
)
def test_the_span_before(both, before):
    assert with_trend([RECENT], [both]) == [{**RECENT, "before": before}]
