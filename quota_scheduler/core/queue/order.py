"""Who goes first: the one order, which people are told and in which a pass looks.

Priority class; within it age lifts a ticket one rank for every ageing step it has waited, in order only and never in
eligibility; then fair share; then arrival. Three *high* of team A, then *normal* 10 of A and 11 of B: A has had three
turns when B has had none, so 11 comes before 10. Who goes now is ``core/queue/wake.py``.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import GroupKey, ThrottleQueue, arrival
from quota_scheduler.core.tickets.ticket import Ticket


class Turn(NamedTuple):
    """The next ticket to look at, the group it stands in, and its place there from 0."""

    ticket: Ticket
    key: GroupKey
    place: int


Head = tuple[int, int, datetime, int, GroupKey, int, Sequence[Ticket]]
"""Rank by class and age, turns of its share, since when it waits and its id; with its group, its place and all there.

Ids differ, so that nothing behind them is compared.
"""


class FairOrder:
    """Some groups merged into one order, first to go first, while somebody takes their tickets away one by one.

    Fair share: a share's next ticket stands behind as many of every other share's as it runs already, and each start is
    a turn, whatever the class. Inside a group (one class, one share, oldest first) nobody overtakes, so that only the
    heads need comparing. A head whose share has had a turn since is put back; turns only grow, so none comes too late.
    """

    def __init__(
        self,
        tickets_in: Callable[[GroupKey], Sequence[Ticket]],
        places: Mapping[GroupKey, int],
        running: Mapping[str, int],
        policy: QueuePolicy,
        now: datetime,
    ) -> None:
        """``places`` says from which place on each group is to be gone through, ``running`` what each share runs."""
        self._aging_step, self._now = policy.aging_step, now
        self._turns = dict(running)
        self._heap = [head for key, place in places.items() if (head := self._head(key, place, tickets_in(key)))]
        heapq.heapify(self._heap)
        self._looked_at: Sequence[Ticket] = ()

    def _head(self, key: GroupKey, place: int, tickets: Sequence[Ticket]) -> Head | None:
        """What orders a group that goes on from a place; None at its end."""
        if place >= len(tickets):
            return None
        ticket = tickets[place]
        since = ticket.waiting_since
        by_age = _aged(key[1], since, self._now, self._aging_step)
        return by_age, self._turns.get(key[2], 0), since, ticket.id, key, place, tickets

    def _push(self, key: GroupKey, place: int, tickets: Sequence[Ticket]) -> None:
        if head := self._head(key, place, tickets):
            heapq.heappush(self._heap, head)

    def next(self) -> Turn | None:
        """The next ticket to look at; None at the end."""
        while self._heap:
            _, turns, _, number, key, place, tickets = heapq.heappop(self._heap)
            if place >= len(tickets):
                continue
            ticket = tickets[place]
            if ticket.id == number and turns == self._turns.get(key[2], 0):
                self._looked_at = tickets
                return Turn(ticket, key, place)
            self._push(key, place, tickets)
        return None

    def started(self, key: GroupKey, following: int) -> None:
        """The share of the ticket that was next has had a turn; its group goes on at the place ``following``."""
        self._turns[key[2]] = self._turns.get(key[2], 0) + 1
        self._push(key, following, self._looked_at)

    def passed(self, key: GroupKey, place: int) -> None:
        """The ticket that was next, at ``place``, stays where it is: look at the one behind it."""
        self._push(key, place + 1, self._looked_at)

    def remaining(self) -> dict[GroupKey, int]:
        """Groups that have not been looked at to their end, and from which place on."""
        return {head[4]: head[5] for head in self._heap}


def order(waiting: Iterable[Ticket], running: Mapping[str, int], policy: QueuePolicy, *, now: datetime) -> list[Ticket]:
    """Waiting tickets, first to go first, as a pass would let them go that has room for all.

    ``running`` counts what each share runs or is offered already. Ties go to the earlier arrival, then the lower id, so
    that every replica sees the same order. Takes no more than these values: from any thread.
    """
    groups: dict[GroupKey, list[Ticket]] = {}
    for ticket in sorted(waiting, key=arrival):
        key = (), ticket.priority.rank, ticket.labels.value(policy.fair_share), "", "", False
        groups.setdefault(key, []).append(ticket)
    fair_order = FairOrder(groups.__getitem__, dict.fromkeys(groups, 0), running, policy, now)
    ordered: list[Ticket] = []
    while turn := fair_order.next():
        ordered.append(turn.ticket)
        fair_order.started(turn.key, turn.place + 1)
    return ordered


def rank(ticket: Ticket, policy: QueuePolicy, *, now: datetime) -> int:
    """A ticket's place by class and age; lower goes first, and age can lift it above every class."""
    return _aged(ticket.priority.rank, ticket.waiting_since, now, policy.aging_step)


def _aged(rank: int, since: datetime, now: datetime, step: timedelta) -> int:
    return rank - int((now - since) / step)


def place(
    queue: ThrottleQueue, number: int, running: Mapping[str, int], policy: QueuePolicy, *, now: datetime
) -> int | None:
    """A ticket's place in the whole queue, from 1; of a long queue as ``know_places`` was last told."""
    ticket = queue.get(number)
    if ticket is None:
        return None
    if not queue.has_places_of(now):
        queue.know_places(order(queue, running, policy, now=now), at=now)
    assert queue.places is not None
    return queue.places[1].get(number) or queue.ahead_of(ticket.priority)
