"""What was used in any span, to the instant, and in the windows that there were.

Sums by hour tell of a span's whole hours, raw events of its edges.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.core.units import LARGEST_SUM
from quota_scheduler.core.usage import Extent, Usage
from quota_scheduler.store import Transaction
from quota_scheduler.store.lists import NUMBERS
from quota_scheduler.store.usage_columns import NAMES

_SUMS = ", ".join(f"CAST(min({LARGEST_SUM}.0, total({name})) AS INTEGER)" for name in NAMES)
_CHOSEN = f"label_set IN {NUMBERS}"

_WINDOWS = (
    "SELECT rule, value, starts_at, ends_at, used, CASE WHEN closed = 1 THEN amount END, end_reason FROM windows "
    "WHERE starts_at IS NOT NULL AND ends_at > ? AND starts_at <= ? ORDER BY starts_at DESC, rule, value LIMIT ?"
)


class WindowTally(NamedTuple):
    """What one window of a limit instance came to, in the base of its unit; ``amount`` None while it is open.

    ``end_reason`` is empty where it ended at its reset.
    """

    rule: str
    value: str
    starts_at: datetime
    ends_at: datetime
    used: int
    amount: int | None
    end_reason: str


def windows_since(tx: Transaction, since: datetime, most: int) -> list[WindowTally]:
    """Windows that had begun by now and end after an instant, the newest first."""
    rows = tx.rows(_WINDOWS, (to_micros(since), to_micros(tx.now), most))
    return [WindowTally(row[0], row[1], from_micros(row[2]), from_micros(row[3]), *row[4:]) for row in rows]


def used_between(tx: Transaction, start: datetime, end: datetime, label_sets: Iterable[int]) -> Usage:
    """What these label sets used from an instant until before another."""
    chosen, first, last = json.dumps(sorted(label_sets)), to_micros(start), to_micros(end)
    whole_from, whole_to = -(-first // HOUR_MICROS), last // HOUR_MICROS
    if whole_from >= whole_to:
        return _of_events(tx, first, last, chosen)
    rows = f"SELECT {_SUMS} FROM rollups WHERE hour >= ? AND hour < ? AND {_CHOSEN}"
    whole = Usage(*(tx.row(rows, (whole_from, whole_to, chosen)) or ()))
    before, after = (first, whole_from * HOUR_MICROS), (whole_to * HOUR_MICROS, last)
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
