"""Plain events on their way into the ledger: which stay plain, and which of them windows count.

Where anything about them has to be looked at one by one (a lease, a cap on runs, pruned rows, ids that are known), they
are events like all others.
"""

from collections import Counter
from collections.abc import Sequence

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.booking import LARGEST_COST
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.plain_events import NOTHING, PlainEvents, touches, unknown
from quota_scheduler.core.ledger.settlement import LeasesOf
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.store import Transaction, ledger, pruned


def still_plain(
    tx: Transaction, plain: PlainEvents, events: Sequence[UsageEvent], leases: LeasesOf, limits: Sequence[Limit]
) -> tuple[PlainEvents, list[UsageEvent]]:
    """What is plain given what the ledger knows, and all others of a batch as events."""
    if not plain:
        return NOTHING, list(events)
    if leases.tickets or pruned.is_any(tx) or any(limit.is_per_run for limit in limits) or _is_dear(plain):
        return NOTHING, [*events, *plain.events()]
    fresh, known = unknown(plain, ledger.names_known(tx, plain.keys, plain.messages))
    others = [*events, *known]
    if touches(others, fresh.keys, fresh.messages):
        return NOTHING, [*events, *plain.events()]
    return fresh, others


def _is_dear(plain: PlainEvents) -> bool:
    return bool(plain.costs) and max(plain.costs[0]) > LARGEST_COST


def in_and_beside(plain: PlainEvents, balances: Balances) -> tuple[list[Change], Counter[str]]:
    """Those that windows may count, as changes; by provider how many tokens of the others have no price.

    Where windows have been closed each may have come too late.
    """
    if any(balance.closed for balance in balances.all()):
        return [Change(None, event) for event in plain.events()], Counter()
    counts_from = [to_micros(balances.counts_from(like.labels)) for like in plain.kinds]
    is_in = [at >= counts_from[kind] for kind, at in zip(plain.kind, plain.at, strict=True)]
    unpriced = Counter[str]()
    if plain.costs and any(plain.costs[1]):
        for kind, tokens, counts in zip(plain.kind, plain.costs[1], is_in, strict=True):
            unpriced[plain.kinds[kind].labels.provider] += 0 if counts else tokens
    return [Change(None, event) for event in plain.where(is_in)], unpriced
