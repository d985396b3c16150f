"""Crowds: what waits for each limit instance, class by class, as readings and forecasts need it.

The line keeps its tickets in groups with running sums, so that a crowd is told without asking everybody who waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from quota_scheduler.core.line import Line
from quota_scheduler.core.priority import Priority


@dataclass(frozen=True, slots=True)
class Crowd:
    """What waits in one class for one limit instance.

    ``amount`` is what all need together in the limit's unit, ``least`` about what the smallest needs.
    """

    count: int
    amount: int
    least: int
    oldest: datetime

    def joined(self, other: "Crowd") -> "Crowd":
        """Both crowds as one."""
        return Crowd(
            self.count + other.count,
            self.amount + other.amount,
            min(self.least, other.least),
            min(self.oldest, other.oldest),
        )


Crowds = Mapping[str, Mapping[Priority, Crowd]]
"""By limit instance and class; instances for which nothing waits are absent."""


def crowds_in(line: Line) -> Crowds:
    """What waits in a line."""
    found: dict[str, dict[Priority, Crowd]] = {}
    for group in line.all_groups():
        for binding, least, amount in zip(group.bindings, group.least, group.amounts, strict=True):
            own = Crowd(len(group.tickets), amount, least, group.tickets[0].waiting_since)
            classes = found.setdefault(binding.instance, {})
            known = classes.get(group.priority)
            classes[group.priority] = known.joined(own) if known else own
    return found
