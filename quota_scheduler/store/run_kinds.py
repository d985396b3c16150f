"""Runs of one kind added up where they lie: a tick asks what kinds of runs there were, not for each of them."""

import json
from collections.abc import Collection
from datetime import datetime

from quota_scheduler.core.efficiency.runs import RunKind, RunSummary
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.units import LARGEST_SUM
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store.usage_columns import NAMES

_TOKENS = " + ".join(KINDS)
_SUMS = ", ".join(
    f"CAST(min({LARGEST_SUM}.0, total(CASE WHEN last_at >= ?2 THEN {name} END)) AS INTEGER)" for name in NAMES
)
_KINDS = (
    f"SELECT label_set, flags, prompt_version, min(last_at), max(last_at), max({_TOKENS}), "
    f"count(CASE WHEN last_at >= ?2 THEN 1 END), {_SUMS} FROM runs WHERE last_at >= ?1 "
    "GROUP BY label_set, flags, prompt_version ORDER BY label_set, flags, prompt_version"
)
_OF_SETS = "r.label_set IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"


def kinds(tx: Transaction, since: datetime, *, lately: datetime) -> list[RunKind]:
    """The kinds of runs that were last active since an instant; their sums are of those active ``lately``."""
    rows = tx.rows(_KINDS, (to_micros(since), to_micros(lately)))
    return [
        RunKind(
            row[0],
            tuple(json.loads(row[1])),
            (row[2],) if row[2] else (),
            from_micros(row[3]),
            from_micros(row[4]),
            row[5],
            row[6],
            Usage(*row[7:]),
        )
        for row in rows
    ]


def large(tx: Transaction, since: datetime, label_sets: Collection[int], *, least: int) -> list[RunSummary]:
    """Runs under these labels last active since an instant that used so many tokens, oldest first."""
    if not label_sets:
        return []
    tokens = " + ".join(f"r.{name}" for name in KINDS)
    return ledger.runs_where(
        tx,
        f"r.last_at >= ? AND {tokens} >= ? AND {_OF_SETS}",
        (to_micros(since), least, json.dumps(sorted(label_sets))),
    )


def of_workflows(tx: Transaction, since: datetime, label_sets: Collection[int]) -> list[RunSummary]:
    """All runs under these labels last active since an instant, oldest first."""
    if not label_sets:
        return []
    return ledger.runs_where(tx, f"r.last_at >= ? AND {_OF_SETS}", (to_micros(since), json.dumps(sorted(label_sets))))
