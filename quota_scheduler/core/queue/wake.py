"""A pass over the throttle queue: who goes now.

Each admission reserves, so that the next ticket sees what is left. A smaller ticket may pass a larger one that does not
fit (backfill), but never takes room that the larger one will get as soon as running work returns it. After a reset the
starts of many are spread over a ramp. A long pass is cut into slices, between which requests are answered.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum

from msgspec import Struct, field

from quota_scheduler.core.admission.decide import Admit, Defer, Verdict, admits, decide, occupy
from quota_scheduler.core.admission.headroom import Headrooms, Shadow
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.queue.lane import Lanes
from quota_scheduler.core.queue.order import FairOrder, Turn
from quota_scheduler.core.queue.throttle_queue import GroupKey, QueueGroup, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Reason, Ticket

SLICE = 150
"""Steps that one slice may take: 4 to 8 ms of a shared core in a lane, less than 2 outside (benchmarks/bench_queue.py).
Counted, not clocked, so that every replica cuts at the same place."""
LOOK = 3
"""Steps that a look costs at somebody who goes on waiting (benchmarks/bench_queue.py)."""
START = 9
"""Steps that a start costs at the most (benchmarks/bench_queue.py)."""
IN_LANE = 1
"""Steps that a start in a lane costs (benchmarks/bench_queue.py)."""
AT_ONCE = Admit()
"""The verdict of whoever starts without a warning."""


class WakeResult(Struct):
    """What a pass decided, and what is left of it for the next slice.

    ``remaining`` is, by group, from which place on it is still to be looked at. ``shadows`` is, by ticket, what those
    that were looked at will need as soon as running work returns it. ``next_slot`` is when the ramp lets the next one
    start.
    """

    verdicts: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    remaining: dict[GroupKey, int] = field(default_factory=dict)
    shadows: dict[int, Shadow] = field(default_factory=dict)
    next_slot: datetime | None = None


class Look(Enum):
    """What came of looking at one ticket."""

    STARTED = "started"
    """It waits no more: it starts, is offered, or was rejected."""
    IN_LANE = "in lane"
    """It starts or is offered, by sums alone."""
    WAITS = "waits"
    """It does not fit; somebody behind it in its group may."""
    GROUP_PASSED = "group passed"
    """Nobody in its group can start now."""


def wake(
    queue: ThrottleQueue,
    headrooms: Headrooms,
    order: FairOrder,
    *,
    present: Collection[int],
    budget: int = SLICE,
    shadows: Mapping[int, Shadow] | None = None,
) -> WakeResult:
    """Decide waiting tickets in order, for about ``budget`` steps.

    ``present`` are the tickets whose runner is asking right now: they start, the others are offered. Whoever does not
    go on waiting is taken out of the throttle queue. ``shadows`` are those that earlier slices of this pass have cast.
    """
    one_pass = _Pass(queue, headrooms, order, present, shadows or {})
    while budget > 0:
        if (turn := order.next()) is None:
            return one_pass.result
        budget -= COSTS[one_pass.look_at(turn)]
    one_pass.result.remaining = order.remaining()
    return one_pass.result


COSTS = {Look.STARTED: START, Look.IN_LANE: IN_LANE, Look.WAITS: LOOK, Look.GROUP_PASSED: LOOK}
"""What each look takes of a slice, in steps."""


class _Pass:
    """One slice of a pass: each ticket that starts shrinks what the next one sees."""

    def __init__(
        self,
        queue: ThrottleQueue,
        headrooms: Headrooms,
        order: FairOrder,
        present: Collection[int],
        shadows: Mapping[int, Shadow],
    ) -> None:
        self._queue, self._headrooms, self._order, self._present = queue, headrooms, order, present
        self._now = headrooms.balances.now
        self._flowing: set[GroupKey] = set()
        """Groups somebody of which has just started: the next one is asked at once."""
        self._lanes = Lanes(headrooms)
        self.result = WakeResult(shadows=dict(shadows))
        for shadow in shadows.values():
            headrooms.hold_back_for(shadow)

    def look_at(self, turn: Turn) -> Look:
        """Decide one ticket, and say to the order how to go on."""
        ticket, key, _ = turn
        group = self._queue.group(key)
        assert group is not None
        if ticket.id not in self.result.shadows and self._starts_in_lane(turn, group):
            return Look.IN_LANE
        self._lanes.clear()  # what follows may change what lanes rest on
        return self._weigh(turn, group)

    def _starts_in_lane(self, turn: Turn, group: QueueGroup) -> bool:
        """Let a ticket go whom nothing but sums could keep, and those let it."""
        (ticket, key, _), queue = turn, self._queue
        lane, needs = self._lanes.of(key, group), queue.needs(ticket.id)
        amounts = lane.amounts(ticket, needs, queue.ramps, self._now) if lane else None
        if lane is None or amounts is None:
            return False
        self.result.verdicts.append((ticket, AT_ONCE))
        queue.remove(ticket.id)
        for gate, amount, whole in zip(lane.gates, amounts, needs, strict=True):
            self._headrooms.balances.hold(ticket.id, gate.balance, amount, whole=whole)
        self._moves_up(turn, lane.ramped)
        return True

    def _weigh(self, turn: Turn, group: QueueGroup) -> Look:
        """Decide one ticket by everything there is to say about it."""
        ticket, key, _ = turn
        if ticket.id in self.result.shadows:  # nobody stands in their own light
            self._headrooms.hold_back_for(self.result.shadows.pop(ticket.id), -1)
        if self._headrooms.breakers.waits_until(ticket, self._now):
            return Look.GROUP_PASSED  # their provider is left alone for a moment: they hold nothing back meanwhile
        if key not in self._flowing and not _may_fit(group, self._headrooms):
            self._cast(ticket, _room_kept(ticket, self._headrooms))
            return Look.GROUP_PASSED  # the smallest of them does not fit
        if (at := next_start(ticket, self._headrooms, self._queue)) and at > self._now:
            self.result.next_slot = min(at, self.result.next_slot or at)
            self._cast(ticket, _room_kept_for_all(ticket, group, self._headrooms))
            return Look.GROUP_PASSED  # nor may anybody behind it in the group
        verdict = decide(ticket, self._headrooms, now=self._now)
        self.result.verdicts.append((ticket, verdict))
        if isinstance(verdict, Defer):
            self._waits(turn, group)
            return Look.WAITS
        self._leaves(turn, verdict)
        return Look.STARTED

    def _waits(self, turn: Turn, group: QueueGroup) -> None:
        """Look behind a ticket that waits, where somebody smaller may fit."""
        self._cast(turn.ticket, _room_kept(turn.ticket, self._headrooms))
        if turn.key not in self._flowing or _may_fit(group, self._headrooms):
            if turn.place + 1 < len(group.tickets):
                self._order.passed(turn.key, turn.place)
            else:
                self._queue.tighten(turn.key)  # the end of a fruitless search: the group's bound is made exact
        self._flowing.discard(turn.key)

    def _leaves(self, turn: Turn, verdict: Verdict) -> None:
        """Reserve for a ticket that starts, let the ramps go on, and let the next of its group move up."""
        ticket, headrooms = turn.ticket, self._headrooms
        self._queue.remove(ticket.id)
        ramped: Sequence[Balance] = ()
        if isinstance(verdict, Admit):
            occupy(ticket, headrooms, running=ticket.id in self._present)
            headrooms.breakers.let_in(ticket, self._now, running=ticket.id in self._present)
            ramped = [view.balance for view in headrooms.of(ticket) if view.balance.ramp]
        self._moves_up(turn, ramped)

    def _moves_up(self, turn: Turn, ramped: Sequence[Balance]) -> None:
        """Let the ramps go on after a start, and the next of its group move up."""
        queue = self._queue
        self._flowing.add(turn.key)
        for balance in ramped:
            queue.ramps.started(turn.ticket, balance, self._now, left=queue.count(balance.name))
        self._order.started(turn.key, turn.place)

    def _cast(self, ticket: Ticket, shadow: Shadow | None) -> None:
        """Hold back what a ticket will need, so that nobody behind it takes that."""
        if shadow:
            self.result.shadows[ticket.id] = shadow
            self._headrooms.hold_back_for(shadow)


def _may_fit(group: QueueGroup, headrooms: Headrooms) -> bool:
    """Whether a ticket as small as the smallest of the group in every limit could start."""
    head, now = group.tickets[0], headrooms.balances.now
    for headroom, least in zip(headrooms.of(head), group.least, strict=True):
        amount = headroom.usable(least, group.longest, now)
        reason = admits(headroom, amount, group.priority, now, pressing=group.pressing)
        if headroom.enforced and reason is not None:
            return False
    return True


def next_start(ticket: Ticket, headrooms: Headrooms, queue: ThrottleQueue) -> datetime | None:
    """When the ramps of the windows it waited for let a ticket start; None when it waited for none."""
    now = headrooms.balances.now
    return max(
        (at for headroom in headrooms.of(ticket) if (at := queue.ramps.holds(ticket, headroom.balance, now))),
        default=None,
    )


def _room_kept_for_all(ticket: Ticket, group: QueueGroup, headrooms: Headrooms) -> Shadow:
    """The shadow of a whole group that will start as soon as its ramp lets it, as far as there is room."""
    amounts = []
    for headroom, amount in zip(headrooms.of(ticket), group.amounts, strict=True):
        free = headroom.ceiling(ticket.priority, headrooms.balances.now) - headroom.committed(ticket.priority)
        amounts.append((headroom.instance, max(0, min(amount, free))))
    return ticket.priority.rank, tuple(amounts)


def _room_kept(ticket: Ticket, headrooms: Headrooms) -> Shadow | None:
    """The shadow of a ticket that will start as soon as running work returns what it reserved; None for others.

    Who waits for something else, or behind those that keep all the room, is not delayed by who passes.
    """
    now, amounts = headrooms.balances.now, []
    for headroom, whole in headrooms.asked(ticket):
        amount = headroom.usable(whole, ticket.estimate.duration, now)
        once_free = amount - headroom.balance.reserved
        reason = admits(headroom, once_free, ticket.priority, now, pressing=ticket.presses(now))
        if ticket.on_hold or (headroom.enforced and reason not in (None, Reason.PACED)):
            return None
        amounts.append((headroom.instance, amount))
    return ticket.priority.rank, tuple(amounts)
