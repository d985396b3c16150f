"""Newcomers that all fit are decided as one: whoever is looked at first, nobody's answer would be another.

    what all of them need together ──fits beside what is committed, for each of their classes──► all start
                                   └─else, or where anybody waits before them─────────────────► one by one, in line

Work that is alike (same labels, class and estimate) is weighed once, whatever its number. Anything that would make the
order matter is left to the pass: somebody who waits for the same limits, a ramp, a breaker, a pool, a run cap.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.admission.decide import admits
from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate, Ticket

Kind = tuple[Labels, Priority, Estimate]
"""What tickets have in common that are decided alike."""
Weighed = list[tuple[Headroom, int, int]]
"""Each limit that binds a kind, with what one of it holds there before the reset, and what it needs in all."""


def kinds_of(tickets: Iterable[Ticket]) -> dict[Kind, list[Ticket]]:
    """Tickets sorted by what decides about them; whoever asks the same again mostly brings the very same objects."""
    same: dict[tuple[int, Priority, int], list[Ticket]] = {}
    for ticket in tickets:
        same.setdefault((id(ticket.labels), ticket.priority, id(ticket.estimate)), []).append(ticket)
    kinds: dict[Kind, list[Ticket]] = {}
    for alike in same.values():
        first = alike[0]
        kinds.setdefault((first.labels, first.priority, first.estimate), []).extend(alike)
    return kinds


def start_together(tickets: Sequence[Ticket], work: Work) -> dict[Kind, list[Ticket]] | None:
    """Give newcomers their leases, all of them or none; returns them by kind, None where they must stand in line."""
    now, headrooms = work.now, work.headrooms
    if headrooms.has_pools or any(ticket.deadline and ticket.deadline <= now for ticket in tickets):
        return None
    kinds = kinds_of(tickets)
    if any(work.breakers.that_bind(alike[0].labels) or work.caps(alike[0]) for alike in kinds.values()):
        return None
    weighed = {kind: _weighed(alike[0], headrooms, now) for kind, alike in kinds.items()}
    sums: dict[str, int] = {}
    for kind, alike in kinds.items():
        for headroom, amount, whole in weighed[kind]:
            name = headroom.instance.name
            sums[name] = sums.get(name, 0) + max(amount, whole) * len(alike)
    if any(work.queue.count(name) for name in sums):
        return None
    if not _all_fit(weighed, sums, now):
        return None
    for kind, alike in kinds.items():
        numbers = [ticket.id for ticket in alike]
        for headroom, amount, whole in weighed[kind]:
            work.balances.reserve_alike(numbers, headroom.instance, amount, running=True, whole=whole)
    for ticket in tickets:
        work.grant(ticket)
    return kinds


def _weighed(ticket: Ticket, headrooms: Headrooms, now: datetime) -> Weighed:
    duration = ticket.estimate.duration
    return [(headroom, headroom.usable(whole, duration, now), whole) for headroom, whole in headrooms.asked(ticket)]


def _all_fit(weighed: Mapping[Kind, Weighed], sums: Mapping[str, int], now: datetime) -> bool:
    """Whether each limit lets each class have all that newcomers need in it, and neither size nor ramp holds one back.

    In mode warn too: who only would be kept waiting is told so, one by one.
    """
    tested: set[tuple[str, Priority]] = set()
    for (_, priority, _), needs in weighed.items():
        for headroom, _, whole in needs:
            balance, name = headroom.balance, headroom.instance.name
            if balance.ramp or whole > balance.amount:
                return False
            if (name, priority) not in tested:
                tested.add((name, priority))
                if admits(headroom, sums[name], priority, now) is not None:
                    return False
    return True
