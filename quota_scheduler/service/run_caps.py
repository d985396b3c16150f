"""Runs that pass their cap: counted once each, in the transaction of the usage that takes them over it.

A backfill counts none: that a run of last month was too large is nothing that happens now.
"""

from collections.abc import Iterable, Sequence

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, counters, ledger


def count_passed(tx: Transaction, changes: Sequence[Change], limits: Iterable[Limit]) -> None:
    """Count the runs that these changes of the ledger, applied already, have taken over a cap that binds them."""
    caps = [limit for limit in limits if limit.is_per_run]
    fresh = {new.run for _, new in changes if new and not new.is_backfill(tx.now)} if caps else set()
    grown, labels = _grown([each for each in changes if any(event and event.run in fresh for event in each)])
    if not grown:
        return
    for run, after in ledger.run_usage(tx, grown).items():
        if _passes(after.minus(grown[run]), after, labels[run], caps):
            counters.add(tx, "quota_workflows_over_budget_total", (labels[run].task_type,))


def _grown(changes: Iterable[Change]) -> tuple[dict[str, Usage], dict[str, Labels]]:
    """By run: what the changes add to it, and its labels."""
    grown: dict[str, Usage] = {}
    labels: dict[str, Labels] = {}
    for old, new in changes:
        if old and old.run:
            grown[old.run] = grown.get(old.run, Usage()).minus(old.usage)
        if new and new.run:
            grown[new.run] = grown.get(new.run, Usage()).plus(new.usage)
            labels[new.run] = new.labels
    return {run: usage for run, usage in grown.items() if run in labels}, labels


def _passes(before: Usage, after: Usage, labels: Labels, caps: Sequence[Limit]) -> bool:
    """Whether a run was within all its caps, and is no more."""
    own = [cap for cap in caps if cap.selects(labels)]
    return _over(after, own) and not _over(before, own)


def _over(usage: Usage, caps: Iterable[Limit]) -> bool:
    return any(cap.charge(usage) > cap.amount for cap in caps)
