"""Waiting totals: what waits for each limit instance, class by class, as readings and forecasts need it.

The throttle queue keeps its tickets in groups with running sums, so that a total needs no look at every ticket.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.throttle_queue import Bind, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Ticket


class WaitingTotals(Struct, frozen=True):
    """What waits in one class for one limit instance.

    ``amount`` is what all need together in the limit's unit, ``least`` about what the smallest needs.
    """

    count: int
    amount: int
    least: int
    oldest: datetime

    def joined(self, other: "WaitingTotals") -> "WaitingTotals":
        """Both totals as one."""
        return WaitingTotals(
            self.count + other.count,
            self.amount + other.amount,
            min(self.least, other.least),
            min(self.oldest, other.oldest),
        )


WaitingByInstance = Mapping[str, Mapping[Priority, WaitingTotals]]
"""By limit instance and class; instances for which nothing waits are absent."""


def waiting_in(queue: ThrottleQueue) -> WaitingByInstance:
    """What waits in a throttle queue."""
    by_instance: dict[str, dict[Priority, WaitingTotals]] = {}
    for group in queue.all_groups():
        for instance, least, amount in zip(group.instances, group.least, group.amounts, strict=True):
            totals = WaitingTotals(len(group.tickets), amount, least, group.tickets[0].waiting_since)
            classes = by_instance.setdefault(instance.name, {})
            others = classes.get(group.priority)
            classes[group.priority] = others.joined(totals) if others else totals
    return by_instance


def waiting_of(waiting: Iterable[Ticket], bind: Bind) -> WaitingByInstance:
    """What waits, given the tickets themselves; ``bind`` names the limits that labels fall to."""
    return waiting_in(ThrottleQueue(waiting, bind, share_label="team"))
