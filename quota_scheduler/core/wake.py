"""A pass over the line: who goes now.

Each admission reserves, so that the next ticket sees what is left. A smaller ticket may pass a larger one that does not
fit (backfill), but never takes room that the larger one will get as soon as running work returns it. After a reset the
starts of many are spread over a ramp. A long pass is cut into slices, between which requests are answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from quota_scheduler.core.admission import Admit, Defer, Verdict, admits, decide, occupy
from quota_scheduler.core.line import Group, GroupKey, Line, Order
from quota_scheduler.core.queue import QueuePolicy, slot
from quota_scheduler.core.rooms import Rooms, Shadow
from quota_scheduler.core.tickets import Reason, Ticket

SLICE = 150
"""Tickets looked at in one slice: about 5 ms on a slow core (docs/explanation/performance.md)."""


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
    """Decide the waiting tickets of these groups in order, each from a place on, at most ``most`` of them.

    ``present`` are the tickets whose runner is asking right now: they start, the others are offered. Whoever does not
    go on waiting is taken out of the line.
    """
    now, done = rooms.board.now, Pass(shadows=dict(shadows or {}))
    for shadow in done.shadows.values():
        rooms.cast(shadow)
    order = Order(line, keys, running, policy, now)
    for _ in range(most):
        if (found := order.next()) is None:
            return done
        ticket, group, key, place = found
        if ticket.id in done.shadows:
            rooms.cast(done.shadows.pop(ticket.id), -1)  # nobody stands in their own light
        if not _may_fit(group, rooms):
            _keep_room(ticket, rooms, done.shadows)
            continue  # the smallest of them does not fit: the whole group is passed over
        if (at := _slot(ticket, rooms)) and at > now:
            done.next_slot = min(at, done.next_slot or at)
            _keep_room(ticket, rooms, done.shadows)
            order.passed(key, place)
            continue
        verdict = decide(ticket, rooms, now=now)
        done.verdicts.append((ticket, verdict))
        if isinstance(verdict, Defer):
            _keep_room(ticket, rooms, done.shadows)
            _go_on(group, order, key, place)
            continue
        line.remove(ticket.id)
        if isinstance(verdict, Admit):
            occupy(ticket, rooms, running=ticket.id in present)
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
    head, now = group.tickets[0], rooms.board.now
    for room, least in zip(rooms.of(head), group.least, strict=True):
        amount = room.usable(least, group.longest, now)
        if room.enforced and admits(room, amount, group.priority, now) is not None:
            return False
    return True


def _slot(ticket: Ticket, rooms: Rooms) -> datetime | None:
    """When the ramps of the windows it waited for let a ticket start; None when it waited for none."""
    found = [
        slot(ticket, room.tally.window.starts_at, room.tally.ramp)
        for room in rooms.of(ticket)
        if room.tally.ramp and room.tally.window and ticket.waiting_since < room.tally.window.starts_at
    ]
    return max(found, default=None)


def _keep_room(ticket: Ticket, rooms: Rooms, shadows: dict[int, Shadow]) -> None:
    """Cast a shadow where a ticket will start as soon as running work returns what it reserved."""
    now, amounts = rooms.board.now, []
    for room, whole in rooms.asked(ticket):
        amount = room.usable(whole, ticket.estimate.duration, now)
        reason = admits(room, amount - room.tally.reserved, ticket.priority, now)
        if ticket.held or (room.enforced and reason not in (None, Reason.PACED)):
            return  # waits for something else, or behind those that keep all the room: who passes does not delay it
        amounts.append((room.binding, amount))
    shadow = shadows[ticket.id] = (ticket.priority.rank, tuple(amounts))
    rooms.cast(shadow)
