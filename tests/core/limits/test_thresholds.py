"""Every mark of the configuration moves what it is about."""

import pytest

from quota_scheduler.core.efficiency.optimization import Optimization, optimization_level
from quota_scheduler.core.forecast.risk import Risk, risk_band
from quota_scheduler.core.limits.thresholds import Thresholds


@pytest.mark.parametrize(
    ("ratio", "thresholds", "band"),
    [
        pytest.param(0.70, Thresholds(), Risk.MEDIUM, id="70 % is medium by default"),
        pytest.param(0.70, Thresholds(risk_medium=0.75), Risk.LOW, id="a higher mark for medium leaves it low"),
        pytest.param(0.70, Thresholds(risk_high=0.70), Risk.HIGH, id="a lower mark for high makes it high"),
        pytest.param(0.70, Thresholds(risk_high=0.65, risk_critical=0.70), Risk.CRITICAL, id="and critical"),
    ],
)
def test_risk(ratio, thresholds, band):
    assert risk_band(ratio, thresholds=thresholds) == band


@pytest.mark.parametrize(
    ("headroom", "thresholds", "level"),
    [
        pytest.param(50, Thresholds(), Optimization.BALANCED, id="half left is balanced by default"),
        pytest.param(50, Thresholds(optimization_balanced=0.4), Optimization.MINIMAL, id="a lower mark asks for less"),
        pytest.param(
            50, Thresholds(optimization_aggressive=0.5), Optimization.AGGRESSIVE, id="a higher mark asks for more"
        ),
        pytest.param(
            5,
            Thresholds(optimization_emergency=0.04),
            Optimization.AGGRESSIVE,
            id="a lower mark puts off the emergency",
        ),
    ],
)
def test_optimization(headroom, thresholds, level):
    assert optimization_level(headroom, 100, thresholds) == level
