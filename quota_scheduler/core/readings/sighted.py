"""Readings and documents as a bound token sees them: what is its own or shared, and of that no name of another."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from quota_scheduler.core.limits.limit import Limit, parts_of
from quota_scheduler.core.limits.sight import ScopeView
from quota_scheduler.core.readings.measure import scope_text
from quota_scheduler.core.readings.readings import LimitReading, QueueReading, Readings
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.tickets.ticket import Ticket

ROWS = ("waiting", "offered", "running")
"""The lists of tickets in a document."""
TOLD = ("rule", "severity", "scope", "limit", "provider", "model", "unit", "period", "mode")
"""What is known of an alert and names nobody, where its limit may be named."""
Row = dict[str, Any]


def sighted(readings: Readings, sight: ScopeView, limits: Mapping[str, Limit]) -> Readings:
    """What a sight leaves of the readings; all of them where it is everybody's."""
    if not sight.scope.is_bound:
        return readings
    queue = readings.queue
    return replace(
        readings,
        limits=tuple(_limit(one, sight, limits) for one in readings.limits if sees(sight, limits, one.limit)),
        caches=(),
        runs=(),
        flags=(),
        counters=(),
        sources=tuple(source for source in readings.sources if "@" not in source.source),
        breakers=tuple(one for one in readings.breakers if sight.sees_account(one.account)),
        queue=queue and _queue(queue, sight, limits),
        loans=(),
        facts={},
    )


def sees(sight: ScopeView, limits: Mapping[str, Limit], instance: str) -> bool:
    """Whether a limit instance may be named; one of a limit that is no more may not."""
    rule, value = parts_of(instance)
    return not sight.scope.is_bound or (rule in limits and sight.sees_instance(limits[rule], value))


def _limit(reading: LimitReading, sight: ScopeView, limits: Mapping[str, Limit]) -> LimitReading:
    """A limit that others spend too does not say who does."""
    limit = limits[reading.rule]
    if sight.is_own(limit, reading.value):
        return reading
    parent = reading.parent if sees(sight, limits, reading.parent) else ""
    return replace(
        reading,
        scope=scope_text(replace(limit, match=sight.match(limit)), reading.value),
        spending=replace(reading.spending, cause=""),
        labels=(),
        parent=parent,
    )


def _queue(queue: QueueReading, sight: ScopeView, limits: Mapping[str, Limit]) -> QueueReading:
    return replace(queue, held=tuple(one for one in queue.held if sees(sight, limits, one.limit)))


def own_rows(document: Row, scope: Scope) -> Row:
    """A document about tickets with the rows of a scope's own, each with its place among all."""
    if not scope.is_bound:
        return document
    rows = {
        name: [{**row, "key": scope.plain(row["key"])} for row in document[name] if is_own_row(row, scope)]
        for name in ROWS
        if name in document
    }
    return {**document, **rows}


def placed_in(line: Iterable[Ticket], scope: Scope) -> list[tuple[int, Ticket]]:
    """The tickets of a scope, each with its place from 1 in the whole line."""
    placed = enumerate(line, 1)
    return [(place, one) for place, one in placed if scope.holds(one.labels)] if scope.is_bound else list(placed)


def is_own_row(row: Row, scope: Scope) -> bool:
    """Whether a ticket's row is of a scope's own."""
    return all(row["labels"].get(name) == value for name, value in scope.bound)


def own_accounts(rows: Iterable[Row], sight: ScopeView) -> list[Row]:
    """Rows about accounts that may be named; of a ticket that tries for all no number is told."""
    hidden = {"probe": None, "message": ""} if sight.scope.is_bound else {}
    return [
        {**row, **{name: value for name, value in hidden.items() if name in row}}
        for row in rows
        if sight.sees_account(row["account"])
    ]


def own_alerts(rows: Iterable[Row], sight: ScopeView, sees_instance: Callable[[str], bool]) -> list[Row]:
    """Alerts about limits that may be named and about runs of the scope's own, without who else is known of them."""
    if not sight.scope.is_bound:
        return list(rows)
    scope, own = sight.scope, dict(sight.scope.bound)
    shown = []
    for row in rows:
        names = row["names"]
        is_own = "run" in names and all(names.get(name) == value for name, value in scope.bound)
        if is_own or ("limit" in names and sees_instance(row["scope"])):
            told = {name: value for name, value in names.items() if is_own or name in TOLD or own.get(name) == value}
            shown.append({**row, "names": told, "acknowledged_by": None, "silenced_by": row["silenced_by"]})
    return shown


def own_silences(rows: Iterable[Row], alerts: Collection[int]) -> list[Row]:
    """Silences that cover some of these alerts, without what an operator wrote: that may name others."""
    return [
        {**row, "matchers": {}, "author": "", "comment": "", "alerts": covered}
        for row in rows
        if (covered := [number for number in row["alerts"] if number in alerts])
    ]
