"""Passes over a source: new lines → events → priced → recorded, each batch with its file states in one transaction.

A source is *catching up* until its first complete pass after start. Meanwhile enforced limits that it feeds defer all
but people, and no alert moves: half a history is not a reading.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.service.apply_prices import Pricer, priced_events
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.service.tick.tick import FIRST_PASS
from quota_scheduler.store import Store, Transaction, counters, facts
from quota_scheduler.store import sources as source_store

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 2.0
"""A long pass says this often how far it is."""
Scan = Callable[[Mapping[str, FileState]], Iterator[Batch]]
Limits = Callable[[], Sequence[Limit]]
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


@dataclass(slots=True)
class Progress:
    """How a source is doing."""

    catching_up: bool = True
    errors: int = 0
    files: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    complete_at: datetime | None = None


class Ingest:
    """Reads one source, pass by pass. ``do`` is the writer's door."""

    def __init__(
        self, name: str, provider: str, scan: Scan, *, store: Store, do: Do, prices: Pricer, limits: Limits
    ) -> None:
        self.name, self.provider = name, provider
        self._scan, self._store, self._do, self._prices, self._limits = scan, store, do, prices, limits
        self.progress = Progress()
        self.reading = threading.Lock()
        self._known: dict[str, FileState] | None = None
        self._stopping = threading.Event()

    def poll(self) -> Recorded:
        """Make one pass; returns what it recorded. A pass that is stopped goes on from there the next time."""
        with self.reading:
            return self._pass()

    def stop(self) -> None:
        """End the pass under way after its present batch."""
        self._stopping.set()

    def source_reading(self, now: datetime) -> SourceReading:
        """What metrics and people see of it; behind by the age of the last complete pass."""
        own = self.progress
        lag = (now - own.complete_at).total_seconds() if own.complete_at else 0.0
        return SourceReading(
            self.name, own.catching_up, max(0.0, lag), own.errors, own.files, own.done_bytes, own.total_bytes
        )

    def _pass(self) -> Recorded:
        if self._known is None:
            with self._store.reading() as tx:
                self._known = source_store.load(tx, self.name)
        sum_, said = Recorded(), time.monotonic()
        for batch in self._scan(dict(self._known)):
            recorded = self._take(batch)
            sum_ = sum_.plus(recorded)
            if self.progress.catching_up and time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                log.info(
                    "source.reading source=%s mb=%d of_mb=%d",
                    self.name,
                    batch.done_bytes >> 20,
                    batch.total_bytes >> 20,
                )
            if self._stopping.is_set() and not batch.last:
                return sum_
        self._complete()
        return sum_

    def _take(self, batch: Batch) -> Recorded:
        recorded = Recorded()
        events = priced_events(batch.events, self._prices)
        if events or batch.files or batch.gone or batch.errors:
            recorded = self._do(lambda tx: self._save(tx, batch, events)).result()
        assert self._known is not None
        self._known.update((state.path, state) for state in batch.files)
        for path in batch.gone:
            self._known.pop(path, None)
        own = self.progress
        own.errors += batch.errors
        own.files, own.done_bytes, own.total_bytes = len(self._known), batch.done_bytes, batch.total_bytes
        for unreadable in batch.unreadable:
            log.warning("source.unreadable source=%s file=%s", self.name, unreadable)
        return recorded

    def _save(self, tx: Transaction, batch: Batch, events: list[Any]) -> Recorded:
        recorded = record_usage(tx, events, self._limits(), history=self.progress.catching_up)
        source_store.save(tx, self.name, batch.files)
        source_store.forget(tx, self.name, batch.gone)
        counters.add(tx, "quota_source_errors_total", (self.name,), batch.errors)
        return recorded

    def _complete(self) -> None:
        own = self.progress
        if own.catching_up:
            self._do(self._caught_up).result()
            log.info("source.caught_up source=%s files=%d mb=%d", self.name, own.files, own.total_bytes >> 20)
            own.catching_up = False
        own.complete_at = self._store.clock()

    def _caught_up(self, tx: Transaction) -> None:
        rebuild_sessions(tx, self._limits())
        if facts.fact(tx, FIRST_PASS) is None:
            facts.remember(tx, FIRST_PASS, tx.now.isoformat())
