"""Whether sessions lie where all uses say: a mark, so that a start reads eight days of events only where it must.

chained from all uses ──keep──► mark, of the limits it holds for
history, a corrected cost ──lost──► no mark: neither looks for sessions that it moves
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


def is_chained(limit: Limit) -> bool:
    """Whether its windows are where its uses say: those that a provider reports on are where that says."""
    return isinstance(limit.schedule, Session) and limit.observed is None


def keep(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Note that all sessions were just chained; not where uses lie ahead, which open sessions when their time comes."""
    newest = ledger.newest(tx)
    facts.remember(tx, MARK, "" if newest and newest > tx.now + SKEW else _of(limits))


def lost(tx: Transaction) -> None:
    """Note that something was recorded by which sessions were not looked for."""
    if facts.fact(tx, MARK):
        facts.remember(tx, MARK, "")


def lost_unless_of(tx: Transaction, limits: Sequence[Limit]) -> None:
    """Note that these limits count now: what others counted says nothing of theirs."""
    if facts.fact(tx, MARK) != _of(limits):
        lost(tx)


def hold(tx: Transaction, limits: Sequence[Limit]) -> bool:
    """Whether all sessions lie where their uses say, and no clock stood ahead when they were opened or closed."""
    return facts.fact(tx, MARK) == _of(limits) and not windows.any_ahead(tx)


def _of(limits: Sequence[Limit]) -> str:
    rows = [
        [limit.id, windows.shape_text(limit), limit.max_instances, sorted(limit.values), _rate(limit)]
        for limit in limits
        if is_chained(limit)
    ]
    return json.dumps(rows) if rows else "none"


def _rate(limit: Limit) -> str:
    """What a percent point is believed to cost: with it uses count that did not before."""
    return repr(limit.rate) if limit.unit is Unit.PERCENT else ""
