"""Lanes: within one slice of a pass, the next ticket of a group starts by a few sums, where nothing else can matter.

    room of a limit = ceiling - spent - what is kept for others       worked out once for a group
    starts          = reserved + its own need + what waits above  <=  room, in each limit    asked of every ticket

It is the test of ``decide``, term by term, and lets go whom ``decide`` admits without a warning. Whoever does not pass
it, and every group about which there is more to say, is looked at as ever.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Policy
from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.ramp import Ramps
from quota_scheduler.core.queue.throttle_queue import GroupKey, QueueGroup
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.units import Unit


class Gate(NamedTuple):
    """One limit on the way of a group: ``room`` is what may be reserved and wait there together."""

    headroom: Headroom
    balance: Balance
    room: int
    waits_above: bool
    in_parts: bool

    def amount(self, ticket: Ticket, whole: int, now: datetime) -> int:
        """What a ticket holds here of the whole that it needs."""
        duration = ticket.estimate.duration
        return whole if duration is None and not self.in_parts else self.headroom.usable(whole, duration, now)


class Lane(Struct, frozen=True):
    """A group whose tickets start by sums alone. It holds as long as nobody is looked at otherwise."""

    gates: list[Gate]
    ramped: list[Balance]
    rank: int

    def amounts(self, ticket: Ticket, needs: Sequence[int], ramps: Ramps, now: datetime) -> list[int] | None:
        """What a ticket that may start now will hold in each limit; None for one that has to be looked at."""
        if ticket.on_hold:
            return None
        for balance in self.ramped:
            if (at := ramps.holds(ticket, balance, now)) and at > now:
                return None
        amounts = []
        for gate, whole in zip(self.gates, needs, strict=True):
            amount, balance = gate.amount(ticket, whole, now), gate.balance
            above = sum(gate.headroom.waiting[: self.rank]) if gate.waits_above else 0
            if whole > balance.amount or balance.reserved + amount + above > gate.room:
                return None
            amounts.append(amount)
        return amounts


class Lanes:
    """The lanes of one slice, found as groups are come to; ``clear`` them where anything but starts has moved."""

    def __init__(self, headrooms: Headrooms) -> None:
        self._headrooms, self._now = headrooms, headrooms.balances.now
        self._lanes: dict[GroupKey, Lane | None] = {}
        self._gates: dict[tuple[str, int, bool], Gate | None] = {}

    def clear(self) -> None:
        """Know nothing any more."""
        if self._lanes:
            self._lanes, self._gates = {}, {}

    def of(self, key: GroupKey, group: QueueGroup) -> Lane | None:
        """The lane of a group; None where its tickets have to be looked at one by one."""
        if key not in self._lanes:
            self._lanes[key] = self._found(group)
        return self._lanes[key]

    def _found(self, group: QueueGroup) -> Lane | None:
        headrooms, labels, rank = self._headrooms, group.tickets[0].labels, group.priority.rank
        if headrooms.has_pools or headrooms.breakers.that_bind(labels):
            return None
        if headrooms.is_catching_up(labels) and group.priority is not Priority.INTERACTIVE:
            return None
        if group.instances != headrooms.balances.instances(labels.asking):
            return None
        gates = []
        for instance in group.instances:
            at = instance.name, rank, group.pressing
            if at not in self._gates:
                self._gates[at] = self._gate(headrooms.headroom(instance), group)
            if (gate := self._gates[at]) is None:
                return None
            gates.append(gate)
        return Lane(gates, [gate.balance for gate in gates if gate.balance.ramp], rank)

    def _gate(self, view: Headroom, group: QueueGroup) -> Gate | None:
        """The gate of one limit for a class; None where more than sums decides in it."""
        balance, limit, priority = view.balance, view.balance.limit, group.priority
        is_count = limit.unit is Unit.LEASES
        if view.is_stale or balance.overage or balance.exhausted:
            return None  # the provider says what is, or a session has to be opened
        if limit.policy is Policy.FIXED_THRESHOLDS and not is_count:
            return None
        if isinstance(limit.schedule, Session) and not self._has_begun(view):
            return None
        kept = balance.spent + sum(view.shadow[: priority.rank + 1])
        expected = 0 if is_count else view.protected(priority, self._now, pressing=group.pressing)
        room = view.ceiling(priority, self._now) - kept - expected
        return Gate(view, balance, room, waits_above=not is_count, in_parts=limit.unit is Unit.PERCENT)

    def _has_begun(self, view: Headroom) -> bool:
        """Whether a session has begun, so that a start neither opens nor misses it."""
        balances, balance = self._headrooms.balances, view.balance
        return balance.window is not None and balances.open_for_use(view.instance, self._now) is balance
