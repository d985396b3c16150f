"""Unlisted usage: derived anew for each session of which a total or a listed call has moved.

    totals, forks, listed calls ──core.ledger.unlisted──► events ──price──► in place of those that stand

Whoever records usage only notes the sessions concerned, whichever door it came through; they are settled after each
pass over a source and with each tick.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from quota_scheduler.core.ledger.unlisted import UnlistedUse, began_with, unlisted
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import Extent, PriceTerms, UsageEvent
from quota_scheduler.service.apply_prices import Pricer, priced_events
from quota_scheduler.service.record import record_derived
from quota_scheduler.store import Store, Transaction, session_totals

AT_ONCE = 50
"""Sessions that are settled in one transaction: some ten milliseconds."""
KEY = "unlisted:"
"""How keys of unlisted usage begin; behind it the session, the model, and the place of the total that told of it."""
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


class UnlistedUsage:
    """Settles sessions; ``do`` is the writer's door."""

    def __init__(self, store: Store, do: Do, prices: Pricer, limits: Callable[[], Sequence[Limit]]) -> None:
        self._store, self._do, self._prices, self._limits = store, do, prices, limits

    def settle(self, *, history: bool = False) -> int:
        """Settle all sessions that wait for it; returns how many events changed. ``history``: see ``record_usage``."""
        changed = 0
        while self._waits():
            changed += self._do(partial(settle, limits=self._limits(), prices=self._prices, history=history)).result()
        return changed

    def _waits(self) -> bool:
        with self._store.reading() as tx:
            return bool(session_totals.unsettled(tx, 1))


def settle(tx: Transaction, *, limits: Sequence[Limit], prices: Pricer, history: bool) -> int:
    """Derive the unlisted usage of some of the sessions that wait, and record it; returns how many events changed."""
    sessions = session_totals.unsettled(tx, AT_ONCE)
    before = [event for session in sessions for event in session_totals.unlisted_of(tx, session)]
    now = [event for session in sessions for event in _events(tx, session)]
    session_totals.settled(tx, sessions)
    return record_derived(tx, before, priced_events(now, prices), limits, history=history)


def _events(tx: Transaction, session: str) -> list[UsageEvent]:
    inherited = session_totals.inherited_by(tx, session)
    family = [session, *(one.ancestor for one in inherited)]
    totals = {one: session_totals.totals_of(tx, one) for one in family}
    listed = {one: session_totals.listed_of(tx, one) for one in family}
    origin = session_totals.origin_of(tx, session)
    uses = unlisted(totals[session], listed[session], began_with(inherited, totals, listed, session))
    return [_event(session, use, origin) for use in uses]


def _event(session: str, use: UnlistedUse, origin: str) -> UsageEvent:
    return UsageEvent(
        key=f"{KEY}{session}:{use.labels.model}:{use.place}",
        at=use.at,
        labels=use.labels,
        usage=use.usage,
        run=session,
        session=session,
        priority=use.priority,
        terms=PriceTerms(web_searches=use.web_searches),
        origin=origin,
        extent=Extent.UNLISTED,
    )
