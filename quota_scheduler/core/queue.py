"""The throttle queue: who goes first, and who goes now.

Order: priority class; within it age lifts a ticket one rank for every ageing step it has waited, in order only and
never in eligibility; then fair share; then arrival. A smaller ticket may pass a larger one that does not fit
(backfill), but never takes room that the larger one will get as soon as running work returns it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from quota_scheduler.core.admission import Admit, Reject, Rooms, Verdict, decide, need, occupy
from quota_scheduler.core.board import Board
from quota_scheduler.core.tickets import Ticket


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How the queue is ordered and offered; every number is configuration."""

    aging_step: timedelta = timedelta(minutes=30)
    fair_share: str = "team"
    claim_within: timedelta = timedelta(minutes=2)
    max_offers: int = 3


def order(waiting: Iterable[Ticket], running: Mapping[str, int], policy: QueuePolicy, *, now: datetime) -> list[Ticket]:
    """Waiting tickets, first to go first. ``running`` counts what each share runs already.

    Within a rank the shares take turns: a share's next ticket comes after as many of every other share's as it already
    runs. Ties go to the earlier arrival, then the lower id, so that every replica sees the same order.
    """
    by_rank: dict[int, list[Ticket]] = defaultdict(list)
    for ticket in sorted(waiting, key=lambda t: (t.waiting_since, t.id)):
        by_rank[rank(ticket, policy, now=now)].append(ticket)
    ordered: list[Ticket] = []
    for number in sorted(by_rank):
        turns = dict(running)
        keyed = []
        for ticket in by_rank[number]:
            share = ticket.labels.value(policy.fair_share)
            keyed.append((turns.get(share, 0), ticket.waiting_since, ticket.id, ticket))
            turns[share] = turns.get(share, 0) + 1
        ordered += [ticket for *_, ticket in sorted(keyed)]
    return ordered


def rank(ticket: Ticket, policy: QueuePolicy, *, now: datetime) -> int:
    """A ticket's place by class and age; lower goes first, and age can lift it above every class."""
    return ticket.priority.rank - int((now - ticket.waiting_since) / policy.aging_step)


def count_waiting(ticket: Ticket, rooms: Rooms, sign: int = 1) -> None:
    """Enter a waiting ticket in the sums that lower classes leave room for, or take it out."""
    for room in rooms.of(ticket):
        room.waiting[ticket.priority.rank] += sign * need(ticket, room.binding)


def wake(
    ordered: Iterable[Ticket], rooms: Rooms, board: Board, *, present: set[int], now: datetime
) -> dict[int, Verdict]:
    """Decide every waiting ticket in order; each one admitted reserves, so that the next sees what is left.

    ``present`` are the tickets whose runner is asking right now: they start, the others are offered. Returns the
    verdict of each.
    """
    verdicts: dict[int, Verdict] = {}
    for ticket in ordered:
        verdict = verdicts[ticket.id] = decide(ticket, rooms, now=now)
        if isinstance(verdict, Admit):
            count_waiting(ticket, rooms, -1)
            occupy(ticket, rooms.of(ticket), board, running=ticket.id in present)
        elif isinstance(verdict, Reject):
            count_waiting(ticket, rooms, -1)
        else:
            _keep_room(ticket, rooms, now)
    return verdicts


def _keep_room(ticket: Ticket, rooms: Rooms, now: datetime) -> None:
    """Cast a shadow where a ticket will start as soon as running work returns what it reserved."""
    found = rooms.of(ticket)
    if any(room.tally.spent + need(ticket, room.binding) > room.ceiling(ticket.priority, now) for room in found):
        return  # waits for a reset whatever happens before it: who passes does not delay it
    for room in found:
        room.shadow += need(ticket, room.binding)
