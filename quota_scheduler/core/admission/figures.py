"""The figures behind a verdict: what a limit that keeps a ticket out has used and reserved, and what was asked."""

from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.admission.headroom import Headroom
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import Ticket, need
from quota_scheduler.core.units import Unit, format_amount, in_units
from quota_scheduler.core.usage import Usage


class Figures(Struct, frozen=True):
    """One limit as a ticket finds it, in the base of its unit.

    ``ceiling`` is how far the ticket's class may go: the ``amount``, less what is held back, and what may be borrowed.
    """

    unit: Unit
    asked: int
    used: int
    reserved: int
    ceiling: int
    amount: int
    a_run: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the ticket would fit if nobody stood ahead of it and nobody was expected."""
        return self.used + self.reserved + self.asked <= self.ceiling

    def document(self) -> dict[str, float]:
        """As JSON types, in units."""
        values = {"asked": self.asked, "used": self.used, "reserved": self.reserved}
        values |= {"ceiling": self.ceiling, "amount": self.amount}
        return {name: in_units(value, self.unit) for name, value in values.items()}

    def sentence(self) -> str:
        """What was asked of how much: ``asks for $9.00; $0.50 used and $9.00 reserved of $10.00``."""
        if self.unit is Unit.LEASES:
            return f"{self.reserved:,} of {self.amount:,}"
        a_run = " a run" if self.a_run else ""
        reserved = f" and {self._said(self.reserved)} reserved" if self.reserved else ""
        return (
            f"asks for {self._said(self.asked)}; {self._said(self.used)} used{reserved} "
            f"of {self._said(self.amount)}{a_run}{self._held_back()}"
        )

    def _held_back(self) -> str:
        kept = self.amount - self.ceiling
        if kept > 0:
            return f", {self._said(kept)} of it ({kept / self.amount:.0%}) held back for people"
        return f", {self._said(-kept)} more to borrow" if kept < 0 else ""

    def _said(self, value: int) -> str:
        """An amount in words; to the last unit where rounding would make the asked look like what there is."""
        short = format_amount(value, self.unit)
        alike = self.asked != self.amount and format_amount(self.asked, self.unit) == format_amount(
            self.amount, self.unit
        )
        if not alike or not value:
            return short
        number = f"{in_units(value, self.unit):,}"
        return f"${number}" if self.unit is Unit.USD else f"{number} {self.unit.value}"


def figures_of(ticket: Ticket, headroom: Headroom, now: datetime) -> Figures:
    """The figures of one binding limit for a ticket."""
    balance = headroom.balance
    return Figures(
        balance.limit.unit,
        asked=need(ticket, headroom.instance.limit),
        used=balance.spent,
        reserved=balance.reserved,
        ceiling=headroom.ceiling(ticket.priority, now),
        amount=balance.amount,
    )


def figures_of_cap(ticket: Ticket, cap: Limit, used: Usage, promised: Usage) -> Figures:
    """The figures of a run cap: what the run has used, and what its other open tickets may still use."""
    return Figures(
        cap.unit,
        asked=cap.charge(ticket.estimate.reserve),
        used=cap.charge(used),
        reserved=cap.charge(promised),
        ceiling=cap.amount,
        amount=cap.amount,
        a_run=True,
    )
