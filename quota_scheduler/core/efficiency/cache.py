"""The cache hit rate of each workflow against its own past, and what has changed where it fell."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from statistics import median

from msgspec import Struct

from quota_scheduler.core.efficiency.runs import RunSummary, cache_hit_rate
from quota_scheduler.core.usage import Usage, total

BASELINE_DAYS = 14
"""Days before the lookback whose median is the baseline; the lookback itself never drags it down."""
BASELINE_LEAST_DAYS = 7
"""Days with enough traffic that a baseline needs."""
BASELINE_DAY_TOKENS = 100_000
"""Input-side tokens that a day needs to count: the rate of a handful of calls says nothing."""


class CacheReading(Struct, frozen=True):
    """Cache hit rate of one workflow over the lookback, against its own past.

    ``baseline`` is None until seven days of it are known. ``input_tokens`` are the input-side tokens of the lookback;
    ``changed`` names what is new since the baseline: models, prompt versions, flags. ``lost`` is by limit instance
    what the lookback took more than at the baseline, in the base of the limit's unit; empty where that is not known.
    """

    workflow: str
    provider: str
    hit_rate: float
    baseline: float | None
    input_tokens: int
    changed: tuple[str, ...] = ()
    lost: tuple[tuple[str, int], ...] = ()


class DayUsage(Struct, frozen=True):
    """The usage of one workflow with one provider on one UTC day."""

    workflow: str
    day: date
    usage: Usage
    provider: str = ""


def cache_baseline(days: Iterable[DayUsage], *, before: date) -> float | None:
    """Return the median daily cache hit rate of one workflow over the 14 days before a day.

    Rows of one day are added up; days with little traffic are left out. None with fewer than seven days left.
    """
    first, usage_by_day = before - timedelta(days=BASELINE_DAYS), defaultdict(list)
    for row in days:
        if first <= row.day < before:
            usage_by_day[row.day].append(row.usage)
    usages = map(total, usage_by_day.values())
    rates = [rate for u in usages if u.input_side >= BASELINE_DAY_TOKENS and (rate := cache_hit_rate(u)) is not None]
    return median(rates) if len(rates) >= BASELINE_LEAST_DAYS else None


def cache_readings(
    days: Iterable[DayUsage], runs: Iterable[RunSummary], *, lookback: Iterable[DayUsage], since: datetime
) -> tuple[CacheReading, ...]:
    """Compare each workflow's cache hit rate over the lookback with its own past.

    ``lookback`` is the usage from ``since`` to now (its ``day`` is not looked at), ``days`` the past by UTC day and
    ``runs`` those of both, from which what changed is read. Workflows come in order of provider and name; those into
    which nothing went are left out.
    """
    past, recent, traits = defaultdict(list), defaultdict(list), defaultdict(list)
    for row in days:
        past[row.provider, row.workflow].append(row)
    for row in lookback:
        recent[row.provider, row.workflow].append(row.usage)
    for run in runs:
        traits[run.provider, run.workflow].append(run)
    readings = []
    for provider, workflow in sorted(recent):
        key, usage = (provider, workflow), total(recent[provider, workflow])
        if (rate := cache_hit_rate(usage)) is None:
            continue
        baseline = cache_baseline(past[key], before=since.astimezone(UTC).date())
        changed = what_changed(traits[key], since=since)
        readings.append(CacheReading(workflow, provider, rate, baseline, usage.input_side, changed))
    return tuple(readings)


def what_changed(runs: Iterable[RunSummary], *, since: datetime) -> tuple[str, ...]:
    """Name the models, prompt versions and flags of runs at or after ``since`` that those before it did not have.

    A flag that no recent run has any more is named too. Nothing has changed where there is no past to compare with.
    """
    before: set[str] = set()
    after: set[str] = set()
    for run in runs:
        (after if run.last_at >= since else before).update(_traits(run))
    if not before or not after:
        return ()
    gone = {f"{trait} no longer set" for trait in before - after if trait.startswith("flag ")}
    return tuple(sorted(after - before)) + tuple(sorted(gone))


def _traits(run: RunSummary) -> Iterable[str]:
    yield f"model {run.model or 'unknown'}"
    yield from (f"prompt version {version}" for version in run.prompt_versions if version)
    yield from (f"flag {flag}" for flag in run.flags)
