"""How sure suggestions are, and which runs they name."""

from datetime import timedelta

import pytest

from quota_scheduler.core.advice.suggestion import dollars, largest, price_of, sure
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.usage import Usage
from tests.core.efficiency.runs import SINCE, run


@pytest.mark.parametrize(("runs", "confidence"), [(0, 0.0), (5, 0.33), (10, 0.5), (90, 0.9)])
def test_confidence_grows_with_the_runs(runs: int, confidence: float) -> None:
    assert sure(runs) == confidence


def test_the_largest_runs_are_named() -> None:
    assert largest(run(number, number * 10) for number in range(1, 9)) == ("r8", "r7", "r6", "r5", "r4")


def test_dollars_of_a_sentence() -> None:
    assert dollars(1_234_567_000) == "$1,234.57"


def test_parts_of_one_model_are_priced_together_with_their_requests() -> None:
    asked: list[tuple[str, Usage]] = []

    def price(of: RunSummary, usage: Usage) -> int:
        asked.append((of.run, usage))
        return usage.output

    newer = run(2, 0, last_at=SINCE + timedelta(hours=1))
    parts = [(run(1, 0), Usage(output=3, requests=1)), (newer, Usage(output=4, requests=2))]
    other = (run(3, 0, model="claude-haiku-4-5"), Usage(output=5))
    assert price_of([*parts, other], price) == 12
    assert asked == [("r2", Usage(output=7, requests=3)), ("r3", Usage(output=5))]
