"""Forecast where a quota window ends: the public face.

    history ─series─► days ─day model─┐
                                      ├─► rest to come (fan of quantiles) + used ─► Forecast
    calibration ──────────────────────┘

Method, measured figures and what did not help: docs/explanation/forecasting.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quota_scheduler.core import forecast_days as day_model
from quota_scheduler.core import forecast_sessions as session_model
from quota_scheduler.core.calibration import Calibration, observe
from quota_scheduler.core.forecast_risk import Risk, is_spike, risk_band
from quota_scheduler.core.forecast_series import (
    DAY,
    EVEN,
    Buckets,
    History,
    Series,
    buckets,
    series,
)
from quota_scheduler.core.forecast_value import (
    SUFFICIENT_DAYS,
    Forecast,
    Knot,
    TrackRecord,
    confidence,
)

__all__ = [
    "Buckets",
    "Calibration",
    "Forecast",
    "History",
    "Risk",
    "Span",
    "TrackRecord",
    "buckets",
    "is_spike",
    "observe",
    "project",
    "project_many",
    "replay",
    "risk_band",
]

Array = NDArray[np.float64]
KNOTS = np.array([0.0, 0.04, 0.12, 0.25, 0.4, 0.6, 0.8, 1.0])
LARGEST = 1e300
CHUNK = 200
"""Limits computed together: few enough for their numbers to stay in the processor's cache."""


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
    known: float = 0,
    calibration: Calibration | None = None,
    used: float | None = None,
    rate_cap: float | None = None,
    since: datetime | None = None,
) -> Forecast:
    """Predict the usage of ``window`` at its end.

    ``history`` holds (start of a ``step``-long bucket, usage) in ascending order, instants aware;
    gaps are idle. What lies at or after ``now`` is not looked at. ``known`` is usage already
    committed for the rest of the window (waiting tickets, running leases). ``used`` is the exact
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
        known=[known],
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
    known: Sequence[float] | None = None,
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
    states = calibrations or nothing
    rows = [series(h, now, step, s) for h, s in zip(histories, since or nothing, strict=True)]
    spread = np.array([state.spread if state else (1.0, 1.0) for state in states])
    seconds = np.array([_left(window, now) for window in windows])[:, None] * KNOTS
    parts = [
        _by_days(rows[i : i + CHUNK], seconds[i : i + CHUNK], spread[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)
    ]
    fan, usual = parts[0] if len(parts) == 1 else (np.concatenate(p) for p in zip(*parts, strict=True))
    return [
        _forecast(
            row,
            window,
            now,
            _so_far(row, window, now) if exact is None else float(exact),
            float(committed),
            (times, paths, float(level)),
            state,
            cap,
        )
        for row, window, exact, committed, times, paths, level, state, cap in zip(
            rows,
            windows,
            used or nothing,
            known or [0] * len(rows),
            seconds,
            fan,
            usual,
            states,
            rate_caps or nothing,
            strict=True,
        )
    ]


def replay(
    history: Sequence[tuple[datetime, float]],
    windows: Sequence[Span],
    *,
    step: timedelta,
    amount: float | None = None,
    parts: Sequence[float] = (0.25, 0.5, 0.75, 0.9),
) -> Calibration:
    """Return the calibration that forecasts at ``parts`` of closed ``windows`` would have earned.

    For a series whose past is known when its limit begins. Each forecast sees only what lies before it.
    """
    calibration = Calibration()
    for window in sorted(windows, key=lambda span: span.ends_at):
        start, end = window.starts_at, window.ends_at
        actual = float(sum(tokens for at, tokens in history if start <= at < end))
        for part in parts:
            now = start + part * (end - start)
            found = project(history, window, now=now, step=step, calibration=calibration)
            if found.observed_days > 0:
                calibration = observe(calibration, found, actual, amount=amount)
    return calibration


def _by_days(rows: Sequence[Series], seconds: Array, spread: Array) -> tuple[Array, Array]:
    """Run the day model over all rows: quantiles of the rest, usual level a day."""
    days = np.array([row.days for row in rows])
    head, begun, observed = np.array([(row.head, row.begun, row.observed) for row in rows]).T
    unit = np.maximum(days.max(axis=1), 1e-300)
    days /= unit[:, None]
    whole = np.where(begun[:, None] > 0, days[:, 1:], days[:, :-1]) if begun.any() else days[:, :-1]
    complete = np.floor(observed - begun + 1e-6)
    even = all(row.ahead is None for row in rows)
    shape = None if even else np.array([EVEN if row.ahead is None else row.ahead for row in rows])
    ahead = day_model.effective(seconds / DAY, day_model.weekdays(whole, complete), begun, shape)
    wild = day_model.volatility(whole, complete)
    wild[observed < SUFFICIENT_DAYS] = day_model.UNSEEN
    level = day_model.levels(days, head, observed)
    fan = day_model.rest(level, ahead, wild, spread)
    fan *= unit[:, None, None]
    return fan, day_model.tomorrow(level) * unit


def _forecast(
    row: Series,
    window: Span,
    now: datetime,
    used: float,
    known: float,
    model: tuple[Array, Array, float],
    calibration: Calibration | None,
    cap: float | None,
) -> Forecast:
    """Put together what one window's forecast says."""
    seconds, fan, level = model
    start, moment = window.starts_at.timestamp(), now.timestamp()
    length = max(window.ends_at.timestamp() - start, 1.0)
    method = "days"
    if session_model.applies(length, row.step):
        spread = calibration.spread if calibration else (1.0, 1.0)
        found = session_model.rest(row, start, moment, used, seconds, length, spread)
        if found is not None:
            method = "sessions"
            fan = found[1] * found[0] + (1.0 - found[1]) * fan
    knots = _bounded(seconds, fan, known, cap)
    lately = min(max(moment - start, 1.0), length / 7)
    enough = row.observed >= SUFFICIENT_DAYS
    return Forecast(
        now=now,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        used=used,
        known=known,
        knots=knots,
        rate=row.between(moment - lately, moment) / lately,
        level=level,
        trend=_trend(row),
        observed_days=row.observed,
        confidence=confidence(used, knots[-1]) if enough else None,
        method=method if enough else "insufficient history",
        record=calibration.record(float(seconds[-1]) / length) if calibration else TrackRecord(),
    )


def _trend(row: Series) -> float | None:
    """Return the last week's daily level over that of the three weeks before, minus 1; None when not comparable."""
    before = float(row.days[7:28].sum()) / 3
    return float(row.days[:7].sum()) / before - 1.0 if before > 0 and row.observed >= 28 else None


def _bounded(seconds: Array, fan: Array, known: float, cap: float | None) -> tuple[Knot, ...]:
    """Put in what is known already and what the rate allows.

    Known usage arrives within a day; what it adds to the day's median was not expected and comes on
    top.
    """
    rest = fan
    if known > 0:
        soon = max(min(DAY, float(seconds[-1])), 1.0)
        arrived = np.minimum(1.0, seconds / soon)
        surprise = max(0.0, known - float(np.interp(soon, seconds, fan[:, 1])))
        rest = np.maximum(fan + (surprise * arrived)[:, None], (known * arrived)[:, None])
    if cap is not None:
        rest = np.minimum(rest, (seconds * cap)[:, None])
    rows = np.minimum(rest, LARGEST).tolist()
    return tuple((at, row[0], row[1], row[2]) for at, row in zip(seconds.tolist(), rows, strict=True))


def _so_far(row: Series, window: Span, now: datetime) -> float:
    """Return the usage of the window so far, from the buckets."""
    return row.between(window.starts_at.timestamp(), now.timestamp())


def _left(window: Span, now: datetime) -> float:
    """Return the seconds of the window that are still to come."""
    return max(0.0, (window.ends_at - max(now, window.starts_at)).total_seconds())
