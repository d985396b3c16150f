"""When most is used, on the clock of a zone."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.core.advice.peaks import peaks

MONDAY_23 = datetime(2026, 11, 23, 23, tzinfo=UTC)
TUESDAY_9 = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hour", "weekday"),
    [
        pytest.param("UTC", 23, "Monday", id="late on Monday"),
        pytest.param("Europe/Berlin", 0, "Tuesday", id="there it is Tuesday"),
        pytest.param("America/New_York", 18, "Monday", id="there it is still evening"),
        pytest.param("Asia/Kolkata", 4, "Tuesday", id="half hours belong to the hour they begin in"),
    ],
)
def test_the_busiest_hour_and_weekday(zone: str, hour: int, weekday: str) -> None:
    shares = peaks({MONDAY_23: 75, TUESDAY_9: 25}, zone)
    assert shares is not None
    assert (shares.hour, shares.weekday, shares.hours[hour], sum(shares.weekdays)) == (hour, weekday, 0.75, 1.0)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param([(2026, 10, 25, 0), (2026, 10, 25, 1)], (2, "Sunday", 1.0), id="two UTC hours are the hour twice"),
        pytest.param(
            [(2026, 3, 29, 0), (2026, 3, 29, 1)], (1, "Sunday", 0.5), id="after one comes three: none is lost"
        ),
    ],
)
def test_where_the_clock_changes(hours: list[tuple[int, int, int, int]], expected: tuple[int, str, float]) -> None:
    shares = peaks({datetime(*hour, tzinfo=UTC): 10 for hour in hours}, "Europe/Berlin")
    assert shares is not None
    assert (shares.hour, shares.weekday, max(shares.hours)) == expected


def test_of_nothing_there_is_no_peak() -> None:
    assert peaks({MONDAY_23: 0}, "UTC") is None
