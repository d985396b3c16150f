"""Runs added up by the hour they were last active in, moved with them: a tick asks for sums, not for each of them.

    runs before ──less──┐
    runs after  ──more──┴─► run_hours: by hour, labels, flags and prompt version

Hours that a span cuts are counted run by run, so that sums are exact to the microsecond.
"""

import json
from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.efficiency.runs import RunKind
from quota_scheduler.core.instants import HOUR_MICROS, to_micros
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.store import Row, Transaction
from quota_scheduler.store.event_rows import flags_in
from quota_scheduler.store.lists import TEXTS
from quota_scheduler.store.usage_columns import COLUMNS, NAMES, added, summed

_TOKENS = " + ".join(KINDS)
_KIND = "label_set, flags, prompt_version"
_AS_THEY_ARE = f"SELECT last_at, {_KIND}, {COLUMNS} FROM runs WHERE run IN {TEXTS}"
_MOVE = (
    f"INSERT INTO run_hours (hour, {_KIND}, runs, most, {COLUMNS}) VALUES ({', '.join('?' * (6 + len(NAMES)))}) "
    f"ON CONFLICT (hour, {_KIND}) DO UPDATE SET runs = run_hours.runs + excluded.runs, "
    f"most = CASE WHEN excluded.most > run_hours.most THEN excluded.most ELSE run_hours.most END, {added('run_hours')}"
)
_EMPTY = "DELETE FROM run_hours WHERE hour = ? AND label_set = ? AND flags = ? AND prompt_version = ? AND runs = 0"
_SUMS = (
    f"SELECT label_set, CAST(sum(runs) AS INTEGER), {summed()} FROM ("
    f"SELECT label_set, runs, {COLUMNS} FROM run_hours WHERE hour >= ? "
    f"UNION ALL SELECT label_set, 1 AS runs, {COLUMNS} FROM runs WHERE last_at >= ? AND last_at < ?) AS lately "
    "GROUP BY label_set ORDER BY label_set"
)
_KINDS = (
    f"SELECT {_KIND}, max(earlier), max(lately), max(most) FROM ("
    f"SELECT {_KIND}, CASE WHEN hour < ? THEN 1 ELSE 0 END AS earlier, CASE WHEN hour >= ? THEN 1 ELSE 0 END AS lately,"
    " most FROM run_hours WHERE hour >= ? "
    f"UNION ALL SELECT {_KIND}, 1 AS earlier, 0 AS lately, {_TOKENS} AS most FROM runs WHERE last_at >= ? "
    "AND last_at < ? "
    f"UNION ALL SELECT {_KIND}, CASE WHEN last_at < ? THEN 1 ELSE 0 END AS earlier, "
    f"CASE WHEN last_at >= ? THEN 1 ELSE 0 END AS lately, {_TOKENS} AS most FROM runs WHERE last_at >= ? "
    f"AND last_at < ?) AS kinds GROUP BY {_KIND} ORDER BY {_KIND}"
)


def as_they_are(tx: Transaction, runs: Iterable[str]) -> list[Row]:
    """What is known of these runs now, for ``moved``."""
    return tx.rows(_AS_THEY_ARE, (json.dumps(sorted(runs)),))


def moved(tx: Transaction, before: Iterable[Row], after: Iterable[Row]) -> None:
    """Move the hours from what runs were to what they are."""
    sums: dict[Row, tuple[int, int, Usage]] = {}
    for rows, sign in ((before, -1), (after, +1)):
        for last_at, label_set, flags, prompt_version, *columns in rows:
            slot = (last_at // HOUR_MICROS, label_set, flags, prompt_version)
            runs, most, usage = sums.get(slot, (0, 0, Usage()))
            one = Usage(*columns)
            most = max(most, one.tokens) if sign > 0 else most
            sums[slot] = runs + sign, most, usage.plus(one) if sign > 0 else usage.minus(one)
    tx.many(_MOVE, [(*slot, runs, most, *usage) for slot, (runs, most, usage) in sums.items()])
    tx.many(_EMPTY, [slot for slot, (runs, _, _) in sums.items() if runs < 0])


def sums_since(tx: Transaction, since: datetime) -> list[tuple[int, int, Usage]]:
    """Runs last active since an instant, by label set: how many, and what they used together."""
    begin, whole = _from(since)
    return [(row[0], row[1], Usage(*row[2:])) for row in tx.rows(_SUMS, (whole, begin, whole * HOUR_MICROS))]


def kinds_since(tx: Transaction, since: datetime, *, lately: datetime) -> list[RunKind]:
    """The kinds of runs that were last active since an instant, before and from ``lately`` on."""
    begin, whole = _from(since)
    cut, whole_lately = _from(lately)
    cut_hour = cut // HOUR_MICROS
    params = (
        cut_hour,
        whole_lately,
        whole,
        begin,
        whole * HOUR_MICROS,
        cut,
        cut,
        cut_hour * HOUR_MICROS,
        whole_lately * HOUR_MICROS,
    )
    return [
        RunKind(row[0], flags_in(row[1]), (row[2],) if row[2] else (), bool(row[3]), bool(row[4]), row[5])
        for row in tx.rows(_KINDS, params)
        if row[3] or row[4]
    ]


def _from(since: datetime) -> tuple[int, int]:
    """An instant in microseconds, and the first hour that lies whole behind it."""
    begin = to_micros(since)
    return begin, -(-begin // HOUR_MICROS)
