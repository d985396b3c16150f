"""What past sessions say of many at once is what they say of each."""

from random import Random

import numpy as np
import pytest

from quota_scheduler.core.forecast import session_model
from quota_scheduler.core.forecast.batch_series import cut
from quota_scheduler.core.forecast.batch_sessions import SessionSpans, session_fans
from quota_scheduler.core.forecast.series import series
from tests.core.forecast.made_up import HOUR, NOW, a_history

GENERATOR = Random(8)
MOMENT = NOW.timestamp()
HISTORIES = [a_history(GENERATOR) for _ in range(20)]
ASKED = [
    (n % 20, MOMENT - GENERATOR.randrange(-1, 5) * 3_600, hours * 3_600.0, GENERATOR.random() * 1e4)
    for n, hours in enumerate([5, 3, 24, 25] * 15)
]
SECONDS = np.array([[0.0, 600.0, 4_000.0, 9_999.0]] * 60)
ROWS = cut(HISTORIES, np.full(20, MOMENT), np.full(20, np.inf))
FANS = session_fans(ROWS, SessionSpans(*(np.array(column) for column in zip(*ASKED, strict=True))), SECONDS)
SPREADS = np.array([(0.7, 1.9)] * 60)


@pytest.mark.parametrize("row", range(60))
def test_each_session_as_alone(row):
    place, start, length, used = ASKED[row]
    one = series(HISTORIES[place], NOW, HOUR)
    alone = session_model.to_come(one, start, MOMENT, used, SECONDS[row].tolist(), length, (0.7, 1.9))
    assert (alone is None) == (FANS.share[row] == 0)
    if alone:
        assert FANS.share[row] == pytest.approx(alone[1])
        fan = FANS.quantiles(np.array([row]), SPREADS[:1])[0]
        assert fan == pytest.approx(np.array(alone[0]), rel=1e-9, abs=1e-9)


def test_the_cases_hold_sessions_with_and_without_a_past():
    assert {share == 0 for share in FANS.share.tolist()} == {True, False}
