"""Forecast where a quota window ends: the public face.

    history ─series─► days ─► level, weekdays, volatility ─► day model ─┐
                    └───────► past sessions ──────► session model ──────┼─► fan of what is to come ─► Forecast
                                 calibration, committed usage, cap  ────┘

Method, measured figures and what did not help: docs/explanation/forecasting.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from quota_scheduler.core.forecast import day_model, session_model
from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.forecast import SUFFICIENT_DAYS, Forecast, PastAccuracy
from quota_scheduler.core.forecast.level import level as level_of
from quota_scheduler.core.forecast.series import DAY, History, Series, series
from quota_scheduler.core.forecast.shape import bounded, confidence, mixed

KNOTS = (0.0, 0.04, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0)
"""Where the fan is computed, as parts of what is left of the window."""
CHUNK = 200


class Span(Protocol):
    """A window: anything with two aware instants, the end excluded."""

    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


def project(
    history: History,
    window: Span,
    *,
    now: datetime,
    step: timedelta,
    committed: float = 0,
    calibration: Calibration | None = None,
    used: float | None = None,
    rate_cap: float | None = None,
    since: datetime | None = None,
) -> Forecast:
    """Predict the usage of ``window`` at its end.

    ``history`` holds (start of a ``step``-long bucket, usage) in ascending order, instants aware;
    gaps are idle. What lies at or after ``now`` is not looked at. ``committed`` is usage
    sure to come in the rest of the window (waiting tickets, running leases). ``used`` is the exact
    usage so far, if the caller knows it better than the buckets; ``rate_cap`` the most that can be
    used per second; ``since`` the instant from which the history is complete (default: its first
    bucket).

    The series' own scatter always sets the width; a ``calibration`` corrects it by how past forecasts fared.
    """
    return project_many(
        [history],
        [window],
        now=now,
        step=step,
        committed=[committed],
        calibrations=[calibration],
        used=[used],
        rate_caps=[rate_cap],
        since=[since],
    )[0]


def project_many(
    histories: Sequence[History],
    windows: Sequence[Span],
    *,
    now: datetime,
    step: timedelta,
    committed: Sequence[float] | None = None,
    calibrations: Sequence[Calibration | None] | None = None,
    used: Sequence[float | None] | None = None,
    rate_caps: Sequence[float | None] | None = None,
    since: Sequence[datetime | None] | None = None,
) -> list[Forecast]:
    """Predict many windows at once, with the same numbers as one ``project`` each."""
    if now.tzinfo is None:
        raise ValueError("now must be an aware instant")
    if not histories:
        return []
    nothing: Sequence[None] = [None] * len(histories)
    rows = [series(h, now, step, s) for h, s in zip(histories, since or nothing, strict=True)]
    factors = [day_model.weekdays(row.whole.tolist(), row.complete) for row in rows]
    return [
        _forecast(row, window, now, week, wild, exact, float(sure), state, cap)
        for row, window, week, wild, exact, sure, state, cap in zip(
            rows,
            windows,
            factors,
            _volatility(rows, factors),
            used or nothing,
            committed or [0] * len(rows),
            calibrations or nothing,
            rate_caps or nothing,
            strict=True,
        )
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
    row: Series,
    window: Span,
    now: datetime,
    factors: Sequence[float],
    volatility: float,
    exact: float | None,
    committed: float,
    calibration: Calibration | None,
    cap: float | None,
) -> Forecast:
    """Put together what one window's forecast says."""
    start, moment = window.starts_at.timestamp(), now.timestamp()
    length = max(window.ends_at.timestamp() - start, 1.0)
    left = max(0.0, (window.ends_at - max(now, window.starts_at)).total_seconds())
    seconds = [left * part for part in KNOTS]
    spread = calibration.spread if calibration else (1.0, 1.0)
    used = row.between(start, moment) if exact is None else float(exact)
    days = row.days.tolist()
    level = level_of(days, row.head, row.observed, factors, row.begun)
    ahead = day_model.effective([at / DAY for at in seconds], factors, row.begun, row.ahead)
    fan, method = day_model.to_come(level, ahead, volatility, spread), "days"
    if session_model.applies(length, row.step):
        found = session_model.to_come(row, start, moment, used, seconds, length, spread)
        if found is not None:
            fan, method = mixed(found[0], fan, found[1]), "sessions"
    knots = bounded(seconds, fan, committed, cap)
    lately = min(max(moment - start, 1.0), length / 7)
    enough = row.observed >= SUFFICIENT_DAYS
    return Forecast(
        now=now,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        used=used,
        committed=committed,
        knots=knots,
        rate=row.between(moment - lately, moment) / lately,
        level=level.tomorrow,
        trend=_trend(days, row.observed),
        observed_days=row.observed,
        confidence=confidence(used, knots[-1]) if enough else None,
        method=method if enough else "insufficient history",
        record=calibration.record(left / length) if calibration else PastAccuracy(),
        rate_cap=cap,
    )


def _trend(days: Sequence[float], observed: float) -> float | None:
    """Return the last week's daily level over that of the three weeks before, minus 1; None when not comparable."""
    before = sum(days[7:28]) / 3
    return sum(days[:7]) / before - 1.0 if before > 0 and observed >= 28 else None
