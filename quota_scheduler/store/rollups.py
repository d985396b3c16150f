"""Sums by hour and by day, read as few rows as the question needs; and which hours have moved since a look.

slices      all hours from one on, some thousand rows at a time    what histories are folded from
of_hours    the hours that changed                                  what they are kept up to date from
used_in     whole days from sums by day, what is cut at either end from sums by hour
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, instant_or_none, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Row, Transaction
from quota_scheduler.store.lists import NUMBERS
from quota_scheduler.store.usage_columns import COLUMNS, NAMES, added, summed, summed_of_some

DAY_HOURS = 24
AT_ONCE = 4_000
"""Rows of a slice: made into arrays in a few milliseconds, in which nobody else waits."""
NO_END = 2**40
"""An hour that never comes."""
_DAY = (
    f"INSERT INTO rollup_days (day, label_set, {COLUMNS}) VALUES ({', '.join('?' * (2 + len(NAMES)))}) "
    f"ON CONFLICT (day, label_set) DO UPDATE SET {added('rollup_days')}"
)
_CHANGED = (
    "INSERT INTO changed_hours (hour, changed_at) VALUES (?, ?) "
    "ON CONFLICT (hour) DO UPDATE SET changed_at = excluded.changed_at"
)
_SLICE = (
    f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE (hour, label_set) > (?, ?) ORDER BY hour, label_set LIMIT ?"
)
_USED = (
    f"(SELECT label_set, {COLUMNS} FROM rollup_days WHERE day >= ? AND day < ? "
    f"UNION ALL SELECT label_set, {COLUMNS} FROM rollups WHERE hour >= ? AND hour < ? "
    f"UNION ALL SELECT label_set, {COLUMNS} FROM rollups WHERE hour >= ? AND hour < ?) AS used"
)
_CACHED = (
    "SELECT day, label_set, cache_read, input + cache_read + cache_write_5m + cache_write_1h FROM rollup_days "
    "WHERE day >= ? AND day < ? ORDER BY day, label_set"
)


def moved(tx: Transaction, sums: Mapping[tuple[int, int], Usage]) -> None:
    """Move the days by what their hours, by label set, were moved by; and note that these hours changed."""
    days: dict[tuple[int, int], Usage] = {}
    for (hour, label_set), usage in sums.items():
        slot = (hour // DAY_HOURS, label_set)
        days[slot] = days[slot].plus(usage) if slot in days else usage
    tx.many(_DAY, [(*slot, *usage) for slot, usage in days.items()])
    now = to_micros(tx.now)
    tx.many(_CHANGED, [(hour, now) for hour in sorted({hour for hour, _ in sums})])


def changed_hours(tx: Transaction, *, since: datetime, changed_since: datetime) -> list[int]:
    """The hours from that of ``since`` on that moved at or after an instant, oldest first."""
    sql = "SELECT hour FROM changed_hours WHERE changed_at >= ? AND hour >= ? ORDER BY hour"
    return [row[0] for row in tx.rows(sql, (to_micros(changed_since), to_micros(since) // HOUR_MICROS))]


def last_change(tx: Transaction) -> datetime | None:
    """The instant of the last write that moved any hour; None where none has for eight days."""
    return instant_or_none(tx.scalar("SELECT max(changed_at) FROM changed_hours"))


def forget_changes(tx: Transaction, before: datetime) -> None:
    """Forget which hours moved before an instant: whoever looks that seldom reads all of them."""
    tx.send("DELETE FROM changed_hours WHERE changed_at < ?", (to_micros(before),))


def slices(tx: Transaction, since: datetime, *, most: int = AT_ONCE) -> Iterator[list[Row]]:
    """Rollups from the hour of ``since`` on, oldest first, in lists of ``most``: (hour, label set, usage …)."""
    last = (to_micros(since) // HOUR_MICROS - 1, NO_END)
    while rows := tx.rows(_SLICE, (*last, most)):
        yield rows
        last = rows[-1][:2]


def of_hours(tx: Transaction, hours: Collection[int]) -> list[Row]:
    """The rollups of these hours."""
    sql = f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour IN {NUMBERS} ORDER BY hour, label_set"
    return tx.rows(sql, (json.dumps(sorted(hours)),))


def used_since(tx: Transaction, start: datetime) -> list[tuple[int, Usage]]:
    """Usage by label set from the hour of ``start`` on."""
    return _used_in(tx, to_micros(start) // HOUR_MICROS, NO_END)


def sets_since(tx: Transaction, start: datetime) -> list[int]:
    """The label sets that anything was used under from the hour of ``start`` on, in the order they first came."""
    sql = f"SELECT DISTINCT label_set FROM {_USED} ORDER BY label_set"
    return [row[0] for row in tx.rows(sql, _parts(to_micros(start) // HOUR_MICROS, NO_END))]


def used_between(tx: Transaction, start: datetime, end: datetime) -> list[tuple[int, Usage]]:
    """Usage by label set of the hours that begin in ``[start, end)``."""
    return _used_in(tx, -(-to_micros(start) // HOUR_MICROS), -(-to_micros(end) // HOUR_MICROS))


def _used_in(tx: Transaction, first: int, end: int) -> list[tuple[int, Usage]]:
    rows = tx.rows(
        f"SELECT label_set, {summed()} FROM {_USED} GROUP BY label_set ORDER BY label_set", _parts(first, end)
    )
    return [(row[0], Usage(*row[1:])) for row in rows]


def _parts(first: int, end: int) -> tuple[int, ...]:
    """The days that lie whole in a span of hours, and the hours before and after them."""
    whole_from, whole_to = -(-first // DAY_HOURS), end // DAY_HOURS
    if whole_from >= whole_to:
        return 0, 0, first, end, 0, 0
    return whole_from, whole_to, first, whole_from * DAY_HOURS, whole_to * DAY_HOURS, end


def cached_by_day(tx: Transaction, first: int, end: int) -> list[tuple[int, int, int, int]]:
    """Of the UTC days from ``first`` until before ``end`` (since 1970): day, label set, cache reads, all input."""
    return [(row[0], row[1], row[2], row[3]) for row in tx.rows(_CACHED, (first, end))]


def by_labels(tx: Transaction, since: datetime, names: Iterable[str]) -> list[tuple[str, Labels, Usage]]:
    """Usage from the UTC day of ``since`` on, by ``day`` (written out) and those labels that are named.

    Labels that are not named are empty.
    """
    asked = list(names)
    labels = [name for name in Labels._fields if name in asked]
    keys = [*(["r.day"] if "day" in asked else []), *(f"l.{name}" for name in labels)]
    # where nothing is named all is one group; without any there would be a row of nothing for no rows
    ordered = f" ORDER BY {', '.join(keys)}" if keys else ""
    grouped = f"GROUP BY {', '.join(keys) or 'r.day IS NULL'}{ordered}"
    rows = tx.rows(
        f"SELECT {', '.join([*keys, summed_of_some('r')])} FROM rollup_days r JOIN label_sets l ON l.id = r.label_set "
        f"WHERE r.day >= ? {grouped}",
        (to_micros(since) // HOUR_MICROS // DAY_HOURS,),
    )
    begin = len(keys) - len(labels)
    blank = Labels("")
    return [
        (
            f"{from_micros(row[0] * DAY_HOURS * HOUR_MICROS):%Y-%m-%d}" if begin else "",
            blank._replace(**dict(zip(labels, row[begin : len(keys)], strict=True))),
            Usage(*row[len(keys) :]),
        )
        for row in rows
    ]
