"""Holders: what waits, by the limits that do not let it start, as it would be decided now.

    throttle queue ──alike_in──► tickets decided alike ──decide──► limit, reason, class: how many, since, until when

A ticket that several limits hold is counted in each; by class and by reason everybody is counted once.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from msgspec import Struct

from quota_scheduler.core.admission.decide import Admit, Blocker, Verdict, decide
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.waiting import WaitingByInstance, waiting_in
from quota_scheduler.core.readings.readings import ClassReading, HeldReading, QueueReading
from quota_scheduler.core.tickets.ticket import Reason, Ticket

HEARD = 64
"""Of one group of the throttle queue the oldest so many are told apart; all others are counted with the oldest, so
that a long queue costs no more."""
VOICES = 8
"""By so many different needs they are told apart."""
VOICES_OF_ALL = 2_000
"""So many are decided about in all groups together, or one of each: a tick stays short however the line is mixed."""


class AlikeTickets(Struct, frozen=True):
    """Waiting tickets that are decided alike; the oldest speaks for them."""

    ticket: Ticket
    count: int


class QueueSnapshot(Struct, frozen=True):
    """Everything that waits, as whoever keeps the throttle queue knows it; ``hold`` is the incident switch."""

    waiting: WaitingByInstance
    alike: tuple[AlikeTickets, ...] = ()
    hold: bool = False


def queue_in(queue: ThrottleQueue, *, hold: bool = False) -> QueueSnapshot:
    """Tell what waits in a throttle queue."""
    return QueueSnapshot(waiting_in(queue), tuple(alike_in(queue)), hold)


def alike_in(queue: ThrottleQueue) -> Iterable[AlikeTickets]:
    """Return the tickets of each group, those together that need the same for as long."""
    groups = queue.all_groups()
    voices = max(1, min(VOICES, VOICES_OF_ALL // max(1, len(groups))))
    for group in groups:
        alike: dict[Any, tuple[Ticket, int]] = {}
        for ticket in islice(group.tickets, HEARD):
            need = ticket.estimate.reserve, ticket.estimate.duration, ticket.on_hold
            if need in alike or len(alike) < voices:
                first, count = alike.get(need, (ticket, 0))
                alike[need] = first, count + 1
        behind = len(group.tickets) - sum(count for _, count in alike.values())
        for place, (ticket, count) in enumerate(alike.values()):
            yield AlikeTickets(ticket, count + (behind if place == 0 else 0))


class WaitingSums:
    """The sums of the throttle queue as headrooms ask for them, from waiting totals."""

    def __init__(self, waiting: WaitingByInstance) -> None:
        self._waiting = waiting

    def sums(self, instance: str) -> list[int]:
        """Tell what waits for a limit, by rank, in its unit."""
        own = self._waiting.get(instance, {})
        return [own[priority].amount if priority in own else 0 for priority in CLASSES]

    def least(self, instance: str) -> int | None:
        """About the smallest waiting need in a limit; None when nothing waits for it."""
        return min((totals.least for totals in self._waiting.get(instance, {}).values()), default=None)


def queue_reading(queue: QueueSnapshot, headrooms: Headrooms, *, now: datetime) -> QueueReading:
    """Everybody who waits by class and reason, and by who holds them."""
    classes = {priority: ClassReading(priority.value, 0, None) for priority in CLASSES}
    reasons: dict[str, int] = {}
    held: dict[tuple[str, str, Priority], HeldReading] = {}
    for party in queue.alike:
        ticket, priority = party.ticket, party.ticket.priority
        classes[priority] = _joined(classes[priority], party)
        reason, limits = _why(decide(ticket, headrooms, now=now), hold=queue.hold)
        reasons[reason.value] = reasons.get(reason.value, 0) + party.count
        for each in limits:
            key = each.instance, each.reason.value, priority
            held[key] = _with(held.get(key), each, party)
    ordered = sorted(held.items(), key=lambda pair: (pair[0][0], pair[0][1], pair[0][2].rank))
    return QueueReading(tuple(classes.values()), tuple(sorted(reasons.items())), tuple(each for _, each in ordered))


def _why(verdict: Verdict, *, hold: bool) -> tuple[Reason, Iterable[Blocker]]:
    """The reason and the limits that hold; without any, whoever waits is held by hand, or for somebody ahead."""
    if hold:
        return Reason.HELD, ()
    if isinstance(verdict, Admit):
        return Reason.PACED, ()
    return verdict.reason, verdict.held


def _joined(known: ClassReading, party: AlikeTickets) -> ClassReading:
    since = party.ticket.waiting_since
    return ClassReading(known.priority, known.waiting + party.count, min(since, known.oldest_at or since))


def _with(known: HeldReading | None, each: Blocker, party: AlikeTickets) -> HeldReading:
    since = party.ticket.waiting_since
    if known is None:
        return HeldReading(
            each.instance, each.reason.value, party.ticket.priority.value, party.count, since, each.until
        )
    return HeldReading(
        known.limit,
        known.reason,
        known.priority,
        known.waiting + party.count,
        min(known.oldest_at, since),
        min(known.until, each.until),
    )
