"""Who spends a limit, and in what portions: the sentence that an alert needs, and how many runs are left."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from quota_scheduler.core.efficiency.cache import DayUsage, cache_baseline
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Spending
from quota_scheduler.core.readings.runs import DAY, EPOCH, CachedDay
from quota_scheduler.core.usage import Usage

Sets = Mapping[int, tuple[Labels, Priority]]
Bind = Callable[[Labels], tuple[LimitInstance, ...]]
"""Names the limit instances that labels fall to."""
Sums = Iterable[tuple[int, Usage]]


def causes(sums: Sums, sets: Sets, bind: Bind, wanted: Collection[str]) -> dict[str, str]:
    """Say of each wanted instance who spends most: ``72 % by workflow nightly-tests (claude-opus-5)``.

    The model named is the one that this workflow spends most with. Instances without usage are left out.
    """
    shares: dict[str, dict[str, dict[str, int]]] = {}
    for number, usage in sums:
        labels, _ = sets[number]
        for instance in bind(labels):
            charge = instance.limit.charge(usage) if instance.name in wanted else 0
            if charge > 0:
                models = shares.setdefault(instance.name, {}).setdefault(labels.workflow, {})
                models[labels.model] = models.get(labels.model, 0) + charge
    return {instance: _sentence(by_workflow) for instance, by_workflow in shares.items()}


def _sentence(shares: Mapping[str, Mapping[str, int]]) -> str:
    totals = {workflow: sum(models.values()) for workflow, models in shares.items()}
    first = min(totals, key=lambda workflow: (-totals[workflow], workflow))
    model = min(shares[first], key=lambda name: (-shares[first][name], name))
    who = f"workflow {first}" if first else "work without a workflow"
    return f"{100 * totals[first] / sum(totals.values()):.0f} % by {who}" + (f" ({model})" if model else "")


def run_means(runs: Iterable[tuple[int, int, Usage]], sets: Sets, bind: Bind) -> dict[str, tuple[float, float]]:
    """Return mean tokens per run, and the mean charge in the limit's unit, of every limit instance that had runs."""
    sums: dict[str, tuple[int, int, int]] = {}
    for number, count, usage in runs:
        for instance in bind(sets[number][0]):
            runs_before, tokens, charge = sums.get(instance.name, (0, 0, 0))
            more = (runs_before + count, tokens + usage.tokens, charge + instance.limit.charge(usage))
            sums[instance.name] = more
    return {name: (tokens / count, charge / count) for name, (count, tokens, charge) in sums.items()}


def cache_hits(sums: Sums, sets: Sets, bind: Bind) -> dict[str, float]:
    """Return the cache-read share of the input tokens of every limit instance that had any."""
    sums_by_instance: dict[str, tuple[int, int]] = {}
    for number, usage in sums:
        for instance in bind(sets[number][0]) if usage.input_side > 0 else ():
            read, all_input = sums_by_instance.get(instance.name, (0, 0))
            sums_by_instance[instance.name] = (read + usage.cache_read, all_input + usage.input_side)
    return {name: read / all_input for name, (read, all_input) in sums_by_instance.items()}


def cache_baselines(rows: Iterable[CachedDay], sets: Sets, bind: Bind, *, before: datetime) -> dict[str, float]:
    """Return the usual cache hit rate by limit instance: the median day of the 14 before; absent under seven days."""
    days: dict[str, dict[int, tuple[int, int]]] = {}
    for day, number, read, all_input in rows:
        for instance in bind(sets[number][0]) if all_input > 0 else ():
            sums = days.setdefault(instance.name, {})
            reads_before, input_before = sums.get(day, (0, 0))
            sums[day] = reads_before + read, input_before + all_input
    baselines = ((name, _baseline(name, by_day, before)) for name, by_day in days.items())
    return {name: rate for name, rate in baselines if rate is not None}


def _baseline(name: str, by_day: Mapping[int, tuple[int, int]], before: datetime) -> float | None:
    usage_by_day = (
        DayUsage(name, EPOCH + day * DAY, Usage(all_input - read, read)) for day, (read, all_input) in by_day.items()
    )
    return cache_baseline(usage_by_day, before=before.date())


def spending(
    causes: Mapping[str, str],
    means: Mapping[str, tuple[float, float]],
    hits: Mapping[str, Mapping[str, float]],
    baselines: Mapping[str, float],
    apart: Mapping[str, tuple[int, int]],
) -> dict[str, Spending]:
    """Join it by limit instance; ``hits`` by lookback, ``apart``: used without a lease, and beyond reservations."""
    of_hits = {name for by_instance in hits.values() for name in by_instance}
    names = sorted(causes.keys() | means.keys() | of_hits | baselines.keys() | apart.keys())
    return {
        name: Spending(
            causes.get(name, ""),
            means[name][0] if name in means else None,
            means[name][1] if name in means else None,
            tuple((lookback, by_instance[name]) for lookback, by_instance in hits.items() if name in by_instance),
            baselines.get(name),
            *apart.get(name, (0, 0)),
        )
        for name in names
    }
