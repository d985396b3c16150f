"""Recorded runs: what was asked for and used, run by run, as far as the ledger or a file tells.

    calls of a run, hour by hour ──stitched──► runs: whose, how urgent, from when, for how long, how much

The ledger knows calls. A run is taken to last from its first call to its last; calls further apart than ``GAP`` are two
runs, as a session that is taken up again the next morning is.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.usage import Usage

GAP = timedelta(hours=1)
"""Calls of one run further apart than this are two runs: longer than any call, shorter than a night."""


class Piece(NamedTuple):
    """Calls of one run under the same labels, from ``first`` to ``last``; ``run`` is empty where nobody names it."""

    run: str
    labels: Labels
    priority: Priority
    first: datetime
    last: datetime
    usage: Usage


class RecordedRun(Struct, frozen=True):
    """One run: it asked at ``at``, would take ``length``, and used ``usage``.

    ``reserve`` is what its ticket reserved, ``patience`` how long it would have waited; None where nobody said.
    """

    name: str
    labels: Labels
    priority: Priority
    at: datetime
    length: timedelta
    usage: Usage
    reserve: Usage | None = None
    patience: timedelta | None = None


class Recording(Struct, frozen=True):
    """Runs in order of arrival, and in sentences what was assumed about them."""

    runs: tuple[RecordedRun, ...]
    assumed: tuple[str, ...] = ()


def stitched(pieces: Iterable[Piece], *, gap: timedelta = GAP) -> list[RecordedRun]:
    """Join the pieces of each run, in order of arrival; a piece that names no run is one by itself."""
    runs: list[RecordedRun] = []
    open_runs: dict[tuple[str, Labels, Priority], int] = {}
    for piece in sorted(pieces, key=lambda piece: piece.first):
        key = piece.run, piece.labels, piece.priority
        place = open_runs.get(key) if piece.run else None
        if place is not None and piece.first - (runs[place].at + runs[place].length) <= gap:
            before = runs[place]
            length = max(before.length, piece.last - before.at)
            runs[place] = replace(before, length=length, usage=before.usage.plus(piece.usage))
            continue
        open_runs[key] = len(runs)
        runs.append(
            RecordedRun(piece.run, piece.labels, piece.priority, piece.first, piece.last - piece.first, piece.usage)
        )
    return runs


def as_asked(run: RecordedRun, ticket: Ticket) -> RecordedRun:
    """A run as its ticket asked for it: since when, for how much, and how long it would wait."""
    until = min((at for at in (ticket.deadline, ticket.wait_until) if at), default=None)
    lease = ticket.lease
    length = lease.ended_at - lease.granted_at if lease and lease.ended_at else run.length
    return replace(
        run,
        at=min(ticket.created_at, run.at),
        length=max(run.length, length),
        reserve=ticket.estimate.reserve,
        patience=max(until - ticket.created_at, timedelta(0)) if until else None,
    )


def in_vain(ticket: Ticket) -> RecordedRun:
    """A ticket that waits, or waited in vain, as the run that it would have been: of the size that was expected."""
    run = RecordedRun(
        ticket.run_id,
        ticket.labels,
        ticket.priority,
        ticket.created_at,
        ticket.estimate.duration or timedelta(0),
        ticket.estimate.median,
    )
    return as_asked(run, ticket)
