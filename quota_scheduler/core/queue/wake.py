"""A pass over the line: who goes now.

Each admission reserves, so that the next ticket sees what is left. A smaller ticket may pass a larger one that does not
fit (backfill), but never takes room that the larger one will get as soon as running work returns it. After a reset the
starts of many are spread over a ramp. A long pass is cut into slices, between which requests are answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from quota_scheduler.core.admission.decide import Admit, Defer, Verdict, admits, decide, occupy
from quota_scheduler.core.admission.headroom import Rooms, Shadow
from quota_scheduler.core.queue.order import Order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import Group, GroupKey, Line
from quota_scheduler.core.tickets.ticket import Reason, Ticket

SLICE, START = 60, 3
"""Looks that one slice may take, below 5 ms on a slow core, and how many of them a start costs (measured in
benchmarks/bench_queue.py). Counted, not clocked, so that every replica cuts at the same place."""


@dataclass(slots=True)
class Pass:
    """What a pass decided, and what is left of it for the next slice.

    ``rest`` is, by group, from which place on it is still to be looked at. ``shadows`` is, by ticket, what those that
    were looked at will need as soon as running work returns it.
    ``next_slot`` is when the ramp lets the next one start.
    """

    verdicts: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    rest: dict[GroupKey, int] = field(default_factory=dict)
    shadows: dict[int, Shadow] = field(default_factory=dict)
    next_slot: datetime | None = None


def wake(
    line: Line,
    rooms: Rooms,
    keys: Mapping[GroupKey, int],
    *,
    running: Mapping[str, int],
    policy: QueuePolicy,
    present: set[int],
    most: int = SLICE,
    shadows: Mapping[int, Shadow] | None = None,
) -> Pass:
    """Decide the waiting tickets of these groups in order, each from a place on, for at most ``most`` looks.

    ``present`` are the tickets whose runner is asking right now: they start, the others are offered. Whoever does not
    go on waiting is taken out of the line.
    """
    now, done = rooms.balances.now, Pass(shadows=dict(shadows or {}))
    for shadow in done.shadows.values():
        rooms.cast(shadow)
    order, left = Order(line, keys, running, policy, now), most
    flowing: set[GroupKey] = set()  # groups somebody of which has just started: the next one is asked at once
    while left > 0:
        if (found := order.next()) is None:
            return done
        left -= 1
        ticket, group, key, place = found
        if ticket.id in done.shadows:
            rooms.cast(done.shadows.pop(ticket.id), -1)  # nobody stands in their own light
        if key not in flowing and not _may_fit(group, rooms):
            _keep_room(ticket, rooms, done.shadows)
            continue  # the smallest of them does not fit: the whole group is passed over
        if (at := next_start(ticket, rooms, line)) and at > now:
            done.next_slot = min(at, done.next_slot or at)
            _keep_for_all(ticket, group, rooms, done.shadows)
            continue  # nor may anybody behind it in the group
        verdict = decide(ticket, rooms, now=now)
        done.verdicts.append((ticket, verdict))
        if isinstance(verdict, Defer):
            _keep_room(ticket, rooms, done.shadows)
            if key not in flowing or _may_fit(group, rooms):
                _go_on(group, order, key, place)
            flowing.discard(key)
            continue
        line.remove(ticket.id)
        flowing.add(key)
        left -= START - 1
        if isinstance(verdict, Admit):
            _start(ticket, rooms, line, running=ticket.id in present)
        order.started(key, place)
    done.rest = order.rest()
    return done


def _go_on(group: Group, order: Order, key: GroupKey, place: int) -> None:
    """Look behind a ticket that waits; at the end of a fruitless search the group's bound is made exact."""
    if place + 1 < len(group.tickets):
        order.passed(key, place)
    else:
        group.tighten()


def _may_fit(group: Group, rooms: Rooms) -> bool:
    """Whether a ticket as small as the smallest of the group in every limit could start."""
    head, now = group.tickets[0], rooms.balances.now
    for room, least in zip(rooms.of(head), group.least, strict=True):
        amount = room.usable(least, group.longest, now)
        if room.enforced and admits(room, amount, group.priority, now) is not None:
            return False
    return True


def next_start(ticket: Ticket, rooms: Rooms, line: Line) -> datetime | None:
    """When the ramps of the windows it waited for let a ticket start; None when it waited for none."""
    now = rooms.balances.now
    return max((at for room in rooms.of(ticket) if (at := line.ramps.holds(ticket, room.balance, now))), default=None)


def _start(ticket: Ticket, rooms: Rooms, line: Line, *, running: bool) -> None:
    """Reserve, and let the ramps go on."""
    occupy(ticket, rooms, running=running)
    for room in rooms.of(ticket):
        if room.balance.ramp:
            line.ramps.started(ticket, room.balance, rooms.balances.now, left=line.count(room.balance.instance))


def _keep_for_all(ticket: Ticket, group: Group, rooms: Rooms, shadows: dict[int, Shadow]) -> None:
    """Cast the shadow of a whole group that will start as soon as its ramp lets it, as far as there is room."""
    amounts = []
    for room, amount in zip(rooms.of(ticket), group.amounts, strict=True):
        free = room.ceiling(ticket.priority, rooms.balances.now) - room.taken(ticket.priority)
        amounts.append((room.binding, max(0, min(amount, free))))
    shadow = shadows[ticket.id] = (ticket.priority.rank, tuple(amounts))
    rooms.cast(shadow)


def _keep_room(ticket: Ticket, rooms: Rooms, shadows: dict[int, Shadow]) -> None:
    """Cast a shadow where a ticket will start as soon as running work returns what it reserved."""
    now, amounts = rooms.balances.now, []
    for room, whole in rooms.asked(ticket):
        amount = room.usable(whole, ticket.estimate.duration, now)
        reason = admits(room, amount - room.balance.reserved, ticket.priority, now)
        if ticket.held or (room.enforced and reason not in (None, Reason.PACED)):
            return  # waits for something else, or behind those that keep all the room: who passes does not delay it
        amounts.append((room.binding, amount))
    shadow = shadows[ticket.id] = (ticket.priority.rank, tuple(amounts))
    rooms.cast(shadow)
