"""The ledger: usage events, hourly rollups and per-run sums. Rows become core values here."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.instants import MICROSECOND, SKEW, from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.settlement import LEASE_KEY, reach
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Lease, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.store import Transaction, apart
from quota_scheduler.store.event_rows import EVENT_COLUMNS, event_in, event_row
from quota_scheduler.store.ticket_rows import LEASE_COLUMNS, lease_in
from quota_scheduler.store.usage_columns import ALL_ZERO, COLUMNS, added, columns_of, summed

HOUR = 3_600_000_000
"""Microseconds of one rollup bucket."""
_FROM = " FROM events e JOIN label_sets l ON l.id = e.label_set "
_BY_KEY = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.provider = ? AND e.key IN (SELECT value FROM json_each(?))"
_BY_MESSAGE = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.message IN (SELECT value FROM json_each(?)) AND e.message != ''"
_BY_SESSION = (
    f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.session = ? AND e.session != '' AND (e.at >= ? OR e.recorded_at > ?)"
)
_BY_RUN = (
    f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.run = ? AND e.run != '' AND e.run != e.session "
    "AND (e.at >= ? OR e.recorded_at > ?)"
)
_OF_LEASE = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.provider = ? AND e.key >= ? AND e.key < ?"
_BETWEEN = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.at >= ? AND e.at < ? ORDER BY e.at"
_BETWEEN_OF = (
    f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.at >= ? AND e.at < ? AND e.label_set IN (SELECT value FROM json_each(?)) "
    "ORDER BY e.at"
)
_BREAK = (
    "SELECT max(at), max(CASE WHEN at - previous >= ?4 THEN at END) FROM (SELECT at, lag(at) OVER (ORDER BY at) "
    "AS previous FROM events WHERE at >= ?1 AND at < ?2 AND label_set IN (SELECT value FROM json_each(?3)))"
)
_LINKED = (
    "(session = ? AND session != '' OR run = ? AND run != '' AND run != session AND (session = '' OR ? = '' "
    "AND session NOT IN (SELECT l.session FROM leases l JOIN tickets t ON t.id = l.ticket WHERE t.run = ?)))"
)
"""Linked by the session, or else by the run, unless the session is that of another lease of the run."""
_SINCE_GRANT = "(at >= ? OR recorded_at > ?)"
"""What the ledger knew before a lease was granted is no usage of it, whatever the clocks say."""
_OTHERS = (
    f"SELECT {LEASE_COLUMNS} FROM leases l JOIN tickets t ON t.id = l.ticket "
    "WHERE l.session = ? AND ? != '' OR t.run = ? AND ? != ''"
)
_INSERT = (
    f"INSERT INTO events (provider, key, at, label_set, {COLUMNS}, run, session, message, sidechain, flags, "
    f"prompt_version, status, estimated, recorded_at, terms, origin, extent) VALUES ({', '.join('?' * 25)})"
)
_DELETE = "DELETE FROM events WHERE provider = ? AND key = ?"
_DELETE_RUN = f"DELETE FROM runs WHERE run = ? AND {ALL_ZERO}"
_ROLLUP = (
    f"INSERT INTO rollups (hour, label_set, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (hour, label_set) DO UPDATE SET {added()}"
)
_TOTAL = (
    f"INSERT INTO label_totals (label_set, {COLUMNS}, newest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (label_set) DO UPDATE SET {added()}, newest = max(newest, excluded.newest)"
)
_BACKFILL = (
    f"INSERT INTO backfilled (label_set, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (label_set) DO UPDATE SET {added()}"
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


def by_key(tx: Transaction, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], UsageEvent]:
    """The stored events of these (provider, key) pairs."""
    keys: dict[str, list[str]] = {}
    for provider, key in identities:
        keys.setdefault(provider, []).append(key)
    events = (
        event_in(row) for provider, some in keys.items() for row in tx.rows(_BY_KEY, (provider, json.dumps(some)))
    )
    return {event.identity: event for event in events}


def elsewhere(tx: Transaction, requests: Iterable[str]) -> set[tuple[str, str]]:
    """The identities that requests have under any provider of the ledger."""
    providers = [row[0] for row in tx.rows("SELECT DISTINCT provider FROM label_sets")]
    return {(provider, request) for request in requests for provider in providers}


def by_message(tx: Transaction, messages: Iterable[str]) -> dict[str, list[UsageEvent]]:
    """The stored events of these message ids, whatever request they came under."""
    copies: dict[str, list[UsageEvent]] = {}
    for row in tx.rows(_BY_MESSAGE, (json.dumps(sorted(set(messages))),)):
        event = event_in(row)
        copies.setdefault(event.message, []).append(event)
    return copies


def by_session(tx: Transaction, session: str, *, granted: datetime) -> list[UsageEvent]:
    """The stored events of an agent session, less what was known before a lease was granted and is older than it."""
    return [event_in(row) for row in tx.rows(_BY_SESSION, (session, to_micros(granted), to_micros(granted)))]


def by_run(tx: Transaction, run: str, *, granted: datetime) -> list[UsageEvent]:
    """The stored events that name a run and no session as theirs, less what was known before a lease was granted."""
    return [event_in(row) for row in tx.rows(_BY_RUN, (run, to_micros(granted), to_micros(granted)))]


def of_leases(tx: Transaction, tickets: Iterable[Ticket]) -> dict[tuple[str, str], UsageEvent]:
    """The events that leases of these tickets were settled as."""
    reports = {}
    for ticket in tickets:
        prefix = f"{LEASE_KEY}{ticket.id}"
        for row in tx.rows(_OF_LEASE, (ticket.labels.provider, prefix + ":", prefix + ";")):
            event = event_in(row)
            reports[event.identity] = event
    return reports


def transcript(tx: Transaction, lease: Lease, run: str = "") -> Usage | None:
    """What a lease's session, or its named run, has brought to the ledger in its reach; None for nothing.

    Reports of leases are left out, and so is what another lease of the session or run may claim (see ``reach``).
    """
    if not lease.session and not run:
        return None
    others = [lease_in(row) for row in tx.rows(_OTHERS, (lease.session, lease.session, run, run))]
    start, until = reach(lease, (other for other in others if other.fence != lease.fence))
    granted = to_micros(lease.granted_at)
    span = to_micros(start), to_micros(until or tx.now + SKEW)
    row = tx.row(
        f"SELECT {summed()} FROM events WHERE {_LINKED} AND at BETWEEN ? AND ? AND {_SINCE_GRANT} "
        "AND substr(key, 1, 6) != 'lease:'",
        (lease.session, run, lease.session, run, *span, granted, granted),
    )
    return Usage(*row) if row and row[0] is not None else None


def between(
    tx: Transaction, start: datetime, end: datetime, *, label_sets: Collection[int] | None = None
) -> list[UsageEvent]:
    """Stored events of a span of time, oldest first; only those with these labels if asked."""
    if label_sets is None:
        return [event_in(row) for row in tx.rows(_BETWEEN, (to_micros(start), to_micros(end)))]
    if not label_sets:
        return []
    numbers = json.dumps(sorted(label_sets))
    return [event_in(row) for row in tx.rows(_BETWEEN_OF, (to_micros(start), to_micros(end), numbers))]


def break_before(
    tx: Transaction, label_sets: Collection[int], since: datetime, before: datetime, length: timedelta
) -> datetime:
    """The first use after the last break of a ``length`` that lies before an instant; ``since`` when there is none.

    The instant itself when nothing was used for so long before it.
    """
    rows = tx.rows(_BREAK, (to_micros(since), to_micros(before), json.dumps(sorted(label_sets)), length // MICROSECOND))
    newest, begins = rows[0] if rows else (None, None)
    if newest is None or from_micros(newest) <= before - length:
        return before
    return from_micros(begins) if begins is not None else since


def numbered(tx: Transaction, condition: str, params: Sequence[Any]) -> list[tuple[int, UsageEvent]]:
    """Stored events that fulfil a condition on ``e``, with the numbers of their rows."""
    rows = tx.rows(f"SELECT {EVENT_COLUMNS}, e.id{_FROM}WHERE {condition}", params)
    return [(row[-1], event_in(row[:-1])) for row in rows]


def used_since(tx: Transaction, since: datetime) -> list[int]:
    """The label sets that anything was used under from the hour of an instant on, in the order they first came."""
    sql = "SELECT DISTINCT label_set FROM rollups WHERE hour >= ? ORDER BY label_set"
    return [row[0] for row in tx.rows(sql, (to_micros(since) // HOUR,))]


def apply(tx: Transaction, changes: Sequence[Change]) -> None:
    """Write changes of the ledger: events, rollups and runs move together; backfills are known apart as well."""
    labels = LabelSets(tx)
    gone = [old.identity for old, _ in changes if old]
    tx.many(_DELETE, gone)
    now = to_micros(tx.now)
    tx.many(_INSERT, [event_row(new, labels.of(new), now) for _, new in changes if new])
    rollups: dict[tuple[int, int], Usage] = {}
    for event, sign in _signed(changes):
        slot = (to_micros(event.at) // HOUR, labels.rollup(event))
        rollups[slot] = _add(rollups.get(slot, Usage()), event.usage, sign)
    tx.many(_ROLLUP, [(*slot, *usage) for slot, usage in rollups.items() if any(usage)])
    sums: dict[int, tuple[Usage, int]] = {}
    for (hour, label_set), usage in rollups.items():
        before, newest = sums.get(label_set, (Usage(), 0))
        sums[label_set] = before.plus(usage), max(newest, hour * HOUR)
    for new in (new for _, new in changes if new):
        label_set = labels.rollup(new)
        sums[label_set] = sums[label_set][0], max(sums[label_set][1], to_micros(new.at))
    tx.many(_TOTAL, [(label_set, *usage, newest) for label_set, (usage, newest) in sums.items()])
    late: dict[int, Usage] = {}
    for event, sign in _signed(changes):
        if event.is_backfill(tx.now):
            label_set = labels.rollup(event)
            late[label_set] = _add(late.get(label_set, Usage()), event.usage, sign)
    tx.many(_BACKFILL, [(label_set, *usage) for label_set, usage in late.items() if any(usage)])
    apart.move(tx, [(event, sign, labels.rollup(event)) for event, sign in _signed(changes) if event.extent])
    tx.many(_RUN, _run_rows(changes, labels, now))
    tx.many(_DELETE_RUN, [(old.run,) for old, _ in changes if old and old.run])


def _signed(changes: Sequence[Change]) -> Iterable[tuple[UsageEvent, int]]:
    for old, new in changes:
        if old:
            yield old, -1
        if new:
            yield new, +1


def _add(a: Usage, b: Usage, sign: int) -> Usage:
    return a.plus(b) if sign > 0 else a.minus(b)


def _run_rows(changes: Sequence[Change], labels: "LabelSets", now: int) -> list[tuple[Any, ...]]:
    """One row per run: the difference of its sums, and the facts of its newest event."""
    sums: dict[str, Usage] = {}
    newest: dict[str, UsageEvent] = {}
    first: dict[str, datetime] = {}
    for event, sign in _signed(changes):
        if not event.run:
            continue
        sums[event.run] = _add(sums.get(event.run, Usage()), event.usage, sign)
        if event.run not in newest or event.at >= newest[event.run].at:
            newest[event.run] = event
        first[event.run] = min(event.at, first.get(event.run, event.at))
    return [
        (run, labels.of(last), *sums[run], json.dumps(last.flags), last.prompt_version, last.status,
         to_micros(first[run]), to_micros(last.at), now)
        for run, last in newest.items()
    ]  # fmt: skip


class LabelSets:
    """Ids of label sets, each looked up or made once per transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._ids: dict[tuple[Labels, Priority], int] = {}

    def of(self, event: UsageEvent) -> int:
        """The id of an event's labels and class."""
        return self._id(event.labels, event.priority)

    def rollup(self, event: UsageEvent) -> int:
        """The id for rollups, which leave the agent out."""
        return self._id(event.labels._replace(agent="") if event.labels.agent else event.labels, event.priority)

    def _id(self, labels: Labels, priority: Priority) -> int:
        number = self._ids.get((labels, priority))
        if number is None:
            values = (*labels, priority.value)
            names = "provider, account, model, team, project, workflow, task_type, agent, priority"
            self._tx.execute(f"INSERT OR IGNORE INTO label_sets ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            where = " AND ".join(f"{name} = ?" for name in names.split(", "))
            number = self._ids[labels, priority] = self._tx.scalar(f"SELECT id FROM label_sets WHERE {where}", values)
        return number


def label_sets(tx: Transaction) -> dict[int, tuple[Labels, Priority]]:
    """Every label set by id."""
    rows = tx.rows(
        "SELECT id, provider, account, model, team, project, workflow, task_type, agent, priority FROM label_sets"
    )
    return {row[0]: (Labels(*row[1:9]), Priority(row[9])) for row in rows}


def hours(tx: Transaction, since: datetime) -> list[tuple[datetime, int, Usage]]:
    """Rollups from the hour of ``since`` on: (hour, label set, usage), oldest first."""
    rows = tx.rows(
        f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour >= ? ORDER BY hour", (to_micros(since) // HOUR,)
    )
    return [(from_micros(row[0] * HOUR), row[1], Usage(*row[2:])) for row in rows]


def by_day(tx: Transaction, since: datetime) -> list[tuple[str, Labels, Usage]]:
    """Usage by UTC day and labels from the day of ``since`` on, oldest first."""
    sets = label_sets(tx)
    rows = tx.rows(
        f"SELECT hour / 24, label_set, {summed()} FROM rollups WHERE hour >= ? GROUP BY 1, 2 ORDER BY 1, 2",
        (to_micros(since) // HOUR // 24 * 24,),
    )
    return [(f"{from_micros(row[0] * 24 * HOUR):%Y-%m-%d}", sets[row[1]][0], Usage(*row[2:])) for row in rows]


def totals(tx: Transaction) -> list[tuple[Labels, Priority, Usage, datetime]]:
    """All usage ever by labels and class, and the instant of the newest."""
    sets = label_sets(tx)
    rows = tx.rows(f"SELECT label_set, {COLUMNS}, newest FROM label_totals ORDER BY label_set")
    return [(*sets[row[0]], Usage(*row[1:10]), from_micros(row[10])) for row in rows]


def backfilled(tx: Transaction) -> dict[tuple[Labels, Priority], Usage]:
    """The part of ``totals`` that was recorded long after its own time."""
    sets = label_sets(tx)
    return {sets[row[0]]: Usage(*row[1:]) for row in tx.rows(f"SELECT label_set, {COLUMNS} FROM backfilled")}


def runs_since(tx: Transaction, since: datetime) -> list[RunSummary]:
    """Runs last active at or after an instant, oldest first."""
    rows = tx.rows(
        "SELECT r.run, l.workflow, l.task_type, l.team, l.provider, l.model, r.flags, r.prompt_version, r.started_at, "
        f"r.last_at, r.status, {columns_of('r')} FROM runs r JOIN label_sets l ON l.id = r.label_set "
        f"WHERE r.last_at >= ? ORDER BY r.last_at, r.run",
        (to_micros(since),),
    )
    return [_run_summary(row) for row in rows]


def _run_summary(row: Sequence[Any]) -> RunSummary:
    run, workflow, task_type, team, provider, model, flags, prompt_version, started, last, status, *sums = row
    return RunSummary(
        run=run,
        workflow=workflow,
        task_type=task_type,
        team=team,
        provider=provider,
        model=model,
        flags=tuple(json.loads(flags)),
        prompt_versions=(prompt_version,) if prompt_version else (),
        usage=Usage(*sums),
        started_at=from_micros(started),
        last_at=from_micros(last),
        status=status,
    )


def finish_run(tx: Transaction, run: str, status: str) -> None:
    """Note how a run ended."""
    tx.execute("UPDATE runs SET status = ? WHERE run = ?", (status, run))


def run_usage(tx: Transaction, runs: Iterable[str]) -> Mapping[str, Usage]:
    """What these runs have used so far."""
    rows = tx.rows(
        f"SELECT run, {COLUMNS} FROM runs WHERE run IN (SELECT value FROM json_each(?))", (json.dumps(list(runs)),)
    )
    return {row[0]: Usage(*row[1:]) for row in rows}
