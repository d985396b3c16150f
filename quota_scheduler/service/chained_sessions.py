"""Whether sessions lie where all uses say: a mark, so that a start reads eight days of events only where it must.

chained from all uses ──keep──► mark, of the limits it holds for
history, a corrected cost ──lost──► no mark: neither looks for sessions that it moves
too many uses for a write ──due──► no mark, and they are read beside it (``service.chain_sessions``)
"""

import json
from collections.abc import Sequence

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.core.units import Unit
from quota_scheduler.store import Transaction, facts, ledger, windows

MARK = "sessions_chained"
"""The fact that says of which limits the sessions lie where their uses say; empty where that is not sure."""

DUE = "sessions_due"
"""The fact that all sessions are to be chained; empty where they need not."""
READ = "sessions_read"
"""How far the uses are read that they are chained from, so that a restart goes on from there; empty where none are."""


def is_chained(limit: Limit) -> bool:
    """Whether its windows are where its uses say: those that a provider reports on are where that says."""
    return isinstance(limit.schedule, Session) and limit.observed is None


def keep(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Note that all sessions were just chained; not where uses lie ahead, which open sessions when their time comes."""
    newest = ledger.newest(tx)
    facts.remember(tx, MARK, "" if newest and newest > tx.now + SKEW else shape_of(limits))
    for name in (DUE, READ):
        if facts.fact(tx, name):
            facts.remember(tx, name, "")


def due(tx: Transaction) -> None:
    """Note that all sessions are to be chained, from more uses than one write can read."""
    lost(tx)
    facts.remember(tx, DUE, "yes")


def are_due(tx: Transaction) -> bool:
    """Whether all sessions are to be chained."""
    return bool(facts.fact(tx, DUE))


def lost(tx: Transaction) -> None:
    """Note that something was recorded by which sessions were not looked for."""
    if facts.fact(tx, MARK):
        facts.remember(tx, MARK, "")


def lost_unless_of(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Note that these limits count now: what others counted says nothing of theirs."""
    if facts.fact(tx, MARK) != shape_of(limits):
        lost(tx)


def hold(tx: Transaction, limits: Sequence[Limit]) -> bool:
    """Whether all sessions lie where their uses say, and no clock stood ahead when they were opened or closed."""
    return facts.fact(tx, MARK) == shape_of(limits) and not windows.any_ahead(tx)


def shape_of(limits: Sequence[Limit]) -> str:
    """How limits with chained sessions count: what was chained for others says nothing of these."""
    rows = [
        [limit.id, windows.shape_text(limit), limit.max_instances, sorted(limit.values), _rate(limit)]
        for limit in limits
        if is_chained(limit)
    ]
    return json.dumps(rows) if rows else "none"


def _rate(limit: Limit) -> str:
    """What a percent point is believed to cost: with it uses count that did not before."""
    return repr(limit.rate) if limit.unit is Unit.PERCENT else ""
