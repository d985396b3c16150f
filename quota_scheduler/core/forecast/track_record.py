"""The track record of a limit's forecasts: made at fixed parts of each window, verified when it has closed.

    forecast at 10, 25, 50, 75, 90 % ──record──► predictions ──window closed, late usage in──► verify ─► Track
    imported history ──closed windows, as they would have been forecast──► replay ───────────────────► Track

The next forecast of the limit starts from its track. A window that did not run its course (an early reset, a limit that
was redefined) is not verified: its end is not what was forecast.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.forecast.calibration import REMAINING, Calibration, observe
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import project
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.limits.schedule import Calendar, Schedule, Session, Window

PARTS = (100, 250, 500, 750, 900)
"""Parts of a window, per mille, at which a forecast is kept to be verified: one for each horizon of the calibration."""
RECENT = 30
"""So many of the last verified intervals make up the rolling coverage: six windows."""
REPLAYED = 30
"""Closed windows of imported history that a new track is earned from; older ones say little of today's habits."""
LEAST_GRACE = timedelta(minutes=10)
"""Least wait for late usage of a closed window."""
MOST_GRACE = timedelta(hours=6)
"""Longest wait for late usage of a closed window: the transcript of the longest run has been read by then."""
HOUR = timedelta(hours=1)


class HorizonReading(Struct, frozen=True):
    """How past forecasts fared that were made with this part of their window still to come (``over_50``: per cent).

    ``coverage`` of their 80 % intervals, ``error`` relative to the actual totals, ``brier`` score of ``p_exceed``.
    """

    horizon: str
    verified: int
    coverage: float | None
    error: float | None
    brier: float | None


class TrackReading(Struct, frozen=True):
    """How past forecasts of a limit fared: over all horizons lately, and by horizon since it is known.

    ``calibration_error`` is the mean gap between claimed confidence and how often it came true.
    """

    verified: int
    coverage: float | None
    calibration_error: float | None
    horizons: tuple[HorizonReading, ...] = ()


class TrackRecord(Struct, frozen=True):
    """What past forecasts of a limit teach. ``recent``: whether each of the last intervals held, newest last."""

    calibration: Calibration = field(default_factory=Calibration)
    recent: tuple[bool, ...] = ()

    @property
    def coverage(self) -> float | None:
        """Realised coverage of the last 80 % intervals; None before any was verified."""
        return sum(self.recent) / len(self.recent) if self.recent else None

    def verify(self, forecast: Forecast, actual: float, *, amount: float) -> "TrackRecord":
        """Return the track after the window of ``forecast`` closed at ``actual``, under a limit of ``amount``."""
        held = forecast.low <= actual <= forecast.high
        return replace(
            self,
            calibration=observe(self.calibration, forecast, actual, amount=amount),
            recent=(*self.recent, held)[-RECENT:],
        )

    def reading(self) -> TrackReading:
        """Return the track as people and gauges see it; horizons from the start of a window to its end."""
        horizons = (
            HorizonReading(f"over_{edge * 100:.0f}", r.verified, r.coverage, r.error, r.brier)
            for edge, r in zip(REMAINING, (h.record() for h in self.calibration.horizons), strict=True)
        )
        return TrackReading(
            verified=self.calibration.verified,
            coverage=self.coverage,
            calibration_error=self.calibration.reliability(),
            horizons=tuple(horizon for horizon in horizons if horizon.verified),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the track as JSON types; ``from_dict`` restores an equal value."""
        return {"calibration": self.calibration.to_dict(), "recent": [int(held) for held in self.recent]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "TrackRecord":
        """Restore a track from what ``to_dict`` returned."""
        return TrackRecord(Calibration.from_dict(data["calibration"]), tuple(map(bool, data["recent"])))


class Prediction(Struct, frozen=True):
    """A forecast kept until its window has closed: ``part`` per mille of the window, ``amount`` of the limit then."""

    instance: str
    part: int
    forecast: Forecast
    amount: int

    @property
    def key(self) -> tuple[str, datetime, int]:
        """One prediction per limit instance, window and part."""
        return self.instance, self.forecast.starts_at, self.part

    def ripe(self, now: datetime) -> bool:
        """Tell whether late usage of its window has had time to come in."""
        return now >= self.forecast.ends_at + grace(self.forecast.ends_at - self.forecast.starts_at)


def grace(length: timedelta) -> timedelta:
    """Tell how long to wait for late usage of a closed window: a twentieth of its length, 10 minutes to 6 hours."""
    return min(MOST_GRACE, max(LEAST_GRACE, length / 20))


def part_reached(window: Window, now: datetime) -> int | None:
    """Return the last part of the window, per mille, that ``now`` has reached; None before the first and at the end."""
    if not window.contains(now):
        return None
    passed = (now - window.starts_at) / window.length * 1000
    return max((part for part in PARTS if part <= passed), default=None)


def closed_windows(schedule: Schedule, history: Buckets, *, since: datetime, before: datetime) -> list[Window]:
    """Return the last windows that lie whole between ``since`` and ``before``, oldest first, as the history shows them.

    Sessions are found again by the rule that opens them, to the hour of the rollups.
    """
    if isinstance(schedule, Calendar):
        windows: list[Window] = []
        end = schedule.span(before)[0]
        while len(windows) < REPLAYED:
            window = Window(*schedule.span(end - timedelta(microseconds=1)))
            if window.starts_at < since:
                break
            windows.append(window)
            end = window.starts_at
        return windows[::-1]
    if isinstance(schedule, Session):
        uses = [datetime.fromtimestamp(at, UTC) for at in history.starts.tolist() if at >= since.timestamp()]
        opened = [Window(*span) for span in schedule.opened(uses)]
        return [window for window in opened if window.ends_at <= before][-REPLAYED:]
    return []


def replay(history: Buckets, windows: Sequence[Window], *, amount: float, since: datetime) -> TrackRecord:
    """Return the track that forecasts of closed windows would have earned; each sees only what lies before it.

    Moments are moved up to the next full hour: a rollup says nothing of what came when inside its hour.
    """
    track, starts = TrackRecord(), history.starts
    for window in windows:
        inside = (starts >= window.starts_at.timestamp()) & (starts < window.ends_at.timestamp())
        actual = float(history.values[inside].sum())
        for part in PARTS:
            now = full_hour(window.starts_at + window.length * part / 1000)
            if now >= window.ends_at:
                break
            forecast = project(history, window, now=now, step=HOUR, calibration=track.calibration, since=since)
            if forecast.observed_days > 0:
                track = track.verify(forecast, actual, amount=amount)
    return track


def full_hour(at: datetime) -> datetime:
    """Return an instant moved up to the next full hour."""
    return datetime.fromtimestamp(math.ceil(at.timestamp() / 3600) * 3600, UTC)
