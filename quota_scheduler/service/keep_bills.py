"""Bills in: a page of a provider's report and how far that is, in one transaction."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.bill import BillCursor, BillLine, Ceiling
from quota_scheduler.core.observations.observation import Observation
from quota_scheduler.service.observe import record_word
from quota_scheduler.store import Store, Transaction, bills

Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


class KeptBills:
    """How far the reports of one organisation have been read, and what they said."""

    def __init__(
        self, provider: str, account: str, *, store: Store, do: Do, limits: Callable[[], Sequence[Limit]]
    ) -> None:
        self._provider, self._account, self._store, self._do, self._limits = provider, account, store, do, limits

    def cursor(self, reader: str) -> BillCursor | None:
        """How far a report has been read; None when nothing of it was."""
        with self._store.reading() as tx:
            return bills.cursor(tx, self._provider, self._account, reader)

    def keep(
        self,
        reader: str,
        cursor: BillCursor,
        *,
        lines: Sequence[BillLine],
        observations: Sequence[Observation],
        ceilings: Sequence[Ceiling],
    ) -> None:
        """Keep what a page held and how far that is."""

        def write(tx: Transaction) -> None:
            bills.save(tx, lines)
            bills.save_ceilings(tx, ceilings)
            if observations:
                record_word(tx, observations, (), self._limits())
            bills.remember(tx, self._provider, self._account, reader, cursor)

        self._do(write).result()


def ceilings_document(tx: Transaction) -> dict[str, Any]:
    """What providers allow in a moment, as JSON types, and when that was read."""
    return {
        "at": iso(tx.now),
        "ceilings": [
            {"provider": one.provider, "account": one.account, "group": one.group, "limiter": one.limiter,
             "value": one.value, "read_at": iso(read_at)}
            for one, read_at in bills.ceilings(tx)
        ],
    }  # fmt: skip


def bill_lines(tx: Transaction, start: datetime, end: datetime) -> list[BillLine]:
    """What providers counted and charged in buckets within a span, oldest first."""
    return bills.between(tx, start, end)
