"""The pasts of several limits replayed together: what ``track_record.replay`` says of one, over rows of matrices.

    closed windows, at the parts of each ─► prospects of all at once ─► finished in turn, each learns from the last

What a forecast knew and what came of it does not depend on the forecasts before it; how wide its band was does.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.batch import HistorySource, prospects
from quota_scheduler.core.forecast.batch_finish import AskedWindow
from quota_scheduler.core.forecast.project import Projectable
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.forecast.track_record import PARTS, TrackRecord, full_hour
from quota_scheduler.core.limits.schedule import Window


class ReplayedPast(Struct, frozen=True):
    """A history complete since then, its closed windows, oldest first, and the ``amount`` of the limit."""

    history: Buckets
    windows: Sequence[Window]
    amount: int
    since: datetime


def replay_at_once(pasts: Sequence[ReplayedPast]) -> list[TrackRecord]:
    """Return the track that forecasts of closed windows would have earned, for each past."""
    sources: list[HistorySource] = []
    asked: list[AskedWindow] = []
    lines = [_moments(past, sources, asked) for past in pasts]
    tracks = [TrackRecord() for _ in pasts]
    if not asked:
        return tracks
    every = prospects(sources, asked)
    for turn in range(max(map(len, lines))):
        going = [i for i, line in enumerate(lines) if turn < len(line)]
        rows = np.array([lines[i][turn][0] for i in going])
        forecasts = every.forecasts(rows, [tracks[i].calibration for i in going])
        for i, forecast in zip(going, forecasts, strict=True):
            if forecast.observed_days > 0:
                tracks[i] = tracks[i].verify(forecast, lines[i][turn][1], amount=pasts[i].amount)
    return tracks


def _moments(past: ReplayedPast, sources: list[HistorySource], asked: list[AskedWindow]) -> list[tuple[int, float]]:
    """Add every moment at which a window would have been forecast; returns their rows, and how each window ended."""
    starts, moments = past.history.starts, []
    for window in past.windows:
        i, j = (bisect_left(starts, at.timestamp()) for at in (window.starts_at, window.ends_at))
        actual = float(past.history.values[i:j].sum())
        span = Projectable(past.history, window, since=past.since)
        for part in PARTS:
            now = full_hour(window.starts_at + window.length * part / 1000)
            if now >= window.ends_at:
                break
            moments.append((len(asked), actual))
            asked.append(AskedWindow(span, now, len(sources), len(sources)))
            sources.append(HistorySource(past.history, now.timestamp(), past.since))
    return moments
