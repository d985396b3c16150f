"""Runs as a tick shows them: the large ones, their mean, and what workflows used day by day."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from quota_scheduler.core.efficiency.cache import DayUsage
from quota_scheduler.core.efficiency.runs import RunSummary, cache_hit_rate
from quota_scheduler.core.forecast.histories import Hour
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import RunReading
from quota_scheduler.core.units import Unit

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


def mean_tokens(runs: Iterable[RunSummary], *, since: datetime) -> dict[str, float]:
    """Mean tokens per run last active since then, by provider."""
    sums: dict[str, list[int]] = {}
    for run in runs:
        if run.last_at >= since:
            sums.setdefault(run.provider, []).append(run.usage.tokens)
    return {provider: sum(tokens) / len(tokens) for provider, tokens in sorted(sums.items())}


def day_usage(rows: Iterable[Hour], sets: Mapping[int, tuple[Labels, Priority]]) -> list[DayUsage]:
    """Rollups as what a workflow used on a UTC day."""
    labelled = ((hour, sets[number][0], usage) for hour, number, usage in rows)
    return [DayUsage(labels.workflow, hour.date(), usage, labels.provider) for hour, labels, usage in labelled]
