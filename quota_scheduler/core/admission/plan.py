"""A whole plan: what its items are expected to cost together, and how many of them will fit."""

import math
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.tickets.ticket import Ticket, need
from quota_scheduler.core.units import Unit, format_amount
from quota_scheduler.core.usage import Usage, total

P80_SIGMAS = 0.8416
"""The 80th percentile of a normal error in standard deviations: a reservation is P80, an estimate the median."""


class PlanItem(Struct, frozen=True):
    """One item: what it needs, and the first limit that will not have room for it after those before it."""

    key: str
    usage: Usage
    short_of: str = ""

    @property
    def fits(self) -> bool:
        """Whether it is likely to complete."""
        return not self.short_of


class Plan(Struct, frozen=True):
    """The items in order, their sum with one standard deviation in micro-dollars and tokens, and what is left."""

    items: tuple[PlanItem, ...]
    usage: Usage
    cost_sigma: float
    tokens_sigma: float
    remaining: tuple[tuple[str, Unit, int], ...]

    @property
    def fitting(self) -> int:
        """How many items are likely to complete."""
        return sum(item.fits for item in self.items)

    def sentence(self) -> str:
        """``12 tasks, estimated $3.50 ± 0.80, remaining $8.20``."""
        money = [(name, left) for name, unit, left in self.remaining if unit is Unit.USD]
        if money:
            cost = f"{format_amount(self.usage.amount(Unit.USD), Unit.USD)} ± {self.cost_sigma / 1e6:,.2f}"
            left = format_amount(min(left for _, left in money), Unit.USD)
        else:
            cost = f"{format_amount(self.usage.tokens)} ± {format_amount(self.tokens_sigma)}"
            tokens = [left for _, unit, left in self.remaining if unit is Unit.TOKENS]
            left = format_amount(min(tokens)) if tokens else "not limited"
        skipped = len(self.items) - self.fitting
        tail = f"; {skipped} unlikely to complete: skip or postpone them" if skipped else ""
        return f"{len(self.items)} tasks, estimated {cost}, remaining {left}{tail}"


def plan(tickets: Sequence[Ticket], headrooms: Headrooms, *, now: datetime) -> Plan:
    """Go through the items in order; one that does not fit is passed over, the next may still."""
    free: dict[str, tuple[Unit, int]] = {}
    taken: dict[str, int] = {}
    items = []
    for ticket in tickets:
        binding = headrooms.of(ticket)
        for headroom in binding:
            left = headroom.ceiling(ticket.priority, now) - headroom.committed(ticket.priority)
            free.setdefault(headroom.balance.name, (headroom.instance.limit.unit, left))
        short = [
            headroom.balance.name
            for headroom in binding
            if headroom.enforced
            and headroom.instance.limit.unit is not Unit.LEASES
            and taken.get(headroom.balance.name, 0) + need(ticket, headroom.instance.limit)
            > free[headroom.balance.name][1]
        ]
        items.append(PlanItem(ticket.key, ticket.estimate.median, short[0] if short else ""))
        for headroom in binding if not short else ():
            taken[headroom.balance.name] = taken.get(headroom.balance.name, 0) + need(ticket, headroom.instance.limit)
    return Plan(
        tuple(items),
        total(item.usage for item in items),
        _sigma([t.estimate.reserve.cost_microusd - t.estimate.median.cost_microusd for t in tickets]),
        _sigma([t.estimate.reserve.tokens - t.estimate.median.tokens for t in tickets]),
        tuple((name, unit, left) for name, (unit, left) in free.items() if unit is not Unit.LEASES),
    )


def _sigma(margins: Sequence[int]) -> float:
    """One standard deviation of a sum of independent errors, from the margins between median and P80."""
    return math.sqrt(sum((margin / P80_SIGMAS) ** 2 for margin in margins))
