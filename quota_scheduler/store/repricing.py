"""What a sweep over stored costs reads and writes beside the ledger's own changes."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, ledger, turns
from quota_scheduler.store.ticket_rows import estimate_text

_UNSURE = "(e.unpriced > 0 OR e.estimated = 1)"
"""As the index has it in which they lie: told otherwise, all events are read."""
_UNSURE_ONLY = f"e.id > ? AND {_UNSURE} ORDER BY e.id LIMIT ?"
_MAY_CHANGE = f"e.id > ? AND ({_UNSURE} OR (e.at >= ? AND e.terms != '')) ORDER BY e.id LIMIT ?"


def to_reprice(tx: Transaction, *, after: int, since: datetime | None, most: int) -> tuple[list[UsageEvent], int]:
    """Events whose cost may change when prices do, at most ``most``, and the place of the last, 0 at the end.

    Those that were estimated, and of those since an instant (None: of none) all whose cost nobody has named.
    """
    if since is None:
        events = ledger.numbered(tx, _UNSURE_ONLY, (after, most))
    else:
        events = ledger.numbered(tx, _MAY_CHANGE, (after, to_micros(since), most))
    return [event for _, event in events if not event.cost_given], events[-1][0] if len(events) == most else 0


def estimated_in(tx: Transaction, start: datetime, end: datetime) -> list[Labels]:
    """The labels of what was estimated in a span of time."""
    sets = ledger.label_sets(tx)
    rows = tx.rows(
        "SELECT DISTINCT label_set FROM events WHERE at >= ? AND at < ? AND estimated = 1",
        (to_micros(start), to_micros(end)),
    )
    return [sets[row[0]][0] for row in rows]


def unpriced_sets(tx: Transaction) -> list[tuple[int, Labels]]:
    """The label sets of which some usage ever had no price."""
    sets = ledger.label_sets(tx)
    rows = tx.rows("SELECT label_set FROM label_totals WHERE unpriced > 0 ORDER BY label_set")
    return [(row[0], sets[row[0]][0]) for row in rows]


def call_priced(tx: Transaction, numbers: Iterable[int]) -> None:
    """Count nothing of these label sets as unpriced: their price is known, and what was charged before stands."""
    sets = [(number,) for number in numbers]
    for table in ("rollups", "rollup_days", "label_totals"):
        tx.many(f"UPDATE {table} SET unpriced = 0 WHERE label_set = ?", sets)


def reestimate(tx: Transaction, waiting: Iterable[Ticket]) -> None:
    """Store the estimates of tickets that wait."""
    rows = [(estimate_text(t.estimate), turns.take(tx), t.id) for t in waiting]
    tx.many("UPDATE tickets SET estimate = ?, revision = ? WHERE id = ?", rows)
