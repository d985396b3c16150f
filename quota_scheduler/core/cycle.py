"""One cycle: a batch of requests against one snapshot, decided in order, one set of changes out.

    1  what has fallen due      resets, leases nobody renewed, offers nobody claimed, deadlines
    2  what running work says   renew, release, withdraw: it returns room before anybody asks for it
    3  who may start            arrivals are put in order with what waits, and never pass it
    4  answers                  each request gets its ticket as it stands now

Submit, renew, release, expire, reset and wake are inputs of this one motion. ``snapshot.now`` is the only time it sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from quota_scheduler.core.admission import Admit, Defer, Held, Reject, Rooms, Verdict, decide
from quota_scheduler.core.board import Board, Tally
from quota_scheduler.core.counting import Change, count_once
from quota_scheduler.core.efficiency import optimization_level
from quota_scheduler.core.limits import Limit, Mode
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.queue import QueuePolicy, count_waiting, order, wake
from quota_scheduler.core.requests import (
    Answer,
    Answered,
    Read,
    Refusal,
    Refused,
    Release,
    Renew,
    Request,
    Submit,
    Withdraw,
)
from quota_scheduler.core.settlement import adopted, at_reset, attribute, is_of, merged, own_events, report, settle
from quota_scheduler.core.tickets import REOPENING, Lease, Outcome, Reason, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent

GROWTH_SHARE = 4
"""An overrun lease grows by a quarter of its reservation at a time: one runner cannot take all that is left."""


@dataclass(slots=True)
class Snapshot:
    """Everything a cycle needs, as of ``now``.

    ``tickets`` are all that wait or are offered, and those that requests name or that have fallen due; ``keys`` the
    tickets that submitted keys name. ``own_events`` are the ledger events that leases of named tickets were settled as,
    ``session_events`` those of sessions that a request binds to a lease, ``transcribed`` the fences whose session has
    ledger events since the lease began. ``run_used`` is what named runs used already,
    ``past_leases`` earlier leases by the fence that a request names. ``running`` counts running leases by share.
    """

    now: datetime
    board: Board
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


@dataclass(slots=True)
class Decided:
    """What a cycle changes and answers.

    ``changes`` are corrections of the ledger, already counted on the board. ``decisions`` holds the verdict of each
    arrival and each start.
    """

    answers: list[Answer] = field(default_factory=list)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    resets: list[Tally] = field(default_factory=list)
    decisions: list[tuple[Ticket, Verdict]] = field(default_factory=list)
    expired: list[Ticket] = field(default_factory=list)
    past_leases: dict[int, tuple[int, Lease]] = field(default_factory=dict)


class Cycle:
    """The working state of one cycle; ``run`` is the whole of it."""

    def __init__(self, snapshot: Snapshot, policy: QueuePolicy) -> None:
        self.snap, self.policy, self.now = snapshot, policy, snapshot.now
        self.board = snapshot.board
        self.out = Decided()
        self.verdicts: dict[int, Verdict] = {}
        self.stops: set[int] = set()
        self.present: set[int] = set()
        self.positions: dict[int, int] = {}
        self.rooms = Rooms(self.board, snapshot.outlooks, catching_up=snapshot.catching_up)

    def run(self, requests: Sequence[Request]) -> Decided:
        """Go through the four steps."""
        self._fall_due()
        early = [self._settle_or_note(request) for request in requests]
        self._start_what_may()
        self.out.answers = [
            refused or self._answer(request, number) for request, (refused, number) in zip(requests, early, strict=True)
        ]
        return self.out

    # 1 what has fallen due

    def _fall_due(self) -> None:
        self.out.resets = self.board.roll()
        ended = {tally.id: tally for tally in self.out.resets}
        for ticket in self._in_state(State.RUNNING):
            lease = ticket.lease
            crossed = [ended[h.window] for h in self.board.reservations.get(ticket.id, ()) if h.window in ended]
            if lease and crossed:
                resets = [tally.window.ends_at for tally in crossed if tally.window]
                ticket = self._put(replace(ticket, lease=at_reset(lease, min(resets))))
            if lease and lease.expires_at <= self.now and self.snap.expire_leases:
                self.out.expired.append(ticket)
                self._close(ticket, Outcome.EXPIRED)
        for ticket in self._in_state(State.OFFERED):
            if ticket.offer_until and ticket.offer_until <= self.now:
                self._take_back(ticket)
        for ticket in self._in_state(State.WAITING):
            if ticket.deadline and ticket.deadline <= self.now:
                self._close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
            elif ticket.wait_until and ticket.wait_until <= self.now:
                self._close(ticket, Outcome.WAITED_TOO_LONG, Reason.WAITED_TOO_LONG)

    def _take_back(self, ticket: Ticket) -> None:
        """An offer nobody claimed goes back with its age; the third time its ticket is abandoned."""
        if ticket.offers >= self.policy.max_offers:
            self._close(ticket, Outcome.ABANDONED, Reason.ABANDONED)
            return
        for held in self.board.open_reservations(ticket.id):
            self.board.update(held, open=False)
        self._put(replace(ticket, state=State.WAITING, offer_until=None))

    # 2 what running work says

    def _settle_or_note(self, request: Request) -> tuple[Refused | None, int]:
        """Carry out what returns room; note who is asking. Returns a refusal, or the ticket to answer with."""
        match request:
            case Submit(_, dry_run=True):
                return None, 0
            case Submit(draft):
                return self._arrive(draft)
            case Read(number):
                self.present.add(number)
                return self._known(number), number
            case Withdraw(number):
                return self._withdraw(number), number
            case Renew() | Release():
                return self._hear(request), request.ticket

    def _known(self, number: int) -> Refused | None:
        return None if number in self.snap.tickets else Refused(Refusal.NOT_FOUND)

    def _withdraw(self, number: int) -> Refused | None:
        ticket = self.snap.tickets.get(number)
        if ticket is None:
            return Refused(Refusal.NOT_FOUND)
        if ticket.state is not State.CLOSED:
            self._close(ticket, Outcome.WITHDRAWN)
        return None

    def _hear(self, request: Renew | Release) -> Refused | None:
        """A lease reports. An old fence has lost the right to go on, not its usage."""
        ticket = self.snap.tickets.get(request.ticket)
        if ticket is None or ticket.lease is None:
            return Refused(Refusal.NOT_FOUND)
        if ticket.state is not State.RUNNING or ticket.lease.fence != request.fence:
            return self._hear_late(ticket, request)
        lease = replace(ticket.lease, reported=merged(ticket.lease.reported, request.usage))
        ticket = self._put(self._bound(replace(ticket, lease=lease), request.session))
        report(ticket, lease, self.board)
        if isinstance(request, Release):
            self._close(ticket, request.outcome)
        else:
            self._renew(ticket, request.ttl or lease.ttl)
        return None

    def _bound(self, ticket: Ticket, session: str) -> Ticket:
        """Bind an agent session to a lease: what its transcript has brought so far was this run all along."""
        lease = ticket.lease
        if lease is None or not session or session == lease.session:
            return ticket
        ticket = replace(ticket, lease=replace(lease, session=session))
        events = self.snap.session_events.get(session, ())
        changes = adopted(events, ticket)
        self._book(changes)
        kept = {old.identity for old, _ in changes if old}
        attribute(ticket, [Change(None, new) for _, new in changes if new], self.board)
        attribute(ticket, [Change(None, event) for event in events if event.identity not in kept], self.board)
        return ticket

    def _book(self, changes: Sequence[Change]) -> None:
        for old, new in changes:
            self.board.book(old, new, leased=True)
        self.out.changes += changes

    def _book_own(self, events: Sequence[UsageEvent]) -> None:
        """Write a lease's own reports to the ledger; reported once more, only the difference counts."""
        self._book(count_once(events, self.snap.own_events, {}))

    def _hear_late(self, ticket: Ticket, request: Renew | Release) -> Refused | None:
        """What a lease that has ended says: its usage is settled anew, the same keys, the larger total."""
        lease = ticket.lease
        if lease is None or lease.fence != request.fence:
            lease = self.snap.past_leases.get(request.fence)
        if lease is None:
            return Refused(Refusal.STALE_FENCE, ticket)
        more = replace(lease, reported=merged(lease.reported, request.usage))
        if more == lease and isinstance(request, Release) and request.outcome is ticket.outcome:
            return None  # the same release once more: its answer got lost
        if more.fence not in self.snap.transcribed:
            self._book_own(own_events(ticket, more, now=self.now))
        if ticket.lease and ticket.lease.fence == more.fence:
            self._put(replace(ticket, lease=more))
        else:
            self.out.past_leases[more.fence] = (ticket.id, more)
        return Refused(Refusal.STALE_FENCE, self.snap.tickets[ticket.id])

    def _renew(self, ticket: Ticket, ttl: timedelta) -> None:
        assert ticket.lease is not None
        self._put(replace(ticket, lease=replace(ticket.lease, expires_at=self.now + ttl, ttl=ttl)))
        if not self._grow(ticket) or self._over_cap(ticket):
            self.stops.add(ticket.id)

    def _grow(self, ticket: Ticket) -> bool:
        """Let an overrun reservation grow where there is room; False when an enforced limit has none."""
        fits = True
        for held in self.board.open_reservations(ticket.id):
            tally = self.board.tally_of(held)
            if not held.overrun or tally.limit.unit is Unit.LEASES:
                continue
            more = max(1, held.amount // GROWTH_SHARE)
            room = tally.amount - tally.spent - tally.reserved
            if room >= more:
                self.board.update(held, amount=held.spent + more)
            elif tally.limit.mode is Mode.ENFORCE and not tally.closed:
                fits = False
        return fits

    def _over_cap(self, ticket: Ticket) -> bool:
        lease = ticket.lease
        used = self.snap.run_used.get(ticket.run_id, Usage()).at_least(lease.usage if lease else Usage())
        return any(cap.charge(used) > cap.amount for cap in self._caps(ticket) if cap.mode is Mode.ENFORCE)

    def _caps(self, ticket: Ticket) -> list[Limit]:
        return [cap for cap in self.snap.run_caps if cap.selects(ticket.labels)]

    # 3 who may start

    def _arrive(self, draft: Ticket) -> tuple[Refused | None, int]:
        """Find the ticket a key names, or take in a new one."""
        known = self.snap.tickets.get(self.snap.keys.get(draft.key, 0))
        if known and known.body != draft.body:
            return Refused(Refusal.KEY_REUSED, known), known.id
        if known and known.state is State.CLOSED and known.outcome in REOPENING:
            known = self._put(replace(known, state=State.WAITING, outcome=None, closed_at=None, offers=0, lease=None))
        if known is None:
            known = self._take_in(draft)
        self.present.add(known.id)
        return None, known.id

    def _take_in(self, draft: Ticket) -> Ticket:
        number, self.snap.next_ticket = self.snap.next_ticket, self.snap.next_ticket + 1
        ticket = self._put(replace(draft, id=number))
        self.snap.keys[draft.key] = number
        if cap := self._beyond_cap(ticket):
            self.verdicts[number] = cap
            self.out.decisions.append((ticket, cap))
            self._close(ticket, Outcome.REJECTED, Reason.RUN_CAP)
        return ticket

    def _beyond_cap(self, ticket: Ticket) -> Reject | None:
        """Reject what would take its run over the cap; in mode warn it is only counted."""
        used = self.snap.run_used.get(ticket.run_id, Usage())
        for cap in self._caps(ticket):
            if cap.mode is Mode.ENFORCE and cap.charge(used.plus(ticket.estimate.reserve)) > cap.amount:
                return Reject(Reason.RUN_CAP, (Held(cap.id, Reason.RUN_CAP, self.now),))
        return None

    def _start_what_may(self) -> None:
        waiting = self._in_state(State.WAITING)
        for ticket in waiting:
            count_waiting(ticket, self.rooms)
        ordered = order(waiting, self.snap.running, self.policy, now=self.now)
        self.verdicts |= wake(ordered, self.rooms, self.board, present=self.present, now=self.now)
        for ticket in ordered:
            self._apply(ticket, self.verdicts[ticket.id])
        for ticket in self._in_state(State.OFFERED):
            if ticket.id in self.present:
                self.board.begin(ticket.id)
                self._grant(ticket)
        still = [ticket.id for ticket in ordered if self.snap.tickets[ticket.id].state is State.WAITING]
        self.positions = {number: place for place, number in enumerate(still, 1)}

    def _apply(self, ticket: Ticket, verdict: Verdict) -> None:
        first = not ticket.was_deferred
        if first or not isinstance(verdict, Defer):
            self.out.decisions.append((ticket, verdict))
        match verdict:
            case Admit() if ticket.id in self.present:
                self._grant(replace(ticket, reason=Reason.FITS))
            case Admit():
                until = self.now + self.policy.claim_within
                self._put(
                    replace(
                        ticket, state=State.OFFERED, offers=ticket.offers + 1, offer_until=until, reason=Reason.FITS
                    )
                )
            case Reject(reason):
                self._close(ticket, Outcome.REJECTED, reason)
            case Defer(_, reason) if first:
                self._put(replace(ticket, was_deferred=True, reason=reason))

    def _grant(self, ticket: Ticket) -> None:
        fence, self.snap.next_fence = self.snap.next_fence, self.snap.next_fence + 1
        lease = Lease(fence, self.now, self.now + ticket.ttl, ticket.ttl, ticket.session)
        self._put(replace(ticket, state=State.RUNNING, offer_until=None, lease=lease))

    # 4 answers

    def _answer(self, request: Request, number: int) -> Answered:
        if isinstance(request, Submit) and request.dry_run:
            return self._only_decide(request.draft)
        ticket = self.snap.tickets[number]
        verdict = self.verdicts.get(number)
        if verdict is None and ticket.state in (State.OFFERED, State.RUNNING):
            verdict = Admit()
        if verdict is None and ticket.state is State.WAITING:
            verdict = decide(ticket, self.rooms, now=self.now)
        if verdict is None and ticket.outcome is Outcome.REJECTED:
            verdict = Reject(ticket.reason, ())
        return Answered(
            ticket,
            verdict,
            position=self.positions.get(number),
            reserved=self._held(ticket),
            stop=number in self.stops,
            optimization=self._optimization(ticket),
        )

    def _only_decide(self, draft: Ticket) -> Answered:
        verdict = self._beyond_cap(draft) or decide(draft, self.rooms, now=self.now)
        return Answered(draft, verdict, optimization=self._optimization(draft))

    def _held(self, ticket: Ticket) -> tuple[tuple[str, int], ...]:
        sums: dict[str, int] = {}
        for held in self.board.open_reservations(ticket.id):
            sums[held.instance] = sums.get(held.instance, 0) + held.held
        return tuple(sums.items())

    def _optimization(self, ticket: Ticket) -> str:
        """The level that the tightest binding limit asks for."""
        rooms = [
            room for room in self.rooms.of(ticket) if room.tally.amount and room.binding.limit.unit is not Unit.LEASES
        ]
        left = [(r.allowance(self.now) - r.tally.spent - r.tally.reserved, r.tally.amount) for r in rooms]
        return optimization_level(*min(left, key=lambda pair: pair[0] / pair[1], default=(1, 1)))

    # bookkeeping

    def _in_state(self, state: State) -> list[Ticket]:
        return [ticket for _, ticket in sorted(self.snap.tickets.items()) if ticket.state is state]

    def _put(self, ticket: Ticket) -> Ticket:
        self.snap.tickets[ticket.id] = self.out.tickets[ticket.id] = ticket
        return ticket

    def _close(self, ticket: Ticket, outcome: Outcome, reason: Reason | None = None) -> None:
        counts = bool(ticket.lease) and self._has_transcript(ticket)
        closed, events = settle(ticket, self.board, outcome, session_counts=counts, now=self.now)
        self._book_own(events)
        self._put(replace(closed, reason=reason or closed.reason))

    def _has_transcript(self, ticket: Ticket) -> bool:
        lease = ticket.lease
        if lease is None or not lease.session:
            return False
        fresh = self.snap.session_events.get(lease.session, ())
        return lease.fence in self.snap.transcribed or any(is_of(event, lease) for event in fresh)


def run(requests: Sequence[Request], snapshot: Snapshot, policy: QueuePolicy) -> Decided:
    """Answer a batch of requests with one decision; the board of the snapshot is changed in place."""
    return Cycle(snapshot, policy).run(requests)
