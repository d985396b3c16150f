"""Who may start: arrivals stand in line with what waits and never pass it, and a pass lets go whoever fits."""

from datetime import datetime

from msgspec.structs import replace

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
from quota_scheduler.core.cycle.requests import Refusal, Refused
from quota_scheduler.core.cycle.snapshot import Unfinished
from quota_scheduler.core.cycle.together import start_together
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.queue.order import FairOrder
from quota_scheduler.core.queue.throttle_queue import GroupKey
from quota_scheduler.core.queue.wake import AT_ONCE, SLICE, START, next_start, wake
from quota_scheduler.core.tickets.ticket import REOPENING, Outcome, Reason, State, Ticket
from quota_scheduler.core.usage import Usage

NO_SHADOW: Shadow = (0, ())


class Starts:
    """Who is asking, and what was decided about them.

    ``decisions`` is the verdict of each arrival and each start. ``newcomers`` are the new tickets, by id, which do not
    stand in line yet, ``alike`` is by ticket the first one of those that were decided as one with it. ``unfinished``
    and ``next_slot`` is what the pass has left for the next cycle.
    """

    def __init__(self, work: Work) -> None:
        self.decisions: list[tuple[Ticket, Verdict]] = []
        self.unfinished = Unfinished()
        self.next_slot: datetime | None = None
        self._work = work
        self._keys = {ticket.key: number for number, ticket in work.snap.rows.tickets.items()}
        self._promised = dict(work.snap.runs.promised)
        self.newcomers: dict[int, Ticket] = {}
        self.alike: dict[int, int] = {}
        self._present: set[int] = set()
        self._arrived: list[int] = []
        self._warned: dict[int, tuple[Blocker, ...]] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._shadows: dict[int, Shadow] = {}

    # before the pass

    def claim(self, number: int) -> None:
        """Note that a ticket's runner is asking right now: it starts where another would be offered."""
        self._present.add(number)

    def arrive(self, draft: Ticket) -> tuple[Refused | None, int]:
        """Find the ticket a key names, or take in a new one; returns a refusal if it comes to one, and its id."""
        ticket = self._work.ticket(self._keys.get(draft.key, 0))
        if ticket and ticket.is_foreign_to(draft.owner or None):
            return Refused(Refusal.NOT_OWNER), ticket.id
        if ticket and ticket.body != draft.body:
            return Refused(Refusal.KEY_REUSED, ticket), ticket.id
        if ticket and ticket.state is State.CLOSED and ticket.outcome in REOPENING:
            self.stand_in_line()
            ticket = self._take_in(_anew(ticket, draft))
        if ticket is None:
            ticket = self._work.number(draft)
            self._keys[draft.key] = ticket.id
            self.newcomers[ticket.id] = ticket
        self._present.add(ticket.id)
        return None, ticket.id

    def stand_in_line(self) -> None:
        """Put the newcomers into the queue, one by one."""
        newcomers, self.newcomers = self.newcomers, {}
        for ticket in newcomers.values():
            self._take_in(ticket)

    def _take_in(self, ticket: Ticket) -> Ticket:
        """Let a ticket wait from now on, unless it will never start."""
        work = self._work
        never = self.never(ticket)
        ticket = work.put(ticket)
        if ticket.deadline and ticket.deadline <= work.now:
            return work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
        if never:
            self._verdicts[ticket.id] = never
            self.decisions.append((ticket, never))
            return work.close(ticket, Outcome.REJECTED, never.reason)
        self._warned[ticket.id] = self._caps_passed(ticket, Mode.WARN)
        if ticket.run:
            promised = self._promised.get(ticket.run, Usage())
            self._promised[ticket.run] = promised.plus(ticket.estimate.reserve)
        self._arrived.append(ticket.id)
        work.touch(ticket)
        return ticket

    def never(self, ticket: Ticket) -> Reject | None:
        """Reject what would take its run over a cap, or fits into no window."""
        passed = self._caps_passed(ticket, Mode.ENFORCE)
        if passed:
            return Reject(Reason.RUN_CAP, passed)
        return never_fits(ticket, self._work.headrooms, now=self._work.now)

    def _caps_passed(self, ticket: Ticket, mode: Mode) -> tuple[Blocker, ...]:
        snap = self._work.snap
        used = snap.runs.used.get(ticket.run_id, Usage()).plus(ticket.estimate.reserve)
        used = used.plus(self._promised.get(ticket.run, Usage())) if ticket.run else used
        passed = [cap for cap in self._work.caps(ticket) if cap.mode is mode and cap.charge(used) > cap.amount]
        return tuple(Blocker(cap.id, Reason.RUN_CAP, snap.now) for cap in passed)

    def force(self, ticket: Ticket) -> None:
        """An operator lets a waiting ticket start whatever its limits say; it reserves all the same."""
        self._work.queue.remove(ticket.id)
        occupy(ticket, self._work.headrooms, running=False)
        self._work.offer(ticket._replace(on_hold=False))

    # the pass

    def start_what_may(self) -> None:
        """Go over the groups that something has touched; what one slice cannot do the next one does."""
        if self.newcomers and not self._start_newcomers():
            self.stand_in_line()
        if not self._work.snap.terms.hold:
            self._pass_over_queue()
        self._defer_arrivals()
        self._claim_offers()

    def _start_newcomers(self) -> bool:
        """Let all of the newcomers start at once, where nobody is to be looked at before them."""
        work, newcomers = self._work, list(self.newcomers.values())
        if work.snap.terms.hold or self._places() or (kinds := start_together(newcomers, work)) is None:
            return False
        for alike in kinds.values():
            self.alike.update(dict.fromkeys([ticket.id for ticket in alike], alike[0].id))
        self._verdicts |= dict.fromkeys(self.newcomers, AT_ONCE)
        self.decisions += [(ticket, AT_ONCE) for ticket in newcomers]
        self.newcomers = {}
        return True

    def _places(self) -> dict[GroupKey, int]:
        """The groups that a pass looks at, and from which place on; one that was cut short goes on where it was."""
        work, state = self._work, self._work.snap.queue
        groups = work.queue.groups(None if state.look_at_all or work.breakers.eased else work.touched)
        return {**dict.fromkeys(groups, 0), **state.unfinished.groups}

    def _pass_over_queue(self) -> None:
        work, state, places = self._work, self._work.snap.queue, self._places()
        if not places:
            return
        done = wake(
            work.queue,
            work.headrooms,
            FairOrder(work.queue.tickets_in, places, state.running, work.policy, work.now),
            present=self._present,
            budget=SLICE + START * len(self._arrived),  # a batch that fits is answered in one cycle, whatever its size
            shadows=state.unfinished.shadows,
        )
        self.next_slot, self._shadows = done.next_slot, done.shadows
        self.unfinished = Unfinished(done.remaining, done.shadows) if done.remaining else Unfinished()
        self._verdicts |= {ticket.id: verdict for ticket, verdict in done.verdicts}
        work.meet(ticket for ticket, _ in done.verdicts)
        for ticket, verdict in done.verdicts:
            self._apply(ticket, verdict)

    def _defer_arrivals(self) -> None:
        """Whoever has arrived and was not come to in this slice is told what it waits for."""
        for number in self._arrived:
            if (waiting := self._work.queue.get(number)) and not waiting.was_deferred:
                self._apply(waiting, self._verdict_in_line(waiting))

    def _claim_offers(self) -> None:
        """Offers whose runner is asking become leases."""
        for ticket in self._work.in_state(State.OFFERED):
            if ticket.id in self._present:
                self._work.balances.begin(ticket.id)
                self._work.grant(ticket)

    def _apply(self, ticket: Ticket, verdict: Verdict) -> None:
        first = not ticket.was_deferred
        if passed := self._warned.pop(ticket.id, ()):
            verdict = self._verdicts[ticket.id] = replace(verdict, warned=(*verdict.warned, *passed))
        if first or not isinstance(verdict, Defer):
            self.decisions.append((ticket, verdict))
        match verdict:
            case Admit() if ticket.id in self._present:
                self._work.grant(ticket)
            case Admit():
                self._work.offer(ticket)
            case Reject(reason):
                self._work.close(ticket, Outcome.REJECTED, reason)
            case Defer(_, reason) if first:
                self._work.put(ticket._replace(was_deferred=True, reason=reason))

    # after the pass

    def verdict_of(self, ticket: Ticket) -> Verdict | None:
        """What was decided about a ticket; None where this cycle had nothing to decide."""
        return self._verdict_in_line(ticket) if ticket.state is State.WAITING else self._verdicts.get(ticket.id)

    def _verdict_in_line(self, ticket: Ticket) -> Verdict:
        """The verdict of a ticket that waits: as just decided, or as it would be now."""
        verdict = self._verdicts.get(ticket.id)
        if verdict is None:
            verdict = self._verdicts[ticket.id] = self._verdict_now(ticket)
        return verdict

    def _verdict_now(self, ticket: Ticket) -> Verdict:
        work = self._work
        shadow = self._shadows.get(ticket.id, NO_SHADOW)
        work.headrooms.hold_back_for(shadow, -1)  # nobody stands in their own light
        verdict = decide(ticket, work.headrooms, now=work.now)
        work.headrooms.hold_back_for(shadow)
        if (at := next_start(ticket, work.headrooms, work.queue)) and at > work.now:
            return Defer(self._ramp_ends(ticket), Reason.PACED, ())
        if isinstance(verdict, Admit):  # it would fit, but a hold, a ramp or somebody ahead keeps it back
            reason = Reason.HELD if work.snap.terms.hold else Reason.PACED
            return Defer(self.next_slot or work.now + RETRY, reason, ())
        return verdict

    def _ramp_ends(self, ticket: Ticket) -> datetime:
        """When the last of those who waited with a ticket for a reset will have started."""
        work = self._work
        balances = (headroom.balance for headroom in work.headrooms.of(ticket))
        return max(
            balance.window.starts_at + balance.ramp
            for balance in balances
            if balance.window and work.queue.ramps.holds(ticket, balance, work.now)
        )

    def verdict_of_draft(self, draft: Ticket) -> Verdict:
        """What would be decided about a ticket that is only asked about."""
        verdict = self.never(draft) or decide(draft, self._work.headrooms, now=self._work.now)
        if self._work.snap.terms.hold and isinstance(verdict, Admit):
            return Defer(self._work.now + RETRY, Reason.HELD, ())
        return verdict


def _anew(closed: Ticket, draft: Ticket) -> Ticket:
    """A ticket that its key asks for once more: it waits from now on, with no memory of how it ended."""
    return closed._replace(
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
