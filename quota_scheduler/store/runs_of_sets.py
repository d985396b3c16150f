"""Single runs of a few label sets: the large ones, and those that flags are compared in."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.usage import KINDS
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store.lists import NUMBERS

_OF_SETS = f"r.label_set IN {NUMBERS}"


def large(tx: Transaction, since: datetime, label_sets: Collection[int], *, least: int) -> list[RunSummary]:
    """Runs under these labels last active since an instant that used so many tokens, oldest first."""
    tokens = " + ".join(f"r.{name}" for name in KINDS)
    return _runs(tx, f"r.last_at >= ? AND {tokens} >= ?", (to_micros(since), least), label_sets)


def of_label_sets(tx: Transaction, since: datetime, label_sets: Collection[int]) -> list[RunSummary]:
    """All runs under these labels last active since an instant, oldest first."""
    return _runs(tx, "r.last_at >= ?", (to_micros(since),), label_sets)


def _runs(tx: Transaction, condition: str, params: Sequence[int], label_sets: Collection[int]) -> list[RunSummary]:
    if not label_sets:
        return []
    return ledger.runs_where(tx, f"{condition} AND {_OF_SETS}", (*params, json.dumps(sorted(label_sets))))
