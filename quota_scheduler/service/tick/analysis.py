"""What a tick computes once a minute: caches, large runs, and who spends each limit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.efficiency.cache import CacheReading, cache_readings
from quota_scheduler.core.efficiency.flag_effect import FlagReading, flag_readings
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.readings.cache_loss import PriceOf, with_losses
from quota_scheduler.core.readings.readings import RunReading, Spending
from quota_scheduler.core.readings.runs import day_usage, labels_of, mean_tokens, run_reading
from quota_scheduler.core.readings.spending import Bind, Sets, cache_baselines, cache_hits, causes, run_means, spending
from quota_scheduler.core.units import Unit
from quota_scheduler.store import Transaction, forecasts, ledger, windows

LOOKBACK = timedelta(hours=24)
BASELINE = timedelta(days=15)
RUN_DAYS = timedelta(days=7)
CACHE_LOOKBACKS = {"1d": LOOKBACK, "7d": timedelta(days=7)}
"""Lookbacks of the cache hit rate by limit, as their label values name them."""


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
    price: PriceOf,
) -> Analysis:
    """Look at the last sixteen days.

    ``large`` says of a run None when nobody need look at it, else whether it is over its cap; ``price`` tells what a
    cache that fell costs.
    """
    now, sets = tx.now, ledger.label_sets(tx)

    def bind(labels: Labels) -> tuple[LimitInstance, ...]:
        return book.bind(labels, balances)

    since = now - LOOKBACK
    recent_runs = ledger.runs_since(tx, now - BASELINE - LOOKBACK)
    past = list(book.between(now - BASELINE - LOOKBACK, since))
    before = day_usage(past, sets)
    recent = list(book.between(since, now))
    lately = day_usage(recent, sets)
    looked_at = [(run, large(run)) for run in recent_runs]
    return Analysis(
        now,
        with_losses(
            cache_readings(before, recent_runs, lookback=lately, since=since),
            ((number, usage) for _, number, usage in recent),
            sets,
            bind,
            price,
            now,
        ),
        tuple(
            run_reading(run, over_cap=over, now=now, charges=_charges(run, bind))
            for run, over in looked_at
            if over is not None
        ),
        mean_tokens(recent_runs, since=now - RUN_DAYS),
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


def _charges(run: RunSummary, bind: Bind) -> tuple[tuple[str, int], ...]:
    """What a run took out of every limit instance that it falls to."""
    return tuple((instance.name, instance.limit.charge(run.usage)) for instance in bind(labels_of(run)))


def _apart(tx: Transaction, balances: Balances) -> dict[str, tuple[int, int]]:
    """Tokens used without a lease and beyond reservations, over all windows of every limit in tokens."""
    tokens = {limit.id: limit for limit in balances.limits if limit.unit is Unit.TOKENS}
    rows = windows.used_apart(tx)
    return {tokens[rule].instance_id(value): (unleased, over) for rule, value, unleased, over in rows if rule in tokens}


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
