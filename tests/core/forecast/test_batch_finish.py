"""Forecasts are finished row by row, as often as asked, each by its own calibration."""

from random import Random

import numpy as np

from quota_scheduler.core.forecast.batch import HistorySource, prospects
from quota_scheduler.core.forecast.batch_finish import AskedWindow
from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.project import Projectable, project
from tests.core.forecast.made_up import DAY, HOUR, NOW, a_history, a_window

HISTORY = a_history(Random(21))
ASKED = [AskedWindow(Projectable(HISTORY, a_window(Random(seed))), NOW, 0, 0) for seed in range(9)]


def test_some_rows_in_any_order_by_another_calibration_each_time():
    every = prospects([HistorySource(HISTORY, NOW.timestamp(), None)], ASKED)
    for rows, halves in (([4, 0], (0.0, 0.0)), ([0], (0.4, -0.3)), ([8, 4, 2], (-0.7, 0.9))):
        calibration = Calibration(*halves)
        finished = every.forecasts(np.array(rows), [calibration] * len(rows))
        singly = [
            project(HISTORY, ASKED[row].window.window, now=NOW, step=HOUR, calibration=calibration) for row in rows
        ]
        assert [round(one.high - one.low, 6) for one in finished] == [round(one.high - one.low, 6) for one in singly]


def test_a_forecast_is_of_the_moment_at_which_its_history_is_cut():
    earlier = NOW - DAY
    asked = [AskedWindow(Projectable(HISTORY, a_window(Random(1), now=earlier)), earlier, 1, 1), ASKED[0]]
    sources = [HistorySource(HISTORY, at.timestamp(), None) for at in (NOW, earlier)]
    finished = prospects(sources, asked).forecasts(np.arange(2), [None, None])
    assert [one.now for one in finished] == [earlier, NOW]
    assert round(finished[0].expected, 6) == round(
        project(HISTORY, asked[0].window.window, now=earlier, step=HOUR).expected, 6
    )
