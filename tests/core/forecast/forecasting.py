"""Builders for histories and windows of forecasts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import project

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime(2026, 5, 16, tzinfo=UTC)
Pairs = list[tuple[datetime, float]]


@dataclass(frozen=True)
class Window:
    """A span between two instants."""

    starts_at: datetime
    ends_at: datetime


MONTH = Window(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))


def daily(*usage: float, until: datetime = NOW) -> Pairs:
    """A daily history that ends at ``until``; idle days are left out, as the ledger does."""
    return every(DAY, usage, until)


def hourly(*usage: float, until: datetime = NOW) -> Pairs:
    """An hourly history that ends at ``until``."""
    return every(HOUR, usage, until)


def every(step: timedelta, usage: Iterable[float], until: datetime = NOW) -> Pairs:
    """A history in steps of any length that ends at ``until``."""
    amounts = list(usage)
    first = until - len(amounts) * step
    return [(first + i * step, float(tokens)) for i, tokens in enumerate(amounts) if tokens]


def month(history: Any, *, now: datetime = NOW, window: Any = MONTH, step: timedelta = DAY, **more: Any) -> Forecast:
    """The forecast of May in its middle, unless said otherwise."""
    return project(history, window, now=now, step=step, **more)
