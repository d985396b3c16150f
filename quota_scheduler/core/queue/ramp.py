"""The ramp after a reset: those who waited for it start one after another, in order, not all at once.

    reset ─┬──step──┬──step──┬─ … ─┬ starts_at + ramp: whoever still waits is bound by its limits alone
           1st      2nd      3rd

A step is the time left divided by those left, times a jitter from the ticket's id (half to one and a half), so that
many schedulers that reset at once do not call their provider in the same rhythm. Steps adjust themselves: after a
restart, or when somebody leaves, the rest still spreads over what is left of the ramp.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.tickets.ticket import Ticket

Slot = tuple[datetime | None, datetime | None, datetime | None]
"""The beginning of a window, when it lets the next one start, and when a session that nobody has used yet was reset."""
NO_SLOT: Slot = (None, None, None)


def jitter(ticket: int) -> float:
    """A factor from 0.5 to 1.5 that is a ticket's own, everywhere."""
    return 0.5 + zlib.crc32(str(ticket).encode()) / 2**32


class Ramps:
    """When the windows that have just begun let their next start happen; lives beside the throttle queue."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._moved: set[str] = set()

    def take(self, slots: Mapping[str, Slot]) -> None:
        """Know these slots, by limit instance, in place of what was known of them."""
        self._slots |= slots

    def moved(self) -> dict[str, Slot]:
        """The slots that have moved since this was last asked, by limit instance."""
        moved, self._moved = self._moved, set()
        return {name: self._slots[name] for name in sorted(moved)}

    def _put(self, name: str, slot: Slot) -> None:
        self._slots[name] = slot
        self._moved.add(name)

    def reset(self, balance: Balance, now: datetime) -> None:
        """What waited may go on from now; of a session that nobody has used yet nothing else says since when."""
        begins, at, _ = self._slots.get(balance.name, NO_SLOT)
        self._put(balance.name, (begins, at, now))

    def _begins(self, balance: Balance) -> datetime | None:
        return balance.window.starts_at if balance.window else self._slots.get(balance.name, NO_SLOT)[2]

    def holds(self, ticket: Ticket, balance: Balance, now: datetime) -> datetime | None:
        """When a window lets the next one start of those who waited for it; None when the ticket is not one of them."""
        begins = self._begins(balance)
        if not balance.ramp or begins is None or ticket.waiting_since >= begins:
            return None
        if now >= begins + balance.ramp:
            return None
        begun, at, _ = self._slots.get(balance.name, NO_SLOT)
        return at if at and begun == begins else begins

    def started(self, ticket: Ticket, balance: Balance, now: datetime, *, left: int) -> None:
        """One of them has started; ``left`` still wait for the limit."""
        at, begins = self.holds(ticket, balance, now), self._begins(balance)
        if at is None or begins is None:
            return
        ends_at = begins + balance.ramp
        step = max(timedelta(0), ends_at - at) / max(1, left) * jitter(ticket.id)
        self._put(balance.name, (begins, at + step, self._slots.get(balance.name, NO_SLOT)[2]))
