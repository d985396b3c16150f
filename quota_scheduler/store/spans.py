"""What was used in any span, to the instant: sums by hour for its whole hours, raw events at its edges."""

import json
from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.units import LARGEST_SUM
from quota_scheduler.core.usage import Extent, Usage
from quota_scheduler.store import Transaction
from quota_scheduler.store.usage_columns import NAMES

HOUR = 3_600_000_000
"""Microseconds of one rollup bucket."""
_SUMS = ", ".join(f"CAST(min({LARGEST_SUM}.0, total({name})) AS INTEGER)" for name in NAMES)
_CHOSEN = "label_set IN (SELECT value FROM json_each(?))"


def used_between(tx: Transaction, start: datetime, end: datetime, label_sets: Iterable[int]) -> Usage:
    """What these label sets used from an instant until before another."""
    chosen, first, last = json.dumps(sorted(label_sets)), to_micros(start), to_micros(end)
    whole_from, whole_to = -(-first // HOUR), last // HOUR
    if whole_from >= whole_to:
        return _of_events(tx, first, last, chosen)
    rows = f"SELECT {_SUMS} FROM rollups WHERE hour >= ? AND hour < ? AND {_CHOSEN}"
    whole = Usage(*(tx.row(rows, (whole_from, whole_to, chosen)) or ()))
    before, after = (first, whole_from * HOUR), (whole_to * HOUR, last)
    return whole.plus(_of_events(tx, *before, chosen)).plus(_of_events(tx, *after, chosen))


def _of_events(tx: Transaction, start: int, end: int, chosen: str) -> Usage:
    if start >= end:
        return Usage()
    rows = f"SELECT {_SUMS} FROM events WHERE at >= ? AND at < ? AND {_CHOSEN}"
    return Usage(*(tx.row(rows, (start, end, chosen)) or ()))


def interrupted_between(tx: Transaction, start: datetime, end: datetime, label_sets: Iterable[int]) -> int:
    """How many requests of a span were interrupted."""
    requests = tx.scalar(
        "SELECT total(requests) FROM events INDEXED BY events_extent "
        f"WHERE extent != '' AND extent = ? AND at >= ? AND at < ? AND {_CHOSEN}",
        (Extent.PARTIAL.value, to_micros(start), to_micros(end), json.dumps(sorted(label_sets))),
    )
    return int(requests)


def billed_until(tx: Transaction) -> dict[tuple[str, str], datetime]:
    """Up to where every report of an account has been read and changes no more, by provider and account."""
    rows = tx.rows("SELECT provider, account, min(read_to) FROM bill_cursors GROUP BY provider, account ORDER BY 1, 2")
    return {(provider, account): from_micros(at) for provider, account, at in rows}
