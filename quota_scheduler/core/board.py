"""The board: a working copy of windows and reservations while one journey moves amounts between them.

Loaded from the store, changed in place by pure arithmetic, saved in the same transaction. Everything that counts
usage, reserves or resets goes through here, so that the invariants hold in one place:

* ``used`` is the sum of ledger events of the window,
* ``reported`` is what running leases say beyond the ledger,
* ``reserved`` is what open reservations may still spend.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.tickets import Reservation
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.core.windows import Session, Window, window_at


@dataclass(slots=True)
class Tally:
    """The counters of one window of one limit instance. ``id`` 0: not stored yet; ``window`` None: it never resets.

    ``ramp`` is how long the starts of what waited for this window are spread after its beginning.
    """

    id: int
    limit: Limit
    value: str
    window: Window | None
    used: int = 0
    reported: int = 0
    reserved: int = 0
    late: int = 0
    unleased: int = 0
    overrun: int = 0
    estimated: bool = False
    closed: bool = False
    ramp: timedelta = timedelta(0)
    dirty: bool = field(default=True, compare=False)
    instance: str = field(init=False, compare=False)
    amount: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Name the instance it belongs to, and the amount that rules it: asked for at every decision."""
        self.instance, self.amount = self.limit.instance_id(self.value), self.limit.amount_of(self.value)

    @property
    def spent(self) -> int:
        """Usage, whoever reported it."""
        return self.used + self.reported


@dataclass(frozen=True, slots=True)
class Binding:
    """One limit instance that usage or a ticket counts against; ``instance`` is its name."""

    limit: Limit
    value: str
    instance: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance", self.limit.instance_id(self.value))


AHEAD = timedelta(minutes=2)
"""How far ahead of us a use may be and still open a session: what a clock may be wrong by (design, section 2)."""
MOST_REMEMBERED = 20_000
"""Sets of labels whose bindings are remembered; beyond that all are found anew."""


class Board:
    """Windows by instance (oldest first) and reservations by ticket, as of ``now``.

    One may serve many journeys of the only writer: between them it keeps the open windows and who binds what.
    """

    def __init__(self, limits: Iterable[Limit], tallies: Iterable[Tally], *, now: datetime) -> None:
        self.limits = tuple(limit for limit in limits if not limit.is_per_run)
        self.now = now
        self.tallies: dict[str, list[Tally]] = {}
        self.values: dict[str, set[str]] = {limit.id: set() for limit in self.limits}
        self.reservations: dict[int, list[Reservation]] = {}
        self.ends_next: datetime | None = None
        self._by_id = {limit.id: limit for limit in self.limits}
        self._bindings: dict[Labels, tuple[Binding, ...]] = {}
        self._next_id = -1
        self.take(tallies)

    def limit(self, name: str) -> Limit | None:
        """A limit by id."""
        return self._by_id.get(name)

    def take(self, tallies: Iterable[Tally]) -> None:
        """Hold these windows and no others."""
        self.tallies, self.ends_next = {}, None
        for tally in sorted(tallies, key=lambda t: (t.window is None, t.window.starts_at if t.window else self.now)):
            self.add(tally)

    def rest(self) -> None:
        """Let go what only one journey needed: closed windows and reservations."""
        self.reservations.clear()
        self.ends_next = None
        for row in self.tallies.values():
            if any(tally.closed for tally in row):
                row[:] = [tally for tally in row if not tally.closed]
            for tally in row:
                self._watch(tally)
        if len(self._bindings) > MOST_REMEMBERED:
            self._bindings.clear()

    def _watch(self, tally: Tally) -> None:
        ends = None if tally.closed or tally.window is None else tally.window.ends_at
        if ends is not None and (self.ends_next is None or ends < self.ends_next):
            self.ends_next = ends

    def add(self, tally: Tally) -> Tally:
        """Put a window on the board; a new one gets a provisional id below zero."""
        if not tally.id:
            tally.id, self._next_id = self._next_id, self._next_id - 1
        row = self.tallies.setdefault(tally.instance, [])
        row.append(tally)
        if tally.window and len(row) > 1 and row[-2].window and row[-2].window.starts_at > tally.window.starts_at:
            row.sort(key=lambda t: t.window.starts_at if t.window else self.now)
        self.values[tally.limit.id].add(tally.value)
        self._watch(tally)
        return tally

    def bindings(self, labels: Labels) -> tuple[Binding, ...]:
        """Every limit instance that these labels fall to, in the order of the configuration."""
        found = self._bindings.get(labels)
        if found is None:
            found = tuple(
                Binding(limit, limit.value_of(labels, self.values[limit.id]))
                for limit in self.limits
                if limit.selects(labels)
            )
            for binding in found:
                self.values[binding.limit.id].add(binding.value)
            self._bindings[labels] = found
        return found

    def current(self, binding: Binding) -> Tally:
        """The window that rules a decision now; a session not yet open counts as empty and begins now."""
        found = self.at(binding, self.now)
        return found or Tally(0, binding.limit, binding.value, window_at(binding.limit.schedule, self.now))

    def at(self, binding: Binding, at: datetime) -> Tally | None:
        """The window on the board that contains an instant, or the one that has not begun."""
        for tally in reversed(self.tallies.get(binding.instance, ())):
            if tally.window is None or tally.window.contains(at):
                return tally
        return None

    def counted_in(self, binding: Binding, at: datetime) -> Tally | None:
        """The window on the board that counted usage at an instant; a session that has not begun counted none."""
        for tally in self.tallies.get(binding.instance, ()):
            if tally.window.contains(at) if tally.window else not isinstance(tally.limit.schedule, Session):
                return tally
        return None

    def opened(self, binding: Binding, at: datetime) -> Tally | None:
        """The window that a use at ``at`` counts in, opened if the use opens it.

        None for a use that is history: rollups keep it. A session opens at the exact instant of the first use at or
        after the last one's end, and never moves for what comes late.
        """
        if isinstance(binding.limit.schedule, Session):
            return self._opened_session(binding, binding.limit.schedule, at)
        if found := self.at(binding, at):
            return found
        window = window_at(binding.limit.schedule, at)
        if window and window.ends_at <= self.now:
            return None
        return self.add(Tally(0, binding.limit, binding.value, window))

    def _opened_session(self, binding: Binding, schedule: Session, at: datetime) -> Tally | None:
        row = self.tallies.get(binding.instance, [])
        for tally in row:
            if tally.window and (tally.window.contains(at) or at < tally.window.starts_at):
                return tally if tally.window.contains(at) else None
        if at + schedule.length <= self.now or at > self.now + AHEAD:
            return None
        unbegun = next((tally for tally in row if tally.window is None), None)
        tally = unbegun or self.add(Tally(0, binding.limit, binding.value, None))
        self._begins(tally, at)
        return tally

    def _begins(self, tally: Tally, at: datetime) -> None:
        """A session that was only held in begins."""
        tally.window, tally.dirty = window_at(tally.limit.schedule, at), True
        self._watch(tally)

    def book(self, old: UsageEvent | None, new: UsageEvent | None, *, leased: bool) -> None:
        """Count a change of the ledger in every window it touches: ``old`` taken back, ``new`` counted.

        ``leased`` usage had been asked for; the rest is shown apart, since no decision could have prevented it.
        """
        if old:
            self._count(old, -1, leased)
        if new:
            self._count(new, +1, leased)

    def _count(self, event: UsageEvent, sign: int, leased: bool) -> None:
        for binding in self.bindings(event.labels):
            charge = sign * binding.limit.charge(event.usage)
            find = self.opened if charge > 0 else self.counted_in  # what is taken back opens no window
            tally = find(binding, event.at) if charge else None
            if tally is None:
                continue
            charge = max(charge, -tally.used)  # a session that is not in place yet may not have counted what goes
            tally.used += charge
            tally.dirty = True
            tally.estimated |= event.estimated and sign > 0
            tally.unleased += 0 if leased or event.is_backfill(self.now) else charge
            tally.late += charge if tally.closed else 0

    def reserve(
        self, ticket: int, binding: Binding, amount: int, *, running: bool, whole: int | None = None
    ) -> Reservation:
        """Hold an amount for a ticket: of the ``whole`` it needs, what it can use before the reset.

        A running lease opens a session at this instant, an offer does not yet.
        """
        tally = self.opened(binding, self.now) if running else self.holder(binding)
        if tally is None:  # a session that ended in the future of a skewed clock: hold in the newest
            tally = self.tallies[binding.instance][-1]
        held = Reservation(ticket, tally.id, binding.instance, amount, whole=max(amount, whole or 0), dirty=True)
        self.reservations.setdefault(ticket, []).append(held)
        tally.reserved += held.held
        tally.dirty = True
        return held

    def begin(self, ticket: int) -> None:
        """Open the sessions in which a ticket was only offered so far: its run starts now."""
        for held in self.open_reservations(ticket):
            tally = self.tally_of(held)
            if tally.window is None:
                self._begins(tally, self.now)

    def holder(self, binding: Binding) -> Tally:
        """The window that holds what is offered now; of a session, one that has not begun."""
        if found := self.at(binding, self.now):
            return found
        begins = None if isinstance(binding.limit.schedule, Session) else window_at(binding.limit.schedule, self.now)
        return self.add(Tally(0, binding.limit, binding.value, begins))

    def tally_of(self, reservation: Reservation) -> Tally:
        """The window a reservation lies in."""
        for tally in self.tallies[reservation.instance]:
            if tally.id == reservation.window:
                return tally
        raise KeyError(
            f"reservation of ticket {reservation.ticket} names window {reservation.window}, which is not loaded"
        )

    def update(self, reservation: Reservation, **changes: int | bool) -> None:
        """Change a reservation and move the difference in its window."""
        tally = self.tally_of(reservation)
        held, extra, overrun = reservation.held, reservation.extra, reservation.overrun
        for name, value in changes.items():
            setattr(reservation, name, value)
        tally.reserved += reservation.held - held
        tally.reported += reservation.extra - extra
        tally.overrun += max(0, reservation.overrun - overrun)
        tally.dirty = reservation.dirty = True

    def open_reservations(self, ticket: int) -> list[Reservation]:
        """What a ticket holds now."""
        return [held for held in self.reservations.get(ticket, ()) if held.open]

    def all(self) -> Iterator[Tally]:
        """Every window on the board."""
        for row in self.tallies.values():
            yield from row

    def due(self) -> list[Tally]:
        """Windows that have ended and are still open, in order of their end."""
        if self.ends_next is None or self.ends_next > self.now:
            return []
        ended = [t for t in self.all() if t.window and not t.closed and t.window.ends_at <= self.now]
        return sorted(ended, key=lambda t: (t.window.ends_at if t.window else self.now, t.instance))

    def roll(self, *, offered: Collection[int] = ()) -> list[Tally]:
        """Close what has ended and open what follows; returns the closed ones.

        The unspent part of each open reservation moves along, so nothing is freed by a reset. A calendar limit gets
        the window of now at once; a session's next one opens at the reset only when a running lease carries over:
        tickets that are only ``offered`` go on holding in one that has not begun.
        """
        ended = self.due()
        for tally in ended:
            tally.closed = tally.dirty = True
            carried = [
                held for row in self.reservations.values() for held in row if held.open and held.window == tally.id
            ]
            if carried or not isinstance(tally.limit.schedule, Session):
                following = self._following(tally, begins=any(held.ticket not in offered for held in carried))
                for held in carried:  # one that is used up as well: its reports count where they belong
                    self._carry(held, following)
        return ended

    def _following(self, tally: Tally, *, begins: bool) -> Tally:
        """The window of now after one that has ended."""
        binding, found = Binding(tally.limit, tally.value), None
        if isinstance(tally.limit.schedule, Session) and not begins:
            return self.holder(binding)
        if isinstance(tally.limit.schedule, Session) and tally.window:
            found = self.opened(binding, tally.window.ends_at)
        # else a session that a clock ahead of ours has opened in a moment from now: the newest
        return found or self.opened(binding, self.now) or self.tallies[binding.instance][-1]

    def _carry(self, held: Reservation, following: Tally) -> None:
        tally, rest = self.tally_of(held), held.held
        tally.reserved -= rest
        held.amount = min(held.amount, held.spent)
        held.dirty = tally.dirty = True
        before = held.before + held.spent
        rest = max(rest, held.whole - held.spent)
        moved = Reservation(held.ticket, following.id, held.instance, rest, before=before, whole=rest, dirty=True)
        self.reservations[held.ticket].append(moved)
        following.reserved += rest
        following.dirty = True
