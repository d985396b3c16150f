"""What is no whole call, by hour and labels: contained in all other sums, and known apart from them."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Extent, Usage, UsageEvent
from quota_scheduler.store import Transaction
from quota_scheduler.store.usage_columns import ALL_ZERO, COLUMNS, NAMES, added, summed

_SLOT = "hour, label_set, extent, origin, backfill"
_ADD = (
    f"INSERT INTO rollups_apart ({_SLOT}, answers, {COLUMNS}) VALUES ({', '.join('?' * (6 + len(NAMES)))}) "
    f"ON CONFLICT ({_SLOT}) DO UPDATE SET answers = rollups_apart.answers + excluded.answers, "
    f"{added('rollups_apart')}"
)
_EMPTY = f"DELETE FROM rollups_apart WHERE answers = 0 AND {ALL_ZERO}"


def move(tx: Transaction, signed: Iterable[tuple[UsageEvent, int, int]]) -> None:
    """Add events, or take them back where the sign is negative, each under the number of its labels."""
    sums: dict[tuple[int, int, str, str, bool], tuple[int, Usage]] = {}
    for event, sign, label_set in signed:
        is_backfill = event.is_backfill(tx.now)
        slot = (to_micros(event.at) // HOUR_MICROS, label_set, event.extent.value, event.origin, is_backfill)
        answers, usage = sums.get(slot, (0, Usage()))
        sums[slot] = answers + sign, usage.plus(event.usage) if sign > 0 else usage.minus(event.usage)
    if sums:
        tx.many(_ADD, [(*slot, answers, *usage) for slot, (answers, usage) in sums.items()])
        tx.send(_EMPTY)


def by_labels(tx: Transaction) -> list[tuple[int, Extent, str, bool, int, Usage]]:
    """All of it: (label set, extent, origin, whether it was backfilled, answers, usage)."""
    rows = tx.rows(
        f"SELECT label_set, extent, origin, backfill, sum(answers), {summed()} FROM rollups_apart "
        "GROUP BY label_set, extent, origin, backfill ORDER BY 1, 2, 3, 4"
    )
    return [(row[0], Extent(row[1]), row[2], bool(row[3]), row[4], Usage(*row[5:])) for row in rows]


def by_day(tx: Transaction, since: datetime) -> list[tuple[str, Labels, Extent, int, Usage]]:
    """By UTC day, labels and extent from the day of an instant on, oldest first, with the number of answers."""
    names = ", ".join(f"l.{name}" for name in Labels._fields)
    rows = tx.rows(
        f"SELECT a.hour / 24, {names}, a.extent, sum(a.answers), {summed('a')} FROM rollups_apart a "
        "JOIN label_sets l ON l.id = a.label_set WHERE a.hour >= ? GROUP BY a.hour / 24, a.label_set, l.id, a.extent "
        "ORDER BY 1, a.label_set, a.extent",
        (to_micros(since) // HOUR_MICROS // 24 * 24,),
    )
    return [
        (
            f"{from_micros(day * 24 * HOUR_MICROS):%Y-%m-%d}",
            Labels(*rest[:8]),
            Extent(rest[8]),
            rest[9],
            Usage(*rest[10:]),
        )
        for day, *rest in rows
    ]
