"""How sure suggestions are, and which runs they name."""

import pytest

from quota_scheduler.core.advice.suggestion import dollars, largest, sure
from tests.core.efficiency.runs import run


@pytest.mark.parametrize(("runs", "confidence"), [(0, 0.0), (5, 0.33), (10, 0.5), (90, 0.9)])
def test_confidence_grows_with_the_runs(runs: int, confidence: float) -> None:
    assert sure(runs) == confidence


def test_the_largest_runs_are_named() -> None:
    assert largest(run(number, number * 10) for number in range(1, 9)) == ("r8", "r7", "r6", "r5", "r4")


def test_dollars_of_a_sentence() -> None:
    assert dollars(1_234_567_000) == "$1,234.57"
