"""Levels and weekdays of many series at once are those of each."""

from random import Random

import numpy as np
import pytest

from quota_scheduler.core.forecast import day_model, level
from quota_scheduler.core.forecast.batch_level import levels, weekdays

DAYS = 124


def some_days(seed: int) -> tuple[list[float], float, float]:
    """Days newest first, how much of the newest was seen, and how many were: idle, weekly, with bursts and changes."""
    generator = Random(seed)
    observed = generator.choice([0.0, 0.5, 3.0, 13.9, 21.2, 40.0, 56.0, 123.0])
    quiet, changed = generator.choice([1.0, 0.02]), generator.choice([1.0, 6.0])
    days = [
        generator.lognormvariate(3, 0.4) * (quiet if back % 7 > 4 else 1.0) * (changed if back < 9 else 1.0)
        for back in range(DAYS)
    ]
    if generator.random() < 0.4:
        days[generator.randrange(20)] *= 50
    return [usage if back < observed else 0.0 for back, usage in enumerate(days)], generator.uniform(0.96, 1), observed


SERIES = [some_days(seed) for seed in range(60)]
MATRIX, HEAD, OBSERVED = (np.array(column) for column in zip(*SERIES, strict=True))
FACTORS = weekdays(MATRIX[:, :-1], np.floor(OBSERVED))
LEVELS = levels(MATRIX, HEAD, OBSERVED, FACTORS)


@pytest.mark.parametrize("row", range(60))
def test_each_row_as_alone(row):
    days, head, observed = SERIES[row]
    factors = day_model.weekdays(days[:-1], observed // 1)
    assert FACTORS[row] == pytest.approx(factors, rel=1e-9)
    one = level.level(days, head, observed, factors)
    assert [column[row] for column in (LEVELS.short, LEVELS.long, LEVELS.memory)] == pytest.approx(
        [one.short, one.long, one.memory], rel=1e-9
    )


def test_the_cases_hold_what_they_are_to_show():
    assert any(factor != 1.0 for factor in FACTORS.ravel()), "weekdays"
    assert any(factor < level.QUIET for factor in FACTORS.ravel()), "quiet ones"
