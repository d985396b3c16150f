"""Runs that pass their cap: what changes of the ledger add to each run, and whether that takes it over."""

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import Usage


class RunGrowth(Struct):
    """What changes add to one run, and the labels that it was last seen with; None where something only goes."""

    usage: Usage = field(default_factory=Usage)
    labels: Labels | None = None


def growth_of(changes: Iterable[Change]) -> dict[str, RunGrowth]:
    """By run: what the changes add to it; only runs that something new came for."""
    by_run: dict[str, RunGrowth] = {}
    for old, new in changes:
        if old and old.run:
            run = by_run.setdefault(old.run, RunGrowth())
            run.usage = run.usage.minus(old.usage)
        if new and new.run:
            run = by_run.setdefault(new.run, RunGrowth())
            run.usage, run.labels = run.usage.plus(new.usage), new.labels
    return {name: run for name, run in by_run.items() if run.labels is not None}


def passes(growth: RunGrowth, after: Usage, caps: Sequence[Limit]) -> bool:
    """Whether a run that has used ``after`` by now was within all its caps before it grew, and is no more."""
    labels = growth.labels
    return labels is not None and is_over(after, labels, caps) and not is_over(after.minus(growth.usage), labels, caps)


def is_over(usage: Usage, labels: Labels, caps: Iterable[Limit]) -> bool:
    """Whether a run has used more than a cap that binds it."""
    return any(cap.selects(labels) and cap.charge(usage) > cap.amount for cap in caps)
