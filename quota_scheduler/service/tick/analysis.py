"""What a tick computes once a minute: caches, large runs, and who spends each limit."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.efficiency.cache import BASELINE_DAYS, CacheReading, DayUsage, cache_readings
from quota_scheduler.core.efficiency.flag_effect import FlagReading, flag_readings
from quota_scheduler.core.efficiency.runs import RunKind, RunSummary
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.instants import HOUR_MICROS, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.readings.cache_loss import PriceOf, with_losses
from quota_scheduler.core.readings.readings import RunReading, Spending
from quota_scheduler.core.readings.runs import day_usage, ends, flagged, labels_of, mean_tokens, run_reading
from quota_scheduler.core.readings.spending import Bind, Sets, cache_baselines, cache_hits, causes, run_means, spending
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, ledger, rollups, run_kinds, runs_of_sets, windows

LOOKBACK = timedelta(hours=24)
BASELINE = timedelta(days=15)
RUN_DAYS = timedelta(days=7)
OVERLAP = timedelta(seconds=10)
"""Transactions that were under way when we looked last may carry an instant that much earlier."""
HOURS_A_DAY = 24
DAY = HOURS_A_DAY * HOUR_MICROS
"""Microseconds."""
CACHE_LOOKBACKS = {"1d": LOOKBACK, "7d": timedelta(days=7)}
"""Lookbacks of the cache hit rate by limit, as their label values name them."""


class PastCaches(Struct, frozen=True):
    """How the caches of whole days before ``until`` (UTC days since 1970) fared, read ``at``: it seldom changes."""

    at: datetime
    until: int
    book: Histories
    by_workflow: tuple[DayUsage, ...]
    by_instance: dict[str, float]


class Analysis(Struct, frozen=True):
    """What was found ``at``; ``run_means`` are mean tokens per run over seven days, by provider."""

    at: datetime | None = None
    caches: tuple[CacheReading, ...] = ()
    runs: tuple[RunReading, ...] = ()
    run_means: dict[str, float] = field(default_factory=dict)
    spending: dict[str, Spending] = field(default_factory=dict)
    flags: tuple[FlagReading, ...] = ()
    past: PastCaches | None = None


class Large(Struct, frozen=True):
    """Which runs are worth a look: active ``since`` an instant (None: no run is) with at least so many tokens."""

    since: datetime | None
    least: int
    is_over: Callable[[RunSummary], bool]
    """Whether a run is over its cap."""


def analyse(
    tx: Transaction,
    balances: Balances,
    instances: Sequence[LimitInstance],
    book: Histories,
    *,
    large: Large,
    price: PriceOf,
    before: PastCaches | None = None,
) -> Analysis:
    """Look at the last sixteen days.

    ``large`` says which runs are worth a look and whether they are over their cap; ``price`` tells what a cache that
    fell costs. Runs and rollups are added up where they lie: what is read is a row for each kind of them.
    """
    now, sets = tx.now, ledger.label_sets(tx)

    def bind(labels: Labels) -> tuple[LimitInstance, ...]:
        return book.bind(labels, balances)

    since, since_runs = now - LOOKBACK, now - BASELINE - LOOKBACK
    kinds = run_kinds.kinds_since(tx, since_runs, lately=since)
    run_sums = run_kinds.sums_since(tx, now - RUN_DAYS)
    past = _past_caches(tx, before, book, sets, bind, since)
    recent = rollups.used_between(tx, since, now)
    flag_runs = runs_of_sets.of_label_sets(tx, since_runs, flagged(kinds, sets))
    caches = cache_readings(
        past.by_workflow, ends(kinds, sets, since=since), lookback=_lookback(recent, sets, now), since=since
    )
    return Analysis(
        now,
        with_losses(caches, recent, sets, bind, price, now),
        tuple(
            run_reading(run, over_cap=large.is_over(run), now=now, charges=_charges(run, bind))
            for run in _large_runs(tx, kinds, large, since_runs)
        ),
        mean_tokens(run_sums, sets),
        spending(
            _causes(tx, balances, instances, sets, bind),
            run_means(run_sums, sets, bind),
            {
                name: cache_hits(rollups.used_since(tx, now - span), sets, bind)
                for name, span in CACHE_LOOKBACKS.items()
            },
            past.by_instance,
            _apart(tx, balances),
        ),
        flag_readings(flag_runs, since=now - RUN_DAYS),
        past,
    )


def _past_caches(
    tx: Transaction, before: PastCaches | None, book: Histories, sets: Sets, bind: Bind, since: datetime
) -> PastCaches:
    """The days before that of ``since``; as they were read ``before``, unless one of their hours has changed."""
    until = to_micros(since) // DAY
    begins = since - timedelta(days=BASELINE_DAYS + 1)
    if before and before.until == until and before.book is book and before.at <= tx.now:
        changed = rollups.changed_hours(tx, since=begins, changed_since=before.at - OVERLAP)
        if not changed or changed[0] >= until * HOURS_A_DAY:
            return replace(before, at=tx.now)
    rows = rollups.cached_by_day(tx, until - BASELINE_DAYS, until)
    baselines = cache_baselines(rows, sets, bind, before=since)
    return PastCaches(tx.now, until, book, tuple(day_usage(rows, sets)), baselines)


def _lookback(recent: Iterable[tuple[int, Usage]], sets: Sets, now: datetime) -> list[DayUsage]:
    labelled = ((sets[number][0], usage) for number, usage in recent)
    return [DayUsage(labels.workflow, now.date(), usage, labels.provider) for labels, usage in labelled]


def _large_runs(tx: Transaction, kinds: Iterable[RunKind], large: Large, since: datetime) -> list[RunSummary]:
    """The runs worth a look, read only of those kinds that have any."""
    if large.since is None:
        return []
    label_sets = {kind.label_set for kind in kinds if kind.most_tokens >= large.least}
    return runs_of_sets.large(tx, max(since, large.since), label_sets, least=large.least)


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
        for instance, sentence in causes(rollups.used_since(tx, start), sets, bind, names).items()
    }
