"""The balances: a working copy of windows and reservations while one journey moves amounts between them.

Loaded from the store, changed in place by pure arithmetic, saved in the same transaction. Everything that counts
usage, reserves or resets goes through here, so that the invariants hold in one place:

* ``used`` is the sum of ledger events of the window,
* ``reported`` is what running leases say beyond the ledger,
* ``reserved`` is what open reservations may still spend.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session, window_at
from quota_scheduler.core.tickets.ticket import Reservation
from quota_scheduler.core.usage import UsageEvent

MOST_REMEMBERED = 20_000
"""Sets of labels whose limit instances are remembered; beyond that all are found anew."""


class Balances:
    """Windows by instance (oldest first) and reservations by ticket, as of ``now``.

    One may serve many journeys of the only writer: between them it keeps the open windows and who binds what.
    """

    def __init__(self, limits: Iterable[Limit], rows: Iterable[Balance], *, now: datetime) -> None:
        self.limits = tuple(limit for limit in limits if not limit.is_per_run)
        self.now = now
        self.by_name: dict[str, list[Balance]] = {}
        self.values: dict[str, set[str]] = {limit.id: set() for limit in self.limits}
        self.reservations: dict[int, list[Reservation]] = {}
        self.ends_next: datetime | None = None
        self._by_id = {limit.id: limit for limit in self.limits}
        self._instances: dict[Labels, tuple[LimitInstance, ...]] = {}
        self._next_id = -1
        self.take(rows)

    def limit(self, name: str) -> Limit | None:
        """A limit by id."""
        return self._by_id.get(name)

    def take(self, rows: Iterable[Balance]) -> None:
        """Hold these windows and no others."""
        self.by_name, self.ends_next = {}, None
        for balance in sorted(rows, key=lambda t: (t.window is None, t.window.starts_at if t.window else self.now)):
            self.add(balance)

    def rest(self) -> None:
        """Let go what only one journey needed: closed windows and reservations."""
        self.reservations.clear()
        self.ends_next = None
        for row in self.by_name.values():
            if any(balance.closed for balance in row):
                row[:] = [balance for balance in row if not balance.closed]
            for balance in row:
                self._watch(balance)
        if len(self._instances) > MOST_REMEMBERED:
            self._instances.clear()

    def _watch(self, balance: Balance) -> None:
        ends = None if balance.closed or balance.window is None else balance.window.ends_at
        if ends is not None and (self.ends_next is None or ends < self.ends_next):
            self.ends_next = ends

    def add(self, balance: Balance) -> Balance:
        """Put a window among the balances; a new one gets a provisional id below zero."""
        if not balance.id:
            balance.id, self._next_id = self._next_id, self._next_id - 1
        row = self.by_name.setdefault(balance.name, [])
        row.append(balance)
        if balance.window and len(row) > 1 and row[-2].window and row[-2].window.starts_at > balance.window.starts_at:
            row.sort(key=lambda t: t.window.starts_at if t.window else self.now)
        self.values[balance.limit.id].add(balance.value)
        self._watch(balance)
        return balance

    def instances(self, labels: Labels) -> tuple[LimitInstance, ...]:
        """Every limit instance that these labels fall to, in the order of the configuration."""
        found = self._instances.get(labels)
        if found is None:
            found = tuple(
                LimitInstance(limit, limit.value_of(labels, self.values[limit.id]))
                for limit in self.limits
                if limit.selects(labels)
            )
            for instance in found:
                self.values[instance.limit.id].add(instance.value)
            self._instances[labels] = found
        return found

    def ruling(self, instance: LimitInstance) -> Balance:
        """The window that rules a decision now; a session not yet open counts as empty and begins now."""
        found = self.find(instance, self.now)
        return found or Balance(0, instance.limit, instance.value, window_at(instance.limit.schedule, self.now))

    def find(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that contains an instant, or the one that has not begun."""
        for balance in reversed(self.by_name.get(instance.name, ())):
            if balance.window is None or balance.window.contains(at):
                return balance
        return None

    def to_correct(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that counted usage at an instant; a session that has not begun counted none."""
        for balance in self.by_name.get(instance.name, ()):
            if balance.window.contains(at) if balance.window else not isinstance(balance.limit.schedule, Session):
                return balance
        return None

    def open_for_use(self, instance: LimitInstance, at: datetime) -> Balance | None:
        """The window that a use at ``at`` counts in, opened if the use opens it.

        None for a use that is history: rollups keep it. A session opens at the exact instant of the first use at or
        after the last one's end, and never moves for what comes late.
        """
        if isinstance(instance.limit.schedule, Session):
            return self._opened_session(instance, instance.limit.schedule, at)
        if found := self.find(instance, at):
            return found
        window = window_at(instance.limit.schedule, at)
        if window and window.ends_at <= self.now:
            return None
        return self.add(Balance(0, instance.limit, instance.value, window))

    def _opened_session(self, instance: LimitInstance, schedule: Session, at: datetime) -> Balance | None:
        row = self.by_name.get(instance.name, [])
        for balance in row:
            if balance.window and (balance.window.contains(at) or at < balance.window.starts_at):
                return balance if balance.window.contains(at) else None
        if at + schedule.length <= self.now or at > self.now + SKEW:
            return None
        unbegun = next((balance for balance in row if balance.window is None), None)
        balance = unbegun or self.add(Balance(0, instance.limit, instance.value, None))
        self._begins(balance, at)
        return balance

    def _begins(self, balance: Balance, at: datetime) -> None:
        """A session that was only held in begins."""
        balance.window, balance.dirty = window_at(balance.limit.schedule, at), True
        self._watch(balance)

    def book(self, old: UsageEvent | None, new: UsageEvent | None, *, leased: bool) -> None:
        """Count a change of the ledger in every window it touches: ``old`` taken back, ``new`` counted.

        ``leased`` usage had been asked for; the rest is shown apart, since no decision could have prevented it.
        """
        if old:
            self._count(old, -1, leased)
        if new:
            self._count(new, +1, leased)

    def _count(self, event: UsageEvent, sign: int, leased: bool) -> None:
        for instance in self.instances(event.labels):
            charge = sign * instance.limit.charge(event.usage)
            find = self.open_for_use if charge > 0 else self.to_correct  # what is taken back opens no window
            balance = find(instance, event.at) if charge else None
            if balance is None:
                continue
            charge = max(charge, -balance.used)  # a session that is not in place yet may not have counted what goes
            balance.used += charge
            balance.dirty = True
            balance.estimated |= event.estimated and sign > 0
            balance.unleased += 0 if leased or event.is_backfill(self.now) else charge
            balance.late += charge if balance.closed else 0

    def reserve(
        self, ticket: int, instance: LimitInstance, amount: int, *, running: bool, whole: int | None = None
    ) -> Reservation:
        """Hold an amount for a ticket: of the ``whole`` it needs, what it can use before the reset.

        A running lease opens a session at this instant, an offer does not yet.
        """
        balance = self.open_for_use(instance, self.now) if running else self.open_for_offer(instance)
        if balance is None:  # a session that ended in the future of a skewed clock: hold in the newest
            balance = self.by_name[instance.name][-1]
        held = Reservation(ticket, balance.id, instance.name, amount, whole=max(amount, whole or 0), dirty=True)
        self.reservations.setdefault(ticket, []).append(held)
        balance.reserved += held.held
        balance.dirty = True
        return held

    def begin(self, ticket: int) -> None:
        """Open the sessions in which a ticket was only offered so far: its run starts now."""
        for held in self.open_reservations(ticket):
            balance = self.balance_of(held)
            if balance.window is None:
                self._begins(balance, self.now)

    def open_for_offer(self, instance: LimitInstance) -> Balance:
        """The window that holds what is offered now; of a session, one that has not begun."""
        if found := self.find(instance, self.now):
            return found
        begins = None if isinstance(instance.limit.schedule, Session) else window_at(instance.limit.schedule, self.now)
        return self.add(Balance(0, instance.limit, instance.value, begins))

    def balance_of(self, reservation: Reservation) -> Balance:
        """The window a reservation lies in."""
        for balance in self.by_name[reservation.instance]:
            if balance.id == reservation.window:
                return balance
        raise KeyError(
            f"reservation of ticket {reservation.ticket} names window {reservation.window}, which is not loaded"
        )

    def update(self, reservation: Reservation, **changes: int | bool) -> None:
        """Change a reservation and move the difference in its window."""
        balance = self.balance_of(reservation)
        held, extra, overrun = reservation.held, reservation.extra, reservation.overrun
        for name, value in changes.items():
            setattr(reservation, name, value)
        balance.reserved += reservation.held - held
        balance.reported += reservation.extra - extra
        balance.overrun += max(0, reservation.overrun - overrun)
        balance.dirty = reservation.dirty = True

    def open_reservations(self, ticket: int) -> list[Reservation]:
        """What a ticket holds now."""
        return [held for held in self.reservations.get(ticket, ()) if held.open]

    def all(self) -> Iterator[Balance]:
        """Every window."""
        for row in self.by_name.values():
            yield from row

    def due(self) -> list[Balance]:
        """Windows that have ended and are still open, in order of their end."""
        if self.ends_next is None or self.ends_next > self.now:
            return []
        ended = [t for t in self.all() if t.window and not t.closed and t.window.ends_at <= self.now]
        return sorted(ended, key=lambda t: (t.window.ends_at if t.window else self.now, t.name))

    def roll(self, *, offered: Collection[int] = ()) -> list[Balance]:
        """Close what has ended and open what follows; returns the closed ones.

        The unspent part of each open reservation moves along, so nothing is freed by a reset. A calendar limit gets
        the window of now at once; a session's next one opens at the reset only when a running lease carries over:
        tickets that are only ``offered`` go on holding in one that has not begun.
        """
        ended = self.due()
        for balance in ended:
            balance.closed = balance.dirty = True
            carried = [
                held for row in self.reservations.values() for held in row if held.open and held.window == balance.id
            ]
            if carried or not isinstance(balance.limit.schedule, Session):
                following = self._following(balance, begins=any(held.ticket not in offered for held in carried))
                for held in carried:  # one that is used up as well: its reports count where they belong
                    self._carry(held, following)
        return ended

    def _following(self, balance: Balance, *, begins: bool) -> Balance:
        """The window of now after one that has ended."""
        instance, found = LimitInstance(balance.limit, balance.value), None
        if isinstance(balance.limit.schedule, Session) and not begins:
            return self.open_for_offer(instance)
        if isinstance(balance.limit.schedule, Session) and balance.window:
            found = self.open_for_use(instance, balance.window.ends_at)
        # else a session that a clock ahead of ours has opened in a moment from now: the newest
        return found or self.open_for_use(instance, self.now) or self.by_name[instance.name][-1]

    def _carry(self, held: Reservation, following: Balance) -> None:
        balance, rest = self.balance_of(held), held.held
        balance.reserved -= rest
        held.amount = min(held.amount, held.spent)
        held.dirty = balance.dirty = True
        before = held.before + held.spent
        rest = max(rest, held.whole - held.spent)
        moved = Reservation(held.ticket, following.id, held.instance, rest, before=before, whole=rest, dirty=True)
        self.reservations[held.ticket].append(moved)
        following.reserved += rest
        following.dirty = True
