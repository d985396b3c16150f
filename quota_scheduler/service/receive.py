"""Usage from another host: a shipment's events, and how that host's sources are doing, in one transaction."""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.other_hosts import ShippedSource
from quota_scheduler.service.observe import record_word
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.store import Transaction, counters, session_totals
from quota_scheduler.store import shipped as shipped_store


class Received(Struct, frozen=True):
    """What became of a shipment, and when that was."""

    recorded: Recorded
    now: datetime


def receive(
    tx: Transaction, origin: str, batch: Batch, sources: Sequence[ShippedSource], limits: Sequence[Limit]
) -> Received:
    """Record what another host has read: priced events, the provider's word, what sessions tell of themselves.

    ``sources`` are as the host's shipper said, seen at the transaction's now.
    """
    recorded = record_usage(tx, batch.events, limits)
    session_totals.save(tx, origin, batch.totals, batch.inherited, batch.going_on)
    if batch.observations or batch.throttles:
        record_word(tx, batch.observations, batch.throttles, limits)
    seen = [source._replace(seen_at=tx.now) for source in sources]
    before = {(one.host, one.source): one.errors for one in shipped_store.load(tx)} if seen else {}
    for source in seen:
        if (more := source.errors - before.get((source.host, source.source), 0)) > 0:
            counters.add(tx, "quota_source_errors_total", (source.origin,), more)
    shipped_store.save(tx, seen)
    return Received(recorded, tx.now)


class ShippedSources:
    """What the readings show of other hosts; taken in by the writer's thread, read by the tick."""

    def __init__(self, sources: Iterable[ShippedSource] = ()) -> None:
        self._mutex = threading.Lock()
        self._sources = {(one.host, one.source): one for one in sources}

    def take(self, sources: Iterable[ShippedSource], now: datetime) -> None:
        """Let these be what their shippers said last."""
        with self._mutex:
            self._sources.update(((one.host, one.source), one._replace(seen_at=now)) for one in sources)

    def begin_anew(self, sources: Iterable[ShippedSource]) -> None:
        """Let these be all there are, seen when they say: other replicas hear shippers too."""
        with self._mutex:
            self._sources = {(one.host, one.source): one for one in sources}

    def all(self) -> list[ShippedSource]:
        """Every source, by host and name."""
        with self._mutex:
            return [source for _, source in sorted(self._sources.items())]
