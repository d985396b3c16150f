"""Forecast where a quota window ends: the public face.

    history ─series─► days ─► level, weekdays, volatility ─► day model ─┐
                    └───────► past sessions ──────► session model ──────┼─► fan of what is to come ─► Forecast
                                 calibration, certain usage, cap  ────┘

Method, measured figures and what did not help: docs/explanation/forecasting.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from quota_scheduler.core.forecast import day_model, session_model
from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.burst import times_usual
from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.forecast import SUFFICIENT_DAYS, Forecast, PastAccuracy
from quota_scheduler.core.forecast.level import UsageLevel
from quota_scheduler.core.forecast.level import level as level_of
from quota_scheduler.core.forecast.series import DAY, Buckets, History, Series, series
from quota_scheduler.core.forecast.shape import bounded, confidence, mixed

KNOTS = (0.0, 0.04, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0)
"""Where the fan is computed, as parts of what is left of the window."""
NO_BURST = (1.0,) * len(KNOTS)
"""Usage ahead over the usual one, where no hours are known."""
CHUNK = 200
"""Series whose volatility is computed at once: as many as stay in the processor's cache (bench_forecast.py)."""


class Span(Protocol):
    """A window: anything with two aware instants, the end excluded."""

    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


class Projectable(Struct, frozen=True):
    """One window to forecast, and what there is to go by.

    ``history`` holds (start of a bucket, usage) in ascending order, instants aware; gaps are idle. ``certain`` is
    usage sure to come in the rest of the window (waiting tickets, running leases). ``used`` is the exact usage so far,
    if the caller knows it better than the buckets; ``rate_cap`` the most that can be used per second; ``since`` the
    instant from which the history is complete (default: its first bucket). The history's scatter sets the width of
    the band; a ``calibration`` corrects it by how past forecasts fared. ``like`` is a wider history, itself forecast in
    the same call, whose bursts are this one's too: a class has few runs a day, and its busy hours show sooner in all.
    """

    history: History
    window: Span
    certain: float = 0
    calibration: Calibration | None = None
    used: float | None = None
    rate_cap: float | None = None
    since: datetime | None = None
    like: History | None = None

    @property
    def asked(self) -> tuple[object, ...]:
        """What decides about its forecast beside history: whoever is alike in it is told the same."""
        ends = self.window.starts_at, self.window.ends_at
        return *ends, self.certain, self.used, self.rate_cap, None if self.calibration is None else id(self.calibration)


def project(
    history: History,
    window: Span,
    *,
    now: datetime,
    step: timedelta,
    certain: float = 0,
    calibration: Calibration | None = None,
    used: float | None = None,
    rate_cap: float | None = None,
    since: datetime | None = None,
) -> Forecast:
    """Predict the usage of ``window`` at its end.

    ``history`` holds buckets that are ``step`` long; what lies at or after ``now`` is not read. The other parameters
    are those of ``Projectable``.
    """
    window_to_forecast = Projectable(history, window, certain, calibration, used, rate_cap, since)
    return project_many([window_to_forecast], now=now, step=step)[0]


def project_many(windows: Sequence[Projectable], *, now: datetime, step: timedelta) -> list[Forecast]:
    """Predict many windows at once, with the same numbers as one ``project`` for each.

    Raises ValueError when ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware instant")
    if not windows:
        return []
    places, distinct = distinct_histories(windows)
    rows = [series(window.history, now, step, window.since) for window in distinct]
    factors = [day_model.weekdays(row.whole.tolist(), row.complete) for row in rows]
    volatilities = _volatility(rows, factors)
    levels = [
        level_of(row.days.tolist(), row.head, row.observed, week, row.begun)
        for row, week in zip(rows, factors, strict=True)
    ]
    ratios = [row.burst.ratio(level.tomorrow) if row.burst else 1.0 for row, level in zip(rows, levels, strict=True)]
    made: dict[tuple[object, ...], Forecast] = {}
    forecasts = []
    for window, i, burst in zip(windows, places, _bursts(windows, places, ratios), strict=True):
        key = i, burst, window.asked
        if key not in made:
            made[key] = _forecast(window, now, rows[i], factors[i], levels[i], burst, volatilities[i])
        forecasts.append(made[key])
    return forecasts


def distinct_histories(windows: Sequence[Projectable]) -> tuple[list[int], list[Projectable]]:
    """Return which history each window goes by, and one window for each: limits on the same work share what it used.

    Histories are one where they are equal to the bit and complete from the same instant.
    """
    known: dict[tuple[object, ...], int] = {}
    by_object: dict[tuple[int, datetime | None], int] = {}
    places: list[int] = []
    distinct: list[Projectable] = []
    for window in windows:
        at = by_object.get((id(window.history), window.since))
        if at is None:
            at = by_object[id(window.history), window.since] = known.setdefault(_content(window), len(distinct))
            if at == len(distinct):
                distinct.append(window)
        places.append(at)
    return places, distinct


def _content(window: Projectable) -> tuple[object, ...]:
    """Return what makes histories one."""
    history = window.history
    if isinstance(history, Buckets):
        return history.starts.tobytes(), history.values.tobytes(), window.since
    return id(history), window.since


def _bursts(windows: Sequence[Projectable], places: Sequence[int], ratios: Sequence[float]) -> list[float]:
    """Return how many times the usual the last hours of each history used, or of the one that it is like."""
    by_object = {id(window.history): i for window, i in zip(windows, places, strict=True)}
    return [
        ratios[i if window.like is None else by_object.get(id(window.like), i)]
        for window, i in zip(windows, places, strict=True)
    ]


def _volatility(rows: Sequence[Series], factors: Sequence[Sequence[float]]) -> list[float]:
    """Return the volatility of each series, computed in slices that stay in the processor's cache."""
    volatilities: list[float] = []
    for i in range(0, len(rows), CHUNK):
        part = rows[i : i + CHUNK]
        whole = np.array([row.whole for row in part])
        seen = np.array([row.complete for row in part])
        volatilities += day_model.volatility(whole, seen, np.array(factors[i : i + CHUNK])).tolist()
    return [
        wild if row.observed >= SUFFICIENT_DAYS else day_model.UNSEEN
        for wild, row in zip(volatilities, rows, strict=True)
    ]


def _forecast(
    asked: Projectable,
    now: datetime,
    row: Series,
    factors: Sequence[float],
    level: UsageLevel,
    burst: float,
    volatility: float,
) -> Forecast:
    """Put together what one window's forecast says."""
    window, calibration = asked.window, asked.calibration
    start, moment = window.starts_at.timestamp(), now.timestamp()
    length = max(window.ends_at.timestamp() - start, 1.0)
    left = max(0.0, (window.ends_at - max(now, window.starts_at)).total_seconds())
    seconds = [left * part for part in KNOTS]
    spread = calibration.spread if calibration else (1.0, 1.0)
    used = row.between(start, moment) if asked.used is None else float(asked.used)
    days = row.days.tolist()
    ahead = day_model.effective([at / DAY for at in seconds], factors, row.begun, row.ahead)
    times = times_usual(burst, row.burst.fading, row.ahead, seconds) if row.burst and row.ahead else NO_BURST
    fan, method = day_model.to_come(level, ahead, volatility, spread, times), "days"
    if session_model.applies(length, row.step):
        sessions = session_model.to_come(row, start, moment, used, seconds, length, spread)
        if sessions is not None:
            fan, method = mixed(sessions[0], fan, sessions[1]), "sessions"
    knots = bounded(seconds, fan, float(asked.certain), asked.rate_cap)
    lately = min(max(moment - start, 1.0), length / 7)
    enough = row.observed >= SUFFICIENT_DAYS
    return Forecast(
        now=now,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        used=used,
        certain=float(asked.certain),
        knots=knots,
        rate=row.between(moment - lately, moment) / lately,
        level=level.tomorrow,
        trend=_trend(days, row.observed),
        observed_days=row.observed,
        confidence=confidence(used, knots[-1]) if enough else None,
        method=method if enough else "insufficient history",
        record=calibration.record(left / length) if calibration else PastAccuracy(),
        rate_cap=asked.rate_cap,
    )


def _trend(days: Sequence[float], observed: float) -> float | None:
    """Return the last week's daily level over that of the three weeks before, minus 1; None when not comparable."""
    before = sum(days[7:28]) / 3
    trend = sum(days[:7]) / before - 1.0 if before > 0 and observed >= 28 else math.inf
    return trend if math.isfinite(trend) else None  # next to nothing before says nothing, and JSON knows no infinity
