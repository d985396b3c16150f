"""Who may start: one test for submit, wake and resume.

A ticket of class c starts iff in every enforced limit that binds it

    used + reserved + its own reservation + what waits in classes above c
         + quantile q(c, horizon) of the demand of classes above c still to come before the reset  <=  ceiling

The ceiling is the allowance, for ``interactive`` the amount. Towards the reset the demand still to come shrinks to
nothing, so that cheap work is let in rather than quota left to expire; early in a tight window it is held: one
inequality, both sides, no release rule (measured against fixed thresholds in docs/explanation/admission.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quota_scheduler.core.board import Binding, Board, Tally
from quota_scheduler.core.limits import Mode, Policy
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.tickets import Reason, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.windows import Session, window_at

SEED_STOP = 0.90
"""Seed policy: automation stops at this share used, and low waits when more than it is projected."""
SEED_NORMAL = 0.80
"""Seed policy: normal work waits too from this share used."""
RETRY = timedelta(seconds=60)
"""How far ahead ``until`` lies when nothing but the next look can tell: a lease to end, a source to catch up."""


@dataclass(slots=True)
class Room:
    """One binding limit as the test sees it: a tally, its outlook, and what waits in each class.

    ``shadow`` is what tickets ahead in order will need here as soon as running work returns its reservation.
    """

    binding: Binding
    tally: Tally
    outlook: Outlook | None
    waiting: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    shadow: int = 0
    catching_up: bool = False

    def ends_at(self, now: datetime) -> datetime | None:
        """The reset; of a session not yet begun, the one if it began now."""
        window = self.tally.window
        if window is None and isinstance(self.tally.limit.schedule, Session):
            window = window_at(self.tally.limit.schedule, now)
        return window.ends_at if window else None

    def allowance(self, now: datetime) -> int:
        """What automation may spend: the amount less the holdback as it stands now."""
        amount, history = self.tally.amount, self.outlook.history if self.outlook else timedelta(0)
        held_back = self.tally.limit.held_back(amount, history=history, window=self.tally.window, now=now)
        return amount - held_back

    def ceiling(self, priority: Priority, now: datetime) -> int:
        """Where a class stops: people may use what is held back for them."""
        return self.tally.amount if priority is Priority.INTERACTIVE else self.allowance(now)

    def waiting_above(self, priority: Priority) -> int:
        """What waits in the classes above this one."""
        return sum(self.waiting[: priority.rank])

    def demand_above(self, priority: Priority, now: datetime) -> int:
        """What the classes above this one are still expected to ask for before the reset."""
        ends_at = self.ends_at(now)
        if self.outlook is None or ends_at is None or priority is Priority.INTERACTIVE:
            return 0
        return self.outlook.demand(priority, now=now, ends_at=ends_at)


def need(ticket: Ticket, binding: Binding) -> int:
    """What a ticket reserves in a limit, in its unit: one lease, or its reserved estimate."""
    if binding.limit.unit is Unit.LEASES:
        return 1
    return binding.limit.charge(ticket.estimate.reserve)


def admits(room: Room, amount: int, priority: Priority, now: datetime) -> Reason | None:
    """The test for one limit: None when ``amount`` may start now, else why not."""
    tally, ceiling = room.tally, room.ceiling(priority, now)
    if room.catching_up and priority is not Priority.INTERACTIVE:
        return Reason.CATCHING_UP
    committed = tally.spent + tally.reserved + room.shadow
    if tally.limit.unit is Unit.LEASES:
        return None if committed + amount <= ceiling else Reason.CONCURRENCY
    if committed + amount > ceiling:
        return _short_of(tally, room.allowance(now))
    if tally.limit.policy is Policy.SEED:
        return _seed_waits(room, priority)
    rest = room.waiting_above(priority) + room.demand_above(priority, now)
    return None if committed + amount + rest <= ceiling else Reason.PACED


def _short_of(tally: Tally, allowance: int) -> Reason:
    if tally.spent >= tally.amount:
        return Reason.EXHAUSTED
    return Reason.PAUSED if tally.spent >= allowance else Reason.NO_HEADROOM


def _seed_waits(room: Room, priority: Priority) -> Reason | None:
    """The founding documents' thresholds: by risk, projection, spike and usage."""
    if priority in (Priority.INTERACTIVE, Priority.HIGH):
        stops = priority is Priority.HIGH and room.tally.spent >= SEED_STOP * room.tally.amount
        return Reason.PAUSED if stops else None
    used, outlook = room.tally.spent / max(1, room.tally.amount), room.outlook
    if used >= SEED_STOP:
        return Reason.PAUSED
    if used >= SEED_NORMAL:
        return Reason.THROTTLED
    if priority is Priority.LOW and outlook:
        risky = outlook.risk in ("high", "critical") or outlook.projected_ratio > SEED_STOP or outlook.spike
        return Reason.THROTTLED if risky else None
    return None


@dataclass(frozen=True, slots=True)
class Held:
    """A limit that does not let a ticket start now, and the earliest instant that could change it."""

    instance: str
    reason: Reason
    until: datetime


@dataclass(frozen=True, slots=True)
class Admit:
    """Start now. ``warned`` are limits in mode warn that would have said no."""

    warned: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Defer:
    """Wait until ``until`` at the earliest: the last of the resets that hold it."""

    until: datetime
    reason: Reason
    held: tuple[Held, ...]
    warned: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """Never, as asked."""

    reason: Reason
    held: tuple[Held, ...]
    warned: tuple[Held, ...] = ()


Verdict = Admit | Defer | Reject


class Rooms:
    """The limits as the tests of one cycle see them; each admission shrinks what the next one sees."""

    def __init__(
        self, board: Board, outlooks: Mapping[str, Outlook], *, catching_up: frozenset[str] = frozenset()
    ) -> None:
        self.board = board
        self._outlooks = outlooks
        self._catching_up = catching_up
        self._rooms: dict[str, Room] = {}

    def of(self, ticket: Ticket) -> list[Room]:
        """The binding limits of a ticket."""
        return [self.room(binding, ticket.labels.provider) for binding in self.board.bindings(ticket.labels)]

    def room(self, binding: Binding, provider: str) -> Room:
        """One limit; ``provider`` says whose usage may still be being read."""
        room = self._rooms.get(binding.instance)
        if room is None:
            tally = self.board.current(binding)
            room = self._rooms[binding.instance] = Room(binding, tally, self._outlooks.get(binding.instance))
        room.tally = self.board.current(binding)
        room.catching_up = provider in self._catching_up
        return room


def decide(ticket: Ticket, rooms: Rooms, *, now: datetime) -> Verdict:
    """Admit, defer or reject a ticket against every limit that binds it."""
    held: list[Held] = []
    warned: list[Held] = []
    never: list[Held] = []
    for room in rooms.of(ticket):
        amount = need(ticket, room.binding)
        reason = admits(room, amount, ticket.priority, now)
        if reason is None:
            continue
        verdict = Held(room.tally.instance, reason, _until(room, reason, now))
        (warned if room.tally.limit.mode is Mode.WARN else held).append(verdict)
        if room.tally.limit.mode is Mode.ENFORCE and _never_fits(ticket, room):
            never.append(Held(room.tally.instance, Reason.NEVER_FITS, verdict.until))
    if never:
        return Reject(Reason.NEVER_FITS, tuple(never), tuple(warned))
    if held:
        last = max(held, key=lambda h: (h.until, h.instance))
        return Defer(last.until, last.reason, tuple(held), tuple(warned))
    return Admit(tuple(warned))


def _never_fits(ticket: Ticket, room: Room) -> bool:
    """Whether even an empty window is too small: by a declared estimate, or by the median of a guessed one."""
    estimate, limit = ticket.estimate, room.binding.limit
    usage = estimate.reserve if estimate.declared else estimate.median
    amount = 1 if limit.unit is Unit.LEASES else limit.charge(usage)
    return amount > room.tally.amount


def _until(room: Room, reason: Reason, now: datetime) -> datetime:
    ends_at = room.ends_at(now)
    if ends_at is None or reason is Reason.CATCHING_UP:
        return now + RETRY
    return ends_at


def occupy(ticket: Ticket, rooms: Sequence[Room], board: Board, *, running: bool) -> None:
    """Reserve an admitted ticket's need in every binding limit, warned ones included."""
    for room in rooms:
        board.reserve(ticket.id, room.binding, need(ticket, room.binding), running=running)
        room.tally = board.current(room.binding)
