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
    run_history,
    tickets,
)
from quota_scheduler.store import alerts as alert_store

CLOSED_TICKETS_KEPT = timedelta(hours=24)
"""How long a closed ticket's key still names it."""
MIX_DAYS = timedelta(days=7)


def learned(tx: Transaction) -> EstimateBasis:
    """What finished runs took, and by workflow, task type and provider how work splits over the token kinds."""
    sums: dict[str, Usage] = {}
    for run in ledger.runs_since(tx, tx.now - MIX_DAYS):
        for name in (f"workflow:{run.workflow}", f"task_type:{run.task_type}", f"provider:{run.provider}"):
            if not name.endswith(":"):
                sums[name] = sums.get(name, Usage()).plus(run.usage)
    return EstimateBasis(run_history_of(run_history.load(tx)), sums)


def prune(tx: Transaction, *, raw: timedelta, keys: timedelta) -> int:
    """Drop a little of what is older than it is kept; returns how many events, 0 when nothing is left to do."""
    alert_store.prune(tx, tx.now - raw)
    tickets.forget_closed(tx, tx.now - CLOSED_TICKETS_KEPT)
    comments.forget(tx, tx.now - raw)
    run_history.prune(tx)
    decision_counts.prune(tx)
    produced.prune(tx)
    observations.prune(tx)
    bills.prune(tx, tx.now - keys)
    return pruned.prune(tx, recorded_before=tx.now - raw, keys_before=tx.now - keys)
