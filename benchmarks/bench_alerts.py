"""Alert fatigue: what the default rules would have told of recorded usage, and whether they missed anything.

Run: python benchmarks/bench_alerts.py [FOLDER] [--minutes 15] [--json]

FOLDER holds daily.csv or hourly.csv as `quota-scheduler backtest` takes them; without it, synthetic series with the
same traits are replayed. Every series is watched by six limits: a day, a week and a month that are tight (one window in
three runs out) and roomy ones (none does). Days are spread over hours as an office day with evenings; the real core
forecasts, measures burn rates, steps the alerts and learns from closed windows, tick by tick. One receiver hears all.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.backtest.run import read
from quota_scheduler.backtest.traces import Trace
from quota_scheduler.core.alerts.rule import AlertRule, Severity
from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.alerts.state import AlertState, NoticeKind, Transition
from quota_scheduler.core.alerts.step import step
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import project
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.forecast.track_record import TrackRecord, part_reached
from quota_scheduler.core.limits.schedule import Calendar, Every, Window
from quota_scheduler.core.readings.burn import RecentUse, burns
from quota_scheduler.core.readings.readings import BalanceReading, LimitReading, ProjectionReading, Readings
from quota_scheduler.core.units import Unit

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FORECAST_EVERY = timedelta(hours=1)
HISTORY_HOURS = 120 * 24
OFFICE = (0, 0, 0, 0, 0, 0, 0, 1, 3, 6, 8, 8, 5, 7, 8, 8, 7, 5, 2, 2, 4, 4, 2, 1)
"""How a day's usage lies over its hours, where only days are known."""
TIGHT, ROOMY = 0.67, 1.2
"""A tight amount is this quantile of the windows' totals; a roomy one so many times the largest."""
RULES = [r for r in load_rules() if r.reading in ("usage_ratio", "forecast_ratio", "burn_fast", "burn_slow")]
EARLY = ("forecast_over_limit", "burn_slow", "burn_fast", "usage_high", "usage_nearly_exhausted")


@dataclass(frozen=True, slots=True)
class Everyone:
    """A receiver that hears everything."""

    id: str = "all"
    min_severity: Severity = Severity.INFO
    match: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Watch:
    """One limit under watch."""

    name: str
    schedule: Calendar
    amount: int
    window: Window
    used: float = 0.0
    forecast: Forecast | None = None
    forecast_at: datetime | None = None
    track: TrackRecord = field(default_factory=TrackRecord)
    kept: dict[int, Forecast] = field(default_factory=dict)


@dataclass(slots=True)
class Observer:
    """What became of one window."""

    series: str
    limit: str
    starts_at: datetime
    ends_at: datetime
    ratio: float = 0.0
    out_at: datetime | None = None
    news: list[tuple[datetime, str]] = field(default_factory=list)
    repeats: int = 0
    resolved: int = 0
    fired: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of limit over all series; messages a week are by limit."""

    limit: str
    windows: int
    ran_out: int
    missed: int
    warned_before: int
    hours_ahead: float | None
    false_alarms: int
    news_a_week: float
    worst_week: int
    all_clears_a_week: float
    fired_again: int
    again_after_hours: float | None


def hourly(trace: Trace, seed: int = 0) -> tuple[datetime, np.ndarray]:
    """Usage by hour: as recorded, or days spread over an office day that begins a little earlier or later."""
    start = trace.start.replace(tzinfo=UTC)
    if trace.step == HOUR:
        return start, np.array(trace.values)
    dice, rows = random.Random(f"{trace.name} {seed}"), []
    for value in trace.values:
        weights = np.array([w * dice.lognormvariate(0, 0.8) for w in np.roll(OFFICE, dice.randint(-1, 2))])
        rows.append(value * weights / weights.sum())
    return start, np.concatenate(rows)


def amounts(values: np.ndarray, start: datetime, every: Every) -> tuple[int, int]:
    """A tight and a roomy amount for whole windows of a series."""
    totals = [values[i:j].sum() for i, j in whole(values, start, every)]
    used = [total for total in totals if total > 0] or [float(values.sum()) or 1.0]
    return max(1, int(np.quantile(used, TIGHT))), max(1, int(max(used) * ROOMY))


def whole(values: np.ndarray, start: datetime, every: Every) -> Iterator[tuple[int, int]]:
    """The index ranges of the windows that lie whole in a series."""
    at, end = start, start + len(values) * HOUR
    while at < end:
        first, last = Calendar(every).span(at)
        if first >= start and last <= end:
            yield (first - start) // HOUR, (last - start) // HOUR
        at = last


def replay(trace: Trace, *, minutes: int = 15, rules: Sequence[AlertRule] = RULES) -> list[Observer]:
    """Everything the rules tell of one series."""
    start, values = hourly(trace)
    history = Buckets(np.array([start.timestamp() + 3600 * i for i in range(len(values))]), values.astype(float))
    watches = [
        Watch(f"{kind} {every.value}", Calendar(every), amount, Window(*Calendar(every).span(start)))
        for every in (Every.DAY, Every.WEEK, Every.MONTH)
        for kind, amount in zip(("tight", "roomy"), amounts(values, start, every), strict=True)
    ]
    told = {(watch.name, watch.window.starts_at): _told(trace, watch) for watch in watches}
    states: tuple[AlertState, ...] = ()
    ticks = timedelta(hours=len(values)) // timedelta(minutes=minutes)
    for n in range(ticks):
        now = start + n * timedelta(minutes=minutes)
        for watch in watches:
            if now >= watch.window.ends_at:
                _close(watch, now)
                told[watch.name, watch.window.starts_at] = _told(trace, watch)
        for tight, roomy in pairwise(watches):
            if tight.schedule == roomy.schedule:
                _project(tight, roomy, history, start, now)
        limits = tuple(_reading(watch, history, start, now) for watch in watches)
        result = step(rules, samples(Readings(at=now, limits=limits)), states, now)
        states = result.states
        for due in result.transitions:
            _note(told[due.scope, _instant(due.episode)], due, now)
        _spend(watches, told, values, now, start, minutes)
    return [each for each in told.values() if each.starts_at >= start and each.ends_at <= start + len(values) * HOUR]


def _told(trace: Trace, watch: Watch) -> Observer:
    return Observer(trace.name, watch.name, watch.window.starts_at, watch.window.ends_at)


def _instant(episode: str) -> datetime:
    return datetime.fromisoformat(episode)


def _close(watch: Watch, now: datetime) -> None:
    """Judge the forecasts of the window that ended, and begin the next one."""
    for forecast in watch.kept.values():
        watch.track = watch.track.verify(forecast, watch.used, amount=watch.amount)
    watch.window, watch.used = Window(*watch.schedule.span(now)), 0.0
    watch.forecast, watch.kept = None, {}


def _spend(
    watches: Iterable[Watch],
    told: dict[tuple[str, datetime], Observer],
    values: np.ndarray,
    now: datetime,
    start: datetime,
    minutes: int,
) -> None:
    """Use what falls between this tick and the next."""
    amount = float(values[(now - start) // HOUR]) * minutes / 60
    for watch in watches:
        own = told[watch.name, watch.window.starts_at]
        watch.used += amount
        own.ratio = watch.used / watch.amount
        if own.out_at is None and round(watch.used) >= watch.amount:
            own.out_at = now + timedelta(minutes=minutes)


def _note(own: Observer, due: Transition, now: datetime) -> None:
    if not due.reaches(Everyone()):
        return
    if due.kind is NoticeKind.RESOLVED:
        own.resolved += 1
    elif due.kind is NoticeKind.REPEAT:
        own.repeats += 1
        own.news.append((now, "repeat"))
    else:
        own.fired[due.rule.id] += 1
        own.news.append((now, due.rule.id))


def _project(watch: Watch, twin: Watch, history: Buckets, start: datetime, now: datetime) -> None:
    """Forecast a window once for both of its amounts, and keep what is to be judged when it has closed."""
    if now == start or (watch.forecast and watch.forecast_at and now - watch.forecast_at < FORECAST_EVERY):
        return
    i = (now - start) // HOUR
    first = max(0, i - HISTORY_HOURS)
    past = Buckets(history.starts[first : i + 1], history.values[first : i + 1])
    watch.forecast = twin.forecast = project(
        past, watch.window, now=now, step=HOUR, used=watch.used, calibration=watch.track.calibration, since=start
    )
    watch.forecast_at = now
    part = part_reached(watch.window, now)
    if part is not None and part not in watch.kept and watch.forecast.observed_days > 0:
        watch.kept[part] = watch.forecast


def _reading(watch: Watch, history: Buckets, start: datetime, now: datetime) -> LimitReading:
    """One limit as a tick measures it."""
    i = (now - start) // HOUR
    used = round(watch.used)
    lately = [(start + n * HOUR, float(history.values[n])) for n in range(max(0, i - 26), i)]
    lately.append((start + i * HOUR, float(history.values[i]) * ((now - start - i * HOUR) / HOUR)))
    return LimitReading(
        limit=watch.name, rule=watch.name, value="", provider="anthropic", scope="everything", unit=Unit.TOKENS,
        period=watch.schedule.every.value, zone="UTC", mode="warn",
        balance=BalanceReading(watch.amount, watch.amount, used, 0, watch.window.starts_at, watch.window.ends_at),
        projection=ProjectionReading(
            watch.forecast,
            burns=burns(RecentUse([row for row in lately if row[1] > 0], now, HOUR), watch.window, used, watch.amount),
        ),
    )  # fmt: skip


def rows(told: Sequence[Observer]) -> list[Row]:
    """The table: one row for each kind of limit."""
    names = ["tight day", "tight week", "tight month", "roomy day", "roomy week", "roomy month"]
    return [_row(name, own) for name in names if (own := [each for each in told if each.limit == name])]


def _row(name: str, own: Sequence[Observer]) -> Row:
    out = [each for each in own if _ran_out(each)]
    ahead = [first for each in out if (first := _hours_ahead(each)) is not None]
    weeks = sum(((each.ends_at - each.starts_at) / (7 * DAY) for each in own), 0.0)
    return Row(
        limit=name,
        windows=len(own),
        ran_out=len(out),
        missed=sum(not each.fired["exhausted"] for each in out),
        warned_before=len(ahead),
        hours_ahead=round(median(ahead), 1) if ahead else None,
        false_alarms=sum(any(each.fired[rule] for rule in EARLY[:3]) for each in own if not _ran_out(each)),
        news_a_week=round(sum(len(each.news) for each in own) / weeks, 2),
        worst_week=max(_by_week(own).values(), default=0),
        all_clears_a_week=round(sum(each.resolved for each in own) / weeks, 2),
        fired_again=sum(count > 1 for each in own for count in each.fired.values()),
        again_after_hours=min((gap for each in own for gap in _gaps(each)), default=None),
    )


def _gaps(each: Observer) -> Iterator[float]:
    """Hours between two firings of one alert in one window."""
    for rule in each.fired:
        yield from (round((b - a) / HOUR, 1) for a, b in pairwise(at for at, name in each.news if name == rule))


def _ran_out(each: Observer) -> bool:
    """Whether a window ran out with a tick left before its reset; at the very end nobody can tell, nor wants to."""
    return each.out_at is not None and each.out_at < each.ends_at


def _hours_ahead(each: Observer) -> float | None:
    """How long before it ran out somebody was told that it would."""
    first = min((at for at, rule in each.news if rule in EARLY), default=None)
    return (each.out_at - first) / HOUR if first and each.out_at and first < each.out_at else None


def _by_week(own: Iterable[Observer]) -> Counter[tuple[str, int]]:
    """News by series and week."""
    return Counter((each.series, at.toordinal() // 7) for each in own for at, _ in each.news)


def synthetic(series: int = 2, days: int = 45) -> list[Trace]:
    """Made-up series with the traits of recorded ones: bursts, idle spells, a level that doubles or halves."""
    found = []
    for n in range(series):
        dice = random.Random(f"alerts {n}")
        level, values = 1e8, []
        while len(values) < days:
            if dice.random() < 0.06:
                values += [0.0] * dice.randint(2, 5)
            level *= 2 ** dice.choice((-1, 0, 0, 0, 0, 0, 0, 0, 0, 1)) if dice.random() < 0.2 else 1
            values.append(level * dice.lognormvariate(0, 1.0) if dice.random() > 0.2 else 0.0)
        found.append(Trace(f"made-{n}", datetime(2026, 1, 1), DAY, tuple(values[:days])))
    return found


def firing_twice(told: Iterable[Observer]) -> list[str]:
    """Alerts that fired more than once in one window."""
    return [f"{e.series} {e.limit} {e.starts_at:%F} {rule} {n}" for e in told for rule, n in e.fired.items() if n > 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--minutes", type=int, default=15, help="minutes between ticks; a part of an hour")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    traces = list(read(asked.folder)) if asked.folder else synthetic()
    with ProcessPoolExecutor() as pool:
        told = [each for own in pool.map(_one, traces, [asked.minutes] * len(traces)) for each in own]
    table = rows(told)
    if asked.json:
        print(json.dumps([asdict(row) for row in table], indent=1))
        return
    print(f"{len(traces)} series, a tick every {asked.minutes} minutes; news and all-clears a week are by limit")
    print(f"{'limit':<12}" + "".join(f"{name:>18}" for name in Row.__dataclass_fields__ if name != "limit"))
    for row in table:
        print(f"{row.limit:<12}" + "".join(f"{value!s:>18}" for name, value in asdict(row).items() if name != "limit"))
    print("fired, by rule:")
    for row in table:
        fired = sum((each.fired for each in told if each.limit == row.limit), Counter[str]())
        print(f"{row.limit:<12}" + ", ".join(f"{rule} {count}" for rule, count in sorted(fired.items())))


def _one(trace: Trace, minutes: int) -> list[Observer]:
    return replay(trace, minutes=minutes)


if __name__ == "__main__":
    main()
