"""Calls added up by run and hour: what a replay is made of."""

from datetime import datetime

from quota_scheduler.core.history.recorded_runs import Piece
from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store.usage_columns import COLUMNS, summed

_PIECES = (
    f"SELECT CASE WHEN run != '' THEN run ELSE session END, label_set, min(at), max(at), {summed()} FROM events "
    "WHERE at >= ? AND at < ? GROUP BY 1, 2, at / ? ORDER BY 3, 1, 2"
)
_HOURS = f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour >= ? AND hour < ? ORDER BY hour, label_set"


def of_events(tx: Transaction, since: datetime, until: datetime) -> list[Piece]:
    """Recorded calls of a span by run, labels and hour, oldest first."""
    sets = ledger.label_sets(tx)
    rows = tx.rows(_PIECES, (to_micros(since), to_micros(until), HOUR_MICROS))
    return [
        Piece(run, *sets[label_set], from_micros(first), from_micros(last), Usage(*usage))
        for run, label_set, first, last, *usage in rows
    ]


def of_hours(tx: Transaction, since: datetime, until: datetime) -> list[Piece]:
    """What is left of a span whose calls were pruned: sums by hour and labels, of runs that have no name any more."""
    sets = ledger.label_sets(tx)
    rows = tx.rows(_HOURS, (to_micros(since) // HOUR_MICROS, to_micros(until) // HOUR_MICROS))
    return [
        Piece(
            "", *sets[label_set], from_micros(hour * HOUR_MICROS), from_micros((hour + 1) * HOUR_MICROS), Usage(*usage)
        )
        for hour, label_set, *usage in rows
    ]


def oldest_event(tx: Transaction) -> datetime | None:
    """The instant of the first call that is still known one by one."""
    at = tx.scalar("SELECT min(at) FROM events")
    return None if at is None else from_micros(at)
