"""What is asked of runners, by how much of a limit is left."""

from itertools import pairwise

import pytest

from quota_scheduler.core.efficiency.optimization import ADVICE, Optimization, optimization_level


@pytest.mark.parametrize(
    ("headroom", "amount", "level"),
    [
        pytest.param(61, 100, Optimization.MINIMAL, id="over 60 %"),
        pytest.param(60, 100, Optimization.BALANCED, id="60 % exactly is not over 60 %"),
        pytest.param(30, 100, Optimization.AGGRESSIVE, id="30 % exactly"),
        pytest.param(10, 100, Optimization.EMERGENCY, id="10 % exactly"),
        pytest.param(-5, 100, Optimization.EMERGENCY, id="less than nothing"),
        pytest.param(0, 0, Optimization.EMERGENCY, id="a limit of nothing"),
    ],
)
def test_optimization_level(headroom: int, amount: int, level: Optimization) -> None:
    assert optimization_level(headroom, amount) is level


def test_each_level_asks_for_at_least_what_the_milder_one_does() -> None:
    asked = [set(ADVICE[level].flags) for level in Optimization]
    assert asked == sorted(asked, key=len)
    assert all(a <= b for a, b in pairwise(asked))
    assert asked[0] == set()
