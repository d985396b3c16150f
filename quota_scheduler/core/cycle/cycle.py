"""One cycle: a batch of requests against one snapshot, decided in order, one set of changes out.

    1  what has fallen due      resets, leases nobody renewed, offers nobody claimed, deadlines
    2  what running work says   renew, release, withdraw, revoke: it returns room before anybody asks for it
    3  who may start            arrivals are put in line with what waits, and never pass it
    4  answers                  each request gets its ticket as it stands now

Submit, renew, release, expire, reset and wake are inputs of this one motion. ``snapshot.now`` is the only time it sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from quota_scheduler.core.admission.decide import (
    RETRY,
    Admit,
    Blocker,
    Defer,
    Reject,
    Verdict,
    decide,
    never_fits,
    occupy,
)
from quota_scheduler.core.admission.headroom import Shadow
from quota_scheduler.core.cycle.answers import answer, preview
from quota_scheduler.core.cycle.leases import apply_report
from quota_scheduler.core.cycle.requests import (
    Answer,
    Hold,
    Read,
    Refusal,
    Refused,
    Release,
    Renew,
    Request,
    Revoke,
    Start,
    Submit,
    Withdraw,
)
from quota_scheduler.core.cycle.snapshot import Decided, Snapshot, Work
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.settlement import at_reset
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.wake import SLICE, START, next_start, wake
from quota_scheduler.core.tickets.ticket import REOPENING, Lease, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage

NO_SHADOW: Shadow = (0, ())


class Cycle:
    """One cycle; ``run`` is the whole of it."""

    def __init__(self, snapshot: Snapshot, policy: QueuePolicy) -> None:
        self.work, self.policy, self.now = Work(snapshot), policy, snapshot.now
        self.snap, self.balances, self.queue, self.out = snapshot, snapshot.balances, snapshot.queue, self.work.out
        self.headrooms = self.work.headrooms
        self.verdicts: dict[int, Verdict] = {}
        self.present: set[int] = set()
        self.arrived: list[int] = []
        self.warned: dict[int, tuple[Blocker, ...]] = {}
        self.shadows: Mapping[int, Shadow] = {}

    def run(self, requests: Sequence[Request]) -> Decided:
        """Go through the four steps."""
        self._fall_due()
        early = [self._settle_or_note(request) for request in requests]
        self._start_what_may()
        self.out.changes = self.work.corrections()
        self.out.answers = [
            refused or self._answer(request, number) for request, (refused, number) in zip(requests, early, strict=True)
        ]
        return self.out

    # 1 what has fallen due

    def _fall_due(self) -> None:
        self.out.resets = self.balances.roll(offered={ticket.id for ticket in self.work.in_state(State.OFFERED)})
        for balance in self.out.resets:
            self.work.touched.add(balance.name)
            if ramp := self.policy.ramp_for(self.queue.count(balance.name)):
                following = self.balances.open_for_offer(LimitInstance(balance.limit, balance.value))
                following.ramp, following.dirty = ramp, True
        self._lease_due({balance.id: balance for balance in self.out.resets})
        for ticket in self.work.in_state(State.OFFERED):
            if ticket.deadline and ticket.deadline <= self.now:
                self.work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
            elif ticket.offer_until and ticket.offer_until <= self.now:
                self._take_back(ticket)
        for ticket in self.queue.due(self.now):
            if ticket.deadline and ticket.deadline <= self.now:
                self.work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
            else:
                self.work.close(ticket, Outcome.WAITED_TOO_LONG, Reason.WAITED_TOO_LONG)

    def _lease_due(self, ended: Mapping[int, Balance]) -> None:
        """Leases go on over a reset, remembering what they had reported; those nobody renewed settle."""
        for ticket in self.work.in_state(State.RUNNING):
            lease = ticket.lease
            crossed = [ended[h.window] for h in self.balances.reservations.get(ticket.id, ()) if h.window in ended]
            if lease and crossed:
                resets = [balance.window.ends_at for balance in crossed if balance.window]
                ticket = self.work.put(ticket._replace(lease=at_reset(lease, min(resets))))
            if lease and lease.expires_at <= self.now and self.snap.expire_leases:
                self.out.expired.append(ticket)
                self.work.close(ticket, Outcome.EXPIRED)

    def _take_back(self, ticket: Ticket) -> None:
        """An offer nobody claimed goes back with its age; the third time its ticket is abandoned."""
        if ticket.offers >= self.policy.max_offers:
            self.work.close(ticket, Outcome.ABANDONED, Reason.ABANDONED)
            return
        self.work.touch(ticket)
        for held in self.balances.open_reservations(ticket.id):
            self.balances.update(held, open=False)
        self.work.put(ticket._replace(state=State.WAITING, offer_until=None))

    # 2 what running work says

    def _settle_or_note(self, request: Request) -> tuple[Refused | None, int]:
        """Carry out what returns room; note who is asking. Returns a refusal, or the ticket to answer with."""
        if isinstance(request, Withdraw | Renew | Release) and self._is_foreign(request.ticket, request.by):
            return Refused(Refusal.NOT_OWNER), request.ticket
        match request:
            case Submit(_, dry_run=True):
                return None, 0
            case Submit(draft):
                return self._arrive(draft)
            case Read(number, claim, by):
                if claim and not self._is_foreign(number, by):
                    self.present.add(number)
                return self._known(number), number
            case Withdraw(number, _):
                return self._end(number, Outcome.WITHDRAWN), number
            case Revoke(number):
                return self._end(number, Outcome.REVOKED), number
            case Hold(number, on):
                return self._hold(number, on=on), number
            case Start(number):
                return self._force(number), number
            case Renew() | Release():
                return apply_report(request, self.work), request.ticket

    def _is_foreign(self, number: int, by: str | None) -> bool:
        ticket = self.work.ticket(number)
        return ticket is not None and ticket.is_foreign_to(by)

    def _known(self, number: int) -> Refused | None:
        return None if self.work.ticket(number) else Refused(Refusal.NOT_FOUND)

    def _end(self, number: int, outcome: Outcome) -> Refused | None:
        ticket = self.work.ticket(number)
        if ticket is None:
            return Refused(Refusal.NOT_FOUND)
        if ticket.state is not State.CLOSED:
            self.work.close(ticket, outcome)
        return None

    def _hold(self, number: int, *, on: bool) -> Refused | None:
        ticket = self.work.ticket(number)
        if ticket is None:
            return Refused(Refusal.NOT_FOUND)
        self.work.put(ticket._replace(on_hold=on))
        self.work.touch(ticket)
        return None

    def _force(self, number: int) -> Refused | None:
        """An operator lets a ticket start whatever its limits say; it reserves all the same."""
        ticket = self.work.ticket(number)
        if ticket is None:
            return Refused(Refusal.NOT_FOUND)
        if ticket.state is State.WAITING:
            self.queue.remove(number)
            occupy(ticket, self.headrooms, running=False)
            self._offer(ticket._replace(on_hold=False))
        return None

    # 3 who may start

    def _arrive(self, draft: Ticket) -> tuple[Refused | None, int]:
        """Find the ticket a key names, or take in a new one."""
        known = self.work.ticket(self.snap.keys.get(draft.key, 0))
        if known and known.is_foreign_to(draft.owner or None):
            return Refused(Refusal.NOT_OWNER), known.id
        if known and known.body != draft.body:
            return Refused(Refusal.KEY_REUSED, known), known.id
        if known and known.state is State.CLOSED and known.outcome in REOPENING:
            known = self._take_in(_anew(known, draft))
        if known is None:
            number, self.snap.next_ticket = self.snap.next_ticket, self.snap.next_ticket + 1
            self.snap.keys[draft.key] = number
            known = self._take_in(draft._replace(id=number))
        self.present.add(known.id)
        return None, known.id

    def _take_in(self, ticket: Ticket) -> Ticket:
        """Let a ticket wait from now on, unless it will never start."""
        never = self._beyond_cap(ticket) or never_fits(ticket, self.headrooms, now=self.now)
        ticket = self.work.put(ticket)
        if ticket.deadline and ticket.deadline <= self.now:
            return self.work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
        if never:
            self.verdicts[ticket.id] = never
            self.out.decisions.append((ticket, never))
            return self.work.close(ticket, Outcome.REJECTED, never.reason)
        self.warned[ticket.id] = self._caps_passed(ticket, Mode.WARN)
        if ticket.run:
            self.snap.run_open[ticket.run] = self.snap.run_open.get(ticket.run, Usage()).plus(ticket.estimate.reserve)
        self.arrived.append(ticket.id)
        self.work.touch(ticket)
        return ticket

    def _beyond_cap(self, ticket: Ticket) -> Reject | None:
        """Reject what would take its run over a cap."""
        held = self._caps_passed(ticket, Mode.ENFORCE)
        return Reject(Reason.RUN_CAP, held) if held else None

    def _caps_passed(self, ticket: Ticket, mode: Mode) -> tuple[Blocker, ...]:
        if not self.snap.run_caps:
            return ()
        used = self.snap.run_used.get(ticket.run_id, Usage()).plus(ticket.estimate.reserve)
        used = used.plus(self.snap.run_open.get(ticket.run, Usage())) if ticket.run else used
        passed = [cap for cap in self.work.caps(ticket) if cap.mode is mode and cap.charge(used) > cap.amount]
        return tuple(Blocker(cap.id, Reason.RUN_CAP, self.now) for cap in passed)

    def _start_what_may(self) -> None:
        """A pass over the groups that something has touched; what one slice cannot do the next one does."""
        touched = None if self.snap.look_at_all else self.work.touched
        if not self.snap.hold:
            done = wake(
                self.queue,
                self.headrooms,
                dict.fromkeys(self.queue.groups(touched), 0)
                | self.snap.groups,  # a pass cut short goes on where it was
                running=self.snap.running,
                policy=self.policy,
                present=self.present,
                budget=SLICE
                + START * len(self.arrived),  # a batch that fits is answered in one cycle, whatever its size
                shadows=self.snap.shadows,
            )
            self.verdicts |= {ticket.id: verdict for ticket, verdict in done.verdicts}
            self.snap.tickets = {ticket.id: ticket for ticket, _ in done.verdicts} | self.snap.tickets
            self.out.groups, self.out.next_slot = done.remaining, done.next_slot
            self.shadows, self.out.shadows = done.shadows, done.shadows if done.remaining else {}
            for ticket, verdict in done.verdicts:
                self._apply(ticket, verdict)
        for number in self.arrived:
            if (waiting := self.queue.get(number)) and not waiting.was_deferred:
                self._apply(waiting, self._verdict(waiting))
        for ticket in self.work.in_state(State.OFFERED):
            if ticket.id in self.present:
                self.balances.begin(ticket.id)
                self._grant(ticket)

    def _verdict(self, ticket: Ticket) -> Verdict:
        """The verdict of a ticket that waits: as just decided, or as it would be now."""
        found = self.verdicts.get(ticket.id)
        if found is None:
            own = self.shadows.get(ticket.id, NO_SHADOW)
            self.headrooms.hold_back_for(own, -1)  # nobody stands in their own light
            found = decide(ticket, self.headrooms, now=self.now)
            self.headrooms.hold_back_for(own)
            if (at := next_start(ticket, self.headrooms, self.queue)) and at > self.now:
                found = Defer(self._ramp_ends(ticket), Reason.PACED, ())
            elif isinstance(found, Admit):  # it would fit, but a hold, a ramp or somebody ahead keeps it back
                reason = Reason.HELD if self.snap.hold else Reason.PACED
                found = Defer(self.out.next_slot or self.now + RETRY, reason, ())
            self.verdicts[ticket.id] = found
        return found

    def _ramp_ends(self, ticket: Ticket) -> datetime:
        """When the last of those who waited with a ticket for a reset will have started."""
        rows = (headroom.balance for headroom in self.headrooms.of(ticket))
        return max(
            t.window.starts_at + t.ramp for t in rows if t.window and self.queue.ramps.holds(ticket, t, self.now)
        )

    def _apply(self, ticket: Ticket, verdict: Verdict) -> None:
        first = not ticket.was_deferred
        if passed := self.warned.pop(ticket.id, ()):
            verdict = self.verdicts[ticket.id] = replace(verdict, warned=(*verdict.warned, *passed))
        if first or not isinstance(verdict, Defer):
            self.out.decisions.append((ticket, verdict))
        match verdict:
            case Admit() if ticket.id in self.present:
                self._grant(ticket)
            case Admit():
                self._offer(ticket)
            case Reject(reason):
                self.work.close(ticket, Outcome.REJECTED, reason)
            case Defer(_, reason) if first:
                self.work.put(ticket._replace(was_deferred=True, reason=reason))

    def _offer(self, ticket: Ticket) -> None:
        until = self.now + self.policy.claim_within
        self.work.put(
            ticket._replace(state=State.OFFERED, offers=ticket.offers + 1, offer_until=until, reason=Reason.FITS)
        )

    def _grant(self, ticket: Ticket) -> None:
        fence, self.snap.next_fence = self.snap.next_fence, self.snap.next_fence + 1
        lease = Lease(fence, self.now, self.now + ticket.ttl, ticket.ttl, ticket.session)
        self.work.put(ticket._replace(state=State.RUNNING, offer_until=None, lease=lease, reason=Reason.FITS))

    # 4 answers

    def _answer(self, request: Request, number: int) -> Answer:
        if isinstance(request, Submit) and request.dry_run:
            draft = request.draft
            return preview(draft, self._beyond_cap(draft) or decide(draft, self.headrooms, now=self.now), self.work)
        ticket = self.work.ticket(number)
        assert ticket is not None
        verdict = self._verdict(ticket) if ticket.state is State.WAITING else self.verdicts.get(number)
        return answer(ticket, verdict, self.work, self.policy)


def _anew(known: Ticket, draft: Ticket) -> Ticket:
    """A ticket that its key asks for once more: it waits from now on, with no memory of how it ended."""
    return known._replace(
        state=State.WAITING,
        outcome=None,
        reason=Reason.FITS,
        closed_at=None,
        offers=0,
        lease=None,
        was_deferred=False,
        waiting_since=draft.waiting_since,
        wait_until=draft.wait_until,
    )


def decide_batch(requests: Sequence[Request], snapshot: Snapshot, policy: QueuePolicy) -> Decided:
    """Answer a batch of requests with one decision; the balances of the snapshot are changed in place."""
    return Cycle(snapshot, policy).run(requests)
