"""How use of a limit grew in its window, for a process that keeps no histories since another makes the forecasts."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit, parts_of
from quota_scheduler.store import Transaction, ledger, rollups


def course_of(
    tx: Transaction, limits: Iterable[Limit], instance: str, since: datetime, until: datetime
) -> list[tuple[datetime, float]]:
    """What was used of a limit instance by the end of each hour of a span, from the rollups; in base units."""
    rule, _ = parts_of(instance)
    book = Histories([limit for limit in limits if limit.id == rule])
    book.fold(rollups.slices(tx, since), ledger.label_sets(tx), Balances(book.limits, (), now=tx.now))
    return book.of(instance).course(since, until)
