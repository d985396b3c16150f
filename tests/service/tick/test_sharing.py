"""What limits share is looked at once: none is read otherwise than if it stood alone."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.alerts.state import Sample
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, Session
from quota_scheduler.core.readings.readings import LimitReading, Readings
from quota_scheduler.core.units import Unit
from tests.builders import DAY, HOUR, MONDAY, a_limit, a_usage_event
from tests.service.tick.ticking import House

TOGETHER = (
    a_limit(5_000),
    a_limit(9_000, id="session", schedule=Session(5 * HOUR)),
    a_limit(40_000, id="week", schedule=Calendar(Every.WEEK)),
    a_limit(40_000, id="there", schedule=Calendar(Every.WEEK), zone="America/New_York"),
    a_limit(400, id="calls", unit=Unit.REQUESTS),
)
"""All on the same work: five limits, of which four count tokens."""


def a_past(seed: int) -> Iterator[tuple[timedelta, int]]:
    dice = random.Random(seed)
    for hours in range(12 * 24, 0, -1):
        if dice.random() < 0.3:
            yield hours * HOUR, dice.randrange(1, 900)


def lived(house: House, seed: int) -> Readings:
    """Three ticks over a past of twelve days, with usage between them."""
    house.record(a_usage_event(tokens, key=f"p{ago}", at=MONDAY - ago) for ago, tokens in a_past(seed))
    house.tick()
    house.use(700)
    house.tick(timedelta(seconds=40))
    house.use(300)
    return house.tick(20 * timedelta(minutes=1) + DAY / 7)


def without_forecast(limit: LimitReading) -> LimitReading:
    """All that is exact: forecasts of many differ from those of one in the last digits."""
    return replace(limit, projection=replace(limit.projection, forecast=None))


def of_limit(name: str, readings: Readings) -> list[Sample]:
    return [sample for sample in samples(readings) if sample.scope == name and sample.reading != "forecast_ratio"]


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"past {seed}") for seed in range(2)])
def test_a_limit_among_others_is_read_as_if_it_stood_alone(tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:

        def read(name: str, limits: tuple[Limit, ...]) -> Readings:
            return lived(stack.enter_context(House(tmp_path / f"{name}.db", limits)), seed)

        together = read("together", TOGETHER)
        alone = {limit.id: read(limit.id, (limit,)) for limit in TOGETHER}
    for limit in together.limits:
        (single,) = alone[limit.limit].limits
        assert without_forecast(limit) == without_forecast(single)
        assert limit.projection.forecast is not None
        assert single.projection.forecast is not None
        assert limit.projection.forecast.knots[-1] == pytest.approx(single.projection.forecast.knots[-1], rel=1e-9)
        exact = [replace(sample, facts={}) for sample in of_limit(limit.limit, together)]
        assert exact == [replace(sample, facts={}) for sample in of_limit(limit.limit, alone[limit.limit])]
