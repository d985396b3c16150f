"""Forecast many windows at once: what ``project.py`` says of one, over rows of matrices.

    distinct histories ─a hundred at a time─► level, volatility, burst, past sessions ─┐
    windows ─────────────────────────────────────────────────────────────────────────┴─► Prospects
    Prospects + how past forecasts fared ──────────────────────────────────────────────► forecasts

What does not depend on calibration is worked out once for all; a replay of closed windows, where each forecast learns
from the one before, then only finishes them in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from quota_scheduler.core.forecast import batch_level, day_model
from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.batch_days import DayFans, effective, times_usual
from quota_scheduler.core.forecast.batch_finish import AskedWindow, Prospects
from quota_scheduler.core.forecast.batch_series import HOUR, cut
from quota_scheduler.core.forecast.batch_sessions import SessionFans, SessionSpans, session_fans
from quota_scheduler.core.forecast.forecast import SUFFICIENT_DAYS, Forecast
from quota_scheduler.core.forecast.project import KNOTS, Projectable, distinct_histories, project_many
from quota_scheduler.core.forecast.series import DAY, Buckets, History, buckets
from quota_scheduler.core.forecast.session_model import LONGEST_SHARE

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Array, Integers

CHUNK = 128
"""Histories that are worked on at once: as many as stay in the processor's cache, and no step takes 5 ms."""


class HistorySource(Struct, frozen=True):
    """A history, cut at ``now`` (seconds since 1970), and from when on it is complete."""

    history: Buckets
    now: float
    since: datetime | None


class _OfHistories(Struct, frozen=True):
    """What is known of each history."""

    days: Array
    observed: Array
    ahead: Array
    fading: Array
    factors: Array
    short: Array
    long: Array
    memory: Array
    volatility: Array
    ratio: Array


class _OfWindows(Struct, frozen=True):
    """What the histories of some windows say of each, at the same places as the windows."""

    place: Integers
    used: Array
    rate: Array
    low: Array
    median: Array
    high: Array
    share: Array


Part = TypeVar("Part", _OfHistories, _OfWindows)


def project_at_once(windows: Sequence[Projectable], *, now: datetime, step: timedelta) -> list[Forecast]:
    """Predict many windows of hourly histories: what ``project_many`` says, but for the last digits, in a third.

    Raises ValueError when ``now`` has no time zone.
    """
    if not windows or step.total_seconds() > HOUR or now.tzinfo is None:
        return project_many(windows, now=now, step=step)
    places, distinct = distinct_histories(windows)
    moment = now.timestamp()
    sources = [HistorySource(_as_buckets(window.history), moment, window.since) for window in distinct]
    by_object = {id(window.history): place for window, place in zip(windows, places, strict=True)}
    made: dict[tuple[object, ...], int] = {}
    rows: list[int] = []
    asked: list[AskedWindow] = []
    for window, place in zip(windows, places, strict=True):
        like = place if window.like is None else by_object.get(id(window.like), place)
        row = made.setdefault((place, like, window.asked), len(made))
        rows.append(row)
        if row == len(asked):
            asked.append(AskedWindow(window, now, place, like))
    every = prospects(sources, asked, step.total_seconds())
    forecasts = every.forecasts(np.arange(len(asked)), [one.window.calibration for one in asked])
    return [forecasts[row] for row in rows]


def _as_buckets(history: History) -> Buckets:
    return history if isinstance(history, Buckets) else buckets(history)


def prospects(sources: Sequence[HistorySource], asked: Sequence[AskedWindow], step: float = HOUR) -> Prospects:
    """Work out windows on histories whose buckets are ``step`` seconds long, an hour at most."""
    start = np.array([one.window.window.starts_at.timestamp() for one in asked])
    end = np.array([one.window.window.ends_at.timestamp() for one in asked])
    now = np.array([sources[one.history].now for one in asked])
    spans = _Columns(
        np.array([one.history for one in asked]), start, np.maximum(end - start, 1.0), now,
        np.array([np.nan if one.window.used is None else float(one.window.used) for one in asked]),
        np.maximum(end - np.maximum(now, start), 0.0)[:, None] * np.array(KNOTS),
    )  # fmt: skip
    of_histories, of_windows = [], []
    for first in range(0, len(sources), CHUNK):
        of_history, of_window = _chunk(sources[first : first + CHUNK], first, spans, step)
        of_histories.append(of_history)
        of_windows.append(of_window)
    known, found = _joined(of_histories), _joined(of_windows)
    back = np.empty(len(asked), dtype=np.int64)
    back[found.place] = np.arange(len(asked))
    row, like = spans.row, np.array([one.like for one in asked])
    ahead = effective(spans.seconds / DAY, known.factors[row], known.ahead[row])
    times = times_usual(known.ratio[like], known.fading[row], known.ahead[row], spans.seconds)
    levels = batch_level.UsageLevels(known.short, known.long, known.memory)
    return Prospects(
        asked=asked,
        seconds=spans.seconds,
        length=spans.length,
        used=found.used[back],
        rate=found.rate[back],
        level=levels.tomorrow[row],
        trend=_trend(known.days, known.observed)[row],
        observed=known.observed[row],
        days=DayFans.of(levels.of(row), ahead, known.volatility[row], times),
        sessions=SessionFans(found.low[back], found.median[back], found.high[back], found.share[back]),
    )


class _Columns(Struct, frozen=True):
    """The windows as columns: whose history, from when, for how long, as of when, what was used, moments ahead."""

    row: Integers
    start: Array
    length: Array
    now: Array
    used: Array
    seconds: Array


def _chunk(
    sources: Sequence[HistorySource], first: int, spans: _Columns, step: float
) -> tuple[_OfHistories, _OfWindows]:
    """Look at some histories, and at what they say of the windows that go by them."""
    since = np.array([one.since.timestamp() if one.since else np.inf for one in sources])
    rows = cut([one.history for one in sources], np.array([one.now for one in sources]), since, step)
    whole, complete = rows.days[:, :-1], rows.complete
    factors = batch_level.weekdays(whole, complete)
    levels = batch_level.levels(rows.days, rows.head, rows.observed, factors)
    wild = day_model.volatility(whole, complete, factors)
    of_histories = _OfHistories(
        days=rows.days[:, :28],
        observed=rows.observed,
        ahead=rows.ahead,
        fading=rows.fading,
        factors=factors,
        short=levels.short,
        long=levels.long,
        memory=levels.memory,
        volatility=np.where(rows.observed >= SUFFICIENT_DAYS, wild, day_model.UNSEEN),
        ratio=rows.ratio(levels.tomorrow),
    )
    place = np.flatnonzero((spans.row >= first) & (spans.row < first + len(sources)))
    row, start, length, now = spans.row[place] - first, spans.start[place], spans.length[place], spans.now[place]
    lately = np.minimum(np.maximum(now - start, 1.0), length / 7)
    totals = rows.total(row, np.stack((np.minimum(start, now), now - lately, now), axis=1))
    used = np.where(np.isnan(spans.used[place]), totals[:, 2] - totals[:, 0], spans.used[place])
    low, median, high = (np.zeros((len(place), len(KNOTS))) for _ in range(3))
    share = np.zeros(len(place))
    short = (length <= LONGEST_SHARE * DAY) & (step <= length / 4)
    for some in _parts(np.flatnonzero(short)):
        fans = session_fans(
            rows, SessionSpans(row[some], start[some], length[some], used[some]), spans.seconds[place[some]]
        )
        low[some], median[some], high[some], share[some] = fans.low, fans.median, fans.high, fans.share
    rate = (totals[:, 2] - totals[:, 1]) / lately
    return of_histories, _OfWindows(place, used, rate, low, median, high, share)


def _parts(places: Integers) -> list[Integers]:
    return [places[i : i + CHUNK] for i in range(0, len(places), CHUNK)]


def _joined(parts: Sequence[Part]) -> Part:
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in kind.__struct_fields__))


def _trend(days: Array, observed: Array) -> Array:
    """Return the last week's daily level over that of the three weeks before, minus 1; infinite when not comparable."""
    before = days[:, 7:28].sum(axis=1) / 3
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where((before > 0) & (observed >= 28), days[:, :7].sum(axis=1) / before - 1.0, np.inf)
