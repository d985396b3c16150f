"""Headrooms: the limits as the tests of one cycle see them, each admission shrinking what the next one sees.

A headroom knows how far a class may go in its limit (the *ceiling*): the amount for people, the allowance for
automation, and for a member of a pool what it may borrow on top:

    free(member)    = parent headroom - sum over others of max(0, amount - lend - committed)
    ceiling(member) = amount + min(borrow, free + borrowed - unused)

What is borrowed already stands in the sum because the parent's headroom lacks it: a loan must not be counted twice.
What a member has left of its own does not, because the parent's headroom holds it: it would take what others keep.
There is no new borrowing while another member has a waiting ticket that would fit into its own amount.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.labels import LABEL_NAMES, Labels, covers
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.limits.schedule import Session, Window, window_at
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.observations.points import UNLEARNED
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.tickets.ticket import Estimate, Ticket, need
from quota_scheduler.core.units import Unit

MOST_OF_IT = 0.7
"""Share of its amount at which it is looked what a member may borrow: below every rung of the ladder of alerts."""
Shadow = tuple[int, tuple[tuple[LimitInstance, int], ...]]
"""The rank of a ticket that waits for running work, and what it will need in each of its limits."""


Weighed = tuple[Estimate | None, Labels | None, list[int]]
NOBODY: Weighed = None, None, []


class Waiting(Protocol):
    """What headrooms ask of the throttle queue."""

    def sums(self, instance: str) -> list[int]:
        """What waits for a limit, by rank, in its unit; changes as tickets come and go."""
        ...

    def least(self, instance: str) -> int | None:
        """About the smallest waiting need in a limit; None when nothing waits for it."""
        ...


class NobodyWaits:
    """An empty queue."""

    def sums(self, _instance: str) -> list[int]:
        """Nothing waits."""
        return [0] * len(CLASSES)

    def least(self, _instance: str) -> int | None:
        """Nothing waits."""
        return None


class Headroom(Struct):
    """One binding limit as a ticket finds it: a view that nobody changes, on counters that move with every decision.

    Not frozen, which would make it five times as dear to make: a cycle makes one for each limit that it looks at.

    The counters are the ``balance``, and by rank what is ``waiting`` and the ``shadow``: what tickets ahead in order
    will need here as soon as running work returns its reservation (backfilling with a reservation for who is passed).
    It keeps out their own class and those below, so that nobody waits for lesser work. ``loan`` is what a member of a
    pool may borrow now.
    """

    instance: LimitInstance
    balance: Balance
    outlook: Outlook | None
    waiting: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    shadow: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    loan: int = 0
    catching_up: bool = False
    thresholds: Thresholds = DEFAULT
    _allowance: tuple[Window | None, int] | None = None

    @property
    def enforced(self) -> bool:
        """Whether it keeps anybody waiting; in mode warn it only says what it would have done."""
        return self.balance.limit.mode is Mode.ENFORCE

    def committed(self, priority: Priority) -> int:
        """What is used, reserved, or promised to somebody ahead of this class or in it."""
        return self.balance.spent + self.balance.reserved + sum(self.shadow[: priority.rank + 1])

    def window(self, now: datetime) -> Window | None:
        """The window that rules a decision; of a session not yet begun, the one if it began now."""
        if self.balance.window is None and isinstance(self.balance.limit.schedule, Session):
            return window_at(self.balance.limit.schedule, now)
        return self.balance.window

    def ends_at(self, now: datetime) -> datetime | None:
        """The reset."""
        window = self.window(now)
        return window.ends_at if window else None

    def allowance(self, now: datetime) -> int:
        """What automation may spend: the amount less the holdback as it stands now."""
        balance = self.balance
        if self._allowance is None or self._allowance[0] is not balance.window:  # a headroom lives for one instant
            history = self.outlook.history if self.outlook else timedelta(0)
            held_back = balance.limit.held_back(balance.amount, history=history, window=self.window(now), now=now)
            self._allowance = balance.window, balance.amount - held_back
        return self._allowance[1]

    @property
    def is_stale(self) -> bool:
        """Whether another window rules by now: this one has ended, or stood for one that has not begun."""
        return self.balance.id == 0 or self.balance.closed

    def ceiling(self, priority: Priority, now: datetime) -> int:
        """Where a class stops: people may use what is held back for them; a member may borrow."""
        amount = self.balance.amount if priority is Priority.INTERACTIVE else self.allowance(now)
        return amount + self.loan

    def waiting_above(self, priority: Priority) -> int:
        """What waits in the classes above this one."""
        return sum(self.waiting[: priority.rank])

    def protected(self, priority: Priority, now: datetime, *, pressing: bool = False) -> int:
        """What the classes above this one are still expected to ask for before the reset."""
        ends_at = self.ends_at(now)
        if self.outlook is None or ends_at is None or priority is Priority.INTERACTIVE:
            return 0
        return self.outlook.demand(priority, now=now, ends_at=ends_at, pressing=pressing)

    def usable(self, amount: int, duration: timedelta | None, now: datetime) -> int:
        """The part of an amount that a run of this length can use before the reset.

        In percent of a window of which the provider has said nothing yet, a fixed part at least.
        """
        if self.balance.limit.unit is Unit.PERCENT and self.balance.anchored_at is None:
            amount = max(amount, min(UNLEARNED, self.balance.amount))
        ends_at = self.ends_at(now)
        if duration is None or ends_at is None or now + duration <= ends_at:
            return amount
        return int(amount * (max(timedelta(0), ends_at - now) / duration))


class Headrooms:
    """The limits as the tickets of one cycle find them."""

    def __init__(
        self,
        balances: Balances,
        outlooks: Mapping[str, Outlook],
        *,
        queue: Waiting | None = None,
        catching_up: frozenset[str] = frozenset(),
        thresholds: Thresholds = DEFAULT,
        breakers: Breakers | None = None,
    ) -> None:
        self.breakers = breakers or Breakers()
        self.balances, self._outlooks, self._catching_up, self._thresholds = balances, outlooks, catching_up, thresholds
        self.queue: Waiting = queue or NobodyWaits()
        self._shadows: dict[str, list[int]] = {}
        self._views: dict[str, Headroom] = {}
        self._of: dict[Labels, tuple[Headroom, ...]] = {}
        self._needs: dict[int, Weighed] = {}
        self._needs_ahead: dict[str, dict[int, int]] = {}
        self._pools = {limit.id: limit for limit in balances.limits}
        self._members = _members(balances.limits)

    @property
    def has_pools(self) -> bool:
        """Whether any limit may borrow from another, so that what one has left is a matter of both."""
        return bool(self._members)

    def is_catching_up(self, labels: Labels) -> bool:
        """Whether usage of the provider is still being read, so that what is left is not known."""
        return labels.provider in self._catching_up

    def of(self, ticket: Ticket) -> tuple[Headroom, ...]:
        """The binding limits of a ticket, as it finds them now; another ticket's view changes nothing in them."""
        views = self._of.get(ticket.labels)
        if views is None or any(view.is_stale for view in views):
            views = tuple(self.headroom(instance) for instance in self.balances.instances(ticket.labels.asking))
            if self.is_catching_up(ticket.labels):
                views = tuple(replace(view, catching_up=True) for view in views)
            self._of[ticket.labels] = views
        if self._members:
            return tuple(self._with_loan(view, ticket.priority) for view in views)
        return views

    def asked(self, ticket: Ticket) -> Iterable[tuple[Headroom, int]]:
        """The binding limits of a ticket, as it finds them now, with what it needs of each."""
        seen, labels, needs = self._needs.get(ticket.id, NOBODY)
        if seen is not ticket.estimate or labels is not ticket.labels:  # the same ticket may be tried another way
            needs = [need(ticket, instance.limit) for instance in self.balances.instances(ticket.labels.asking)]
            self._needs[ticket.id] = ticket.estimate, ticket.labels, needs
        return zip(self.of(ticket), needs, strict=True)

    def needs_ahead(self, name: str) -> dict[int, int]:
        """By ticket that waits in a limit what it needs there, as far as somebody has asked; to be added to."""
        return self._needs_ahead.setdefault(name, {})

    def headroom(self, instance: LimitInstance) -> Headroom:
        """One limit as everybody finds it, without a loan."""
        view = self._views.get(instance.name)
        if view is None or view.is_stale:
            view = self._views[instance.name] = Headroom(
                instance,
                self.balances.ruling(instance),
                self._outlooks.get(instance.name),
                self.queue.sums(instance.name),
                self._shadow(instance),
                thresholds=self._thresholds,
            )
        return view

    def _shadow(self, instance: LimitInstance) -> list[int]:
        return self._shadows.setdefault(instance.name, [0] * len(CLASSES))

    def hold_back_for(self, shadow: Shadow, sign: int = 1) -> None:
        """Let a ticket be seen where it will need room, or with ``sign`` -1 no more."""
        rank, amounts = shadow
        for instance, amount in amounts:
            self._shadow(instance)[rank] += sign * amount

    def with_loan(self, view: Headroom) -> Headroom:
        """A member of a pool that has spent most of its own, with what people may borrow now; others as they are."""
        balance = view.balance
        if balance.spent < min(view.allowance(self.balances.now), MOST_OF_IT * balance.amount):
            return view
        return self._with_loan(view, Priority.INTERACTIVE)

    def _with_loan(self, view: Headroom, priority: Priority) -> Headroom:
        """A member of a pool with what a class may borrow now."""
        pool = self._pools.get(view.instance.limit.parent)
        loan = self._loan(view, pool, priority) if pool else 0
        return replace(view, loan=loan) if loan else view

    def _loan(self, view: Headroom, pool: Limit, priority: Priority) -> int:
        """What a member of a pool may have borrowed now, what it has borrowed already included."""
        now, member = self.balances.now, view.instance
        if not member.limit.borrow or not in_pool(member, pool):
            return 0
        parent = self.headroom(LimitInstance(pool, ""))
        left = parent.ceiling(priority, now) - parent.committed(priority)
        protected = 0
        for other in self._others(member, pool):
            lender = self.headroom(other)
            free = lender.balance.amount - lender.committed(priority)
            smallest = self.queue.least(other.name)
            if smallest is not None and smallest <= min(free, left):
                return 0
            lent = lender.balance.amount if other.limit.lend is None else other.limit.lend
            protected += max(0, free - lent)
        unused = view.ceiling(priority, now) - view.committed(priority)  # below zero: so much is borrowed
        return max(0, min(member.limit.borrow, left - protected - unused))

    def _others(self, instance: LimitInstance, pool: Limit) -> Iterable[LimitInstance]:
        """The other members of a pool: every single limit, and every instance that has been seen."""
        for limit in self._members.get(pool.id, ()):
            values = sorted(self.balances.values[limit.id]) if limit.per else [""]
            for value in values:
                other = LimitInstance(limit, value)
                if other.name != instance.name and in_pool(other, pool):
                    yield other


def _members(limits: Iterable[Limit]) -> dict[str, list[Limit]]:
    members: dict[str, list[Limit]] = {}
    for limit in limits:
        if limit.parent:
            members.setdefault(limit.parent, []).append(limit)
    return members


def in_pool(instance: LimitInstance, pool: Limit) -> bool:
    """Whether an instance belongs to a pool: what it is about lies within what the pool is about."""
    about = {name: set(values) for name, values in instance.limit.match}
    if instance.limit.per in LABEL_NAMES:
        about[instance.limit.per] = {instance.value}
    return all(name in about and covers(values, about[name]) for name, values in pool.match)
