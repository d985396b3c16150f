"""The throttle queue: every waiting ticket, kept in groups so that who fits is found without asking everybody.

Tickets of one group bind the same limits, are of one class and of one share: if the smallest of them does not fit, none
does, and the group is passed over whole. A pass looks at the groups' heads in order and goes on inside a group only
while something smaller may fit. Its cost follows what is touched, not what waits.

The throttle queue lives in memory beside the store's single writer; after a failed transaction it is loaded anew.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import NamedTuple

from msgspec import Struct, field

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.queue.ramp import Ramps
from quota_scheduler.core.tickets.ticket import Ticket, need

Bind = Callable[[Labels], tuple[LimitInstance, ...]]
SHORT = 200
"""A throttle queue up to this long is put in order for every answer."""
STALE = 1_000
"""Entries of who has left that a calendar of the queue may hold, beside two for each that waits (100 kB)."""
PLACES_KEPT = timedelta(seconds=10)
"""Places in a longer queue are at most about so old."""
UNBOUND = ""
"""Stands for a limit where none binds a ticket: it starts at once, so every pass looks at it."""
GroupKey = tuple[tuple[str, ...], int, str, str, str, bool]
"""Names of the limits, rank, share, provider and account: while one provider's usage is read, or one account is
refused, the others go on. Last whether they are pressing, so that one test holds for all of a group."""
Entry = tuple[datetime, int]
"""An instant at which something comes for a ticket, and its id."""


def _patience(ticket: Ticket) -> tuple[datetime, datetime | None, datetime | None]:
    """What says when a ticket presses, is late, or has waited too long."""
    return ticket.waiting_since, ticket.deadline, ticket.wait_until


def arrival(ticket: Ticket) -> tuple[datetime, int]:
    """Older first; ties by id, so that every replica sees the same order."""
    return ticket.waiting_since, ticket.id


class QueueGroup(Struct):
    """Waiting tickets that stand or fall by the same limits, oldest first.

    In each limit ``amounts`` is what all need together and ``least`` a lower bound of what the smallest needs, made
    exact when a search finds nobody. ``longest`` is the longest expected run: so the bound holds across a reset too.
    """

    instances: tuple[LimitInstance, ...]
    priority: Priority
    share: str
    pressing: bool = False
    tickets: list[Ticket] = field(default_factory=list)
    least: list[int] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    longest: timedelta | None = None

    def add(self, ticket: Ticket, needs: list[int]) -> None:
        """Put a ticket in its place, with what it needs in each limit."""
        insort(self.tickets, ticket, key=arrival)
        alone = len(self.tickets) == 1
        self.least = needs if alone else [min(a, b) for a, b in zip(self.least, needs, strict=True)]
        self.amounts = needs if alone else [a + b for a, b in zip(self.amounts, needs, strict=True)]
        if duration := ticket.estimate.duration:
            self.longest = max(duration, self.longest or duration)

    def remove(self, ticket: Ticket, needs: list[int]) -> None:
        """Let a ticket leave."""
        at = 0 if self.tickets[0].id == ticket.id else bisect_left(self.tickets, arrival(ticket), key=arrival)
        del self.tickets[at]
        self.amounts = [a - b for a, b in zip(self.amounts, needs, strict=True)]


class _Line(NamedTuple):
    """Who waits for one limit: those who have a place, in that order, and those who came since; some may have left."""

    placed: list[int]
    others: list[int]


class ThrottleQueue:
    """All waiting tickets. ``bind`` names the limits that labels fall to."""

    def __init__(self, tickets: Iterable[Ticket], bind: Bind, *, share_label: str) -> None:
        self._bind, self._share_label = bind, share_label
        self._tickets: dict[int, Ticket] = {}
        self._standing: dict[int, tuple[GroupKey, list[int]]] = {}
        self._groups: dict[GroupKey, QueueGroup] = {}
        self._by_instance: dict[str, set[GroupKey]] = {}
        self._sums: dict[str, list[int]] = {}
        self._due: list[Entry] = []
        self._will_press: list[Entry] = []
        self._pressing: set[int] = set()
        self.ramps = Ramps()
        self.places: tuple[datetime, dict[int, int]] | None = None
        self._moved_since_places = False
        self._lines: tuple[Mapping[int, int], dict[str, _Line]] = {}, {}
        for ticket in tickets:
            self.add(ticket)

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, number: int) -> bool:
        return number in self._tickets

    def get(self, number: int) -> Ticket | None:
        """A waiting ticket by id."""
        return self._tickets.get(number)

    def needs(self, number: int) -> list[int]:
        """What a waiting ticket needs in each limit that binds it, in their order."""
        return self._standing[number][1]

    def tighten(self, key: GroupKey) -> None:
        """Make the lower bound of a group exact, by what was worked out as each came: it may have 10,000 of them."""
        group = self._groups[key]
        group.least = [min(column) for column in zip(*(self._standing[t.id][1] for t in group.tickets), strict=True)]

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._tickets.values())

    def add(self, ticket: Ticket) -> GroupKey:
        """Take a ticket in, or take it anew when it has changed; returns the group it stands in."""
        pressing, before = ticket.id in self._pressing, self._tickets.get(ticket.id)
        self.remove(ticket.id)
        self._moved_since_places = True
        is_noted = before is not None and _patience(before) == _patience(ticket)
        if pressing:
            self._pressing.add(ticket.id)
        elif not is_noted:
            heapq.heappush(self._will_press, (ticket.presses_from, ticket.id))
        instances = self._bind(ticket.labels.asking)
        key = self._key(ticket, instances)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = QueueGroup(instances, ticket.priority, key[2], key[5])
            for name in key[0] or (UNBOUND,):
                self._by_instance.setdefault(name, set()).add(key)
        needs = [need(ticket, instance.limit) for instance in instances]
        group.add(ticket, needs)
        self._tickets[ticket.id], self._standing[ticket.id] = ticket, (key, needs)
        self._count(key, needs, +1)
        self._join_lines(ticket.id, key[0])
        for due in (ticket.deadline, ticket.wait_until):
            if due and not is_noted:
                heapq.heappush(self._due, (due, ticket.id))
        self._let_go()
        return key

    def _let_go(self) -> None:
        """Forget who has left, once they are many: most start long before they would press or be late."""
        most = STALE + 2 * len(self._tickets)
        if len(self._will_press) > most:
            self._will_press = self._of_who_waits(self._will_press, but=self._pressing)
        if len(self._due) > most:
            self._due = self._of_who_waits(self._due)

    def _of_who_waits(self, heap: Iterable[Entry], but: Collection[int] = ()) -> list[Entry]:
        """The entries of those who are still there, each once: to work them out anew takes ten times as long."""
        waiting = self._tickets
        kept = list({entry for entry in heap if entry[1] in waiting and entry[1] not in but})
        heapq.heapify(kept)
        return kept

    def remove(self, number: int) -> None:
        """Let a ticket leave; nothing happens when it does not wait."""
        ticket = self._tickets.pop(number, None)
        if ticket is None:
            return
        self._moved_since_places = True
        self._pressing.discard(number)
        key, needs = self._standing.pop(number)
        group = self._groups[key]
        group.remove(ticket, needs)
        self._count(key, needs, -1)
        if not group.tickets:
            del self._groups[key]
            for name in key[0] or (UNBOUND,):
                self._by_instance[name].discard(key)

    def _join_lines(self, number: int, names: Iterable[str]) -> None:
        """Let who has come since the places were told stand behind those who have one."""
        places, lines = self._lines
        if number not in places:
            for name in names:
                if name in lines:
                    lines[name].others.append(number)

    def _key(self, ticket: Ticket, instances: tuple[LimitInstance, ...]) -> GroupKey:
        names = tuple(instance.name for instance in instances)
        labels, pressing = ticket.labels, ticket.id in self._pressing
        return names, ticket.priority.rank, labels.value(self._share_label), labels.provider, labels.account, pressing

    def _count(self, key: GroupKey, needs: list[int], sign: int) -> None:
        place = key[1]
        for name, amount in zip(key[0], needs, strict=True):
            self.sums(name)[place] += sign * amount

    def sums(self, name: str) -> list[int]:
        """What waits for a limit, by rank, in its unit; changes as tickets come and go."""
        by_rank = self._sums.get(name)
        if by_rank is None:
            by_rank = self._sums[name] = [0] * len(CLASSES)
        return by_rank

    def least(self, name: str) -> int | None:
        """A lower bound of the smallest waiting need in a limit; None when nothing waits for it."""
        bounds = [
            least
            for key in self._by_instance.get(name, ())
            for instance, least in zip(self._groups[key].instances, self._groups[key].least, strict=True)
            if instance.name == name
        ]
        return min(bounds, default=None)

    def count(self, name: str) -> int:
        """How many tickets wait for a limit."""
        return sum(len(self._groups[key].tickets) for key in self._by_instance.get(name, ()))

    def ahead(self, ticket: Ticket, name: str) -> list[Ticket]:
        """Those who wait for a limit and come before a ticket, first to go first, as places were last told.

        Of a long queue the first ``SHORT`` only: an answer must not take longer than the queue is worth. Whoever a
        person holds stands in nobody's way. A ticket that does not wait stands behind its whole class.
        """
        places = self.places[1] if self.places else {}
        mine = places.get(ticket.id, 0)
        line = self._line(name, places)
        walked = line.placed if mine else chain(line.placed, line.others)
        before: list[Ticket] = []
        left, rank = 0, ticket.priority.rank
        for number in walked:
            if len(before) == SHORT or (mine and places[number] >= mine):
                break
            other = self._tickets.get(number)
            if other is None:
                left += 1
            elif number != ticket.id and not other.on_hold and (mine or other.priority.rank <= rank):
                before.append(other)
        if left > SHORT:
            del self._lines[1][name]
        return before

    def _line(self, name: str, places: Mapping[int, int]) -> "_Line":
        """Who waits for a limit, put in order once for as long as the places hold."""
        if self._lines[0] is not places:
            self._lines = places, {}
        line = self._lines[1].get(name)
        if line is None:
            groups = [self._groups[key] for key in self._by_instance.get(name, ())]
            numbers = [other.id for group in groups for other in islice(group.tickets, 2 * SHORT)]
            placed = sorted((number for number in numbers if number in places), key=places.__getitem__)
            line = self._lines[1][name] = _Line(placed, sorted(number for number in numbers if number not in places))
        return line

    def groups(self, touched: Iterable[str] | None) -> list[GroupKey]:
        """The groups that any of these limits binds, all of them for None; in a stable order."""
        if touched is None:
            return sorted(self._groups)
        return sorted({key for name in (UNBOUND, *touched) for key in self._by_instance.get(name, ())})

    def all_groups(self) -> Collection[QueueGroup]:
        """Every group; none is empty."""
        return self._groups.values()

    def ahead_of(self, priority: Priority) -> int:
        """How many tickets wait in a class and those above it."""
        return sum(len(group.tickets) for group in self._groups.values() if group.priority.rank <= priority.rank)

    def tickets_in(self, key: GroupKey) -> Sequence[Ticket]:
        """The tickets of a group, oldest first; none when it is empty by now."""
        group = self._groups.get(key)
        return group.tickets if group else ()

    def group(self, key: GroupKey) -> QueueGroup | None:
        """A group, None when it is empty by now."""
        return self._groups.get(key)

    @property
    def is_long(self) -> bool:
        """Whether putting it in order takes longer than an answer should: somebody else does that, now and then."""
        return len(self) > SHORT

    def wants_places(self, now: datetime) -> bool:
        """Whether somebody should put it in order again: it is long, and its places are old."""
        return self.is_long and (self.places is None or now - self.places[0] >= PLACES_KEPT)

    def know_places(self, ordered: Iterable[Ticket], *, at: datetime) -> None:
        """Take the order of the whole queue as it was at an instant; from any thread."""
        self._moved_since_places = False
        self.places = at, {ticket.id: place for place, ticket in enumerate(ordered, 1)}

    def has_places_of(self, now: datetime) -> bool:
        """Whether places were told that are those of now: of a long queue any will do."""
        if self.places is None:
            return False
        return self.is_long or (self.places[0] == now and not self._moved_since_places)

    def due(self, now: datetime) -> list[Ticket]:
        """Tickets whose deadline or longest wait has come."""
        tickets: dict[int, Ticket] = {}
        while self._due and self._due[0][0] <= now:
            at, number = heapq.heappop(self._due)
            ticket = self._tickets.get(number)
            if ticket and at in (ticket.deadline, ticket.wait_until):
                tickets[number] = ticket
        return [tickets[number] for number in sorted(tickets)]

    def press(self, now: datetime) -> list[Ticket]:
        """Let those stand among the pressing most of whose patience is spent; returns them."""
        numbers = set()
        while self._will_press and self._will_press[0][0] <= now:
            at, number = heapq.heappop(self._will_press)
            if (ticket := self._tickets.get(number)) and at == ticket.presses_from:
                numbers.add(number)
        tickets = [self._tickets[number] for number in sorted(numbers)]
        for ticket in tickets:
            self.remove(ticket.id)
            self._pressing.add(ticket.id)
            self.add(ticket)
        return tickets

    def next_due(self) -> datetime | None:
        """When the next starts to press, or its deadline or longest wait comes, or came for somebody who has left."""
        return min((heap[0][0] for heap in (self._due, self._will_press) if heap), default=None)
