"""What is no whole call, by hour and labels: contained in all other sums, and known apart from them."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.usage import Extent, Usage, UsageEvent
from quota_scheduler.store import Transaction
from quota_scheduler.store.usage_columns import ALL_ZERO, COLUMNS, NAMES, added, summed

HOUR = 3_600_000_000
"""Microseconds of one rollup bucket."""
_ADD = (
    f"INSERT INTO rollups_apart (hour, label_set, extent, origin, answers, {COLUMNS}) "
    f"VALUES ({', '.join('?' * (5 + len(NAMES)))}) ON CONFLICT (hour, label_set, extent, origin) DO UPDATE SET "
    f"answers = answers + excluded.answers, {added()}"
)
_EMPTY = f"DELETE FROM rollups_apart WHERE answers = 0 AND {ALL_ZERO}"


def move(tx: Transaction, signed: Iterable[tuple[UsageEvent, int, int]]) -> None:
    """Add events, or take them back where the sign is negative, each under the number of its labels."""
    sums: dict[tuple[int, int, str, str], tuple[int, Usage]] = {}
    for event, sign, label_set in signed:
        slot = (to_micros(event.at) // HOUR, label_set, event.extent.value, event.origin)
        answers, usage = sums.get(slot, (0, Usage()))
        sums[slot] = answers + sign, usage.plus(event.usage) if sign > 0 else usage.minus(event.usage)
    if sums:
        tx.many(_ADD, [(*slot, answers, *usage) for slot, (answers, usage) in sums.items()])
        tx.execute(_EMPTY)


def by_labels(tx: Transaction) -> list[tuple[int, Extent, str, int, Usage]]:
    """All of it: (label set, extent, origin, answers, usage)."""
    rows = tx.rows(
        f"SELECT label_set, extent, origin, sum(answers), {summed()} FROM rollups_apart "
        "GROUP BY label_set, extent, origin ORDER BY 1, 2, 3"
    )
    return [(row[0], Extent(row[1]), row[2], row[3], Usage(*row[4:])) for row in rows]


def by_day(tx: Transaction, since: datetime) -> list[tuple[int, int, Extent, int, Usage]]:
    """From the day of an instant on: (days since 1970, label set, extent, answers, usage)."""
    rows = tx.rows(
        f"SELECT hour / 24, label_set, extent, sum(answers), {summed()} FROM rollups_apart WHERE hour >= ? "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (to_micros(since) // HOUR // 24 * 24,),
    )
    return [(row[0], row[1], Extent(row[2]), row[3], Usage(*row[4:])) for row in rows]
