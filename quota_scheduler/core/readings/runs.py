"""Runs as a tick shows them: the large ones, their mean, and what workflows used day by day."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from quota_scheduler.core.efficiency.cache import DayUsage
from quota_scheduler.core.efficiency.runs import RunKind, RunSummary, cache_hit_rate
from quota_scheduler.core.instants import MICROSECOND
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import RunReading
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

Sets = Mapping[int, tuple[Labels, Priority]]
CachedDay = tuple[int, int, int, int]
"""Days since 1970, the number of a label set, its cache reads on that UTC day, and all that went in."""
EPOCH, DAY = date(1970, 1, 1), timedelta(days=1)
IDLE = timedelta(minutes=30)
"""A run without a status counts as ended when nothing came from it for so long."""


def run_reading(
    run: RunSummary, *, over_cap: bool, now: datetime, charges: tuple[tuple[str, int], ...] = ()
) -> RunReading:
    """One run as alerts and dashboards see it at ``now``; ``charges`` are what it took out of limit instances."""
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
        over_cap=over_cap,
        charges=charges,
    )


def labels_of(run: RunSummary) -> Labels:
    """What is known of a run's labels."""
    return Labels(run.provider, run.account, run.model, run.team, run.project, run.workflow, run.task_type, run.agent)


def mean_tokens(sums: Iterable[tuple[int, int, Usage]], sets: Sets) -> dict[str, float]:
    """Mean tokens per run by provider, of runs added up by label set: how many, and what they used together."""
    by_provider: dict[str, tuple[int, int]] = {}
    for number, count, usage in sums:
        provider = sets[number][0].provider
        runs, tokens = by_provider.get(provider, (0, 0))
        by_provider[provider] = runs + count, tokens + usage.tokens
    return {provider: tokens / runs for provider, (runs, tokens) in sorted(by_provider.items())}


def ends(kinds: Iterable[RunKind], sets: Sets, *, since: datetime) -> list[RunSummary]:
    """Of every kind of run one of before ``since``, and one of then: enough to say which traits were there when."""
    return [
        RunSummary(
            "", labels.workflow, labels.task_type, labels.team, labels.provider, labels.model, kind.flags,
            kind.prompt_versions, Usage(), at, at,
        )
        for kind in kinds
        for labels in [sets[kind.label_set][0]]
        for at, is_there in ((since - MICROSECOND, kind.earlier), (since, kind.lately))
        if is_there
    ]  # fmt: skip


def flagged(kinds: Iterable[RunKind], sets: Sets) -> set[int]:
    """The label sets of the workflows that any run had a flag in: those that effects are compared in."""
    kinds = list(kinds)
    workflows = {sets[kind.label_set][0].workflow for kind in kinds if kind.flags}
    return {kind.label_set for kind in kinds if sets[kind.label_set][0].workflow in workflows}


def day_usage(rows: Iterable[CachedDay], sets: Sets) -> list[DayUsage]:
    """What went into each workflow on each UTC day, and how much of it was read from the cache."""
    sums: dict[tuple[str, str, int], tuple[int, int]] = {}
    for day, number, read, all_input in rows:
        labels = sets[number][0]
        slot = labels.provider, labels.workflow, day
        before = sums.get(slot, (0, 0))
        sums[slot] = before[0] + read, before[1] + all_input
    return [
        DayUsage(workflow, EPOCH + day * DAY, Usage(all_input - read, read), provider)
        for (provider, workflow, day), (read, all_input) in sums.items()
    ]
