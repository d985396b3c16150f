"""Turns: in which order a pass asks the groups of the line, first to go first."""

import heapq
from collections.abc import Mapping
from datetime import datetime

from quota_scheduler.core.line import Group, GroupKey, Line
from quota_scheduler.core.queue import QueuePolicy, rank
from quota_scheduler.core.tickets.ticket import Ticket


class Order:
    """The heads of some groups, first to go first, while a pass takes them away one by one.

    Fair share: a share's next ticket stands behind as many of every other share's as it runs already.
    """

    def __init__(
        self, line: Line, keys: Mapping[GroupKey, int], running: Mapping[str, int], policy: QueuePolicy, now: datetime
    ) -> None:
        self._line, self._policy, self._now = line, policy, now
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

    def next(self) -> tuple[Ticket, Group, GroupKey, int] | None:
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

    def rest(self) -> dict[GroupKey, int]:
        """Groups that have not been looked at to their end, and from which place on."""
        return {key: place for *_, key, place in self._heap}
