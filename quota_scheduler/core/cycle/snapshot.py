"""What a cycle is given, what it gives back, and its working state in between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from quota_scheduler.core.admission.decide import Verdict
from quota_scheduler.core.admission.explanation import Reprice
from quota_scheduler.core.admission.headroom import Headrooms, Shadow
from quota_scheduler.core.cycle.requests import Reply
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change, Identity, count_once
from quota_scheduler.core.ledger.settlement import LEASE_KEY, is_of, lease_prefix, settle
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.queue.throttle_queue import GroupKey, ThrottleQueue
from quota_scheduler.core.tickets.ticket import Lease, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage, UsageEvent


def same(ticket: Ticket, _model: str) -> Ticket:
    """A ticket costs the same with any model, as far as anybody knows."""
    return ticket


@dataclass(slots=True)
class Snapshot:
    """Everything a cycle needs, as of ``now``.

    ``line`` holds all that waits; ``tickets`` those that requests name, that are offered, or that have fallen due;
    ``keys`` the tickets that submitted keys name. ``own_events`` are the ledger events that leases of named tickets
    were settled as, ``session_events`` those of sessions that a request binds to a lease, ``transcribed`` what the
    transcript of a lease has brought to the ledger, by the fences that have one. ``run_used`` is what named runs used
    already, ``run_open`` what their open tickets may still use, ``past_leases`` earlier leases by the fence that a
    request names. ``running`` counts running leases by share. ``hold`` is the incident switch: nothing starts.
    ``groups`` is what a pass cut short has left to look at, with its ``shadows``; ``look_at_all`` begins one over the
    whole queue. ``busy_until``, ``models`` and ``reprice`` serve explanations: when running work ends, which models
    there are in order of preference, and what a ticket costs with another one.
    """

    now: datetime
    balances: Balances
    queue: ThrottleQueue
    tickets: dict[int, Ticket]
    keys: dict[str, int] = field(default_factory=dict)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    run_caps: tuple[Limit, ...] = ()
    run_used: Mapping[str, Usage] = field(default_factory=dict)
    run_open: dict[str, Usage] = field(default_factory=dict)
    own_events: Mapping[tuple[str, str], UsageEvent] = field(default_factory=dict)
    session_events: Mapping[str, Sequence[UsageEvent]] = field(default_factory=dict)
    transcribed: Mapping[int, Usage] = field(default_factory=dict)
    past_leases: Mapping[int, Lease] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    catching_up: frozenset[str] = frozenset()
    next_ticket: int = 1
    next_fence: int = 1
    expire_leases: bool = True
    hold: bool = False
    groups: dict[GroupKey, int] = field(default_factory=dict)
    shadows: Mapping[int, Shadow] = field(default_factory=dict)
    look_at_all: bool = True
    busy_until: Mapping[str, datetime] = field(default_factory=dict)
    models: Sequence[str] = ()
    reprice: Reprice = same
    thresholds: Thresholds = DEFAULT


@dataclass(slots=True)
class Decided:
    """What a cycle changes and answers.

    ``before`` is the state that each changed ticket had, None for a new one. ``changes`` are corrections of the
    ledger, already counted on the balances. ``decisions`` holds the verdict of each arrival and each start. ``groups``
    and ``shadows`` are what the next slice goes on with; ``next_slot`` is when a ramp lets the next ticket start.
    """

    answers: list[Reply] = field(default_factory=list)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    before: dict[int, State | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    resets: list[Balance] = field(default_factory=list)
    decisions: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    expired: list[Ticket] = field(default_factory=list)
    past_leases: dict[int, tuple[int, Lease]] = field(default_factory=dict)
    groups: dict[GroupKey, int] = field(default_factory=dict)
    shadows: Mapping[int, Shadow] = field(default_factory=dict)
    next_slot: datetime | None = None


class Work:
    """The working state of one cycle: every change of a ticket, a lease or the ledger goes through here."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snap, self.balances, self.queue, self.now = snapshot, snapshot.balances, snapshot.queue, snapshot.now
        self.headrooms = Headrooms(
            self.balances,
            snapshot.outlooks,
            queue=self.queue,
            catching_up=snapshot.catching_up,
            thresholds=snapshot.thresholds,
        )
        self.out = Decided()
        self.touched: set[str] = set()
        self.stops: set[int] = set()
        self._corrected: dict[Identity, Change] = {}

    def ticket(self, number: int) -> Ticket | None:
        """A ticket by id, as it stands now."""
        found = self.snap.tickets.get(number)
        if found is None and (found := self.queue.get(number)):
            self.snap.tickets[number] = found
        return found

    def in_state(self, state: State) -> Iterable[Ticket]:
        """The named tickets in a state, by id."""
        return [ticket for _, ticket in sorted(self.snap.tickets.items()) if ticket.state is state]

    def put(self, ticket: Ticket) -> Ticket:
        """Keep a changed ticket; it stands in the throttle queue exactly while it waits."""
        before = self.ticket(ticket.id)
        self.out.before.setdefault(ticket.id, before.state if before else None)
        self.snap.tickets[ticket.id] = self.out.tickets[ticket.id] = ticket
        if ticket.state is State.WAITING:
            self.queue.add(ticket)
        else:
            self.queue.remove(ticket.id)
        return ticket

    def touch(self, ticket: Ticket) -> None:
        """Whoever waits for the same limits may find more room than before."""
        self.touched.update(instance.name for instance in self.balances.instances(ticket.labels))

    def caps(self, ticket: Ticket) -> list[Limit]:
        """The run caps that bind a ticket."""
        return [cap for cap in self.snap.run_caps if cap.selects(ticket.labels)]

    def book(self, changes: Sequence[Change]) -> None:
        """Correct the ledger, and the windows with it."""
        for old, new in changes:
            known = old is not None and old.key.startswith(LEASE_KEY)  # what a lease adopts nobody had asked for
            self.balances.book(old, None, leased=known)
            self.balances.book(None, new, leased=True)
            if event := old or new:
                before = self._corrected.get(event.identity)
                self._corrected[event.identity] = Change(before.old if before else old, new)

    def corrections(self) -> list[Change]:
        """What the cycle has changed in the ledger, one change per event however often it was corrected."""
        return [change for change in self._corrected.values() if change.old != change.new]

    def _now(self, events: Iterable[UsageEvent]) -> list[UsageEvent]:
        """Events of the ledger as this cycle has corrected them so far."""
        touched = (self._corrected.get(event.identity) for event in events)
        found = ((change.new if change else event) for change, event in zip(touched, events, strict=True))
        return [event for event in found if event]

    def of_session(self, session: str) -> list[UsageEvent]:
        """The ledger's events of a session that a request has named."""
        return self._now(self.snap.session_events.get(session, ()))

    def own_reports(self, ticket: int, fence: int) -> list[UsageEvent]:
        """The ledger's events that a lease was settled as."""
        known = {event.identity: event for event in self.snap.own_events.values()}
        known |= {change.new.identity: change.new for change in self._corrected.values() if change.new}
        prefix = lease_prefix(ticket, fence)
        return self._now([event for event in known.values() if event.key.startswith(prefix)])

    def past_lease(self, fence: int) -> Lease | None:
        """An earlier lease of a ticket, as it stands now."""
        _, found = self.out.past_leases.get(fence, (0, None))
        return found or self.snap.past_leases.get(fence)

    def book_own(self, events: Sequence[UsageEvent]) -> None:
        """Write a lease's own reports to the ledger; reported once more, only the difference counts."""
        known = dict(self.snap.own_events)
        for identity, change in self._corrected.items():
            known.pop(identity, None)
            if change.new:
                known[identity] = change.new
        self.book(count_once(events, known, {}))

    def close(self, ticket: Ticket, outcome: Outcome, reason: Reason | None = None) -> Ticket:
        """End a ticket, by whatever road: what it held returns, what it reported becomes usage."""
        self.touch(ticket)
        counts = ticket.lease is not None and self.has_transcript(ticket.lease)
        closed, events = settle(ticket, self.balances, outcome, session_counts=counts, now=self.now)
        self.book_own(events)
        return self.put(closed._replace(reason=reason or closed.reason))

    def has_transcript(self, lease: Lease) -> bool:
        """Whether the session of a lease has brought its run to the ledger."""
        if lease.fence in self.snap.transcribed:
            return True
        return bool(lease.session) and any(is_of(e, lease) for e in self.of_session(lease.session))
