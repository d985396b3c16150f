"""Histories cut at once are cut as one by one."""

from datetime import timedelta
from random import Random

import numpy as np
import pytest

from quota_scheduler.core.forecast.batch_series import cut
from quota_scheduler.core.forecast.series import series
from tests.core.forecast.made_up import DAY, HOUR, NOW, a_history

MOMENTS = tuple(NOW - hours * HOUR for hours in (0, 0.5, 7.25, 30, 24 * 50))
GENERATOR = Random(1)
HISTORIES = [(a_history(GENERATOR), NOW - timedelta(minutes=GENERATOR.randrange(6_000))) for _ in range(40)]
ROWS = cut(
    [history for history, _ in HISTORIES], np.array([at.timestamp() for _, at in HISTORIES]), np.full(40, np.inf)
)


@pytest.mark.parametrize("row", range(40))
def test_rows_are_series(row):
    one = series(*HISTORIES[row], HOUR)
    ends = np.array([moment.timestamp() for moment in MOMENTS])
    assert one.burst
    for left, right in (
        (one.days, ROWS.days[row]),
        (one.ahead, ROWS.ahead[row]),
        (one.burst.fading, ROWS.fading[row]),
        (one.total(ends), ROWS.total(np.array([row]), ends[None])[0]),
        (
            (one.head, one.observed, one.complete, one.burst.came, one.burst.usual, one.burst.ratio(100.0)),
            [column[row] for column in
             (ROWS.head, ROWS.observed, ROWS.complete, ROWS.came, ROWS.usual, ROWS.ratio(np.full(40, 100.0)))],
        ),
    ):  # fmt: skip
        assert np.asarray(right) == pytest.approx(np.asarray(left), rel=1e-9, abs=1e-9)


def test_since_shows_how_old_a_history_is():
    rows = cut([HISTORIES[0][0]], np.array([NOW.timestamp()]), np.array([(NOW - 200 * DAY).timestamp()]))
    assert rows.observed[0] == pytest.approx(200)
