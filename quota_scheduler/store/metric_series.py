"""Where cumulative metrics stood at their last report, moved in the transaction that records what they added."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.ledger.metered import SeriesState
from quota_scheduler.store import Transaction
from quota_scheduler.store.lists import TEXTS

KEPT = timedelta(days=35)
"""A program that lives reports every series with each export; what has been silent for so long has ended."""
_LOAD = f"SELECT series, start, at, value, count FROM metric_series WHERE series IN {TEXTS}"
_SAVE = (
    "INSERT INTO metric_series (series, start, at, value, count, seen_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (series) DO UPDATE SET start = excluded.start, at = excluded.at, value = excluded.value, "
    "count = excluded.count, seen_at = excluded.seen_at"
)


def load(tx: Transaction, series: Iterable[str]) -> dict[str, SeriesState]:
    """The stored states of these series."""
    rows = tx.rows(_LOAD, (json.dumps(sorted(set(series))),))
    return {name: SeriesState(*state) for name, *state in rows}


def save(tx: Transaction, states: Mapping[str, SeriesState]) -> None:
    """Store states, each in place of the one of its series; series that have long been silent are dropped."""
    now = to_micros(tx.now)
    tx.many(_SAVE, [(series, *state, now) for series, state in states.items()])
    tx.send("DELETE FROM metric_series WHERE seen_at < ?", (to_micros(tx.now - KEPT),))
