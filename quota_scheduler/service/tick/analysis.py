"""What a tick computes once a minute: caches, large runs, and who spends each limit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.efficiency.cache import CacheReading, DayUsage, cache_readings
from quota_scheduler.core.efficiency.flag_effect import FlagReading, flag_readings
from quota_scheduler.core.efficiency.runs import RunSummary, cache_hit_rate
from quota_scheduler.core.forecast.histories import Histories, Hour
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.readings import RunReading, Spending
from quota_scheduler.core.readings.spending import Bind, Sets, cache_baselines, cache_hits, causes, run_means, spending
from quota_scheduler.core.units import Unit
from quota_scheduler.store import Transaction, forecasts, ledger, windows

LOOKBACK = timedelta(hours=24)
BASELINE = timedelta(days=15)
RUN_DAYS = timedelta(days=7)
CACHE_LOOKBACKS = {"1d": LOOKBACK, "7d": timedelta(days=7)}
"""Lookbacks of the cache hit rate by limit, as their label values name them."""
IDLE = timedelta(minutes=30)
"""A run without a status counts as ended when nothing came from it for so long."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found ``at``; ``run_means`` are mean tokens per run over seven days, by provider."""

    at: datetime | None = None
    caches: tuple[CacheReading, ...] = ()
    runs: tuple[RunReading, ...] = ()
    run_means: dict[str, float] = field(default_factory=dict)
    spending: dict[str, Spending] = field(default_factory=dict)
    flags: tuple[FlagReading, ...] = ()


def analyse(
    tx: Transaction,
    balances: Balances,
    instances: Sequence[LimitInstance],
    book: Histories,
    *,
    large: Callable[[RunSummary], bool | None],
) -> Analysis:
    """Look at the last sixteen days.

    ``large`` says of a run None when nobody need look at it, else whether it is over its cap.
    """
    now, sets = tx.now, ledger.label_sets(tx)

    def bind(labels: Labels) -> tuple[LimitInstance, ...]:
        return book.bind(labels, balances)

    since = now - LOOKBACK
    recent_runs = ledger.runs_since(tx, now - BASELINE - LOOKBACK)
    past = list(book.between(now - BASELINE - LOOKBACK, since))
    before = _days(past, sets)
    lately = _days(book.between(since, now), sets)
    found = [(run, large(run)) for run in recent_runs]
    return Analysis(
        now,
        cache_readings(before, recent_runs, lookback=lately, since=since),
        tuple(_run_reading(run, over, now) for run, over in found if over is not None),
        _means(recent_runs, now),
        spending(
            _causes(tx, balances, instances, sets, bind),
            run_means(forecasts.runs_since(tx, now - RUN_DAYS), sets, bind),
            {
                name: cache_hits(forecasts.usage_since(tx, now - span), sets, bind)
                for name, span in CACHE_LOOKBACKS.items()
            },
            cache_baselines(past, sets, bind, before=since),
            _apart(tx, balances),
        ),
        flag_readings(recent_runs, since=now - RUN_DAYS),
    )


def _apart(tx: Transaction, balances: Balances) -> dict[str, tuple[int, int]]:
    """Tokens used without a lease and beyond reservations, over all windows of every limit in tokens."""
    tokens = {limit.id: limit for limit in balances.limits if limit.unit is Unit.TOKENS}
    rows = windows.used_apart(tx)
    return {tokens[rule].instance_id(value): (unleased, over) for rule, value, unleased, over in rows if rule in tokens}


def over_cap(run: RunSummary, caps: Iterable[Limit]) -> bool:
    """Whether a run has used more than a cap that binds it."""
    labels = Labels(run.provider, model=run.model, team=run.team, workflow=run.workflow, task_type=run.task_type)
    return any(cap.selects(labels) and cap.charge(run.usage) > cap.amount for cap in caps)


def _causes(
    tx: Transaction, balances: Balances, instances: Iterable[LimitInstance], sets: Sets, bind: Bind
) -> dict[str, str]:
    """Who spends the current window of each limit; limits whose windows began together are looked up together."""
    together: dict[datetime, set[str]] = {}
    for instance in instances:
        window = balances.ruling(instance).window
        if window and instance.limit.is_windowed:
            together.setdefault(window.starts_at, set()).add(instance.name)
    return {
        instance: sentence
        for start, names in together.items()
        for instance, sentence in causes(forecasts.usage_since(tx, start), sets, bind, names).items()
    }


def _days(rows: Iterable[Hour], sets: Sets) -> list[DayUsage]:
    labelled = ((hour, sets[number][0], usage) for hour, number, usage in rows)
    return [DayUsage(labels.workflow, hour.date(), usage, labels.provider) for hour, labels, usage in labelled]


def _run_reading(run: RunSummary, over: bool, now: datetime) -> RunReading:
    return RunReading(
        run=run.run,
        workflow=run.workflow,
        task_type=run.task_type,
        team=run.team,
        provider=run.provider,
        tokens=run.usage.tokens,
        cost_microusd=run.usage.amount(Unit.USD),
        cache_hit_rate=cache_hit_rate(run.usage) or 0.0,
        started_at=run.started_at,
        last_at=run.last_at,
        finished=bool(run.status) or now - run.last_at > IDLE,
        over_cap=over,
    )


def _means(runs: Iterable[RunSummary], now: datetime) -> dict[str, float]:
    """Mean tokens per run over the last 7 days, by provider."""
    sums: dict[str, list[int]] = {}
    for run in runs:
        if run.last_at >= now - RUN_DAYS:
            sums.setdefault(run.provider, []).append(run.usage.tokens)
    return {provider: sum(own) / len(own) for provider, own in sorted(sums.items())}
