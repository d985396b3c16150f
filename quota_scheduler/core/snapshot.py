"""What a cycle is given, what it gives back, and its working state in between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from quota_scheduler.core.admission import Verdict
from quota_scheduler.core.board import Board, Tally
from quota_scheduler.core.counting import Change, count_once
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.line import GroupKey, Line
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.requests import Answer
from quota_scheduler.core.rooms import Rooms
from quota_scheduler.core.settlement import is_of, settle
from quota_scheduler.core.tickets import Lease, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent


@dataclass(slots=True)
class Snapshot:
    """Everything a cycle needs, as of ``now``.

    ``line`` holds all that waits; ``tickets`` those that requests name, that are offered, or that have fallen due;
    ``keys`` the tickets that submitted keys name. ``own_events`` are the ledger events that leases of named tickets
    were settled as, ``session_events`` those of sessions that a request binds to a lease, ``transcribed`` the fences
    whose session has ledger events since the lease began. ``run_used`` is what named runs used already, ``past_leases``
    earlier leases by the fence that a request names. ``running`` counts running leases by share. ``hold`` is the
    incident switch: nothing starts. ``groups`` is what a pass cut short has left to look at, with its ``shadows``;
    ``look_at_all`` starts a new pass over the whole line.
    """

    now: datetime
    board: Board
    line: Line
    tickets: dict[int, Ticket]
    keys: dict[str, int] = field(default_factory=dict)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    run_caps: tuple[Limit, ...] = ()
    run_used: Mapping[str, Usage] = field(default_factory=dict)
    own_events: Mapping[tuple[str, str], UsageEvent] = field(default_factory=dict)
    session_events: Mapping[str, Sequence[UsageEvent]] = field(default_factory=dict)
    transcribed: frozenset[int] = frozenset()
    past_leases: Mapping[int, Lease] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    catching_up: frozenset[str] = frozenset()
    next_ticket: int = 1
    next_fence: int = 1
    expire_leases: bool = True
    hold: bool = False
    groups: frozenset[GroupKey] = frozenset()
    shadows: Mapping[str, int] = field(default_factory=dict)
    look_at_all: bool = True


@dataclass(slots=True)
class Decided:
    """What a cycle changes and answers.

    ``before`` is the state that each changed ticket had. ``changes`` are corrections of the ledger, already counted on
    the board. ``decisions`` holds the verdict of each arrival and each start. ``groups`` and ``shadows`` are what the
    next slice goes on with; ``next_slot`` is when a ramp lets the next ticket start.
    """

    answers: list[Answer] = field(default_factory=list)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    before: dict[int, State] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    resets: list[Tally] = field(default_factory=list)
    decisions: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    expired: list[Ticket] = field(default_factory=list)
    past_leases: dict[int, tuple[int, Lease]] = field(default_factory=dict)
    groups: frozenset[GroupKey] = frozenset()
    shadows: Mapping[str, int] = field(default_factory=dict)
    next_slot: datetime | None = None


class Work:
    """The working state of one cycle: every change of a ticket, a lease or the ledger goes through here."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snap, self.board, self.line, self.now = snapshot, snapshot.board, snapshot.line, snapshot.now
        self.rooms = Rooms(self.board, snapshot.outlooks, line=self.line, catching_up=snapshot.catching_up)
        self.out = Decided()
        self.touched: set[str] = set()
        self.stops: set[int] = set()

    def ticket(self, number: int) -> Ticket | None:
        """A ticket by id, as it stands now."""
        found = self.snap.tickets.get(number)
        if found is None and (found := self.line.get(number)):
            self.snap.tickets[number] = found
        return found

    def in_state(self, state: State) -> Iterable[Ticket]:
        """The named tickets in a state, by id."""
        return [ticket for _, ticket in sorted(self.snap.tickets.items()) if ticket.state is state]

    def put(self, ticket: Ticket) -> Ticket:
        """Keep a changed ticket; it stands in the line exactly while it waits."""
        if before := self.ticket(ticket.id):
            self.out.before.setdefault(ticket.id, before.state)
        self.snap.tickets[ticket.id] = self.out.tickets[ticket.id] = ticket
        if ticket.state is State.WAITING:
            self.line.add(ticket)
        else:
            self.line.remove(ticket.id)
        return ticket

    def touch(self, ticket: Ticket) -> None:
        """Whoever waits for the same limits may find more room than before."""
        self.touched.update(binding.instance for binding in self.board.bindings(ticket.labels))

    def caps(self, ticket: Ticket) -> list[Limit]:
        """The run caps that bind a ticket."""
        return [cap for cap in self.snap.run_caps if cap.selects(ticket.labels)]

    def book(self, changes: Sequence[Change]) -> None:
        """Correct the ledger, and the windows with it."""
        for old, new in changes:
            self.board.book(old, new, leased=True)
        self.out.changes += changes

    def book_own(self, events: Sequence[UsageEvent]) -> None:
        """Write a lease's own reports to the ledger; reported once more, only the difference counts."""
        self.book(count_once(events, self.snap.own_events, {}))

    def close(self, ticket: Ticket, outcome: Outcome, reason: Reason | None = None) -> Ticket:
        """End a ticket, by whatever road: what it held returns, what it reported becomes usage."""
        self.touch(ticket)
        closed, events = settle(ticket, self.board, outcome, session_counts=self._transcribed(ticket), now=self.now)
        self.book_own(events)
        return self.put(replace(closed, reason=reason or closed.reason))

    def _transcribed(self, ticket: Ticket) -> bool:
        lease = ticket.lease
        if lease is None or not lease.session:
            return False
        fresh = self.snap.session_events.get(lease.session, ())
        return lease.fence in self.snap.transcribed or any(is_of(event, lease) for event in fresh)
