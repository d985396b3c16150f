"""What events add up to: hourly rollups, totals by labels, backfills, and runs, moved with the events themselves.

    new events, stored ──one GROUP BY each──► sums ──less what is taken back──► added to what is there

The database adds the new ones up: they come by thousands, and a loop over them costs ten times as much.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import HOUR_MICROS, to_micros
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.plain_events import NOTHING, PlainEvents
from quota_scheduler.core.usage import FRESH, Usage, UsageEvent
from quota_scheduler.store import Transaction, apart, run_kinds
from quota_scheduler.store import rollups as rollup_store
from quota_scheduler.store.label_sets import LabelSets
from quota_scheduler.store.usage_columns import ALL_ZERO, COLUMNS, NAMES, added

_SUMS = ", ".join(f"sum({name})" for name in NAMES)
_OF_HOURS = (
    f"SELECT at / {HOUR_MICROS} - CASE WHEN at % {HOUR_MICROS} < 0 THEN 1 ELSE 0 END, label_set, max(at), {_SUMS} "
    "FROM events WHERE id > ? GROUP BY 1, 2"
)
_OF_BACKFILLS = f"SELECT label_set, {_SUMS} FROM events WHERE id > ? AND at < ? GROUP BY 1"
_OF_RUNS = f"SELECT run, {_SUMS} FROM events WHERE id > ? AND run != '' GROUP BY 1"
_DELETE_RUN = f"DELETE FROM runs WHERE run = ? AND {ALL_ZERO}"
_ROLLUP = (
    f"INSERT INTO rollups (hour, label_set, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (hour, label_set) DO UPDATE SET {added('rollups')}"
)
_TOTAL = (
    f"INSERT INTO label_totals (label_set, {COLUMNS}, newest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (label_set) DO UPDATE SET {added('label_totals')}, newest = max(label_totals.newest, excluded.newest)"
)
_BACKFILL = (
    f"INSERT INTO backfilled (label_set, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (label_set) DO UPDATE SET {added('backfilled')}"
)
_RUN = (
    f"INSERT INTO runs (run, label_set, {COLUMNS}, flags, prompt_version, status, started_at, last_at, recorded_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET "
    f"{added('runs')}, "
    "flags = CASE WHEN excluded.flags != '[]' THEN excluded.flags ELSE runs.flags END, "
    "prompt_version = "
    "CASE WHEN excluded.prompt_version != '' THEN excluded.prompt_version ELSE runs.prompt_version END, "
    "status = CASE WHEN excluded.status != '' THEN excluded.status ELSE runs.status END, "
    "started_at = min(runs.started_at, excluded.started_at), last_at = max(runs.last_at, excluded.last_at), "
    "recorded_at = excluded.recorded_at"
)


def move(
    tx: Transaction, changes: Sequence[Change], labels: LabelSets, *, behind: int, plain: PlainEvents = NOTHING
) -> None:
    """Move all sums by changes and plain events whose rows are stored already, ``behind`` an id."""
    gone = [old for old, _ in changes if old]
    _move_rollups(tx, gone, labels, behind)
    _move_backfills(tx, gone, labels, behind)
    _move_runs(tx, [*changes, *(Change(None, event) for event in plain.ends())], gone, labels, behind)
    partial = [(event, sign) for change in changes for event, sign in zip(change, (-1, +1), strict=True)]
    is_partial = [bool(like.extent) for like in plain.kinds]
    partial += [(event, +1) for event in plain.where([is_partial[kind] for kind in plain.kind])]
    apart.move(tx, [(event, sign, labels.rollup(event)) for event, sign in partial if event and event.extent])


def _move_rollups(tx: Transaction, gone: Iterable[UsageEvent], labels: LabelSets, behind: int) -> None:
    rollups: dict[tuple[int, int], Usage] = {}
    newest: dict[int, int] = {}
    for hour, label_set, last, *sums in tx.rows(_OF_HOURS, (behind,)):
        number = labels.without_agent(label_set)
        _add(rollups, (hour, number), Usage(*sums))
        newest[number] = max(newest.get(number, 0), last)
    for event in gone:
        slot = (to_micros(event.at) // HOUR_MICROS, labels.rollup(event))
        rollups[slot] = rollups.get(slot, Usage()).minus(event.usage)
    tx.many(_ROLLUP, [(*slot, *usage) for slot, usage in rollups.items() if any(usage)])
    rollup_store.moved(tx, {slot: usage for slot, usage in rollups.items() if any(usage)})
    totals: dict[int, Usage] = {}
    for (hour, number), usage in rollups.items():
        _add(totals, number, usage)
        newest[number] = max(newest.get(number, 0), hour * HOUR_MICROS)
    tx.many(_TOTAL, [(number, *usage, newest[number]) for number, usage in totals.items()])


def _move_backfills(tx: Transaction, gone: Iterable[UsageEvent], labels: LabelSets, behind: int) -> None:
    late: dict[int, Usage] = {}
    for label_set, *sums in tx.rows(_OF_BACKFILLS, (behind, to_micros(tx.now - FRESH))):
        _add(late, labels.without_agent(label_set), Usage(*sums))
    for event in gone:
        if event.is_backfill(tx.now):
            number = labels.rollup(event)
            late[number] = late.get(number, Usage()).minus(event.usage)
    tx.many(_BACKFILL, [(number, *usage) for number, usage in late.items() if any(usage)])


def _move_runs(
    tx: Transaction, changes: Iterable[Change], gone: Iterable[UsageEvent], labels: LabelSets, behind: int
) -> None:
    """One row per run: the difference of its sums, and the facts of its newest event, which is among ``changes``."""
    sums = {run: Usage(*row) for run, *row in tx.rows(_OF_RUNS, (behind,))}
    for event in gone:
        if event.run:
            sums[event.run] = sums.get(event.run, Usage()).minus(event.usage)
    first, newest = _ends(changes)
    now, names = to_micros(tx.now), newest.keys() | {old.run for old in gone if old.run}
    before = run_kinds.as_they_are(tx, names)
    tx.many(
        _RUN,
        [
            (run, labels.of(last), *sums[run], json.dumps(last.flags), last.prompt_version, last.status,
             to_micros(first[run]), to_micros(last.at), now)
            for run, last in newest.items()
        ],
    )  # fmt: skip
    tx.many(_DELETE_RUN, [(old.run,) for old in gone if old.run])
    run_kinds.moved(tx, before, run_kinds.as_they_are(tx, names))


def _ends(changes: Iterable[Change]) -> tuple[Mapping[str, datetime], Mapping[str, UsageEvent]]:
    """Of every run that changes touch: the first instant and the newest event, also of what is taken back."""
    first: dict[str, datetime] = {}
    newest: dict[str, UsageEvent] = {}
    for change in changes:
        for event in change:
            if event is None or not event.run:
                continue
            last = newest.get(event.run)
            if last is None:
                first[event.run], newest[event.run] = event.at, event
            elif event.at >= last.at:
                newest[event.run] = event
            elif event.at < first[event.run]:
                first[event.run] = event.at
    return first, newest


def _add(sums: dict[Any, Usage], slot: object, usage: Usage) -> None:
    before = sums.get(slot)
    sums[slot] = usage if before is None else before.plus(usage)
