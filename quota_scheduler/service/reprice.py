"""Prices that are known later: what they cost differently is charged anew, wherever it was added up.

    stored events, a thousand at a time ──price──► what differs ──one transaction──► ledger, rollups, runs, windows

Every sweep looks at what was estimated. Only when prices have changed since the last complete one it also looks at all
of the current windows: a price may have been stated wrongly. Closed windows keep their verdicts but not their sums.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.usage import ORDINARY, Usage, UsageEvent
from quota_scheduler.service.apply_prices import Pricer, priced_anew, priced_ticket, unpriced
from quota_scheduler.service.record import correct, forget_estimates
from quota_scheduler.store import Store, Transaction, facts, repricing, tickets, windows

log = logging.getLogger(__name__)
STEP = 1_000
"""Events in one transaction: tens of milliseconds."""
STEPS_AT_ONCE = 10
"""Steps of one call, so that whoever makes it is not kept long."""
THROUGH = -1
"""The place behind the last event."""
PRICES = "prices"
"""The fact that says at which prices everything was charged."""
ONE_TOKEN = Usage(input=1, requests=1)
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


class FingerprintedPricer(Pricer, Protocol):
    """Whoever knows prices, and whether they are still the same."""

    @property
    def fingerprint(self) -> str:
        """Changes with the prices."""
        ...


class Repricing:
    """A sweep over what is stored; ``go_on`` makes some of its steps, and does nothing once it is through."""

    def __init__(
        self,
        store: Store,
        do: Do,
        pricer: FingerprintedPricer,
        limits: Callable[[], Sequence[Limit]],
        *,
        forget: Callable[[], None],
    ) -> None:
        """``do`` is the writer's door; ``forget`` lets it load what waits anew."""
        self._store, self._do, self._pricer, self._limits, self._forget = store, do, pricer, limits, forget
        self._again, self._place = True, 0
        self._prices, self._corrected = "", 0

    def begin(self) -> None:
        """Sweep once more, from the beginning, with whatever prices hold by now."""
        self._again = True

    def go_on(self) -> int:
        """Make some steps; returns how many events and estimates of waiting tickets were corrected by them."""
        corrected = 0
        for _ in range(STEPS_AT_ONCE):
            if self._again:
                self._again, self._place, self._prices = False, 0, self._pricer.fingerprint
            elif self.is_through:
                break
            corrected += self._step()
        return corrected

    @property
    def is_through(self) -> bool:
        """Whether nothing is left to do."""
        return self._place == THROUGH and not self._again

    def _step(self) -> int:
        with self._store.reading() as tx:
            since = None if facts.fact(tx, PRICES) == self._prices else _oldest_window(tx)
            events, place = repricing.to_reprice(tx, after=self._place, since=since, most=STEP)
        changes = [change for event in events if (change := self._change(event))]
        corrected = 0
        if changes:
            corrected = self._do(lambda tx: correct(tx, changes, self._limits())).result()
            self._corrected += corrected
        self._place = place or THROUGH
        if self.is_through:
            corrected += self._do(self._end).result()
        return corrected

    def _change(self, event: UsageEvent) -> Change | None:
        new = priced_anew(event, self._pricer)
        return None if (new.usage, new.estimated) == (event.usage, event.estimated) else Change(event, new)

    def _end(self, tx: Transaction) -> int:
        """What belongs to no step; returns how many tickets wait with another estimate."""
        priced_sets = [number for number, labels in repricing.unpriced_sets(tx) if self._is_known(labels, tx.now)]
        repricing.call_priced(tx, priced_sets)
        if self._corrected:
            forget_estimates(tx, self._limits())
            log.info("prices.corrected events=%d", self._corrected)
        facts.remember(tx, PRICES, self._prices)
        self._corrected = 0
        waiting = [self._estimated_anew(t, tx.now) for t in tickets.waiting(tx) if t.estimate.estimated_cost]
        changed = [new for old, new in waiting if new != old]
        if changed:
            repricing.reestimate(tx, changed)
            self._forget()
        return len(changed)

    def _estimated_anew(self, ticket: Ticket, at: datetime) -> tuple[Ticket, Ticket]:
        return ticket, priced_ticket(ticket._replace(estimate=unpriced(ticket.estimate)), at, self._pricer)

    def _is_known(self, labels: Labels, at: datetime) -> bool:
        return not self._pricer.price(labels, ONE_TOKEN, at, ORDINARY).estimated


def _oldest_window(tx: Transaction) -> datetime:
    """Where the oldest window that is still open begins; now where there is none."""
    return min((start for start in windows.open_since(tx)), default=tx.now)
