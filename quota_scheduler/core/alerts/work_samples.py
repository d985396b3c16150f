"""Samples of work: the cache of a workflow and single large runs, with what they mean in time."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from quota_scheduler.core.alerts.rule import Fact
from quota_scheduler.core.alerts.state import Sample
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.instants import iso
from quota_scheduler.core.labels import UNASKED
from quota_scheduler.core.readings.in_time import TimeTaken, time_taken
from quota_scheduler.core.readings.readings import LimitReading, RunReading

NO_WORKFLOW = "no workflow"
"""What work that names no workflow is told as; a line of a message with nothing in this place would be left out."""
CACHE_LOOKBACK = timedelta(hours=24)
"""The time that a cache's hit rate, and so what its fall took, is over."""

Limits = Mapping[str, LimitReading]


def cache_sample(cache: CacheReading, limits: Limits, now: datetime) -> Sample:
    """The cache hit rate of one workflow, against its baseline where there is one."""
    facts: dict[str, Fact] = {
        "workflow": cache.workflow or NO_WORKFLOW,
        "provider": cache.provider,
        "hit_rate": cache.hit_rate,
        "baseline": cache.baseline,
        "input_tokens": cache.input_tokens,
        "changed": ", ".join(cache.changed),
        **_taken(time_taken(cache.lost, limits, over=CACHE_LOOKBACK, now=now)),
    }
    reading = "cache_hit_rate_alone" if cache.baseline is None else "cache_hit_rate"
    size = float(cache.input_tokens)
    return Sample(reading, cache.workflow or NO_WORKFLOW, "", cache.hit_rate, size, "tokens", cache.baseline, facts)


def run_samples(run: RunReading, limits: Limits, now: datetime) -> Iterator[Sample]:
    """The tokens of one run, and whether it is over its cap while it runs."""
    facts: dict[str, Fact] = {
        "run": run.run,
        "workflow": run.workflow or NO_WORKFLOW,
        "task_type": run.task_type,
        "team": "" if run.team == UNASKED else run.team,
        "provider": run.provider,
        "tokens": run.tokens,
        "cost": run.cost_microusd,
        "hit_rate": run.cache_hit_rate,
        "started_at": iso(run.started_at),
        "last_at": iso(run.last_at),
        "finished": int(run.finished),
        **_taken(time_taken(run.charges, limits, over=run.last_at - run.started_at, now=now)),
    }
    size = float(run.tokens)
    over = float(run.over_cap and not run.finished)
    yield Sample("run_tokens", run.run, run.run, size, size, "tokens", facts=facts)
    yield Sample("run_over_cap", run.run, run.run, over, size, "tokens", facts=facts)


def _taken(taken: TimeTaken | None) -> dict[str, Fact]:
    """What was taken out of the limit concerned; without one its name is empty, without a pace its time is None."""
    if taken is None:
        return {"of_limit": ""}
    balance = taken.limit.balance
    length = balance.ends_at - balance.starts_at if balance.ends_at and balance.starts_at else None
    return {
        "of_limit": taken.limit.limit,
        "of_unit": taken.limit.unit.value,
        "of_period": taken.limit.period,
        "of_window_seconds": length.total_seconds() if length else None,
        "taken": taken.amount,
        "taken_share": taken.share,
        "taken_seconds": taken.lasting.total_seconds() if taken.lasting else None,
    }
