"""Risk bands with their hysteresis, and days that stand out."""

from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.forecast.risk import Risk, is_spike, risk_band
from quota_scheduler.core.limits.thresholds import Thresholds

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("p80", "previous", "band"),
    [
        pytest.param(None, "high", "unknown", id="under seven days"),
        pytest.param(0.6999, "unknown", "low", id="just under 70 %"),
        pytest.param(0.70, "low", "medium", id="a band is entered at its mark"),
        pytest.param(0.69, "medium", "medium", id="and left two points below it"),
        pytest.param(0.6799, "medium", "low", id="more than two points below"),
        pytest.param(0.83, "critical", "high", id="from above, two bands at once, one is kept by the two points"),
        pytest.param(0.5, "critical", "low", id="far below everything"),
        pytest.param(3.0, "unknown", "critical", id="far above the limit"),
    ],
)
def test_risk_band(p80, previous, band):
    assert risk_band(p80, previous) is Risk(band)


def test_the_marks_are_configuration():
    assert risk_band(0.5, thresholds=Thresholds(risk_medium=0.4)) is Risk.MEDIUM


def steady(per_day: float, today: float, *, days: int = 14) -> list[tuple[datetime, float]]:
    """The same usage at nine o'clock of every past day, and of today."""
    nine = NOON.replace(hour=9)
    return [(nine - back * DAY, per_day) for back in range(days, 0, -1)] + [(nine, today)]


@pytest.mark.parametrize(
    ("history", "spike"),
    [
        pytest.param(steady(100, 201), True, id="more than twice the usual by noon"),
        pytest.param(steady(100, 200), False, id="twice is not more than twice"),
        pytest.param(steady(0, 1), True, id="anything after two idle weeks"),
        pytest.param(steady(0, 0), False, id="nothing at all"),
        pytest.param(steady(100, 900, days=13), False, id="thirteen days are too few to say"),
        pytest.param([], False, id="no history"),
    ],
)
def test_is_spike(history, spike):
    began = [(NOON - 15 * DAY, 0.0)] if len(history) == 15 else []
    assert is_spike([*began, *history], NOON, HOUR) is spike


def test_usage_of_the_evening_before_does_not_excuse_the_morning():
    evenings = [(NOON.replace(hour=20) - back * DAY, 1000.0) for back in range(15, 0, -1)]
    assert is_spike([*evenings, (NOON.replace(hour=9), 1.0)], NOON, HOUR), "by noon nothing is usual"
