"""The outlook of a limit: what the last forecast says to the admission test.

Computed by the tick, read by every cycle. It carries the demand still to come by class group as a few quantiles, so
that a decision costs a look-up and no forecast.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.risk import DAY, SPIKE_DAYS, is_spike, risk_band
from quota_scheduler.core.limits.schedule import Calendar, Every, Window
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.priority import Priority

if TYPE_CHECKING:  # what reads an outlook from the database need not load numpy
    from quota_scheduler.core.forecast.histories import UsageHistory

QUANTILES: Mapping[Priority, tuple[tuple[float, float], ...]] = {
    Priority.HIGH: ((0.0, 0.7), (168.0, 0.64), (720.0, 0.57)),
    Priority.NORMAL: ((0.0, 0.89), (24.0, 0.95), (168.0, 0.93), (720.0, 0.86)),
    Priority.LOW: ((0.0, 0.75), (24.0, 0.86), (168.0, 0.95), (720.0, 0.92)),
}
"""(hours to the reset, quantile), by class; straight lines between, flat beyond.

Who asks for less important work leaves more room to the classes above, most of all some days before the reset: there
an early mistake cannot be repaired, while in a month it can. In a window's last hours, and in sessions, what is left
free expires. Chosen by simulation on tuning owners (docs/explanation/admission.md, "What was tried").
"""
LAST_CHANCE: Mapping[Priority, tuple[tuple[float, float], ...]] = {
    **QUANTILES,
    Priority.NORMAL: ((0.0, 0.80), (24.0, 0.86), (168.0, 0.84), (720.0, 0.51)),
}
"""The same for work most of whose patience is spent: it gains nothing by waiting for better knowledge, others do.

Chosen likewise (docs/explanation/admission.md, "Who presses").
"""
KNOTS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Quantiles that an outlook carries; between them it is linear."""
DEMAND_SPAN = timedelta(hours=26)
"""Demand by class is forecast at least this far, and read at the reset; see ``demand_span``."""
HOUR = timedelta(hours=1)
SOON = timedelta(minutes=15)
"""This close to a reset the window after it is forecast too: the cycle that sees the reset has no newer outlook."""
SPIKE_USAGE = 0.85
"""A spike matters for fixed thresholds only when the P80 at the reset passes this share (design, section 4)."""


class Ahead(Protocol):
    """A forecast of demand: quantiles of what comes before an instant, which it covers up to ``ends_at``."""

    @property
    def ends_at(self) -> datetime: ...

    def quantiles_to_come(self, points: Sequence[float], until: datetime | None = None) -> tuple[float, ...]: ...


def demand_span(window: Window, *, now: datetime) -> Window:
    """Return the span to forecast the demand of a class over, for a limit with this window.

    A session is opened by anybody's first use. Past sessions of one class began when that class came, so they would
    promise people at night; over more than a day the forecast goes by the hours at which they do come.
    """
    begin = max(window.starts_at, now)
    ends_at = window.ends_at + window.length if window.ends_at - begin <= SOON else window.ends_at
    return Window(window.starts_at, max(ends_at, begin + DEMAND_SPAN) if window.length < DEMAND_SPAN else ends_at)


def demand_knots(forecast: Ahead | None, until: datetime) -> tuple[float, ...]:
    """Keep of a forecast of demand its quantiles at an instant; nothing beyond what it covers."""
    covered = forecast is not None and until <= forecast.ends_at
    return forecast.quantiles_to_come(KNOTS, until) if forecast and covered else ()


def quantile_for(priority: Priority, horizon: timedelta, *, pressing: bool = False) -> float:
    """Tell which quantile of the demand above it a class leaves room for, this long before the reset.

    A lower one for work that is ``pressing``: most of its patience is spent.
    """
    hours, points = horizon.total_seconds() / 3600, (LAST_CHANCE if pressing else QUANTILES)[priority]
    i = bisect_left(points, (hours,))
    if i == 0 or i == len(points):
        return points[0 if i == 0 else -1][1]
    (before, low), (after, high) = points[i - 1], points[i]
    return low + (high - low) * (hours - before) / (after - before)


class Outlook(Struct, frozen=True):
    """What is known of a limit's future as of ``at``.

    ``above[rank]`` holds the quantiles ``KNOTS`` of the demand still to come before ``ends_at`` from classes above
    ``rank``, in the limit's unit; empty where there is none or too little history. ``after`` holds the same up to the
    end of the window that follows, as far as it was forecast. ``projected_ratio``, ``risk`` and ``spike`` serve the
    policy of fixed thresholds.
    """

    at: datetime
    ends_at: datetime | None = None
    history: timedelta = timedelta(0)
    above: tuple[tuple[float, ...], ...] = ((), (), (), ())
    risk: str = "unknown"
    projected_ratio: float = 0.0
    spike: bool = False
    length: timedelta = timedelta(0)
    after: tuple[tuple[float, ...], ...] = ((), (), (), ())

    def demand(self, priority: Priority, *, now: datetime, ends_at: datetime, pressing: bool = False) -> int:
        """Return the demand of more important classes to leave room for until ``ends_at``.

        Shrinks to nothing at the reset; less for work that is ``pressing``.
        """
        if not self.above[priority.rank] or now >= ends_at:
            return 0
        return self._rest(priority, quantile_for(priority, ends_at - now, pressing=pressing), now, ends_at)

    def median(self, priority: Priority, *, now: datetime, ends_at: datetime) -> int:
        """Tell what the classes above this one will ask for until ``ends_at`` if they come as expected."""
        return self._rest(priority, 0.5, now, ends_at) if now < ends_at else 0

    def _rest(self, priority: Priority, q: float, now: datetime, ends_at: datetime) -> int:
        """In proportion to the time that is left; of the window after the one described, what was forecast of it."""
        knots, until = self.above[priority.rank], self.ends_at
        if not knots or until is None:
            return 0
        if now >= until and self.after[priority.rank]:
            knots, until = self.after[priority.rank], until + self.length
        described = (until - self.at).total_seconds()
        share = min(1.0, (ends_at - now).total_seconds() / described) if described > 0 else 0.0
        return int(_between(knots, q) * share)


def _between(values: tuple[float, ...], q: float) -> float:
    """Linear interpolation of the quantile ``q`` between the knots, flat outside them."""
    if q <= KNOTS[0]:
        return values[0]
    if q >= KNOTS[-1]:
        return values[-1]
    right = bisect_left(KNOTS, q)
    share = (q - KNOTS[right - 1]) / (KNOTS[right] - KNOTS[right - 1])
    return values[right - 1] + (values[right] - values[right - 1]) * share


def outlook_of(
    forecast: Forecast,
    above: Sequence[Forecast | None],
    history: UsageHistory,
    *,
    amount: int,
    previous: str,
    zone: str,
    now: datetime,
    thresholds: Thresholds = DEFAULT,
) -> Outlook:
    """Tell what the admission test may know of a limit's future: nothing but its age while that is under seven days.

    ``above`` are forecasts of demand over ``demand_span``. ``previous`` is the risk before, for its hysteresis;
    ``zone`` says when today began, for a spike.
    """
    observed = timedelta(days=forecast.observed_days)
    if not forecast.sufficient or amount <= 0:
        return Outlook(now, forecast.ends_at, observed)
    ends_at, length = forecast.ends_at, forecast.ends_at - forecast.starts_at
    knots, after = _demand_by_rank(above, ends_at), _demand_by_rank(above, ends_at + length)
    p80 = forecast.p80 / amount
    spike = p80 > SPIKE_USAGE and is_spiking(history, now, zone, factor=thresholds.spike_factor)
    risk = str(risk_band(p80, previous, thresholds=thresholds))
    ratio = forecast.expected / amount
    return Outlook(now, ends_at, observed, knots, risk, ratio, spike, length, after)


def _demand_by_rank(above: Sequence[Forecast | None], until: datetime) -> tuple[tuple[float, ...], ...]:
    """Return what is kept of each forecast of demand; ranks above which the same was asked for share one."""
    by_forecast = {id(demand): demand_knots(demand, until) for demand in {id(one): one for one in above}.values()}
    return tuple(by_forecast[id(demand)] for demand in above)


def is_spiking(history: UsageHistory, now: datetime, zone: str, *, factor: float) -> bool:
    """Tell whether today, which began at midnight in ``zone``, has used so many times what is usual by now."""
    calendar, begins = Calendar(Every.DAY, zone), [now + HOUR]
    for _ in range(SPIKE_DAYS + 1):
        begins.append(calendar.span(begins[-1] - HOUR)[0])
    return is_spike(history.since(begins[-1] - DAY), now, HOUR, begins=begins[1:], factor=factor)
