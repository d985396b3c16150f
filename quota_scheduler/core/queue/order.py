"""Who goes first.

Priority class; within it age lifts a ticket one rank for every ageing step it has waited, in order only and never in
eligibility; then fair share; then arrival. Who goes now is ``core/queue/wake.py``.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import GroupKey, QueueGroup, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Ticket


class FairOrder:
    """The heads of some groups, first to go first, while a pass takes them away one by one.

    Fair share: a share's next ticket stands behind as many of every other share's as it runs already.
    """

    def __init__(
        self,
        queue: ThrottleQueue,
        keys: Mapping[GroupKey, int],
        running: Mapping[str, int],
        policy: QueuePolicy,
        now: datetime,
    ) -> None:
        self._line, self._policy, self._now = queue, policy, now
        self._turns = dict(running)
        self._heap: list[tuple[int, int, datetime, int, GroupKey, int]] = []
        for key, place in keys.items():
            self._push(key, place)

    def _push(self, key: GroupKey, place: int) -> None:
        group = self._line.group(key)
        if group and place < len(group.tickets):
            heapq.heappush(self._heap, (*self._rank(group.tickets[place], key[2]), key, place))

    def _rank(self, ticket: Ticket, share: str) -> tuple[int, int, datetime, int]:
        turns = self._turns.get(share, 0)
        return rank(ticket, self._policy, now=self._now), turns, ticket.waiting_since, ticket.id

    def next(self) -> tuple[Ticket, QueueGroup, GroupKey, int] | None:
        """The next ticket to look at, where it stands, and its place there; None at the end."""
        while self._heap:
            *seen, key, place = heapq.heappop(self._heap)
            group = self._line.group(key)
            if group is None or place >= len(group.tickets):
                continue
            ticket = group.tickets[place]
            if tuple(seen) == self._rank(ticket, key[2]):
                return ticket, group, key, place
            self._push(key, place)
        return None

    def started(self, key: GroupKey, place: int) -> None:
        """The ticket at ``place`` has left its group: its share has had a turn, and the next one moves up."""
        self._turns[key[2]] = self._turns.get(key[2], 0) + 1
        self._push(key, place)

    def passed(self, key: GroupKey, place: int) -> None:
        """The ticket at ``place`` stays where it is: look at the one behind it."""
        self._push(key, place + 1)

    def remaining(self) -> dict[GroupKey, int]:
        """Groups that have not been looked at to their end, and from which place on."""
        return {key: place for *_, key, place in self._heap}


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


def place(
    queue: ThrottleQueue, number: int, running: Mapping[str, int], policy: QueuePolicy, *, now: datetime
) -> int | None:
    """A ticket's place in the whole queue, from 1; of a long queue as ``know_places`` was last told."""
    ticket = queue.get(number)
    if ticket is None:
        return None
    if queue.places is None or (not queue.is_long and queue.places[0] != now):
        queue.know_places(order(queue, running, policy, now=now), at=now)
    assert queue.places is not None
    return queue.places[1].get(number) or queue.ahead_of(ticket.priority)
