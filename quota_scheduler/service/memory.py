"""What cycles of one process remember of the store, whose only writer they are; the writer thread's own.

It is read when there is nothing to remember yet: at the start, after a transaction failed half-way, and when the terms
have changed what waits where.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.cycle.result import Onward
from quota_scheduler.core.cycle.snapshot import Numbers, QueueState, Unfinished
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.service.rebuild import rebuild
from quota_scheduler.store import Transaction, tickets, windows

LATEST = datetime.max.replace(tzinfo=UTC)
JITTER = timedelta(seconds=1)
"""By less a clock may go back and nothing is read anew."""
LOOK_AT_ALL = timedelta(seconds=2)
"""The whole queue is looked at this often: demand still to come shrinks with time, not only with events."""


@dataclass(slots=True)
class Remembered:
    """The open windows, the throttle queue, what runs by share, the next free numbers, and what a pass has left."""

    balances: Balances
    queue: ThrottleQueue
    running: dict[str, int]
    numbers: Numbers
    unfinished: Unfinished = field(default_factory=Unfinished)
    balances_are_current: bool = True
    seen_all_at: datetime | None = None
    next_slot: datetime | None = None

    def balances_now(self, tx: Transaction) -> Balances:
        """The open windows as of now."""
        self.balances.now = tx.now
        if not self.balances_are_current:
            windows.reload(tx, self.balances)
            self.balances_are_current = True
        self.balances.let_drift()
        return self.balances

    def queue_state(self, now: datetime) -> QueueState:
        """Who waits, and whether the next pass goes over all of them."""
        seen = self.seen_all_at
        look_at_all = seen is None or now - seen >= LOOK_AT_ALL or (self.next_slot or LATEST) <= now
        return QueueState(self.queue, self.running, self.unfinished, look_at_all)

    def go_on(self, onward: Onward, *, now: datetime, seen_all: bool) -> None:
        """Take over what a cycle has left for the next one."""
        self.numbers, self.running, self.unfinished = onward.numbers, dict(onward.running), onward.unfinished
        slots = (at for at in (self.next_slot, onward.next_slot) if at and at > now)
        self.next_slot = min(slots, default=None)  # one that this cycle had no cause to look at is still to come
        if seen_all:
            self.seen_all_at = now
        self.balances.rest()


class Memory:
    """Holds what is remembered, if anything is."""

    def __init__(self) -> None:
        self.remembered: Remembered | None = None

    def of(self, tx: Transaction, terms: Terms) -> Remembered:
        """What cycles remember; read from the store when they have nothing to remember yet.

        Read anew, too, when the clock was put back: what was ahead is put right first, and missing windows open.
        """
        if self.remembered and tx.now < self.remembered.balances.now - JITTER:
            self.forget()
            rebuild(tx, terms.limits)
        if self.remembered is None:
            self.remembered = _read(tx, terms)
        return self.remembered

    def forget(self) -> None:
        """Load what waits anew with the next cycle."""
        self.remembered = None

    def windows_moved(self) -> None:
        """Somebody else than a cycle has written: the next one reads the open windows again."""
        if self.remembered:
            self.remembered.balances_are_current = False

    def due(self) -> datetime | None:
        """The earliest instant at which something remembered falls due."""
        if (kept := self.remembered) is None:
            return None
        return min((at for at in (kept.next_slot, kept.queue.next_due(), kept.balances.ends_next) if at), default=None)


def _read(tx: Transaction, terms: Terms) -> Remembered:
    tickets.put_right(tx, claim_within=terms.policy.claim_within)
    return remember(tx, terms)


def remember(tx: Transaction, terms: Terms) -> Remembered:
    """Read what cycles remember; only looks, so that a view that cannot write will do."""
    share = terms.policy.fair_share
    balances = Balances(terms.limits, (), now=tx.now)
    windows.reload(tx, balances)
    return Remembered(
        balances,
        ThrottleQueue(tickets.waiting(tx), balances.instances, share_label=share),
        tickets.running_shares(tx, share),
        Numbers(tickets.sequence(tx, "ticket"), tickets.sequence(tx, "fence")),
    )
