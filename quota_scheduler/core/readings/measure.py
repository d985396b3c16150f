"""Readings of a limit, measured from its window, its history and its forecast."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct, field

from quota_scheduler.core.admission.decide import admits
from quota_scheduler.core.admission.headroom import Headroom, in_pool
from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.efficiency.optimization import optimization_level
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.histories import Pairs, UsageHistory
from quota_scheduler.core.forecast.track_record import TrackReading
from quota_scheduler.core.labels import Labels, is_pattern
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session, span_text
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.waiting import WaitingByInstance, WaitingTotals
from quota_scheduler.core.readings.burn import burns
from quota_scheduler.core.readings.observed import NO_WORD, ObservedWord, is_estimated, read_observed
from quota_scheduler.core.readings.readings import (
    BalanceReading,
    ClassReading,
    LimitQueueReading,
    LimitReading,
    ProjectionReading,
    Spending,
)
from quota_scheduler.core.readings.scheduling_quality import QualityReading
from quota_scheduler.core.readings.throttle_level import LevelFacts, LevelState, ThrottleLevel
from quota_scheduler.core.tickets.ticket import Reason
from quota_scheduler.core.units import Unit

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
USUAL_DAYS = 7
"""Days that what is usual by now is the mean of: every weekday once."""


def certain_usage(balance: Balance, waiting: int, *, allowance: int) -> int:
    """Add up what is sure to come: what runs may still spend, and what waits as far as the limit lets it start."""
    headroom = max(0, allowance - balance.spent - balance.reserved)
    return balance.reserved + (min(waiting, headroom) if balance.limit.mode is Mode.ENFORCE else waiting)


def waiting_amounts(waiting_totals: WaitingByInstance) -> dict[str, int]:
    """Tell what waits for each limit instance, in its unit."""
    return {instance: sum(totals.amount for totals in classes.values()) for instance, classes in waiting_totals.items()}


class QueueFacts(Struct, frozen=True):
    """What waits and runs in one limit instance, and whether the limit is ``holding`` a class back."""

    queue: LimitQueueReading
    holding: bool


def running_by_instance(running: Mapping[Labels, int], balances: Balances) -> dict[str, int]:
    """Count running leases of each limit instance; ``running`` counts them by labels."""
    runs: dict[str, int] = {}
    for labels, count in running.items():
        for instance in balances.instances(labels.asking):
            runs[instance.name] = runs.get(instance.name, 0) + count
    return runs


def queue_facts(
    waiting: Mapping[Priority, WaitingTotals], leases: int, headroom: Headroom, now: datetime, *, overshoot: int = 0
) -> QueueFacts:
    """Tell what waits and runs in one limit instance, and whether it is holding a class back.

    ``overshoot`` is by how much its running leases have passed their reservations.
    """
    classes = tuple(
        ClassReading(priority.value, totals.count, totals.oldest)
        for priority, totals in sorted(waiting.items(), key=lambda item: item[0].rank)
    )
    holding = any(
        admits(headroom, totals.least, priority, now) in (Reason.PACED, Reason.THROTTLED, Reason.NO_HEADROOM)
        for priority, totals in waiting.items()
    )
    return QueueFacts(LimitQueueReading(classes, leases, overshoot), holding)


def level_facts(headroom: Headroom, queue: QueueFacts, *, now: datetime) -> LevelFacts:
    """Put together what the throttle level of a limit follows from; a loan counts that the headroom knows of."""
    balance = headroom.balance
    starts_at = balance.window.starts_at if balance.window else None
    return LevelFacts(
        balance.spent,
        headroom.allowance(now),
        balance.amount,
        queue.holding,
        starts_at=starts_at,
        loan=headroom.loan,
    )


class LimitFacts(Struct, frozen=True):
    """What was computed about a limit instance beside its counters; ``weighted_mean`` is that baseline's projection.

    ``loans`` are those that stand and in which it is lender or borrower, ``loan`` is what it may borrow in all.
    """

    forecast: Forecast | None = None
    weighted_mean: int | None = None
    lately: Pairs = field(default_factory=list)
    track: TrackReading | None = None
    spending: Spending = field(default_factory=Spending)
    parent: str = ""
    used_today: int = 0
    usual_today: int | None = None
    quality: QualityReading | None = None
    word: ObservedWord = NO_WORD
    loans: tuple[Loan, ...] = ()
    loan: int = 0


def read_limit(
    headroom: Headroom, queue: QueueFacts, level: LevelState, facts: LimitFacts, *, now: datetime
) -> LimitReading:
    """Read one limit instance as everybody sees it at ``now``."""
    limit, name = headroom.balance.limit, headroom.balance.name
    observed = read_observed(headroom.balance, facts.word, now=now)
    balance = read_balance(headroom, facts, estimated=is_estimated(headroom.balance, observed), now=now)
    optimization = optimization_level(balance.headroom, balance.amount, headroom.thresholds)
    return LimitReading(
        limit=name,
        rule=limit.id,
        value=headroom.balance.value,
        provider=provider_of(limit),
        scope=scope_text(limit, headroom.balance.value),
        unit=limit.unit,
        period=period_text(limit),
        zone=limit.zone,
        mode=limit.mode.value,
        balance=balance,
        projection=read_projection(headroom, facts, now=now),
        queue=queue.queue,
        level=level.level.value,
        level_since=level.since,
        level_caused_at=None if level.level is ThrottleLevel.OPEN else level.caused_at,
        optimization=optimization.value,
        spending=facts.spending,
        parent=facts.parent,
        labels=fixed_labels(limit, headroom.balance.value),
        quality=facts.quality,
        observed=observed,
        warn_at=limit.warn_at_of(headroom.balance.value),
        at_limit=limit.at_limit_of(headroom.balance.value) or "",
        loans=facts.loans,
    )


def read_balance(headroom: Headroom, facts: LimitFacts, *, estimated: bool, now: datetime) -> BalanceReading:
    """Read what is used, reserved and left of a limit at ``now``."""
    balance, window = headroom.balance, headroom.balance.window
    return BalanceReading(
        amount=balance.amount,
        allowance=headroom.allowance(now),
        used=balance.spent,
        reserved=balance.reserved,
        starts_at=window.starts_at if window else None,
        ends_at=window.ends_at if window else None,
        estimated=estimated,
        used_today=facts.used_today,
        usual_today=facts.usual_today,
        loan=facts.loan,
    )


def read_projection(headroom: Headroom, facts: LimitFacts, *, now: datetime) -> ProjectionReading:
    """Read where a limit's window ends, and how fast it is used with what it may borrow; nothing has no burn rate."""
    balance, window = headroom.balance, headroom.balance.window
    usable = balance.amount + facts.loan
    burn = burns(facts.lately, window, balance.spent, usable, now, HOUR) if window and balance.amount else ()
    risk = headroom.outlook.risk if headroom.outlook else "unknown"
    return ProjectionReading(facts.forecast, facts.weighted_mean, facts.track, risk, burn)


def fixed_labels(limit: Limit, value: str) -> tuple[tuple[str, str], ...]:
    """Return the labels that everything in a limit instance carries: matched by one value, or whose value it is."""
    matched = {name: one for name, values in limit.match if (one := _single(values))}
    return tuple(sorted({**matched, **({limit.per: value} if limit.per and value else {})}.items()))


def scope_text(limit: Limit, value: str = "") -> str:
    """Say what a limit selects: ``provider=anthropic team=growth|sales``, ``each team``; ``everything`` without either.

    With the ``value`` of one instance, that: ``team=growth``.
    """
    parts = [f"{name}={'|'.join(sorted(values))}" for name, values in limit.match]
    if limit.per and not limit.is_per_run:
        parts.append(f"{limit.per}={value}" if value else f"each {limit.per}")
    return " ".join(parts) or "everything"


def period_text(limit: Limit) -> str:
    """Tell how long a limit's window is, in one word."""
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
    """Return the one provider a limit is about, empty when it is about several."""
    return _single(dict(limit.match).get("provider", frozenset()))


def _single(values: Collection[str]) -> str:
    """Return the one value of a scope; empty where there are several or a pattern."""
    value = next(iter(values)) if len(values) == 1 else ""
    return "" if is_pattern(value) else value


def every_instance(balances: Balances) -> list[LimitInstance]:
    """Return every limit instance there is: those with a window, and single limits even before their first use."""
    instances = {t.name: LimitInstance(t.limit, t.value) for t in balances.all() if not t.closed}
    for limit in balances.limits:
        if not limit.per:
            instances.setdefault(limit.id, LimitInstance(limit, ""))
    order = {limit.id: place for place, limit in enumerate(balances.limits)}
    return sorted(instances.values(), key=lambda instance: (order[instance.limit.id], instance.value))


def used_today(history: UsageHistory, zone: str, now: datetime) -> int:
    """Tell what a limit used since midnight in its zone, to the hour."""
    return round(history.used_between(_today(zone, now))[0])


def usual_today(history: UsageHistory, zone: str, now: datetime) -> int | None:
    """Tell what a limit used by this time of the day on the last seven days, in the mean; None before it has a day.

    An hour that is not over yet counts by its part, as if it were used evenly.
    """
    if not history.all.starts.size:
        return None
    first, edges, part = float(history.all.starts[0]), *_days_before(zone, now)
    known = sum(at >= first for at, _, _, _ in edges)
    if not known:
        return None
    # oldest first, so that all are found in one look
    used = history.used_between([edge for day in reversed(edges[:known]) for edge in day[1:]])
    return round((sum(used[0::3]) + part * sum(used[1::3])) / known)


class DaysOfUse:
    """What limits used today, and usually have by now, looked up once for all that share a history and a zone."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._by_history: dict[tuple[int, str], tuple[int, int | None]] = {}

    def of(self, history: UsageHistory, zone: str) -> tuple[int, int | None]:
        """Return what was used since midnight, and by this time of the day on the last seven days in the mean."""
        key = id(history.all), zone
        if key not in self._by_history:
            self._by_history[key] = used_today(history, zone, self._now), usual_today(history, zone, self._now)
        return self._by_history[key]


@lru_cache(maxsize=8)
def _today(zone: str, now: datetime) -> list[float]:
    """Return when the civil day of an instant begins and ends in a zone, in seconds since 1970."""
    return [end.timestamp() for end in Calendar(Every.DAY, zone).span(now)]


@lru_cache(maxsize=8)
def _days_before(zone: str, now: datetime) -> tuple[list[tuple[float, float, float, float]], float]:
    """Return this instant of each of the last seven days, newest first, with its midnight in a zone and its hour.

    In seconds since 1970, and with the part of the hour that has passed. All limits of a tick ask for the same.
    """
    calendar, days = Calendar(Every.DAY, zone), []
    begun = now.replace(minute=0, second=0, microsecond=0)
    for back in range(1, USUAL_DAYS + 1):
        at, hour = now - back * DAY, begun - back * DAY
        days.append((at.timestamp(), calendar.span(at)[0].timestamp(), hour.timestamp(), (hour + HOUR).timestamp()))
    return days, (now - begun) / HOUR


def pool_of(balances: Balances, instance: LimitInstance) -> str:
    """Return the pool that a limit instance is a member of, empty when it is in none."""
    pool = balances.limit(instance.limit.parent)
    return pool.id if pool and in_pool(instance, pool) else ""


def concurrency(
    limits: Iterable[LimitReading], running: Mapping[Labels, int]
) -> tuple[tuple[str, int, int | None], ...]:
    """Tell by provider how many leases run, and the least that a limit on all of its leases allows at once."""
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
            caps[limit.provider] = min(limit.balance.amount, caps.get(limit.provider, limit.balance.amount))
    return tuple((name, runs.get(name, 0), caps.get(name)) for name in sorted(runs.keys() | caps.keys()))


def begin(balances: Balances, instance: LimitInstance, now: datetime) -> None:
    """Show a single calendar limit with an empty window before anything is used."""
    if isinstance(instance.limit.schedule, Calendar) and not balances.find(instance, now):
        balances.open_for_use(instance, now)
