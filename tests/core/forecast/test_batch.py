"""Forecasts made at once are those made one by one, but for the last digits."""

from datetime import datetime, timedelta
from random import Random

import pytest
from msgspec.structs import asdict

from quota_scheduler.core.forecast.batch import CHUNK, project_at_once
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import Projectable, project_many
from tests.core.forecast.made_up import DAY, HOUR, NOW, a_history, a_window, some_windows


def flat(forecast: Forecast) -> list[object]:
    """Everything a forecast says, one after the other."""
    said = asdict(forecast)
    return [
        *asdict(said.pop("record")).values(),
        *(part for knot in said.pop("knots") for part in knot),
        *said.values(),
    ]


def alike(one: list[Forecast], other: list[Forecast]) -> bool:
    return all(
        left == right if isinstance(left, str | datetime | None) else right == pytest.approx(left, rel=1e-9, abs=1e-9)
        for first, second in zip(one, other, strict=True)
        for left, right in zip(flat(first), flat(second), strict=True)
    )


@pytest.mark.parametrize("seed", range(8))
def test_made_up_windows_are_forecast_as_one_by_one(seed):
    windows = some_windows(Random(seed), 40)
    assert alike(project_many(windows, now=NOW, step=HOUR), project_at_once(windows, now=NOW, step=HOUR))


@pytest.mark.parametrize(
    ("now", "step"),
    [
        pytest.param(NOW.replace(minute=0), HOUR, id="at a full hour, in which nothing can have been used"),
        pytest.param(NOW.replace(minute=0, microsecond=7), HOUR, id="some microseconds into an hour with use"),
        pytest.param(NOW, timedelta(minutes=15), id="buckets of a quarter of an hour"),
        pytest.param(NOW, DAY, id="buckets of a day, which are forecast one by one"),
    ],
)
def test_other_moments_and_steps(now, step):
    windows = some_windows(Random(99), 30)
    assert alike(project_many(windows, now=now, step=step), project_at_once(windows, now=now, step=step))


def test_more_histories_than_are_worked_on_at_once_and_no_two_mixed_up():
    generator = Random(5)
    windows = [Projectable(a_history(generator), a_window(generator), used=n) for n in range(CHUNK + 20)]
    forecasts = project_at_once(windows, now=NOW, step=HOUR)
    assert [forecast.used for forecast in forecasts] == list(range(CHUNK + 20))
    assert alike(project_many(windows, now=NOW, step=HOUR), forecasts)


def test_who_asks_the_same_is_told_the_same():
    window = Projectable(a_history(Random(3)), a_window(Random(3)))
    first, second = project_at_once([window, window], now=NOW, step=HOUR)
    assert first is second


def test_nothing_asked():
    assert project_at_once([], now=NOW, step=HOUR) == []


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        project_at_once(some_windows(Random(1), 1), now=NOW.replace(tzinfo=None), step=HOUR)
