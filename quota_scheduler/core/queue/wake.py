"""A pass over the throttle queue: who goes now.

Each admission reserves, so that the next ticket sees what is left. A smaller ticket may pass a larger one that does not
fit (backfill), but never takes room that the larger one will get as soon as running work returns it. After a reset the
starts of many are spread over a ramp. A long pass is cut into slices, between which requests are answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from quota_scheduler.core.admission.decide import Admit, Defer, Verdict, admits, decide, occupy
from quota_scheduler.core.admission.headroom import Headrooms, Shadow
from quota_scheduler.core.queue.order import FairOrder
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import GroupKey, QueueGroup, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Reason, Ticket

SLICE, START = 60, 3
"""Looks that one slice may take, below 5 ms on a slow core, and how many of them a start costs (measured in
benchmarks/bench_queue.py). Counted, not clocked, so that every replica cuts at the same place."""


@dataclass(slots=True)
class WakeResult:
    """What a pass decided, and what is left of it for the next slice.

    ``rest`` is, by group, from which place on it is still to be looked at. ``shadows`` is, by ticket, what those that
    were looked at will need as soon as running work returns it.
    ``next_slot`` is when the ramp lets the next one start.
    """

    verdicts: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    remaining: dict[GroupKey, int] = field(default_factory=dict)
    shadows: dict[int, Shadow] = field(default_factory=dict)
    next_slot: datetime | None = None


def wake(
    queue: ThrottleQueue,
    headrooms: Headrooms,
    keys: Mapping[GroupKey, int],
    *,
    running: Mapping[str, int],
    policy: QueuePolicy,
    present: set[int],
    budget: int = SLICE,
    shadows: Mapping[int, Shadow] | None = None,
) -> WakeResult:
    """Decide the waiting tickets of these groups in order, each from a place on, for at most ``most`` looks.

    ``present`` are the tickets whose runner is asking right now: they start, the others are offered. Whoever does not
    go on waiting is taken out of the throttle queue.
    """
    now, done = headrooms.balances.now, WakeResult(shadows=dict(shadows or {}))
    for shadow in done.shadows.values():
        headrooms.hold_back_for(shadow)
    order, left = FairOrder(queue, keys, running, policy, now), budget
    flowing: set[GroupKey] = set()  # groups somebody of which has just started: the next one is asked at once
    while left > 0:
        if (found := order.next()) is None:
            return done
        left -= 1
        ticket, group, key, place = found
        if ticket.id in done.shadows:
            headrooms.hold_back_for(done.shadows.pop(ticket.id), -1)  # nobody stands in their own light
        if key not in flowing and not _may_fit(group, headrooms):
            _keep_room(ticket, headrooms, done.shadows)
            continue  # the smallest of them does not fit: the whole group is passed over
        if (at := next_start(ticket, headrooms, queue)) and at > now:
            done.next_slot = min(at, done.next_slot or at)
            _keep_for_all(ticket, group, headrooms, done.shadows)
            continue  # nor may anybody behind it in the group
        verdict = decide(ticket, headrooms, now=now)
        done.verdicts.append((ticket, verdict))
        if isinstance(verdict, Defer):
            _keep_room(ticket, headrooms, done.shadows)
            if key not in flowing or _may_fit(group, headrooms):
                _go_on(group, order, key, place)
            flowing.discard(key)
            continue
        queue.remove(ticket.id)
        flowing.add(key)
        left -= START - 1
        if isinstance(verdict, Admit):
            _start(ticket, headrooms, queue, running=ticket.id in present)
        order.started(key, place)
    done.remaining = order.remaining()
    return done


def _go_on(group: QueueGroup, order: FairOrder, key: GroupKey, place: int) -> None:
    """Look behind a ticket that waits; at the end of a fruitless search the group's bound is made exact."""
    if place + 1 < len(group.tickets):
        order.passed(key, place)
    else:
        group.tighten()


def _may_fit(group: QueueGroup, headrooms: Headrooms) -> bool:
    """Whether a ticket as small as the smallest of the group in every limit could start."""
    head, now = group.tickets[0], headrooms.balances.now
    for headroom, least in zip(headrooms.of(head), group.least, strict=True):
        amount = headroom.usable(least, group.longest, now)
        if headroom.enforced and admits(headroom, amount, group.priority, now) is not None:
            return False
    return True


def next_start(ticket: Ticket, headrooms: Headrooms, queue: ThrottleQueue) -> datetime | None:
    """When the ramps of the windows it waited for let a ticket start; None when it waited for none."""
    now = headrooms.balances.now
    return max(
        (at for headroom in headrooms.of(ticket) if (at := queue.ramps.holds(ticket, headroom.balance, now))),
        default=None,
    )


def _start(ticket: Ticket, headrooms: Headrooms, queue: ThrottleQueue, *, running: bool) -> None:
    """Reserve, and let the ramps go on."""
    occupy(ticket, headrooms, running=running)
    for headroom in headrooms.of(ticket):
        if headroom.balance.ramp:
            queue.ramps.started(
                ticket, headroom.balance, headrooms.balances.now, left=queue.count(headroom.balance.name)
            )


def _keep_for_all(ticket: Ticket, group: QueueGroup, headrooms: Headrooms, shadows: dict[int, Shadow]) -> None:
    """Cast the shadow of a whole group that will start as soon as its ramp lets it, as far as there is room."""
    amounts = []
    for headroom, amount in zip(headrooms.of(ticket), group.amounts, strict=True):
        free = headroom.ceiling(ticket.priority, headrooms.balances.now) - headroom.committed(ticket.priority)
        amounts.append((headroom.instance, max(0, min(amount, free))))
    shadow = shadows[ticket.id] = (ticket.priority.rank, tuple(amounts))
    headrooms.hold_back_for(shadow)


def _keep_room(ticket: Ticket, headrooms: Headrooms, shadows: dict[int, Shadow]) -> None:
    """Cast a shadow where a ticket will start as soon as running work returns what it reserved."""
    now, amounts = headrooms.balances.now, []
    for headroom, whole in headrooms.asked(ticket):
        amount = headroom.usable(whole, ticket.estimate.duration, now)
        reason = admits(headroom, amount - headroom.balance.reserved, ticket.priority, now)
        if ticket.on_hold or (headroom.enforced and reason not in (None, Reason.PACED)):
            return  # waits for something else, or behind those that keep all the room: who passes does not delay it
        amounts.append((headroom.instance, amount))
    shadow = shadows[ticket.id] = (ticket.priority.rank, tuple(amounts))
    headrooms.hold_back_for(shadow)
