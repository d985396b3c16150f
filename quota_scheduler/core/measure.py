"""Readings of a limit, measured from its window, its history and its forecast."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.admission import admits
from quota_scheduler.core.board import Binding, Board, Tally
from quota_scheduler.core.burn import burns
from quota_scheduler.core.crowd import Crowd, Crowds
from quota_scheduler.core.efficiency import optimization_level
from quota_scheduler.core.forecast import Forecast, is_spike, risk_band
from quota_scheduler.core.forecast_risk import DAY, SPIKE_DAYS
from quota_scheduler.core.histories import Histories, Pairs
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.level import Level, LevelFacts, LevelState
from quota_scheduler.core.limits import Limit, Mode
from quota_scheduler.core.marks import DEFAULT, Marks
from quota_scheduler.core.outlook import Outlook, demand_knots
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.quality import QualityReading
from quota_scheduler.core.readings import ClassReading, LimitReading, Spending, TrackReading
from quota_scheduler.core.rooms import Room, in_pool
from quota_scheduler.core.tickets import Reason
from quota_scheduler.core.units import Unit
from quota_scheduler.core.windows import Calendar, Every, PerRun, Session, span_text

HOUR = timedelta(hours=1)
USUAL_DAYS = 7
"""Days that what is usual by now is the mean of: every weekday once."""
SPIKE_USAGE = 0.85
"""A spike matters for the seed policy only when the P80 at the reset passes this share (design, section 4)."""


def outlook(
    forecast: Forecast,
    above: Sequence[Forecast | None],
    history: Histories,
    *,
    amount: int,
    previous: str,
    zone: str,
    now: datetime,
    marks: Marks = DEFAULT,
) -> Outlook:
    """What the admission test may know of a limit's future: nothing but its age while that is under seven days.

    ``above`` are forecasts of demand over ``demand_span``. ``previous`` is the risk before, for its hysteresis;
    ``zone`` says when today began, for a spike.
    """
    observed = timedelta(days=forecast.observed_days)
    if not forecast.sufficient or amount <= 0:
        return Outlook(now, forecast.ends_at, observed)
    ends_at, length = forecast.ends_at, forecast.ends_at - forecast.starts_at
    knots = tuple(demand_knots(each, ends_at) for each in above)
    after = tuple(demand_knots(each, ends_at + length) for each in above)
    p80 = forecast.p80 / amount
    spike = p80 > SPIKE_USAGE and is_spiking(history, now, zone, factor=marks.spike_factor)
    risk = str(risk_band(p80, previous, marks=marks))
    ratio = forecast.expected / amount
    return Outlook(now, ends_at, observed, knots, risk, ratio, spike, length, after)


def is_spiking(history: Histories, now: datetime, zone: str, *, factor: float) -> bool:
    """Whether today, which began at midnight in ``zone``, has used so many times what is usual by now."""
    calendar, begins = Calendar(Every.DAY, zone), [now + HOUR]
    for _ in range(SPIKE_DAYS + 1):
        begins.append(calendar.span(begins[-1] - HOUR)[0])
    return is_spike(history.since(begins[-1] - DAY), now, HOUR, begins=begins[1:], factor=factor)


def committed(tally: Tally, waiting: int, *, allowance: int) -> int:
    """Usage that is sure to come: what runs may still spend, and what waits as far as the limit lets it start."""
    room = max(0, allowance - tally.spent - tally.reserved)
    return tally.reserved + (min(waiting, room) if tally.limit.mode is Mode.ENFORCE else waiting)


def waiting_amounts(crowds: Crowds) -> dict[str, int]:
    """What waits for each limit instance, in its unit."""
    return {instance: sum(crowd.amount for crowd in classes.values()) for instance, classes in crowds.items()}


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits and runs in one limit instance."""

    waiting: tuple[ClassReading, ...]
    leases: int
    holding: bool


def running_by_instance(running: Mapping[Labels, int], board: Board) -> dict[str, int]:
    """Running leases of each limit instance; ``running`` counts them by labels."""
    runs: dict[str, int] = {}
    for labels, count in running.items():
        for binding in board.bindings(labels):
            runs[binding.instance] = runs.get(binding.instance, 0) + count
    return runs


def queued(waiting: Mapping[Priority, Crowd], running: int, room: Room, now: datetime) -> Queued:
    """What waits and runs in one limit instance, and whether it is holding a class back."""
    classes = tuple(
        ClassReading(priority.value, crowd.count, crowd.oldest)
        for priority, crowd in sorted(waiting.items(), key=lambda each: each[0].rank)
    )
    holding = any(
        admits(room, crowd.least, priority, now) in (Reason.PACED, Reason.THROTTLED, Reason.NO_HEADROOM)
        for priority, crowd in waiting.items()
    )
    return Queued(classes, running, holding)


def level_facts(room: Room, own: Queued, *, now: datetime) -> LevelFacts:
    """What the throttle level of a limit follows from."""
    tally = room.tally
    starts_at = tally.window.starts_at if tally.window else None
    return LevelFacts(tally.spent, room.allowance(now), tally.amount, own.holding, starts_at=starts_at)


@dataclass(frozen=True, slots=True)
class Known:
    """What was computed about a limit instance beside its counters; ``seed`` is the seeds' projection."""

    forecast: Forecast | None = None
    seed: int | None = None
    lately: Pairs = field(default_factory=list)
    track: TrackReading | None = None
    spending: Spending = field(default_factory=Spending)
    parent: str = ""
    used_today: int = 0
    usual_today: int | None = None
    quality: QualityReading | None = None


def read_limit(
    room: Room,
    own: Queued,
    level: LevelState,
    known: Known,
    *,
    overshoot: int,
    now: datetime,
) -> LimitReading:
    """One limit instance as everybody sees it at ``now``."""
    tally, limit, forecast = room.tally, room.tally.limit, known.forecast
    window, allowance = tally.window, room.allowance(now)
    burn = burns(known.lately, window, tally.spent, tally.amount, now, HOUR) if window and tally.amount else ()
    return LimitReading(
        limit=tally.instance,
        rule=limit.id,
        value=tally.value,
        provider=provider_of(limit),
        scope=scope_text(limit),
        unit=limit.unit,
        period=period_text(limit),
        zone=limit.zone,
        mode=limit.mode.value,
        amount=tally.amount,
        allowance=allowance,
        used=tally.spent,
        reserved=tally.reserved,
        starts_at=window.starts_at if window else None,
        ends_at=window.ends_at if window else None,
        level=level.level.value,
        risk=room.outlook.risk if room.outlook else "unknown",
        optimization=optimization_level(allowance - tally.spent - tally.reserved, tally.amount, room.marks).value,
        estimated=tally.estimated,
        forecast=forecast,
        seed_forecast=known.seed,
        burns=burn,
        waiting=own.waiting,
        leases=own.leases,
        overshoot_bound=overshoot,
        history_days=round(forecast.observed_days, 2) if forecast else 0.0,
        level_since=level.since,
        level_caused_at=None if level.level is Level.OPEN else level.caused_at,
        track=known.track,
        spending=known.spending,
        labels=fixed_labels(limit, tally.value),
        parent=known.parent,
        used_today=known.used_today,
        usual_today=known.usual_today,
        quality=known.quality,
    )


def fixed_labels(limit: Limit, value: str) -> tuple[tuple[str, str], ...]:
    """The labels that everything in a limit instance carries: matched by one value, or whose value it is."""
    matched = {name: next(iter(values)) for name, values in limit.match if len(values) == 1}
    return tuple(sorted({**matched, **({limit.per: value} if limit.per and value else {})}.items()))


def scope_text(limit: Limit) -> str:
    """What a limit selects, for people: ``provider=anthropic team=growth|sales``; ``everything`` without a match."""
    return " ".join(f"{name}={'|'.join(sorted(values))}" for name, values in limit.match) or "everything"


def period_text(limit: Limit) -> str:
    """How long a limit's window is, in one word."""
    match limit.schedule:
        case Calendar(every):
            return every.value
        case Session(length):
            return f"session {span_text(length)}"
        case PerRun():
            return "run"
        case _:
            return "none"


def provider_of(limit: Limit) -> str:
    """The one provider a limit is about, empty when it is about several."""
    values = dict(limit.match).get("provider", frozenset())
    return next(iter(values)) if len(values) == 1 else ""


def every_instance(board: Board) -> list[Binding]:
    """Every limit instance there is: those with a window, and single limits even before their first use."""
    found = {t.instance: Binding(t.limit, t.value) for t in board.all() if not t.closed}
    for limit in board.limits:
        if not limit.per:
            found.setdefault(limit.id, Binding(limit, ""))
    order = {limit.id: place for place, limit in enumerate(board.limits)}
    return sorted(found.values(), key=lambda binding: (order[binding.limit.id], binding.value))


def used_today(history: Histories, zone: str, now: datetime) -> int:
    """What a limit used since midnight in its zone, to the hour."""
    midnight, end = Calendar(Every.DAY, zone).span(now)
    return round(history.used(midnight, end))


def usual_today(history: Histories, zone: str, now: datetime) -> int | None:
    """What a limit used by this time of the day on the last seven days, in the mean; None before it has a day.

    An hour that is not over yet counts by its part, as if it were used evenly.
    """
    if not history.all.starts.size:
        return None
    calendar, first, days = Calendar(Every.DAY, zone), float(history.all.starts[0]), []
    for back in range(1, USUAL_DAYS + 1):
        at = now - back * DAY
        if at.timestamp() < first:
            break
        hour = at.replace(minute=0, second=0, microsecond=0)
        begun = history.used(hour, hour + HOUR) * ((at - hour) / HOUR)
        days.append(history.used(calendar.span(at)[0], hour) + begun)
    return round(sum(days) / len(days)) if days else None


def pool_of(board: Board, binding: Binding) -> str:
    """The pool that a limit instance is a member of, empty when it is in none."""
    pools = [limit for limit in board.limits if limit.id == binding.limit.parent]
    return pools[0].id if pools and in_pool(binding, pools[0]) else ""


def concurrency(
    limits: Iterable[LimitReading], running: Mapping[Labels, int]
) -> tuple[tuple[str, int, int | None], ...]:
    """By provider: how many leases run, and the least that a limit on all of its leases allows at once."""
    runs: dict[str, int] = {}
    for labels, count in running.items():
        runs[labels.provider] = runs.get(labels.provider, 0) + count
    caps: dict[str, int] = {}
    for limit in limits:
        if (
            limit.unit is Unit.LEASES
            and limit.provider
            and limit.scope == f"provider={limit.provider}"
            and not limit.value
        ):
            caps[limit.provider] = min(limit.amount, caps.get(limit.provider, limit.amount))
    return tuple((name, runs.get(name, 0), caps.get(name)) for name in sorted(runs.keys() | caps.keys()))


def begin(board: Board, binding: Binding, now: datetime) -> None:
    """Show a single calendar limit with an empty window before anything is used."""
    if isinstance(binding.limit.schedule, Calendar) and not board.at(binding, now):
        board.opened(binding, now)
