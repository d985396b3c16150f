"""What cycles of one process remember of the store, kept up with what others write; the writer thread's own.

    nothing yet, or everything moved ─► read        the open windows and all that waits
    others have written since        ─► catch up    only the rows of later revisions
    nobody has                       ─► go on

Whoever writes has the store alone, so that what it remembers then is what is there (``store.turns``). It is read
whole at the start, after a transaction failed half-way, when other rules bind, and when too much was missed.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from msgspec import Struct, field

from quota_scheduler.core.cycle.result import Onward
from quota_scheduler.core.cycle.snapshot import Numbers, QueueState, Unfinished
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.tickets.ticket import TURN_TAKEN, State, Ticket
from quota_scheduler.service import pass_state
from quota_scheduler.service.pass_state import PassState
from quota_scheduler.service.rebuild import rebuild
from quota_scheduler.store import Foreseen, Transaction, ramps, tickets, turns, windows

LATEST = datetime.max.replace(tzinfo=UTC)
JITTER = timedelta(seconds=1)
"""By less a clock may go back and nothing is read anew."""
LOOK_AT_ALL = timedelta(seconds=2)
"""The whole queue is looked at this often: demand still to come shrinks with time, not only with events."""
MOST_MISSED = 2_000
"""Past so many tickets written by others, reading all that wait is no dearer than catching up."""
LONG_AWAY = timedelta(hours=1)
"""Whoever was stopped for longer reads everything: closed tickets are kept for a day, and their rows tell no more."""


class Remembered(Struct):
    """The open windows, the throttle queue, who has a turn, the next free numbers, and what a pass has left.

    ``taken`` is by ticket the share of each that runs or is offered, ``running`` how many of each share, ``offered``
    until when each offer stands. No lease runs out before ``lease_end``: it may be earlier than the first that does,
    where that one was renewed. All is as of ``revision``, ``passed`` what the store holds of the pass.

    As of ``quiet_at`` no provider refuses and no window is closed that goes on: while nobody else has written and time
    has not gone back nobody need ask.
    """

    balances: Balances
    queue: ThrottleQueue
    numbers: Numbers
    share_label: str
    revision: int = 0
    lease_end: datetime | None = None
    taken: dict[int, str] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    offered: dict[int, datetime | None] = field(default_factory=dict)
    unfinished: Unfinished = field(default_factory=Unfinished)
    passed: str = ""
    seen_all_at: datetime | None = None
    next_slot: datetime | None = None
    quiet_at: int = turns.NOTHING

    def is_quiet(self, now: datetime) -> bool:
        """Whether a look at breakers, and at windows that were closed too soon, would bring nothing."""
        return self.quiet_at == self.revision and now >= self.balances.now

    def balances_now(self, tx: Transaction) -> Balances:
        """The open windows as of now."""
        self.balances.now = tx.now
        self.balances.let_drift()
        return self.balances

    def queue_state(self, now: datetime) -> QueueState:
        """Who waits, and whether the next pass goes over all of them."""
        seen = self.seen_all_at
        look_at_all = seen is None or now - seen >= LOOK_AT_ALL or (self.next_slot or LATEST) <= now
        return QueueState(self.queue, self.running, self.unfinished, look_at_all)

    def go_on(self, onward: Onward, changed: Iterable[Ticket], *, now: datetime, seen_all: bool) -> None:
        """Take over what a cycle has left for the next one."""
        self.numbers, self.unfinished = onward.numbers, onward.unfinished
        for ticket in changed:
            self.count(ticket)
            if ticket.state is State.RUNNING and ticket.lease:
                self.lease_end = min(self.lease_end or LATEST, ticket.lease.expires_at)
        slots = (at for at in (self.next_slot, onward.next_slot) if at and at > now)
        self.next_slot = min(slots, default=None)  # one that this cycle had no cause to look at is still to come
        if seen_all:
            self.seen_all_at = now
        self.balances.rest()

    def expired_by(self, now: datetime) -> datetime | None:
        """The instant, where a lease may have run out by then."""
        return now if self.lease_end and self.lease_end <= now else None

    def count(self, ticket: Ticket | tickets.MovedTicket) -> None:
        """Count whether a ticket has its turn."""
        self.offered.pop(ticket.id, None)
        if ticket.state is State.OFFERED:
            self.offered[ticket.id] = ticket.offer_until
        if (before := self.taken.pop(ticket.id, None)) is not None:
            self.running[before] -= 1
            if not self.running[before]:
                del self.running[before]
        if ticket.state in TURN_TAKEN:
            share = self.taken[ticket.id] = ticket.labels.value(self.share_label)
            self.running[share] = self.running.get(share, 0) + 1

    # what others have written

    def catch_up(self, tx: Transaction, marks: turns.Marks, missed: "_Missed") -> None:
        """Take over what was written since: these tickets, the windows that moved, ramps and numbers."""
        waiting = [moved.id for moved in missed.tickets() if moved.state is State.WAITING]
        for moved in missed.tickets():
            self.count(moved)
            if moved.state is not State.WAITING:
                self.queue.remove(moved.id)
        for ticket in tickets.for_cycle(tx, ids=waiting).values():
            self.queue.add(ticket)
        if marks.open_windows > self.revision:
            windows.reload(tx, self.balances)
        else:
            windows.catch_up(missed.windows, self.balances)
        self.queue.ramps.take(missed.ramps())
        ticket_number, fence, self.lease_end = missed.standing()
        self.numbers = Numbers(ticket_number, fence)
        self.revision = marks.revision

    def take_pass(self, text: str) -> None:
        """Go on with the pass as another replica has left it."""
        if text != self.passed:
            state = pass_state.read(text, self.balances)
            self.passed, self.unfinished = text, state.unfinished
            self.seen_all_at, self.next_slot = state.seen_all_at, state.next_slot

    def keep_pass(self, tx: Transaction) -> None:
        """Leave the pass to whoever is next."""
        text = pass_state.written(PassState(self.seen_all_at, self.next_slot, self.unfinished))
        if text != self.passed:
            turns.keep_pass(tx, text)
            self.passed = text


class _Missed:
    """What others have written since a revision, asked for in one journey."""

    def __init__(self, tx: Transaction, revision: int) -> None:
        self.tickets = cache(tickets.moved_since(tx, revision, MOST_MISSED))
        self.windows = windows.written(tx, since=revision)
        self.ramps = ramps.ask(tx, since=revision)
        self.standing = tickets.standing(tx)


class Memory:
    """Holds what is remembered, if anything is. ``shared``: others write the same store, and go on where we stop."""

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.remembered: Remembered | None = None
        self.seen = turns.NOTHING
        self._elsewhere: set[int] = set()
        self._read_at: datetime | None = None
        self._asked_end: Callable[[], datetime | None] | None = None
        self._others_write = False

    def of(self, tx: Transaction, terms: Terms) -> Remembered:
        """What cycles remember, as the store is now.

        Read anew, too, when the clock was put back: what was ahead is put right first, and missing windows open.
        """
        if self.remembered and tx.now < self.remembered.balances.now - JITTER:
            self.forget()
            rebuild(tx, terms.limits)
        marks = turns.look(tx)
        if self.remembered is None:
            self.remembered = self._read(tx, terms)
        elif self.remembered.revision != marks.revision:
            self.remembered = self._caught_up(tx, terms, marks, self.remembered)
        else:
            self._others_write = False
        self.seen, self._read_at = self.remembered.revision, tx.now
        return self.remembered

    def foresee(self, tx: Foreseen) -> None:
        """Ask for what others will have written, where they wrote before the last cycle."""
        if self.remembered and self._others_write:
            _Missed(tx, self.remembered.revision)

    def _caught_up(self, tx: Transaction, terms: Terms, marks: turns.Marks, kept: Remembered) -> Remembered:
        """What is remembered with what was written since, or all of it read anew where that is no dearer."""
        was_away = self._read_at is None or tx.now - self._read_at > LONG_AWAY
        missed = _Missed(tx, kept.revision)
        written = missed.tickets()
        self._others_write = True
        if marks.anew > kept.revision or was_away or len(written) == MOST_MISSED:
            kept = self._read(tx, terms)
        else:
            kept.catch_up(tx, marks, missed)
            self._elsewhere.update(ticket.id for ticket in written)
        if self.shared:
            kept.take_pass(marks.passed)
        return kept

    def _read(self, tx: Transaction, terms: Terms) -> Remembered:
        """Everything, with what was ahead put right; whoever waits for news is told what moved meanwhile."""
        if self.seen != turns.NOTHING:
            self._elsewhere |= tickets.numbers_since(tx, self.seen)
        tickets.put_right(tx, claim_within=terms.policy.claim_within)
        return remember(tx, terms)

    def forget(self) -> None:
        """Load what waits anew with the next cycle."""
        self.remembered, self._asked_end = None, None

    def go_on(self, tx: Transaction, onward: Onward, changed: Iterable[Ticket], *, seen_all: bool, quiet: bool) -> None:
        """Take over what a cycle has left for the next one, and leave it to other replicas.

        ``quiet``: no provider refuses.
        """
        assert self.remembered is not None
        self.remembered.go_on(onward, changed, now=tx.now, seen_all=seen_all)
        if self.remembered.expired_by(tx.now):
            self._asked_end = tickets.next_end(tx)
        if self.shared:
            self.remembered.keep_pass(tx)
        self.remembered.revision = max(self.remembered.revision, tx.revision)
        self.remembered.quiet_at = self.remembered.revision if quiet and not self.shared else turns.NOTHING

    def written_elsewhere(self) -> set[int]:
        """The tickets that others have written since this was last asked."""
        written = self._elsewhere
        if written:
            self._elsewhere = set()
        return written

    def due(self) -> datetime | None:
        """The earliest instant at which something remembered falls due; after the commit."""
        if (kept := self.remembered) is None:
            return None
        if self._asked_end:
            kept.lease_end, self._asked_end = self._asked_end(), None
        instants = kept.next_slot, kept.queue.next_due(), kept.balances.ends_next, kept.lease_end
        return min((at for at in (*instants, *kept.offered.values()) if at), default=None)


def remember(tx: Transaction, terms: Terms) -> Remembered:
    """Read what cycles remember; only looks, so that a view that cannot write will do."""
    share = terms.policy.fair_share
    balances = Balances(terms.limits, (), now=tx.now)
    windows.reload(tx, balances)
    queue = ThrottleQueue(tickets.waiting(tx), balances.instances, share_label=share)
    queue.ramps.take(ramps.ask(tx)())
    number, fence, lease_end = tickets.standing(tx)()
    remembered = Remembered(balances, queue, Numbers(number, fence), share, turns.look(tx).revision, lease_end)
    for ticket in tickets.turns_taken(tx):
        remembered.count(ticket)
    return remembered
