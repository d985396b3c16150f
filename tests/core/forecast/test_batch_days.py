"""What the day model says of many windows at once is what it says of each."""

from random import Random

import numpy as np
import pytest

from quota_scheduler.core.forecast import burst, day_model
from quota_scheduler.core.forecast.batch_days import DayFans, effective, times_usual
from quota_scheduler.core.forecast.batch_level import UsageLevels
from quota_scheduler.core.forecast.level import UsageLevel

GENERATOR = Random(4)
WINDOWS = 30
AHEAD = np.array(
    [[GENERATOR.choice([0.0, 0.2, 1.0, 6.4, 29.9]) * part for part in (0, 0.3, 1)] for _ in range(WINDOWS)]
)
FACTORS = np.array([[GENERATOR.uniform(0.1, 2) for _ in range(7)] for _ in range(WINDOWS)])
SHAPES = np.array([[0.0, *np.cumsum([GENERATOR.random() for _ in range(24)])] for _ in range(WINDOWS)])
SHAPES /= SHAPES[:, -1:]
FADING = SHAPES * 0.4
RATIO, WILD, SHORT, LONG, MEMORY, LOW, HIGH = np.array(
    [[GENERATOR.uniform(0.2, 1.8) for _ in range(WINDOWS)] for _ in range(7)]
)
DAYS = effective(AHEAD, FACTORS, SHAPES)
TIMES = times_usual(RATIO, FADING, SHAPES, AHEAD * 86_400)
LEVELS = UsageLevels(SHORT[:, None], LONG[:, None], MEMORY[:, None])
FANS = DayFans.of(LEVELS, DAYS, WILD, TIMES).quantiles(np.arange(WINDOWS), np.stack((LOW, HIGH), axis=1))


@pytest.mark.parametrize("row", range(WINDOWS))
def test_each_window_as_alone(row):
    seconds = (AHEAD[row] * 86_400).tolist()
    days = day_model.effective(AHEAD[row].tolist(), FACTORS[row].tolist(), 0.0, SHAPES[row].tolist())
    times = burst.times_usual(RATIO[row], FADING[row].tolist(), SHAPES[row].tolist(), seconds)
    level = UsageLevel(SHORT[row], LONG[row], MEMORY[row])
    assert DAYS[row] == pytest.approx(days, rel=1e-9)
    assert TIMES[row] == pytest.approx(times, rel=1e-9)
    fan = day_model.to_come(level, days, WILD[row], (LOW[row], HIGH[row]), times)
    assert FANS[row] == pytest.approx(np.array(fan), rel=1e-9, abs=1e-12)
