"""The ledger: usage events, hourly rollups and per-run sums. Rows become core values here."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.instants import HOUR_MICROS, MICROSECOND, SKEW, from_micros, instant_or_none, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.plain_events import NOTHING, PlainEvents
from quota_scheduler.core.ledger.settlement import LEASE_KEY, reach
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Lease, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.store import Row, Transaction, sums
from quota_scheduler.store.event_rows import EVENT_COLUMNS, PLAIN_COLUMNS, event_in, event_row, flags_in, plain_rows
from quota_scheduler.store.label_sets import LabelSets
from quota_scheduler.store.lists import NUMBERS, TEXTS
from quota_scheduler.store.ticket_rows import LEASE_COLUMNS, lease_in
from quota_scheduler.store.usage_columns import COLUMNS, columns_of, summed

_FROM = " FROM events e JOIN label_sets l ON l.id = e.label_set "
_BY_KEY = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.provider = ? AND e.key IN {TEXTS}"
_BY_MESSAGE = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.message IN {TEXTS} AND e.message != ''"
_BY_SESSION = (
    f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.session = ? AND e.session != '' AND (e.at >= ? OR e.recorded_at > ?)"
)
_BY_RUN = (
    f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.run = ? AND e.run != '' AND e.run != e.session "
    "AND (e.at >= ? OR e.recorded_at > ?)"
)
_OF_LEASE = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.provider = ? AND e.key >= ? AND e.key < ?"
_BETWEEN = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.at >= ? AND e.at < ? ORDER BY e.at"
_BETWEEN_OF = f"SELECT {EVENT_COLUMNS}{_FROM}WHERE e.at >= ? AND e.at < ? AND e.label_set IN {NUMBERS} ORDER BY e.at"
_BREAK = (
    "SELECT max(at), max(CASE WHEN at - previous >= ?4 THEN at END) FROM (SELECT at, lag(at) OVER (ORDER BY at) "
    "AS previous FROM events WHERE at >= ?1 AND at < ?2 AND label_set IN "
    "(SELECT CAST(value AS BIGINT) FROM json_each(?3))) AS uses"
)
_LINKED = (
    "(session = ? AND session != '' OR run = ? AND run != '' AND run != session AND (session = '' OR ? = '' "
    "AND session NOT IN (SELECT l.session FROM leases l JOIN tickets t ON t.id = l.ticket "
    "WHERE t.run = ? AND t.run != '')))"
)
"""Linked by the session, or else by the run, unless the session is that of another lease of the run."""
_SINCE_GRANT = "(at >= ? OR recorded_at > ?)"
"""What the ledger knew before a lease was granted is no usage of it, whatever the clocks say."""
_OTHERS = (
    f"SELECT {LEASE_COLUMNS} FROM leases l WHERE l.session = ? AND l.session != '' UNION "
    f"SELECT {LEASE_COLUMNS} FROM tickets t JOIN leases l ON l.ticket = t.id WHERE t.run = ? AND t.run != ''"
)
_USES = (
    f"SELECT at, id, label_set, {COLUMNS} FROM events WHERE at >= ? AND (at, id) > (?, ?) AND at < ? "
    "ORDER BY at, id LIMIT ?"
)
AT_ONCE = 4_000
"""Uses that are read in one go."""
_INSERT = (
    f"INSERT INTO events (provider, key, at, label_set, {COLUMNS}, run, session, message, sidechain, flags, "
    f"prompt_version, status, estimated, recorded_at, terms, origin, extent) VALUES ({', '.join('?' * 25)})"
)
_INSERT_PLAIN = f"INSERT INTO events ({PLAIN_COLUMNS}) VALUES ({', '.join('?' * 25)})"
_KEYS_KNOWN = f"SELECT key FROM events WHERE provider = ? AND key IN {TEXTS}"
_MESSAGES_KNOWN = f"SELECT message FROM events WHERE message IN {TEXTS} AND message != ''"
_DELETE = "DELETE FROM events WHERE provider = ? AND key = ?"


def by_key(tx: Transaction, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], UsageEvent]:
    """The stored events of these (provider, key) pairs."""
    keys: dict[str, list[str]] = {}
    for provider, key in identities:
        keys.setdefault(provider, []).append(key)
    events = (
        event_in(row)
        for provider, some in keys.items()
        for row in tx.rows(_BY_KEY, (provider, json.dumps(sorted(some))))
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


def names_known(tx: Transaction, keys: Sequence[str], messages: Sequence[str]) -> set[str]:
    """Those of some keys, of whichever provider, and of some messages that stored events have."""
    providers = [row[0] for row in tx.rows("SELECT DISTINCT provider FROM label_sets")]
    asked = json.dumps(keys)
    known = {row[0] for provider in providers for row in tx.rows(_KEYS_KNOWN, (provider, asked))}
    return known.union(row[0] for row in tx.rows(_MESSAGES_KNOWN, (json.dumps(messages),)))


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
    others = [lease_in(row) for row in tx.rows(_OTHERS, (lease.session, run))]
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


def used_between(
    tx: Transaction, start: datetime, end: datetime, label_sets: Collection[int]
) -> list[tuple[int, Usage]]:
    """What stored events of a span of time used under these label sets, added up by each."""
    rows = tx.rows(
        f"SELECT label_set, {summed()} FROM events WHERE at >= ? AND at < ? "
        f"AND label_set IN {NUMBERS} GROUP BY label_set ORDER BY label_set",
        (to_micros(start), to_micros(end), json.dumps(sorted(label_sets))),
    )
    return [(row[0], Usage(*row[1:])) for row in rows]


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


def newest(tx: Transaction) -> datetime | None:
    """When the newest stored event was used; None where there is none."""
    return instant_or_none(tx.scalar("SELECT max(at) FROM events"))


def uses_after(tx: Transaction, place: tuple[int, int], end: datetime) -> list[Row]:
    """Stored events in order of time, from the one behind a place: its microseconds and number; ``AT_ONCE`` at most.

    Each is its microseconds, its number, its label set, and the members of its ``Usage``.
    """
    return tx.rows(_USES, (place[0], *place, to_micros(end), AT_ONCE))


def are_more(tx: Transaction, start: datetime, end: datetime, than: int) -> bool:
    """Whether more events than so many are stored of a span of time; looks at no more of them."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM events WHERE at >= ? AND at < ? LIMIT ?) AS counted"
    return int(tx.scalar(sql, (to_micros(start), to_micros(end), than + 1))) > than


def apply(tx: Transaction, changes: Sequence[Change], plain: PlainEvents = NOTHING) -> None:
    """Write changes of the ledger, and what is plainly new: events, rollups and runs move together.

    Backfills are known apart as well.
    """
    labels, now = LabelSets(tx), to_micros(tx.now)
    tx.many(_DELETE, [old.identity for old, _ in changes if old])
    behind = tx.scalar("SELECT max(id) FROM events") or 0
    labels.know([new for _, new in changes if new])
    tx.many(_INSERT, [event_row(new, labels.of(new), now) for _, new in changes if new])
    tx.many(_INSERT_PLAIN, plain_rows(plain, [labels.of(like) for like in plain.kinds], now))
    sums.move(tx, changes, labels, behind=behind, plain=plain)


def label_sets(tx: Transaction, *, after: int = 0) -> dict[int, tuple[Labels, Priority]]:
    """Every label set by id, or those with ids ``after`` one: what an id stands for never changes."""
    rows = tx.rows(
        "SELECT id, provider, account, model, team, project, workflow, task_type, agent, priority FROM label_sets "
        "WHERE id > ? ORDER BY id",
        (after,),
    )
    return {row[0]: (Labels(*row[1:9]), Priority(row[9])) for row in rows}


def hours(tx: Transaction, since: datetime) -> list[tuple[datetime, int, Usage]]:
    """Rollups from the hour of ``since`` on: (hour, label set, usage), oldest first."""
    rows = tx.rows(
        f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour >= ? ORDER BY hour",
        (to_micros(since) // HOUR_MICROS,),
    )
    return [(from_micros(row[0] * HOUR_MICROS), row[1], Usage(*row[2:])) for row in rows]


def by_day(tx: Transaction, since: datetime) -> list[tuple[str, Labels, Usage]]:
    """Usage by UTC day and labels from the day of ``since`` on, oldest first."""
    sets = label_sets(tx)
    rows = tx.rows(
        f"SELECT hour / 24, label_set, {summed()} FROM rollups WHERE hour >= ? GROUP BY 1, 2 ORDER BY 1, 2",
        (to_micros(since) // HOUR_MICROS // 24 * 24,),
    )
    return [(f"{from_micros(row[0] * 24 * HOUR_MICROS):%Y-%m-%d}", sets[row[1]][0], Usage(*row[2:])) for row in rows]


def totals(tx: Transaction) -> list[tuple[Labels, Priority, Usage, datetime]]:
    """All usage ever by labels and class, and the instant of the newest."""
    sets = label_sets(tx)
    return [(*sets[row[0]], Usage(*row[1:10]), from_micros(row[10])) for row in set_totals(tx)]


def set_totals(tx: Transaction) -> list[Row]:
    """All usage ever by label set: its number, the members of its ``Usage``, when the newest of it was used."""
    return tx.rows(f"SELECT label_set, {COLUMNS}, newest FROM label_totals ORDER BY label_set")


def backfilled(tx: Transaction) -> list[Row]:
    """The part of ``totals`` that was recorded long after its own time, by label set: members of its ``Usage``."""
    return tx.rows(f"SELECT label_set, {COLUMNS} FROM backfilled ORDER BY label_set")


def runs_since(tx: Transaction, since: datetime) -> list[RunSummary]:
    """Runs last active at or after an instant, oldest first."""
    return runs_where(tx, "r.last_at >= ?", (to_micros(since),))


def runs_where(tx: Transaction, condition: str, params: Sequence[Any]) -> list[RunSummary]:
    """Runs that fulfil a condition on ``runs r``, oldest first."""
    rows = tx.rows(
        "SELECT r.run, l.workflow, l.task_type, l.team, l.provider, l.model, r.flags, r.prompt_version, r.started_at, "
        f"r.last_at, r.status, l.account, l.project, l.agent, {columns_of('r')} "
        f"FROM runs r JOIN label_sets l ON l.id = r.label_set WHERE {condition} ORDER BY r.last_at, r.run",
        params,
    )
    return [_run_summary(row) for row in rows]


def _run_summary(row: Sequence[Any]) -> RunSummary:
    run, workflow, task_type, team, provider, model, flags, prompt_version, started, last, status = row[:11]
    return RunSummary(
        run,
        workflow,
        task_type,
        team,
        provider,
        model,
        flags_in(flags),
        (prompt_version,) if prompt_version else (),
        Usage(*row[14:]),
        from_micros(started),
        from_micros(last),
        status,
        *row[11:14],
    )


def finish_runs(tx: Transaction, ended: Iterable[tuple[str, str]]) -> None:
    """Note how runs ended: each with its status."""
    tx.many_whole("UPDATE runs SET status = ? WHERE run = ?", [(status, run) for run, status in dict(ended).items()])


def run_usage(tx: Transaction, runs: Iterable[str]) -> Mapping[str, Usage]:
    """What these runs have used so far."""
    rows = tx.rows(
        f"SELECT run, {COLUMNS} FROM runs WHERE run IN {TEXTS}",
        (json.dumps(list(runs)),),
    )
    return {row[0]: Usage(*row[1:]) for row in rows}
