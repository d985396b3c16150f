"""The balances: a working copy of windows and reservations while one journey moves amounts between them.

Everything that counts usage, reserves or resets goes through here, so that the invariants hold in one place:

* ``used`` is the sum of ledger events of the window,
* ``reported`` is what running leases say beyond the ledger,
* ``reserved`` is what open reservations may still spend.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.open_windows import OpenWindows
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.core.tickets.ticket import Reservation
from quota_scheduler.core.usage import Usage, UsageEvent


class Balances(OpenWindows):
    """Windows by instance and reservations by ticket, as of ``now``: what is counted and held in them."""

    def __init__(self, limits: Iterable[Limit], rows: Iterable[Balance], *, now: datetime) -> None:
        self.reservations: dict[int, list[Reservation]] = {}
        super().__init__(limits, rows, now=now)

    def rest(self) -> None:
        """Let go what only one journey needed: closed windows and reservations."""
        self.reservations.clear()
        super().rest()

    # counting

    def book(self, old: UsageEvent | None, new: UsageEvent | None, *, leased: bool, but: Collection[str] = ()) -> None:
        """Count a change of the ledger in every window it touches: ``old`` taken back, ``new`` counted.

        ``leased`` usage had been asked for; the rest is shown apart, since no decision could have prevented it.
        ``but`` names instances that are counted anew as a whole.
        """
        if old:
            self._count(old, -1, leased, but)
        if new:
            self._count(new, +1, leased, but)

    def book_new(
        self, events: Sequence[UsageEvent], *, leased: Callable[[UsageEvent], bool], but: Collection[str] = ()
    ) -> None:
        """Count events that are new, in their order, as ``book`` counts each.

        Where all are alike in what is kept apart, those of a window that is open are added up and counted at once.
        """
        if len({(leased(event), event.is_backfill(self.now)) for event in events}) != 1:
            for event in events:
                self._count(event, +1, leased(event), but)
            return
        is_leased = leased(events[0])
        alike: dict[tuple[LimitInstance, ...], list[UsageEvent]] = {}
        for event in events:
            alike.setdefault(self.instances(event.labels), []).append(event)
        singly = {
            instances: [i for i in instances if i.name not in but and not self._count_all(i, of_them, is_leased)]
            for instances, of_them in alike.items()
        }
        for event in events if any(singly.values()) else ():
            self._count_in(singly[self.instances(event.labels)], event, +1, is_leased)

    def _count_all(self, instance: LimitInstance, events: Sequence[UsageEvent], leased: bool) -> bool:
        """Count events in the one window that counts all of them; False where there is none, and nothing is done."""
        first, last = min(event.at for event in events), max(event.at for event in events)
        balance = self.find(instance, first)
        if balance is None or balance.window is None or balance.anchored_at is not None:
            return False
        if any(self.open_for_use(instance, at) is not balance for at in (first, last)):
            return False
        fine = instance.limit.fine_charge(Usage(*map(sum, zip(*(event.usage for event in events), strict=True))))
        if fine > 0:
            balance.estimated |= any(e.estimated and instance.limit.fine_charge(e.usage) > 0 for e in events)
            self.note_kind(balance, events[0], balance.use(fine), 0, leased=leased)
        return True

    def _count(self, event: UsageEvent, sign: int, leased: bool, but: Collection[str]) -> None:
        self._count_in([one for one in self.instances(event.labels) if one.name not in but], event, sign, leased)

    def _count_in(self, instances: Iterable[LimitInstance], event: UsageEvent, sign: int, leased: bool) -> None:
        for instance in instances:
            fine = sign * instance.limit.fine_charge(event.usage)
            find = self.open_for_use if fine > 0 else self.to_correct  # what is taken back opens no window
            balance = find(instance, event.at) if fine else None
            if balance is None or balance.has_counted(event.at):
                continue
            self.note_kind(balance, event, balance.use(fine), sign, leased=leased)

    def note_kind(self, balance: Balance, event: UsageEvent, charge: int, sign: int, *, leased: bool) -> None:
        """Keep apart what was counted without a lease, after the reset, or with a price that is a guess."""
        balance.dirty = True
        balance.estimated |= event.estimated and sign > 0
        balance.unleased += 0 if leased or event.is_backfill(self.now) else charge
        balance.late += charge if balance.closed else 0

    # reserving

    def reserve(
        self, ticket: int, instance: LimitInstance, amount: int, *, running: bool, whole: int | None = None
    ) -> Reservation:
        """Hold an amount for a ticket: of the ``whole`` it needs, what it can use before the reset.

        A running lease opens a session at this instant, an offer does not yet.
        """
        return self.reserve_alike([ticket], instance, amount, running=running, whole=whole)[0]

    def reserve_alike(
        self, tickets: Iterable[int], instance: LimitInstance, amount: int, *, running: bool, whole: int | None = None
    ) -> list[Reservation]:
        """Hold the same for each of several tickets."""
        balance = self.open_for_use(instance, self.now) if running else self.open_for_offer(instance)
        if balance is None:  # a session that ended in the future of a skewed clock: hold in the newest
            balance = self.by_name[instance.name][-1]
        return self._hold_alike(tickets, balance, amount, whole or 0)

    def hold(self, ticket: int, balance: Balance, amount: int, *, whole: int) -> Reservation:
        """Hold an amount of a window for a ticket, of the ``whole`` that it needs, if that is more."""
        whole = max(amount, whole)
        reservation = Reservation(ticket, balance.id, balance.name, amount, 0, 0, 0, True, whole, True)
        self.reservations.setdefault(ticket, []).append(reservation)
        balance.reserved += max(0, amount)
        balance.dirty = True
        return reservation

    def _hold_alike(self, tickets: Iterable[int], balance: Balance, amount: int, whole: int) -> list[Reservation]:
        window, name, whole = balance.id, balance.name, max(amount, whole)
        made = [Reservation(ticket, window, name, amount, 0, 0, 0, True, whole, True) for ticket in tickets]
        for reservation in made:
            self.reservations.setdefault(reservation.ticket, []).append(reservation)
        balance.reserved += max(0, amount) * len(made)
        balance.dirty = True
        return made

    def begin(self, ticket: int) -> None:
        """Open the sessions in which a ticket was only offered so far: its run starts now."""
        for reservation in self.open_reservations(ticket):
            balance = self.balance_of(reservation)
            if balance.window is None:
                self.begins(balance, self.now)

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
        return [reservation for reservation in self.reservations.get(ticket, ()) if reservation.open]

    # resets

    def roll(self, *, offered: Collection[int] = ()) -> list[Balance]:
        """Close what has ended and open what follows; returns the closed ones.

        The unspent part of each open reservation moves along, so nothing is freed by a reset. A calendar limit gets
        the window of now at once; a session's next one opens at the reset only when a running lease carries over:
        tickets that are only ``offered`` go on holding in one that has not begun.
        """
        ended = self.due()
        self._is_settled &= not ended
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
        instance, following = LimitInstance(balance.limit, balance.value), None
        if isinstance(balance.limit.schedule, Session) and not begins:
            return self.open_for_offer(instance)
        if isinstance(balance.limit.schedule, Session) and balance.window:
            following = self.open_for_use(instance, balance.window.ends_at)
        # else a session that a clock ahead of ours has opened in a moment from now: the newest
        return following or self.open_for_use(instance, self.now) or self.by_name[instance.name][-1]

    def _carry(self, held: Reservation, following: Balance) -> None:
        balance, remaining = self.balance_of(held), held.held
        balance.reserved -= remaining
        held.amount = min(held.amount, held.spent)
        held.dirty = balance.dirty = True
        before = held.before + held.spent
        remaining = max(remaining, held.whole - held.spent)
        moved = Reservation(
            held.ticket, following.id, held.instance, remaining, before=before, whole=remaining, dirty=True
        )
        self.reservations[held.ticket].append(moved)
        following.reserved += remaining
        following.dirty = True

    def go_on(self) -> None:
        """Undo what a clock that was ahead did to reservations: what it carried on returns to the window of now.

        The window in which it lay meanwhile stays, and waits for its time. A session that began in that future and is
        held in by what runs begins now; one that counts usage and is far off stays, and what runs holds in a new one.
        """
        for row in list(self.by_name.values()):
            for later in [t for t in row if not t.closed and self._begins_after(t, timedelta(0))]:
                instance = LimitInstance(later.limit, later.value)
                held = [r for of_ticket in self.reservations.values() for r in of_ticket if r.window == later.id]
                present = self.find(instance, self.now) if held else None
                is_far = later.window is not None and self._begins_after(later, later.window.length)
                if later.used and is_far and any(reservation.open for reservation in held):
                    present = self.open_for_use(instance, self.now)
                if present:
                    for reservation in held:
                        self._return(reservation, present)
                elif held and isinstance(later.limit.schedule, Session) and self._begins_after(later, SKEW):
                    self.begins(later, self.now)

    def _begins_after(self, balance: Balance, more: timedelta) -> bool:
        return balance.window is not None and balance.window.starts_at > self.now + more

    def _return(self, moved: Reservation, present: Balance) -> None:
        """Put what a reservation holds, and what was reported against it, back where it came from."""
        if not moved.open:
            return
        of_ticket = self.reservations[moved.ticket]
        origin = next((r for r in of_ticket if r.window == present.id), None)
        if origin is None:
            origin = Reservation(moved.ticket, present.id, moved.instance, 0, before=moved.before, dirty=True)
            of_ticket.append(origin)
        amount, reported = origin.spent + moved.amount, origin.reported + moved.reported
        self.update(moved, open=False)
        self.update(origin, amount=amount, reported=reported, whole=max(amount, origin.whole))
