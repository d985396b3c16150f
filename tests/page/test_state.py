"""What a row says of a forecast is made once for each forecast, and anew when it or the amount has changed."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.readings import LimitReading, Readings
from quota_scheduler.page.state import ForecastRows, limit_row
from tests.builders import a_reading
from tests.shell.sample import NOW, a_forecast, a_limit

BEFORE = a_limit(forecast=a_forecast(NOW, 400_000, 300_000))


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        pytest.param(replace(BEFORE, level="throttled"), True, id="another level: what the forecast says stays"),
        pytest.param(a_reading(BEFORE, reserved=5), True, id="something is reserved"),
        pytest.param(a_reading(BEFORE, forecast=a_forecast(NOW, 500_000, 300_000)), False, id="used since"),
        pytest.param(a_reading(BEFORE, amount=600_000), False, id="another amount: it runs out sooner"),
        pytest.param(a_reading(BEFORE, forecast=None), False, id="no forecast any more"),
        pytest.param(replace(BEFORE, limit="team-daily/sales"), False, id="another limit"),
    ],
)
def test_what_a_row_says_of_a_forecast(after: LimitReading, kept: bool) -> None:
    forecasts = ForecastRows()
    first = limit_row(BEFORE, forecasts)
    then = limit_row(after, forecasts)
    assert then == limit_row(after, ForecastRows())
    assert (then["forecast"] is first["forecast"]) is kept


def test_limits_that_are_no_more_are_forgotten() -> None:
    forecasts = ForecastRows()
    shown = forecasts.of(BEFORE)
    forecasts.keep(Readings(NOW, limits=(BEFORE,)))
    assert forecasts.of(BEFORE) is shown
    forecasts.keep(Readings(NOW))
    assert forecasts.of(BEFORE) is not shown
