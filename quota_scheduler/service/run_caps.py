"""Runs that pass their cap: counted once each, in the transaction of the usage that takes them over it.

A backfill counts none: that a run of last month was too large is nothing that happens now.
"""

from collections.abc import Iterable, Sequence

from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.run_caps import growth_of, passes
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.store import Transaction, counters, ledger


def count_passed(tx: Transaction, changes: Sequence[Change], limits: Iterable[Limit]) -> None:
    """Count the runs that these changes of the ledger, applied already, have taken over a cap that binds them."""
    caps = [limit for limit in limits if limit.is_per_run]
    fresh = {new.run for _, new in changes if new and not new.is_backfill(tx.now)} if caps else set()
    growth = growth_of([change for change in changes if any(event and event.run in fresh for event in change)])
    for run, after in ledger.run_usage(tx, growth).items() if growth else ():
        labels = growth[run].labels
        if labels and passes(growth[run], after, caps):
            counters.add(tx, "quota_workflows_over_budget_total", (labels.task_type,))
