"""When a waiting ticket may start: behind those ahead of it in line, and behind what runs.

Per limit the line is laid into the windows to come, nobody before who stands ahead: four tickets of $9 in $10 a day
start on four days. What runs is expected to return what it has reserved, and at the latest foreseen it uses it all.
Where only running leases stand in the way, the line moves by one usual run after another.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from quota_scheduler.core.admission.breaker import PROBE_WITHIN
from quota_scheduler.core.admission.decide import Blocker, Defer
from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Schedule, window_at
from quota_scheduler.core.tickets.run_history import USUAL_LENGTH
from quota_scheduler.core.tickets.ticket import Reason, Ticket, need
from quota_scheduler.core.units import Unit

MOST_FORESEEN = 4096
"""Beginnings of windows that are kept: those of 60 limits."""
STEPS = 24
"""Bisections of the time to the reset: finer than a second in any window."""
FORESEEN = 60
"""Windows ahead whose beginning is looked up in the calendar; those behind follow at the length of the last."""
SOON = frozenset({Reason.CATCHING_UP, Reason.HELD})
"""Reasons that end by themselves or by hand, and not with a window."""

Ahead = Callable[[Ticket, str], Sequence[Ticket]]
"""Those who wait for a limit and stand before a ticket, first to go first."""


class ExpectedStart(Struct, frozen=True):
    """When a waiting ticket may start: at best, as expected, and at the latest that is foreseen."""

    low: datetime
    expected: datetime
    high: datetime


def nobody_ahead(_ticket: Ticket, _instance: str) -> Sequence[Ticket]:
    """The line of a ticket that is the first to go."""
    return ()


def expected_start(verdict: Defer, starts: Mapping[str, ExpectedStart]) -> ExpectedStart | None:
    """When a deferred ticket may start, given its start in each limit; None for one that a person holds."""
    if verdict.reason is Reason.HELD:
        return None
    bounds = list(starts.values())
    if not bounds or verdict.reason is Reason.PROVIDER_THROTTLED:
        patience = PROBE_WITHIN if verdict.reason is Reason.PROVIDER_THROTTLED else timedelta(0)
        bounds.append(ExpectedStart(verdict.until, verdict.until, verdict.until + patience))
    return ExpectedStart(
        max(start.low for start in bounds),
        max(start.expected for start in bounds),
        max(start.high for start in bounds),
    )


def starts_by_limit(
    ticket: Ticket,
    verdict: Defer,
    headrooms: Headrooms,
    *,
    busy_until: Mapping[str, datetime],
    ahead: Ahead = nobody_ahead,
) -> dict[str, ExpectedStart]:
    """When each limit that keeps a ticket out may let it start.

    ``busy_until`` is, by limit, when the next of its running leases is expected to end: what a ticket waits for that
    only running work keeps out.
    """
    now, waits = headrooms.balances.now, {held.instance: held for held in verdict.held}
    starts = {}
    for headroom in headrooms.of(ticket):
        name = headroom.balance.name
        if blocker := waits.get(name):
            line = _Line(headroom, ahead(ticket, name), now, busy_until.get(name), headrooms.needs_ahead(name))
            starts[name] = line.start_of(ticket, blocker)
    return starts


class _Line:
    """Those who stand before a ticket in one limit, and when its windows or leases come free.

    ``needs`` is by ticket what those in line need, as far as it was worked out: mostly the same stand before each.
    """

    def __init__(
        self,
        headroom: Headroom,
        ahead: Sequence[Ticket],
        now: datetime,
        freed: datetime | None,
        needs: dict[int, int],
    ) -> None:
        self._headroom, self._ahead, self._now, self._needs = headroom, ahead, now, needs
        self._ends_at = headroom.ends_at(now)
        self._freed = max(freed, now) if freed else None

    def start_of(self, ticket: Ticket, blocker: Blocker) -> ExpectedStart:
        """When the turn of a ticket comes that ``blocker`` keeps out here."""
        if blocker.reason in SOON:
            return ExpectedStart(blocker.until, blocker.until, blocker.until)
        if self._ends_at is None or self._headroom.instance.limit.unit is Unit.LEASES:
            return self._after_runs(ticket)
        in_time = self._in_windows(ticket, self._ends_at)
        if blocker.reason is not Reason.PACED:
            return in_time
        paced = _paced_until(self._headroom, ticket, self._need(ticket), self._now, self._ends_at)
        low = self._now + (paced - self._now) / 2
        return ExpectedStart(max(low, in_time.low), max(paced, in_time.expected), max(self._ends_at, in_time.high))

    def _after_runs(self, ticket: Ticket) -> ExpectedStart:
        """When a lease comes free: after those who run, and one usual run of each who stands ahead."""
        now, at_once = self._now, max(1, self._headroom.balance.amount)
        first = self._freed or now + (ticket.estimate.duration or USUAL_LENGTH)
        runs = sum((other.estimate.duration or USUAL_LENGTH for other in self._ahead), timedelta(0)) / at_once
        low = now + runs / 2
        return ExpectedStart(low, first + runs, max(now + timedelta(hours=1), first + runs + (first + runs - low)))

    def _in_windows(self, ticket: Ticket, ends_at: datetime) -> ExpectedStart:
        """When the window begins that has room for a ticket, the tickets ahead laid in first."""
        headroom, limit = self._headroom, self._headroom.instance.limit
        whole = headroom.ceiling(ticket.priority, self._now)
        left = whole - headroom.balance.spent
        for other in self._ahead:
            if other.id not in self._needs:
                self._needs[other.id] = self._need(other)
        line = [*(self._needs[other.id] for other in self._ahead), self._need(ticket)]
        soonest = _window_of(line, left if self._freed else left - headroom.balance.reserved, whole)
        latest = _window_of(line, left - headroom.balance.reserved, whole)
        if soonest == 0 and (self._freed or not latest):
            freed = min(self._freed or self._now, ends_at)  # nothing but what is expected of others keeps it out
            return ExpectedStart(self._now, freed, max(ends_at, _begins(limit, ends_at, latest)))
        expected = _begins(limit, ends_at, max(1, soonest))
        return ExpectedStart(ends_at, expected, max(expected, _begins(limit, ends_at, latest)))

    def _need(self, ticket: Ticket) -> int:
        return need(ticket, self._headroom.instance.limit)


def _window_of(needs: Sequence[int], left: int, whole: int) -> int:
    """In which window the last of a line starts, 0 for the one that runs and has ``left``; nobody overtakes."""
    window = 0
    for amount in needs:
        if amount > left:
            window, left = window + 1, max(whole, amount)
        left -= amount
    return window


def _begins(limit: Limit, ends_at: datetime, count: int) -> datetime:
    """When the ``count``-th window from now on begins, the first one at ``ends_at``."""
    at, length = _foreseen(limit.schedule, ends_at, min(count, FORESEEN) - 1)
    return at + length * max(0, count - FORESEEN)


@lru_cache(MOST_FORESEEN)
def _foreseen(schedule: Schedule, ends_at: datetime, windows: int) -> tuple[datetime, timedelta]:
    """The end of the window so many behind that which ends at ``ends_at``, and its length; kept, since whoever waits
    asks for the same."""
    if windows <= 0:
        return ends_at, timedelta(0)
    before = _foreseen(schedule, ends_at, windows - 1)
    following = window_at(schedule, before[0])
    return (following.ends_at, following.length) if following else (before[0], timedelta(0))


def _paced_until(headroom: Headroom, ticket: Ticket, amount: int, now: datetime, ends_at: datetime) -> datetime:
    """When the demand still to come has shrunk enough, if more important work comes as expected."""
    outlook, priority = headroom.outlook, ticket.priority
    ceiling = headroom.ceiling(priority, now)
    free = ceiling - headroom.committed(priority) - amount - headroom.waiting_above(priority)
    if outlook is None or free < 0:
        return ends_at
    low, high = now, ends_at
    for _ in range(STEPS):
        middle = low + (high - low) / 2
        rest = outlook.demand(priority, now=middle, ends_at=ends_at, pressing=ticket.presses(middle))
        came = outlook.median(priority, now=now, ends_at=ends_at) - outlook.median(
            priority, now=middle, ends_at=ends_at
        )
        low, high = (low, middle) if came + rest <= free else (middle, high)
    return high
