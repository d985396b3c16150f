"""Tickets and leases as rows: the columns in their order, and back."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from quota_scheduler.core.instants import MICROSECOND, from_micros, instant_or_none, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Checkpoint, Estimate, Lease, ModelUsage, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage

_micros = lru_cache(4096)(to_micros)
"""Most instants of a cycle are the same."""
LEASE_COLUMNS = ", ".join(
    f"l.{name}"
    for name in (
        "fence", "ticket", "granted_at", "expires_at", "ttl", "session", "reported", "checkpoints", "ended_at",
    )
)  # fmt: skip


def row_of(t: Ticket) -> tuple[Any, ...]:
    """All columns of a ticket."""
    state, session, offers, offer_until, fence, outcome, reason, closed_at, was_deferred, held = changing(t)
    return (
        t.id, t.key, t.body, state, t.priority.value, _dump_labels(t.labels), estimate_text(t.estimate),
        _micros(t.created_at), _micros(t.waiting_since), _length(t.ttl), t.run, session, _dump(t.flags),
        _maybe(t.deadline), _maybe(t.wait_until), offers, offer_until, fence, outcome, reason,
        closed_at, was_deferred, held, t.owner, t.comment_on,
    )  # fmt: skip


def changing(t: Ticket) -> tuple[Any, ...]:
    """The columns that change after a ticket was submitted."""
    fence = t.lease.fence if t.lease else None
    outcome = t.outcome.value if t.outcome else None
    return (
        t.state.value, t.session, t.offers, _maybe(t.offer_until), fence, outcome, t.reason.value,
        _maybe(t.closed_at), int(t.was_deferred), int(t.on_hold),
    )  # fmt: skip


def ticket_in(row: Sequence[Any]) -> Ticket:
    """The ticket of a row, with its lease behind it."""
    return Ticket(
        id=row[0],
        key=row[1],
        body=row[2],
        state=State(row[3]),
        priority=Priority(row[4]),
        labels=labels_in(row[5]),
        estimate=_load_estimate(row[6]),
        created_at=from_micros(row[7]),
        waiting_since=from_micros(row[8]),
        ttl=row[9] * MICROSECOND,
        run=row[10],
        session=row[11],
        flags=tuple(json.loads(row[12])),
        deadline=instant_or_none(row[13]),
        wait_until=instant_or_none(row[14]),
        offers=row[15],
        offer_until=instant_or_none(row[16]),
        outcome=Outcome(row[18]) if row[18] else None,
        reason=Reason(row[19]),
        closed_at=instant_or_none(row[20]),
        was_deferred=bool(row[21]),
        on_hold=bool(row[22]),
        owner=row[23],
        comment_on=row[24],
        lease=lease_in(row[25:]) if row[25] is not None else None,
    )


def lease_row(ticket: int, lease: Lease) -> tuple[Any, ...]:
    """All columns of a lease."""
    checkpoints = [[to_micros(c.at), _dump_usage(c.reported)] for c in lease.checkpoints] if lease.checkpoints else ()
    reported = _dump_usage(lease.reported) if lease.reported else ()
    return (
        lease.fence, ticket, _micros(lease.granted_at), _micros(lease.expires_at), _length(lease.ttl),
        lease.session, _dump(reported), _dump(checkpoints), _maybe(lease.ended_at),
    )  # fmt: skip


def lease_in(row: Sequence[Any]) -> Lease:
    """The lease of a row."""
    return Lease(
        fence=row[0],
        granted_at=from_micros(row[2]),
        expires_at=from_micros(row[3]),
        ttl=timedelta(microseconds=row[4]),
        session=row[5],
        reported=_load_usage(json.loads(row[6])),
        checkpoints=tuple(Checkpoint(from_micros(at), _load_usage(usage)) for at, usage in json.loads(row[7])),
        ended_at=instant_or_none(row[8]),
    )


def _maybe(at: datetime | None) -> int | None:
    return None if at is None else _micros(at)


@lru_cache(1024)
def _length(span: timedelta) -> int:
    return span // MICROSECOND


def _dump(items: Sequence[Any]) -> str:
    return json.dumps(items) if items else "[]"  # most tickets have none, and each would be written with every change


@lru_cache(4096)
def labels_in(text: str) -> Labels:
    """Labels as they are stored; most tickets share theirs with others."""
    return Labels(*json.loads(text))


@lru_cache(4096)
def _dump_labels(labels: Labels) -> str:
    return json.dumps(labels)


def _dump_usage(usage: ModelUsage) -> list[list[Any]]:
    return [[model, list(part)] for model, part in usage]


def _load_usage(raw: list[list[Any]]) -> ModelUsage:
    return tuple((model, Usage(*part)) for model, part in raw)


@lru_cache(4096)
def estimate_text(e: Estimate) -> str:
    """An estimate as it is stored."""
    seconds = e.duration.total_seconds() if e.duration else None
    parts = [e.median, e.reserve, e.source, e.declared, e.confidence, e.estimated_cost, seconds, e.words, e.guess]
    return json.dumps(parts)


def _load_estimate(text: str) -> Estimate:
    median, reserve, source, declared, confidence, estimated_cost, seconds, *guess = json.loads(text)
    duration = None if seconds is None else timedelta(seconds=seconds)
    return Estimate(Usage(*median), Usage(*reserve), source, declared, confidence, estimated_cost, duration, *guess)
