"""Finished work → what the next ticket is expected to use; and what is too old to teach anything leaves."""

from datetime import timedelta

from quota_scheduler.core.tickets.run_history import EstimateBasis, run_history_of
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import (
    Transaction,
    bills,
    comments,
    decision_counts,
    ledger,
    observations,
    produced,
    pruned,
    rollups,
    run_history,
    run_kinds,
    tickets,
)
from quota_scheduler.store import alerts as alert_store

CLOSED_TICKETS_KEPT = timedelta(hours=24)
"""How long a closed ticket's key still names it."""
CHANGES_KEPT = timedelta(days=8)
"""How long is known which hours moved: histories are gone on from for a week, then all hours are read anew."""
MIX_DAYS = timedelta(days=7)


def learned(tx: Transaction) -> EstimateBasis:
    """What finished runs took, and by workflow, task type and provider how work splits over the token kinds."""
    sums: dict[str, Usage] = {}
    sets = ledger.label_sets(tx)
    for number, _, usage in run_kinds.sums_since(tx, tx.now - MIX_DAYS):
        labels = sets[number][0]
        for name in (f"workflow:{labels.workflow}", f"task_type:{labels.task_type}", f"provider:{labels.provider}"):
            if not name.endswith(":"):
                sums[name] = sums.get(name, Usage()).plus(usage)
    return EstimateBasis(run_history_of(run_history.load(tx)), sums)


def prune(tx: Transaction, *, raw: timedelta, keys: timedelta) -> int:
    """Drop a little of what is older than it is kept; returns how many events and tickets, 0 for no more."""
    alert_store.prune(tx, tx.now - raw)
    forgotten = tickets.forget_closed(tx, tx.now - CLOSED_TICKETS_KEPT)
    comments.forget(tx, tx.now - raw)
    run_history.prune(tx)
    decision_counts.prune(tx)
    produced.prune(tx)
    observations.prune(tx)
    bills.prune(tx, tx.now - keys)
    rollups.forget_changes(tx, tx.now - CHANGES_KEPT)
    return forgotten + pruned.prune(tx, recorded_before=tx.now - raw, keys_before=tx.now - keys)
