"""Which doors tell of which hours, and what of it does not count."""

import json
from collections.abc import Collection, Iterable

from quota_scheduler.core.instants import EPOCH, to_micros
from quota_scheduler.core.ledger.doors import HOUR, HourTold, Teller, Telling
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, ledger

_KNOWN = (
    "SELECT d.account, d.agent, d.host, d.telling, d.hour FROM json_each(?) j JOIN door_hours d "
    "ON d.account = j.value ->> 0 AND d.agent = j.value ->> 1 AND d.host = j.value ->> 2 AND d.telling = j.value ->> 3 "
    "AND d.hour = j.value ->> 4"
)
_NOTE = "INSERT OR IGNORE INTO door_hours (account, agent, host, telling, hour) VALUES (?, ?, ?, ?, ?)"
_WITHOUT_CALLS = "(e.origin GLOB 'otlp/*/metrics*' OR e.origin GLOB 'litellm*') AND e.at >= ? AND e.at < ?"
"""As the partial index has it: few events, found without reading the others of the hour."""
_ANY = "e.at >= ? AND e.at < ?"


def known(tx: Transaction, hours: Iterable[HourTold]) -> set[HourTold]:
    """Which of these hours are told of by these tellers."""
    asked = json.dumps([[*teller, hour] for teller, hour in hours])
    return {
        (Teller(account, agent, host, Telling(telling)), hour)
        for account, agent, host, telling, hour in tx.rows(_KNOWN, (asked,))
    }


def note(tx: Transaction, hours: Collection[HourTold]) -> set[HourTold]:
    """Remember who tells of which hours; returns those that were not known."""
    fresh = set(hours) - known(tx, hours)
    tx.many(_NOTE, [(*teller, hour) for teller, hour in sorted(fresh)])
    return fresh


def beside(tx: Transaction, hours: Iterable[HourTold]) -> list[UsageEvent]:
    """Stored events of these hours, and of those beside them, that others could be told in the place of."""
    spans = {(hour, any(under.telling is Telling.FILES for under in teller.under())) for teller, hour in hours}
    events: dict[tuple[str, str], UsageEvent] = {}
    for hour, with_files in sorted(spans):
        start, end = (to_micros(EPOCH + (hour + step) * HOUR) for step in (-1, 2))
        for _, event in ledger.numbered(tx, _ANY if with_files else _WITHOUT_CALLS, (start, end)):
            events[event.identity] = event
    return list(events.values())


def by_teller(tx: Transaction) -> list[tuple[Teller, int]]:
    """Everybody who tells, with the last hour since 1970 that each told of."""
    rows = tx.rows(
        "SELECT account, agent, host, telling, max(hour) FROM door_hours GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    return [(Teller(account, agent, host, Telling(telling)), hour) for account, agent, host, telling, hour in rows]
