"""Tickets and leases: rows, and the core values they are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from quota_scheduler.core.instants import MICROSECOND, from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets import Checkpoint, Estimate, Lease, ModelUsage, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction

_LEASE = "fence, ticket, granted_at, expires_at, ttl, session, reported, checkpoints, ended_at"
_TICKET = (
    "id, key, body, state, priority, labels, estimate, created_at, waiting_since, ttl, run, session, flags, deadline, "
    "wait_until, offers, offer_until, fence, outcome, reason, closed_at, was_deferred, held"
)
_SELECT = (
    f"SELECT {', '.join('t.' + n for n in _TICKET.split(', '))}, {', '.join('l.' + n for n in _LEASE.split(', '))} "
    "FROM tickets t LEFT JOIN leases l ON l.fence = t.fence "
)
_BY_LEASE = _SELECT.replace("LEFT JOIN leases l ON l.fence = t.fence", "JOIN leases l ON l.ticket = t.id")
# ``state != 'closed'`` stands beside ``state = …`` everywhere: only then the index of open tickets is used.
# A CROSS JOIN keeps the order of the tables: few leases have run out, many tickets run
_EXPIRED = (
    _SELECT.replace(
        "FROM tickets t LEFT JOIN leases l ON l.fence = t.fence",
        "FROM leases l CROSS JOIN tickets t ON t.id = l.ticket AND t.fence = l.fence",
    )
    + "WHERE l.ended_at IS NULL AND l.expires_at <= ? AND t.state = 'running'"
)
_CHANGING = (
    "state",
    "session",
    "offers",
    "offer_until",
    "fence",
    "outcome",
    "reason",
    "closed_at",
    "was_deferred",
    "held",
)
"""What changes about a ticket after it was submitted."""
_INSERT = f"INSERT INTO tickets ({_TICKET}) VALUES ({', '.join('?' * 23)})"
_SET = ", ".join(f"{name} = ?" for name in _CHANGING)
_UPDATE = f"UPDATE tickets SET {_SET}, waiting_since = ?, wait_until = ? WHERE id = ?"
_PUT_LEASE = (
    f"INSERT INTO leases ({_LEASE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fence) DO UPDATE SET "
    + ", ".join(f"{n} = excluded.{n}" for n in ("expires_at", "ttl", "session", "reported", "checkpoints", "ended_at"))
)


def for_cycle(
    tx: Transaction, *, ids: Iterable[int], keys: Iterable[str], due: datetime, ended: Sequence[int] = ()
) -> dict[int, Ticket]:
    """Tickets a cycle needs beside the line: those offered, those named by id or key, and leases that have run out.

    Running tickets in windows that have just ``ended`` are among them, so that they remember what they had reported.
    """
    rows = tx.rows(_SELECT + "WHERE t.state != 'closed' AND t.state = 'offered'")
    if ids := list(ids):
        rows += tx.rows(_SELECT + "WHERE t.id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
    if keys := list(keys):
        rows += tx.rows(_SELECT + "WHERE t.key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
    rows += tx.rows(_EXPIRED, (to_micros(due),))
    if ended:
        rows += tx.rows(
            _SELECT + "WHERE t.state != 'closed' AND t.state = 'running' AND t.id IN "
            "(SELECT ticket FROM reservations WHERE open = 1 AND window IN (SELECT value FROM json_each(?)))",
            (json.dumps(list(ended)),),
        )
    return {row[0]: _ticket(row) for row in rows}


def waiting(tx: Transaction) -> list[Ticket]:
    """Every ticket that waits, by id."""
    return [
        _ticket(row) for row in tx.rows(_SELECT + "WHERE t.state != 'closed' AND t.state = 'waiting' ORDER BY t.id")
    ]


def open_of_runs(tx: Transaction, runs: Iterable[str]) -> list[Ticket]:
    """Every ticket of these named runs that is not closed."""
    rows = tx.rows(
        _SELECT
        + "WHERE t.state != 'closed' AND t.run != '' AND t.run IN (SELECT value FROM json_each(?)) ORDER BY t.id",
        (json.dumps(sorted(runs)),),
    )
    return [_ticket(row) for row in rows]


def running_by_session(tx: Transaction, sessions: Iterable[str]) -> dict[str, list[Ticket]]:
    """Tickets with a lease that is bound to one of these agent sessions, running or ended, newest first.

    A ticket that was taken up again comes with each of its leases.
    """
    rows = tx.rows(
        _BY_LEASE + "WHERE l.session != '' AND l.session IN (SELECT value FROM json_each(?)) "
        "ORDER BY l.granted_at DESC, l.fence DESC",
        (json.dumps(sorted(set(sessions))),),
    )
    found: dict[str, list[Ticket]] = {}
    for row in rows:
        ticket = _ticket(row)
        if ticket.lease:
            found.setdefault(ticket.lease.session, []).append(ticket)
    return found


def open_tickets(tx: Transaction) -> list[Ticket]:
    """Every ticket that is not closed, by id."""
    return [_ticket(row) for row in tx.rows(_SELECT + "WHERE t.state != 'closed' ORDER BY t.id")]


def running_counts(tx: Transaction) -> dict[Labels, int]:
    """How many leases run, by labels."""
    rows = tx.rows("SELECT labels, count(*) FROM tickets WHERE state != 'closed' AND state = 'running' GROUP BY labels")
    return {Labels(*json.loads(labels)): count for labels, count in rows}


def running_shares(tx: Transaction, label: str) -> dict[str, int]:
    """How many leases run, by the value of the fair-share label."""
    shares: dict[str, int] = {}
    for labels, count in running_counts(tx).items():
        shares[labels.value(label)] = shares.get(labels.value(label), 0) + count
    return shares


def next_ends(tx: Transaction, usual: timedelta) -> dict[Labels, datetime]:
    """By labels, when the next running lease is expected to end: granted plus the usual length, or its expiry."""
    rows = tx.rows(
        "SELECT t.labels, min(min(l.granted_at + ?, l.expires_at)) FROM tickets t JOIN leases l ON l.fence = t.fence "
        "WHERE t.state != 'closed' AND t.state = 'running' GROUP BY t.labels",
        (usual // MICROSECOND,),
    )
    return {Labels(*json.loads(labels)): max(tx.now, from_micros(at)) for labels, at in rows}


def lease_of(tx: Transaction, ticket: int, fence: int) -> Lease | None:
    """A ticket's lease by its fence, current or past."""
    row = tx.row(f"SELECT {_LEASE} FROM leases WHERE ticket = ? AND fence = ?", (ticket, fence))
    return _lease(row) if row else None


def save(tx: Transaction, changed: Iterable[Ticket], past: Mapping[int, tuple[int, Lease]], *, new: int) -> None:
    """Write changed tickets with their leases, and past leases that reported once more; from ``new`` on ids are new."""
    changed = list(changed)
    tx.many(_INSERT, [_row(ticket) for ticket in changed if ticket.id >= new])
    tx.many(
        _UPDATE,
        [(*_changing(t), to_micros(t.waiting_since), _micros(t.wait_until), t.id) for t in changed if t.id < new],
    )
    leases = [(ticket.id, ticket.lease) for ticket in changed if ticket.lease] + list(past.values())
    tx.many(_PUT_LEASE, [_lease_row(ticket, lease) for ticket, lease in leases])


def sequence(tx: Transaction, name: str) -> int:
    """The next number of a sequence."""
    return int(tx.scalar("SELECT next FROM sequences WHERE name = ?", (name,)))


def advance(tx: Transaction, name: str, to: int) -> None:
    """Move a sequence on; it never goes back."""
    tx.execute("UPDATE sequences SET next = ? WHERE name = ? AND next < ?", (to, name, to))


def next_due(tx: Transaction) -> datetime | None:
    """The earliest instant at which a lease or an offer falls due."""
    lease = tx.scalar("SELECT min(expires_at) FROM leases WHERE ended_at IS NULL")
    offer = tx.scalar("SELECT min(offer_until) FROM tickets WHERE state != 'closed' AND state = 'offered'")
    return min((from_micros(at) for at in (lease, offer) if at is not None), default=None)


USUAL_LENGTH = timedelta(minutes=40)
"""How long a lease takes while nothing is known (reference figures: 40 min per mean run)."""


def usual_length(tx: Transaction, since: datetime) -> timedelta:
    """The median length of the leases that ended since an instant."""
    rows = tx.rows(
        "SELECT ended_at - granted_at FROM leases WHERE ended_at >= ? ORDER BY ended_at DESC LIMIT 500",
        (to_micros(since),),
    )
    lengths = sorted(row[0] for row in rows)
    return lengths[len(lengths) // 2] * MICROSECOND if lengths else USUAL_LENGTH


def forget_closed(tx: Transaction, before: datetime) -> int:
    """Drop tickets closed before an instant, with their leases and reservations; returns how many."""
    mark = to_micros(before)
    old = "SELECT id FROM tickets WHERE state = 'closed' AND closed_at < ?"
    tx.execute(f"DELETE FROM reservations WHERE ticket IN ({old})", (mark,))
    tx.execute(f"DELETE FROM leases WHERE ticket IN ({old})", (mark,))
    return tx.execute("DELETE FROM tickets WHERE state = 'closed' AND closed_at < ?", (mark,))


def _row(t: Ticket) -> tuple[Any, ...]:
    state, session, offers, offer_until, fence, outcome, reason, closed_at, was_deferred, held = _changing(t)
    return (
        t.id, t.key, t.body, state, t.priority.value, _dump_labels(t.labels), _dump_estimate(t.estimate),
        to_micros(t.created_at), to_micros(t.waiting_since), t.ttl // MICROSECOND, t.run, session, _dump(t.flags),
        _micros(t.deadline), _micros(t.wait_until), offers, offer_until, fence, outcome, reason, closed_at,
        was_deferred, held,
    )  # fmt: skip


def _changing(t: Ticket) -> tuple[Any, ...]:
    fence = t.lease.fence if t.lease else None
    outcome = t.outcome.value if t.outcome else None
    return (
        t.state.value, t.session, t.offers, _micros(t.offer_until), fence, outcome, t.reason.value,
        _micros(t.closed_at), int(t.was_deferred), int(t.held),
    )  # fmt: skip


def _ticket(row: Sequence[Any]) -> Ticket:
    return Ticket(
        id=row[0],
        key=row[1],
        body=row[2],
        state=State(row[3]),
        priority=Priority(row[4]),
        labels=Labels(*json.loads(row[5])),
        estimate=_load_estimate(row[6]),
        created_at=from_micros(row[7]),
        waiting_since=from_micros(row[8]),
        ttl=row[9] * MICROSECOND,
        run=row[10],
        session=row[11],
        flags=tuple(json.loads(row[12])),
        deadline=_instant(row[13]),
        wait_until=_instant(row[14]),
        offers=row[15],
        offer_until=_instant(row[16]),
        outcome=Outcome(row[18]) if row[18] else None,
        reason=Reason(row[19]),
        closed_at=_instant(row[20]),
        was_deferred=bool(row[21]),
        held=bool(row[22]),
        lease=_lease(row[23:]) if row[23] is not None else None,
    )


def _lease_row(ticket: int, lease: Lease) -> tuple[Any, ...]:
    checkpoints = _dump([[to_micros(c.at), _dump_usage(c.reported)] for c in lease.checkpoints])
    return (
        lease.fence, ticket, to_micros(lease.granted_at), to_micros(lease.expires_at), lease.ttl // MICROSECOND,
        lease.session, _dump(_dump_usage(lease.reported)), checkpoints, _micros(lease.ended_at),
    )  # fmt: skip


def _lease(row: Sequence[Any]) -> Lease:
    return Lease(
        fence=row[0],
        granted_at=from_micros(row[2]),
        expires_at=from_micros(row[3]),
        ttl=timedelta(microseconds=row[4]),
        session=row[5],
        reported=_load_usage(json.loads(row[6])),
        checkpoints=tuple(Checkpoint(from_micros(at), _load_usage(usage)) for at, usage in json.loads(row[7])),
        ended_at=_instant(row[8]),
    )


def _dump(items: Sequence[Any]) -> str:
    return json.dumps(items) if items else "[]"  # most tickets have none, and each would be written with every change


@lru_cache(4096)
def _dump_labels(labels: Labels) -> str:
    return json.dumps(labels)


def _dump_usage(usage: ModelUsage) -> list[list[Any]]:
    return [[model, list(part)] for model, part in usage]


def _load_usage(raw: list[list[Any]]) -> ModelUsage:
    return tuple((model, Usage(*part)) for model, part in raw)


def _dump_estimate(e: Estimate) -> str:
    seconds = e.duration.total_seconds() if e.duration else None
    known = [e.median, e.reserve, e.source, e.declared, e.confidence, e.estimated_cost, seconds, e.words, e.guess]
    return json.dumps(known)


def _load_estimate(text: str) -> Estimate:
    median, reserve, source, declared, confidence, estimated_cost, seconds, *rest = json.loads(text)
    duration = None if seconds is None else timedelta(seconds=seconds)
    return Estimate(Usage(*median), Usage(*reserve), source, declared, confidence, estimated_cost, duration, *rest)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
