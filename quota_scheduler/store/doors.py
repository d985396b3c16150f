"""Which doors tell of which hours, and what of it does not count."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import EPOCH, to_micros
from quota_scheduler.core.ledger.doors import HOUR, DoorOwner, HourTold, Telling
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, ledger

_COLUMNS = ("account", "agent", "host", "session", "telling", "hour")
_KNOWN = (
    f"SELECT {', '.join(f'd.{name}' for name in _COLUMNS)} FROM json_each(?) j JOIN door_hours d ON "
    + " AND ".join(f"d.{name} = j.value ->> {place}" for place, name in enumerate(_COLUMNS[:-1]))
    + f" AND d.hour = CAST(j.value ->> {len(_COLUMNS) - 1} AS BIGINT)"
)
_NOTE = f"INSERT INTO door_hours ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_WITHOUT_CALLS = "(e.origin GLOB 'otlp/*/metrics*' OR e.origin GLOB 'litellm*') AND e.at >= ? AND e.at < ?"
"""As the partial index has it: few events, found without reading the others of the hour."""
_ANY = "e.at >= ? AND e.at < ?"


def known(tx: Transaction, hours: Iterable[HourTold]) -> set[HourTold]:
    """Which of these hours are told of by these tellers."""
    asked = json.dumps([[*teller, hour] for teller, hour in hours])
    if asked == "[]":
        return set()
    return {_hour_told(row) for row in tx.rows(_KNOWN, (asked,))}


def note(tx: Transaction, hours: Collection[HourTold]) -> set[HourTold]:
    """Remember who tells of which hours; returns those that were not known."""
    fresh = set(hours) - known(tx, hours)
    tx.many(_NOTE, [(*teller, hour) for teller, hour in sorted(fresh)])
    return fresh


def beside(tx: Transaction, hours: Iterable[HourTold]) -> list[UsageEvent]:
    """Stored events of these hours, and of those beside them, that others could be told in the place of."""
    spans = {hour: False for _, hour in hours}
    spans |= dict.fromkeys(_with_ids_or_sessions(tx, hours), True)
    events: dict[tuple[str, str], UsageEvent] = {}
    for hour, with_files in sorted(spans.items()):
        start, end = (to_micros(EPOCH + (hour + step) * HOUR) for step in (-1, 2))
        for _, event in ledger.numbered(tx, _ANY if with_files else _WITHOUT_CALLS, (start, end)):
            events[event.identity] = event
    return list(events.values())


def _with_ids_or_sessions(tx: Transaction, hours: Iterable[HourTold]) -> set[int]:
    """Those hours beside which somebody tells in another way than metrics and gateways in whose place one counts."""
    near = [
        (hour, (under, beside))
        for teller, hour in hours
        for under in teller.under()
        if under.telling not in (Telling.METRICS, Telling.GATEWAY)
        for beside in (hour - 1, hour, hour + 1)
    ]
    told = known(tx, {teller for _, teller in near})
    return {hour for hour, teller in near if teller in told}


def by_teller(tx: Transaction) -> list[HourTold]:
    """Every agent of an account on a host that tells, with the last hour that it told of."""
    rows = tx.rows(
        "SELECT account, agent, host, session, telling, max(hour) FROM door_hours WHERE session = '' "
        "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
    )
    return [_hour_told(row) for row in rows]


def prune(tx: Transaction, before: datetime) -> None:
    """Forget hours whose raw events are gone."""
    tx.send("DELETE FROM door_hours WHERE hour < ?", ((before - EPOCH) // HOUR,))


def _hour_told(row: Sequence[Any]) -> HourTold:
    account, agent, host, session, telling, hour = row
    return DoorOwner(account, agent, host, session, Telling(telling)), hour
