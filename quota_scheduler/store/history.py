"""Usage added up by the database: from sums by hour, or from raw events where only they tell."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.history.asking import EVENT_FACTS, Question
from quota_scheduler.core.history.history import Key, Sum
from quota_scheduler.core.history.periods import Period, Stretch, named, stretches
from quota_scheduler.core.instants import HOUR_MICROS, MICROSECOND, from_micros, to_micros
from quota_scheduler.core.labels import LABEL_NAMES
from quota_scheduler.core.units import LARGEST_SUM
from quota_scheduler.core.usage import Extent, Usage
from quota_scheduler.store import Transaction
from quota_scheduler.store.lists import NUMBERS
from quota_scheduler.store.usage_columns import COLUMNS, NAMES

MINUTE = 60_000_000
WORTH_A_SCAN = 0.2
"""The part of all raw events from which on an index costs more than it saves: measured with a million of them."""
_DAY_MINUTES = 1440
_PARTS = {**{name: f"l.{name}" for name in LABEL_NAMES}, **{name: f"e.{name}" for name in EVENT_FACTS}}
"""What a grouping is by, as columns; nothing of what is asked becomes part of a statement."""
_TOTALS = ", ".join(f"CAST(min({LARGEST_SUM}.0, total({name})) AS INTEGER)" for name in NAMES)
"""As ``summed`` has them, which also tells no rows from nothing: groups have rows."""
_TOKENS = " + ".join(NAMES[:5])
_UNLISTED, _PARTIAL = (
    f"total(CASE WHEN extent = '{extent.value}' THEN " for extent in (Extent.UNLISTED, Extent.PARTIAL)
)
_APART = f"{_UNLISTED}{_TOKENS} ELSE 0 END), {_PARTIAL}answers ELSE 0 END)"
_APART_EVENTS = f"{_UNLISTED}{_TOKENS} ELSE 0 END), {_PARTIAL}1 ELSE 0 END)"
"""Tokens that stand in no call, and answers that were interrupted."""


def from_rollups(tx: Transaction, asked: Question, label_sets: Iterable[int]) -> Iterator[tuple[Key, Sum]]:
    """Sums by hour of these label sets; what of them is no whole call comes as sums without usage of their own."""
    for row, key in _by_hour(tx, asked, "rollups e", _TOTALS, label_sets):
        yield key, Sum(Usage(*row[-len(NAMES) :]))
    for row, key in _by_hour(tx, asked, "rollups_apart e", _APART, label_sets):
        yield key, Sum(unlisted=int(row[-2]), partial=int(row[-1]))


def _by_hour(
    tx: Transaction, asked: Question, table: str, sums: str, label_sets: Iterable[int]
) -> Iterator[tuple[Sequence[Any], Key]]:
    chosen = json.dumps(sorted(label_sets))
    for stretch in _stretches(asked):
        slot = _slot(asked, hour="hour", minutes="(hour * 60 + ?)")
        sql = _statement(asked, slot, sums, table, "hour >= ? AND hour < ?")
        first, end = (to_micros(at) // HOUR_MICROS for at in (stretch.starts_at, stretch.ends_at))
        for row in tx.rows(sql, [*_offset(asked, stretch), first, end, chosen]):
            yield row, _key(asked, row, stretch)


def from_events(tx: Transaction, asked: Question, label_sets: Iterable[int]) -> Iterator[tuple[Key, Sum]]:
    """Raw events of these label sets."""
    at, chosen = "+e.at" if _is_most(tx, asked) else "e.at", json.dumps(sorted(label_sets))
    for stretch in _stretches(asked):
        slot = _slot(asked, hour=f"(e.at / {HOUR_MICROS})", minutes=f"(e.at / {MINUTE} + ?)")
        sql = _statement(asked, slot, f"{_APART_EVENTS}, {_TOTALS}", "events e", f"{at} >= ? AND {at} < ?")
        span = [to_micros(stretch.starts_at), to_micros(stretch.ends_at)]
        for row in tx.rows(sql, [*_offset(asked, stretch), *span, chosen]):
            unlisted, partial = row[-len(NAMES) - 2 : -len(NAMES)]
            yield _key(asked, row, stretch), Sum(Usage(*row[-len(NAMES) :]), int(unlisted), int(partial))


def _is_most(tx: Transaction, asked: Question) -> bool:
    """Whether a span holds so much of what there is that reading all in order is quicker than by the index."""
    oldest, newest = tx.scalar("SELECT min(at) FROM events"), tx.scalar("SELECT max(at) FROM events")
    if oldest is None:
        return False
    asked_for = min(newest, to_micros(asked.until)) - max(oldest, to_micros(asked.since))
    return bool(asked_for > (newest - oldest) * WORTH_A_SCAN)


def in_span(tx: Transaction, asked: Question, label_sets: Iterable[int]) -> Usage:
    """All that sums by hour know of a span, under these label sets."""
    row = tx.row(
        f"SELECT {_TOTALS} FROM rollups WHERE hour >= ? AND hour < ? AND label_set IN {NUMBERS}",
        (to_micros(asked.since) // HOUR_MICROS, to_micros(asked.until) // HOUR_MICROS, json.dumps(sorted(label_sets))),
    )
    return Usage(*row) if row else Usage()


def sums_by_hour(tx: Transaction, since: datetime | None, skip: int, most: int) -> list[tuple[int, int, Usage]]:
    """Sums by hour, oldest first: the UTC hour since 1970, the label set, the usage."""
    rows = tx.rows(
        f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour >= ? ORDER BY hour, label_set LIMIT ? OFFSET ?",
        (to_micros(since) // HOUR_MICROS if since else -(2**62), most, skip),
    )
    return [(row[0], row[1], Usage(*row[2:])) for row in rows]


def tokens_by_hour(tx: Transaction, since: datetime) -> dict[datetime, int]:
    """All tokens of each UTC hour from ``since`` on, by its begin."""
    rows = tx.rows(
        f"SELECT hour, total({_TOKENS}) FROM rollups WHERE hour >= ? GROUP BY hour", (to_micros(since) // HOUR_MICROS,)
    )
    return {from_micros(hour * HOUR_MICROS): int(tokens) for hour, tokens in rows}


def _stretches(asked: Question) -> Sequence[Stretch]:
    return stretches(asked.since, asked.until, asked.zone if asked.period else "UTC")


def _slot(asked: Question, *, hour: str, minutes: str) -> str:
    """The expression of the period's number, if there is a period; its one parameter is the zone's offset."""
    if asked.period is None:
        return ""
    return hour if asked.period is Period.HOUR else f"({minutes} / {_DAY_MINUTES})"


def _offset(asked: Question, stretch: Stretch) -> list[int]:
    if asked.period in (None, Period.HOUR):
        return []
    return [stretch.offset // MICROSECOND // MINUTE]


def _statement(asked: Question, slot: str, sums: str, table: str, where: str) -> str:
    parts = [slot if name == asked.period else _PARTS[name] for name in asked.by]
    groups = ", ".join(str(place) for place in range(1, len(parts) + 1))
    return (
        f"SELECT {', '.join(parts)}, {sums} FROM {table} JOIN label_sets l ON l.id = e.label_set "
        f"WHERE {where} AND e.label_set IN {NUMBERS} GROUP BY {groups}"
    )


def _key(asked: Question, row: Sequence[object], stretch: Stretch) -> Key:
    return tuple(
        named(asked.period, int(str(value)), stretch.offset) if asked.period and name == asked.period else str(value)
        for name, value in zip(asked.by, row, strict=False)
    )
