"""numpy comes with the first number that is asked of it, and is then the module itself."""

import subprocess
import sys

import numpy
import pytest

from quota_scheduler.core.forecast.arrays import np

LOADED = """
import sys
import quota_scheduler.service.tick.tick, quota_scheduler.core.forecast.batch_replay
from quota_scheduler.core.forecast.arrays import np
before = "numpy" in sys.modules
np.zeros(1)
print(before, "numpy" in sys.modules)
"""


def test_nothing_that_forecasts_loads_numpy_before_it_counts() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_is_asked_for_is_of_the_module_and_stays() -> None:
    assert (np.bincount, np.float64) == (numpy.bincount, numpy.float64)
    assert vars(np)["bincount"] is numpy.bincount


def test_what_numpy_does_not_have_is_said_as_it_says_it() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = np.nothing
