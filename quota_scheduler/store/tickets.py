"""Tickets and leases: rows, and the core values they are."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from quota_scheduler.core.instants import MICROSECOND, from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.tickets.ticket import Lease, State, Ticket
from quota_scheduler.store import Transaction, turns
from quota_scheduler.store.lists import NUMBERS, TEXTS
from quota_scheduler.store.ticket_rows import changing, labels_in, lease_in, lease_row, row_of, ticket_in

_LEASE = "fence, ticket, granted_at, expires_at, ttl, session, reported, checkpoints, ended_at"
_TICKET = (
    "id, key, body, state, priority, labels, estimate, created_at, waiting_since, ttl, run, session, flags, deadline, "
    "wait_until, offers, offer_until, fence, outcome, reason, closed_at, was_deferred, held, owner, comment_on"
)
_SELECT = (
    f"SELECT {', '.join('t.' + n for n in _TICKET.split(', '))}, {', '.join('l.' + n for n in _LEASE.split(', '))} "
    "FROM tickets t LEFT JOIN leases l ON l.fence = t.fence "
)
_BY_LEASE = _SELECT.replace("LEFT JOIN leases l ON l.fence = t.fence", "JOIN leases l ON l.ticket = t.id")
_OF_SESSIONS = _BY_LEASE.replace("SELECT", "SELECT l.fence,", 1) + f"WHERE l.session != '' AND l.session IN {TEXTS}"
_OF_RUNS = _BY_LEASE.replace("SELECT", "SELECT l.fence,", 1) + f"WHERE t.run != '' AND t.run IN {TEXTS}"
# ``state != 'closed'`` stands beside ``state = …`` everywhere: only then the index of open tickets is used.
# A CROSS JOIN keeps the order of the tables: few leases have run out, many tickets run
_EXPIRED = (
    _SELECT.replace(
        "FROM tickets t LEFT JOIN leases l ON l.fence = t.fence",
        "FROM leases l CROSS JOIN tickets t ON t.id = l.ticket AND t.fence = l.fence",
    )
    + "WHERE l.ended_at IS NULL AND l.expires_at <= ? AND t.state = 'running'"
)
_RUNNING = _SELECT + "WHERE t.state != 'closed' AND t.state = 'running'"
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
_INSERT = f"INSERT INTO tickets ({_TICKET}, revision) VALUES ({', '.join('?' * 26)})"
_SET = ", ".join(f"{name} = ?" for name in _CHANGING)
_UPDATE = f"UPDATE tickets SET {_SET}, priority = ?, waiting_since = ?, wait_until = ?, revision = ? WHERE id = ?"
_PUT_LEASE = (
    f"INSERT INTO leases ({_LEASE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fence) DO UPDATE SET "
    + ", ".join(f"{n} = excluded.{n}" for n in ("expires_at", "ttl", "session", "reported", "checkpoints", "ended_at"))
)


def for_cycle(
    tx: Transaction, *, ids: Iterable[int], due: datetime | None = None, ended: Sequence[int] = ()
) -> dict[int, Ticket]:
    """Tickets a cycle needs beside the line: those named by id, and leases that have run out by an instant (``due``).

    Running tickets in windows that have just ``ended`` are among them, so that they remember what they had reported.
    """
    asked: list[tuple[str, tuple[Any, ...]]] = []
    if ids := list(ids):
        asked.append((_SELECT + f"WHERE t.id IN {NUMBERS}", (json.dumps(ids),)))
    if due:
        asked.append((_EXPIRED, (to_micros(due),)))
    if ended:
        in_them = f"(SELECT ticket FROM reservations WHERE open = 1 AND window IN {NUMBERS})"
        asked.append((f"{_RUNNING} AND t.id IN {in_them}", (json.dumps(list(ended)),)))
    taken = [tx.ask(sql, params) for sql, params in asked]
    return {row[0]: ticket_in(row) for rows in taken for row in rows()}


def numbers_of(tx: Transaction, keys: Sequence[str]) -> Callable[[], list[int]]:
    """The ids of the tickets that have one of these keys; asked now, told when they are taken.

    Nearly every key is new, and a look at the index says so sooner than a ticket with its lease is put together.
    """
    if not keys:
        return list
    if len(keys) == 1:  # taking a list of one apart costs the database four times the look itself
        rows = tx.ask("SELECT id FROM tickets WHERE key = ?", (keys[0],))
    else:
        rows = tx.ask(f"SELECT id FROM tickets WHERE key IN {TEXTS}", (json.dumps(keys),))
    return lambda: [number for (number,) in rows()]


def waiting(tx: Transaction) -> list[Ticket]:
    """Every ticket that waits, by id."""
    return [
        ticket_in(row) for row in tx.rows(_SELECT + "WHERE t.state != 'closed' AND t.state = 'waiting' ORDER BY t.id")
    ]


class MovedTicket(NamedTuple):
    """What whoever remembers the queue must know of a ticket that runs or is offered."""

    id: int
    state: State
    labels: Labels
    offer_until: datetime | None


_MOVED = "SELECT id, state, labels, offer_until FROM tickets"


def _moved(row: Sequence[Any]) -> MovedTicket:
    number, state, labels, offer_until = row
    return MovedTicket(number, State(state), labels_in(labels), instant_or_none(offer_until))


def moved_since(tx: Transaction, revision: int, most: int) -> Callable[[], list[MovedTicket]]:
    """Every ticket that was written after a revision, in any state, by id, at most so many; taken later.

    In order of revision they are found by their index; in order of id all that were closed are read on the way.
    """
    rows = tx.ask(f"{_MOVED} WHERE revision > ? ORDER BY revision LIMIT ?", (revision, most))
    return lambda: sorted(map(_moved, rows()), key=lambda moved: moved.id)


def numbers_since(tx: Transaction, revision: int) -> set[int]:
    """The ids of the tickets that were written after a revision."""
    return {row[0] for row in tx.rows("SELECT id FROM tickets WHERE revision > ?", (revision,))}


def open_of_runs(tx: Transaction, runs: Iterable[str]) -> list[Ticket]:
    """Every ticket of these named runs that is not closed."""
    rows = tx.rows(
        _SELECT + f"WHERE t.state != 'closed' AND t.run != '' AND t.run IN {TEXTS} ORDER BY t.id",
        (json.dumps(sorted(runs)),),
    )
    return [ticket_in(row) for row in rows]


def with_leases(tx: Transaction, *, sessions: Iterable[str], runs: Iterable[str]) -> list[Ticket]:
    """Tickets with a lease that is bound to one of these agent sessions, or of one of these named runs.

    Running or ended, newest lease first; a ticket that was taken up again comes with each of its leases.
    """
    rows = {
        row[0]: row[1:]
        for query, names in ((_OF_SESSIONS, sessions), (_OF_RUNS, runs))
        if (some := sorted({name for name in names if name}))
        for row in tx.rows(query, (json.dumps(some),))
    }
    leased = [ticket_in(row) for row in rows.values()]
    return sorted(leased, key=lambda t: (t.lease.granted_at, t.lease.fence) if t.lease else (t.created_at, 0))[::-1]


def open_tickets(tx: Transaction) -> list[Ticket]:
    """Every ticket that is not closed, by id."""
    return [ticket_in(row) for row in tx.rows(_SELECT + "WHERE t.state != 'closed' ORDER BY t.id")]


def submitted_since(tx: Transaction, since: datetime) -> list[Ticket]:
    """Every ticket that is still known and was submitted at or after an instant, by id."""
    return [ticket_in(row) for row in tx.rows(_SELECT + "WHERE t.created_at >= ? ORDER BY t.id", (to_micros(since),))]


def with_turn(tx: Transaction) -> list[Ticket]:
    """Every ticket that runs or is offered, by id."""
    rows = tx.rows(_SELECT + "WHERE t.state != 'closed' AND t.state IN ('offered', 'running') ORDER BY t.id")
    return [ticket_in(row) for row in rows]


def running_counts(tx: Transaction) -> dict[Labels, int]:
    """How many leases run, by labels."""
    rows = tx.rows("SELECT labels, count(*) FROM tickets WHERE state != 'closed' AND state = 'running' GROUP BY labels")
    return {Labels(*json.loads(labels)): count for labels, count in rows}


def running_shares(tx: Transaction, label: str) -> dict[str, int]:
    """How many leases run or are offered, by the value of the fair-share label."""
    shares: dict[str, int] = {}
    rows = tx.rows(
        "SELECT labels, count(*) FROM tickets WHERE state != 'closed' AND state IN ('offered', 'running') "
        "GROUP BY labels"
    )
    for text, count in rows:
        share = Labels(*json.loads(text)).value(label)
        shares[share] = shares.get(share, 0) + count
    return shares


def turns_taken(tx: Transaction) -> list[MovedTicket]:
    """Every ticket that runs or is offered."""
    return list(map(_moved, tx.rows(f"{_MOVED} WHERE state != 'closed' AND state IN ('offered', 'running')")))


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
    return lease_in(row) if row else None


def save(tx: Transaction, changed: Iterable[Ticket], past: Mapping[int, tuple[int, Lease]], *, new: int) -> None:
    """Write changed tickets with their leases, and past leases that reported once more; from ``new`` on ids are new."""
    changed = list(changed)
    revision = turns.take(tx) if changed else 0
    tx.many_whole(_INSERT, [(*row_of(ticket), revision) for ticket in changed if ticket.id >= new])
    known = [ticket for ticket in changed if ticket.id < new]
    tx.many_whole(_UPDATE, [(*changing(t), *_seldom(t), revision, t.id) for t in known])
    leases = [(ticket.id, ticket.lease) for ticket in changed if ticket.lease] + list(past.values())
    by_fence = {lease.fence: lease_row(ticket, lease) for ticket, lease in leases}
    tx.many_whole(_PUT_LEASE, list(by_fence.values()))


def _seldom(ticket: Ticket) -> tuple[Any, ...]:
    """What only a person, or a key that asks once more, changes."""
    return ticket.priority.value, to_micros(ticket.waiting_since), micros_or_none(ticket.wait_until)


def sequence(tx: Transaction, name: str) -> int:
    """The next number of a sequence."""
    return int(tx.scalar("SELECT next FROM sequences WHERE name = ?", (name,)))


class NextNumbers(NamedTuple):
    """The next ticket, the next fence, and when the first lease runs out."""

    ticket: int
    fence: int
    lease_end: datetime | None


def standing(tx: Transaction) -> Callable[[], NextNumbers]:
    """Where numbers and leases stand; asked now and told when it is taken."""
    rows = tx.ask(
        "SELECT name, next FROM sequences WHERE name IN ('ticket', 'fence') "
        "UNION ALL SELECT 'lease', min(expires_at) FROM leases WHERE ended_at IS NULL"
    )

    def taken() -> NextNumbers:
        by_name: dict[str, Any] = dict(rows())
        return NextNumbers(by_name["ticket"], by_name["fence"], instant_or_none(by_name["lease"]))

    return taken


def advance(tx: Transaction, *, ticket: int, fence: int) -> None:
    """Move the numbers to come on; they never go back."""
    tx.send(
        "UPDATE sequences SET next = CASE name WHEN 'ticket' THEN ?1 ELSE ?2 END "
        "WHERE (name = 'ticket' AND next < ?1) OR (name = 'fence' AND next < ?2)",
        (ticket, fence),
    )


def next_end(tx: Transaction) -> Callable[[], datetime | None]:
    """The earliest instant at which a lease runs out; asked now, told when it is taken."""
    asked = tx.ask("SELECT min(expires_at) FROM leases WHERE ended_at IS NULL")
    return lambda: next((from_micros(at) for (at,) in asked() if at is not None), None)


def lease_lengths(tx: Transaction, since: datetime, *, most: int = 500) -> list[timedelta]:
    """How long the newest leases that ended since an instant lasted."""
    rows = tx.rows(
        "SELECT ended_at - granted_at FROM leases WHERE ended_at >= ? ORDER BY ended_at DESC LIMIT ?",
        (to_micros(since), most),
    )
    return [row[0] * MICROSECOND for row in rows]


def put_right(tx: Transaction, *, claim_within: timedelta) -> None:
    """Let nothing of ours lie further ahead than if it were done now: the clock was ahead, and has been put right.

    Without it an offer nobody claims or a lease nobody renews would stand until the wrong time has come.
    """
    now = to_micros(tx.now)
    tx.send(
        "UPDATE leases SET granted_at = min(granted_at, ?1), expires_at = min(expires_at, ?1 + ttl) "
        "WHERE ended_at IS NULL AND (granted_at > ?1 OR expires_at > ?1 + ttl)",
        (now,),
    )
    late = tx.execute(
        "UPDATE tickets SET created_at = min(created_at, ?1), waiting_since = min(waiting_since, ?1), "
        "offer_until = min(offer_until, ?2) WHERE state != 'closed' AND (waiting_since > ?1 OR offer_until > ?2)",
        (now, to_micros(tx.now + claim_within)),
    )
    if late:
        turns.everything_moved(tx)
    tx.send("UPDATE tickets SET closed_at = ?1 WHERE state = 'closed' AND closed_at > ?1", (now,))


def forget_closed(tx: Transaction, before: datetime, *, most: int = 5_000) -> int:
    """Drop tickets closed before an instant, with their leases and reservations; returns how many.

    At most ``most`` at a time, so that no writer waits long; call again while it returns that many.
    """
    rows = tx.rows(
        "SELECT id FROM tickets WHERE state = 'closed' AND closed_at < ? ORDER BY closed_at LIMIT ?",
        (to_micros(before), most),
    )
    old = json.dumps([row[0] for row in rows])
    if rows:
        tx.send(f"DELETE FROM reservations WHERE ticket IN {NUMBERS}", (old,))
        tx.send(f"DELETE FROM leases WHERE ticket IN {NUMBERS}", (old,))
        tx.send(f"DELETE FROM tickets WHERE id IN {NUMBERS}", (old,))
    return len(rows)
