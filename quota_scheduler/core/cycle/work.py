"""The working state of one cycle: every change of a ticket, a lease or the ledger goes through here."""

from collections.abc import Iterable, Sequence

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.cycle.closing import Moved
from quota_scheduler.core.cycle.snapshot import Numbers, Snapshot
from quota_scheduler.core.ledger.deduplicate import Change, Identity, count_once
from quota_scheduler.core.ledger.settlement import LEASE_KEY, is_of, lease_prefix, settle
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import TURN_TAKEN, Lease, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import UsageEvent


class Work:
    """Tickets, leases and the ledger as they stand now.

    ``touched`` are the limit instances in which there may be more room than before, ``stops`` the tickets that are to
    end at the next safe point, ``expired`` those whose lease nobody renewed. ``balances``, ``breakers`` and ``queue``
    are those of the snapshot, changed in place.
    """

    def __init__(self, snap: Snapshot) -> None:
        self.snap, self.now, self.policy = snap, snap.now, snap.terms.policy
        self.balances, self.breakers, self.queue = snap.balances, snap.breakers, snap.queue.queue
        self.headrooms = Headrooms(
            snap.balances,
            snap.terms.outlooks,
            queue=snap.queue.queue,
            catching_up=snap.terms.catching_up,
            thresholds=snap.terms.thresholds,
            breakers=snap.breakers,
        )
        self.changed: dict[int, Ticket] = {}
        self.past_leases: dict[int, tuple[int, Lease]] = {}
        self.touched: set[str] = set()
        self.stops: set[int] = set()
        self.expired: list[Ticket] = []
        self._tickets = dict(snap.rows.tickets)
        self._before: dict[int, Ticket | None] = {}
        self._corrected: dict[Identity, Change] = {}
        self._next_number, self._next_fence = snap.numbers.ticket, snap.numbers.fence
        self._run_caps: tuple[Limit, ...] | None = None

    # tickets

    def ticket(self, number: int) -> Ticket | None:
        """A ticket by id, as it stands now."""
        ticket = self._tickets.get(number)
        if ticket is None and (ticket := self.queue.get(number)):
            self._tickets[number] = ticket
        return ticket

    def meet(self, tickets: Iterable[Ticket]) -> None:
        """Know tickets that a pass has taken out of the queue."""
        for ticket in tickets:
            self._tickets.setdefault(ticket.id, ticket)

    def in_state(self, state: State) -> Sequence[Ticket]:
        """The tickets met so far that are in a state, by id."""
        return [ticket for _, ticket in sorted(self._tickets.items()) if ticket.state is state]

    def put(self, ticket: Ticket) -> Ticket:
        """Keep a changed ticket; it stands in the throttle queue exactly while it waits."""
        if ticket.id not in self._before:
            self._before[ticket.id] = self.ticket(ticket.id)
        self._tickets[ticket.id] = self.changed[ticket.id] = ticket
        if ticket.state is State.WAITING:
            self.queue.add(ticket)
        else:
            self.queue.remove(ticket.id)
        return ticket

    def close(self, ticket: Ticket, outcome: Outcome, reason: Reason | None = None) -> Ticket:
        """End a ticket, by whatever road: what it held returns, what it reported becomes usage."""
        self.touch(ticket)
        counts = ticket.lease is not None and self.has_transcript(ticket.lease)
        closed, events = settle(ticket, self.balances, outcome, session_counts=counts, now=self.now)
        self.book_own(events)
        self.breakers.ended(ticket.id, outcome, self.now)
        return self.put(closed._replace(reason=reason or closed.reason))

    def offer(self, ticket: Ticket) -> None:
        """Hold a ticket's reservation until its runner claims it."""
        until = self.now + self.policy.claim_within
        self.put(ticket._replace(state=State.OFFERED, offers=ticket.offers + 1, offer_until=until, reason=Reason.FITS))

    def grant(self, ticket: Ticket) -> None:
        """Give a ticket its lease, under the next fence."""
        lease = Lease(self._next_fence, self.now, self.now + ticket.ttl, ticket.ttl, ticket.session)
        self._next_fence += 1
        self.breakers.begins(ticket.id, self.now)
        self.put(ticket.granted(lease))

    def number(self, draft: Ticket) -> Ticket:
        """A draft under the next free id; it does not stand in line before it is ``put``."""
        number, self._next_number = self._next_number, self._next_number + 1
        ticket = self._tickets[number] = draft.numbered(number)
        self._before[number] = None
        return ticket

    @property
    def numbers(self) -> Numbers:
        """The next free id and fence."""
        return Numbers(self._next_number, self._next_fence)

    def touch(self, ticket: Ticket) -> None:
        """Whoever waits for the same limits may find more room than before."""
        self.touched.update(instance.name for instance in self.balances.instances(ticket.labels.asking))

    def caps(self, ticket: Ticket) -> list[Limit]:
        """The run caps that bind a ticket."""
        if self._run_caps is None:
            self._run_caps = self.snap.terms.run_caps
        return [cap for cap in self._run_caps if cap.selects(ticket.labels.asking)]

    def moved(self) -> list[Moved]:
        """Every changed ticket, with what it was before."""
        return [(self._before[number], ticket) for number, ticket in self.changed.items()]

    def running(self) -> dict[str, int]:
        """By share, what runs or is offered now."""
        shares = dict(self.snap.queue.running)
        for before, ticket in self.moved():
            turn = int(ticket.state in TURN_TAKEN) - int(before is not None and before.state in TURN_TAKEN)
            if turn:
                share = ticket.labels.value(self.policy.fair_share)
                shares[share] = shares.get(share, 0) + turn
        return shares

    # the ledger

    def book(self, changes: Sequence[Change]) -> None:
        """Correct the ledger, and the windows with it."""
        for old, new in changes:
            leased = old is not None and old.key.startswith(LEASE_KEY)  # what a lease adopts nobody had asked for
            self.balances.book(old, None, leased=leased)
            self.balances.book(None, new, leased=True)
            if event := old or new:
                before = self._corrected.get(event.identity)
                self._corrected[event.identity] = Change(before.old if before else old, new)

    def corrections(self) -> list[Change]:
        """What the cycle has changed in the ledger, one change per event however often it was corrected."""
        return [change for change in self._corrected.values() if change.old != change.new]

    def _as_corrected(self, events: Iterable[UsageEvent]) -> list[UsageEvent]:
        """Events of the ledger as this cycle has corrected them so far."""
        changes = ((self._corrected.get(event.identity), event) for event in events)
        corrected = ((change.new if change else event) for change, event in changes)
        return [event for event in corrected if event]

    def of_session(self, session: str) -> list[UsageEvent]:
        """The ledger's events of a session that a request has named."""
        return self._as_corrected(self.snap.rows.session_events.get(session, ()))

    def own_reports(self, ticket: int, fence: int) -> list[UsageEvent]:
        """The ledger's events that a lease was settled as."""
        events = {event.identity: event for event in self.snap.rows.own_events.values()}
        events |= {change.new.identity: change.new for change in self._corrected.values() if change.new}
        prefix = lease_prefix(ticket, fence)
        return self._as_corrected([event for event in events.values() if event.key.startswith(prefix)])

    def book_own(self, events: Sequence[UsageEvent]) -> None:
        """Write a lease's own reports to the ledger; reported once more, only the difference counts."""
        booked = dict(self.snap.rows.own_events)
        for identity, change in self._corrected.items():
            booked.pop(identity, None)
            if change.new:
                booked[identity] = change.new
        self.book(count_once(events, booked, {}))

    def past_lease(self, fence: int) -> Lease | None:
        """An earlier lease of a ticket, as it stands now."""
        _, lease = self.past_leases.get(fence, (0, None))
        return lease or self.snap.rows.past_leases.get(fence)

    def has_transcript(self, lease: Lease) -> bool:
        """Whether the session of a lease has brought its run to the ledger."""
        if lease.fence in self.snap.rows.transcribed:
            return True
        return bool(lease.session) and any(is_of(event, lease) for event in self.of_session(lease.session))
