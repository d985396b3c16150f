"""Passes over a source: new lines → events → priced → recorded, each batch with its file states in one transaction.

What the lines tell of the provider's own word is recorded in the same transaction.

A source is *catching up* until its first complete pass after start. Meanwhile enforced limits that it feeds defer all
but people, and no alert moves: half a history is not a reading.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.ledger.plain_events import NOTHING
from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.errors import StoreError
from quota_scheduler.service.apply_prices import Pricer, priced_events, priced_plain
from quota_scheduler.service.observe import record_word
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.service.settle_unlisted import UnlistedUsage
from quota_scheduler.service.tick.tick import FIRST_PASS
from quota_scheduler.service.upkeep.unknown import remember_unknown
from quota_scheduler.store import Store, Transaction, counters, facts, session_totals
from quota_scheduler.store import sources as source_store

log = logging.getLogger(__name__)
ALWAYS_SHOWN = "claude_code"
"""The agent that is shown also where it has left nothing yet, so that a new installation shows one source."""
PROGRESS_SECONDS = 2.0
"""A long pass says this often how far it is."""
MOST_NAMED = 1_000
"""Files whose first garbled line is named; those of more are counted."""
SLICE = 128
"""Events of one transaction after the first pass, 5 ms: whoever asks to run meanwhile waits for one of them at most."""
Scan = Callable[[Mapping[str, FileState]], Iterator[Batch]]
Limits = Callable[[], Sequence[Limit]]
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


class Progress(Struct):
    """How a source is doing."""

    catching_up: bool = True
    errors: int = 0
    files: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    completed: float | None = None
    """When the last complete pass ended, on the monotonic clock."""
    problem: str = ""
    """Why nothing that is read can be written down; empty while all is well."""


class Ingest:
    """Reads one source, pass by pass. ``do`` is the writer's door."""

    def __init__(
        self,
        name: str,
        provider: str,
        scan: Scan,
        *,
        store: Store,
        do: Do,
        prices: Pricer,
        limits: Limits,
        places: Sequence[Path] = (),
        close: Callable[[], None] = lambda: None,
        kept_under: str = "",
    ) -> None:
        """``places`` are the folders that ``scan`` looks in, for people; ``close`` lets go what it holds of them.

        How far files are read is ``kept_under`` this name, by default the source's own: two hosts that share a database
        have files of one name.
        """
        self.close, self._kept_under = close, kept_under or name
        self.name, self.provider, self.places = name, provider, tuple(places)
        self._scan, self._store, self._do, self._prices, self._limits = scan, store, do, prices, limits
        self._unlisted = UnlistedUsage(store, do, prices, limits)
        self.progress = Progress()
        self.reading = threading.Lock()
        self._states: dict[str, FileState] | None = None
        self._unreadable: frozenset[str] = frozenset()
        self._garbled: set[str] = set()
        self._unknown: set[str] = set()
        self._stopping = threading.Event()
        self._has_recorded = False

    def poll(self) -> Recorded:
        """Make one pass; returns what it recorded. A pass that is stopped goes on from there the next time.

        Raises StoreError while the database or its disk refuses; ``progress.problem`` says so until it takes again.
        """
        with self.reading:
            try:
                return self._pass()
            except StoreError as error:
                self._say_problem(str(error))
                raise

    def stop(self) -> None:
        """End the pass under way after its present batch."""
        self._stopping.set()

    @property
    def is_there(self) -> bool:
        """Whether anything of it was found: agents that are not installed here are not worth a series each."""
        return self.name == ALWAYS_SHOWN or bool(self.progress.files or self.progress.errors)

    def source_reading(self, _now: datetime) -> SourceReading:
        """What metrics and people see of it; behind by the age of its last complete pass, by the monotonic clock."""
        progress = self.progress
        lag = time.monotonic() - progress.completed if progress.completed is not None else 0.0
        return SourceReading(
            self.name, progress.catching_up, lag, progress.errors, progress.files, progress.done_bytes,
            progress.total_bytes,
        )  # fmt: skip

    def _pass(self) -> Recorded:
        if self._states is None:
            with self._store.reading() as tx:
                self._states = source_store.load(tx, self._kept_under)
        sum_, said = Recorded(), time.monotonic()
        unreadable: set[str] = set()
        for batch in self._scan(dict(self._states)):
            unreadable.update(batch.unreadable)
            sum_ = sum_.plus(self._take(batch))
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
        self._tell_unreadable(frozenset(unreadable))
        settled = self._unlisted.settle(history=self.progress.catching_up)
        self._has_recorded |= settled > 0
        self._say_problem("")  # also where there was nothing to record: the database answers, and nothing is owed
        self._complete()
        return sum_

    def _take(self, batch: Batch) -> Recorded:
        """Record a batch; where the whole fails, piece by piece, so that one bad event keeps no other from counting."""
        recorded = Recorded()
        if (
            batch.events
            or batch.plain
            or batch.files
            or batch.gone
            or batch.errors
            or batch.observations
            or batch.throttles
        ):
            self._has_recorded = True
            try:
                recorded = self._in_slices(self._priced(batch))
            except StoreError:
                raise
            except Exception as error:
                log.warning("source.one_by_one source=%s events=%d reason=%r", self.name, len(batch.events), error)
                recorded = self._take_apart(batch)
            self._say_problem("")
        assert self._states is not None
        self._states.update((state.path, state) for state in batch.files)
        for path in batch.gone:
            self._states.pop(path, None)
        progress = self.progress
        progress.errors += batch.errors
        progress.files, progress.done_bytes, progress.total_bytes = (
            len(self._states),
            batch.done_bytes,
            batch.total_bytes,
        )
        self._tell_garbled(batch.garbled)
        if new := {*batch.unknown} - self._unknown:
            self._unknown |= new
            self._do(partial(remember_unknown, door=self.name, fields=sorted(new))).result()
        return recorded

    def _in_slices(self, batch: Batch) -> Recorded:
        """Record a batch; after the first pass a little at a time, so that nobody who asks to run waits for all of it.

        The files count as read with the last slice: what was recorded before it is counted once, however often read.
        """
        sum_, events = Recorded(), batch.events
        while len(events) > SLICE and not self.progress.catching_up:
            some, events = events[:SLICE], events[SLICE:]
            sum_ = sum_.plus(self._do(partial(self._save, batch=Batch(events=some))).result())
        return sum_.plus(self._do(partial(self._save, batch=replace(batch, events=events))).result())

    def _take_apart(self, batch: Batch) -> Recorded:
        """Record each event in a transaction of its own and name those that cannot be; then the states of the files."""
        sum_, refused = Recorded(), 0
        for event in batch.all_events():
            try:
                alone = self._priced(Batch(events=(event,)))
                sum_ = sum_.plus(self._do(partial(self._save, batch=alone)).result())
            except StoreError:
                raise
            except Exception as error:
                refused += 1
                log.error("source.event_refused source=%s key=%a error=%r", self.name, event.key, error)
        try:
            word = Batch(observations=batch.observations, throttles=batch.throttles)
            self._do(partial(self._save, batch=word)).result()
        except StoreError:
            raise
        except Exception as error:
            refused += 1
            log.error("source.word_refused source=%s reports=%d error=%r", self.name, len(batch.observations), error)
        states = replace(batch, events=(), plain=NOTHING, observations=(), throttles=(), errors=batch.errors + refused)
        self._do(partial(self._save, batch=states)).result()
        self.progress.errors += refused
        return sum_

    def _priced(self, batch: Batch) -> Batch:
        """The batch with what its events cost; by columns only in a first pass, which is history."""
        if not self.progress.catching_up:
            batch = replace(batch, events=tuple(batch.all_events()), plain=NOTHING)
        plain = priced_plain(batch.plain, self._prices) if batch.plain else NOTHING
        return replace(batch, events=tuple(priced_events(batch.events, self._prices)), plain=plain)

    def _save(self, tx: Transaction, *, batch: Batch) -> Recorded:
        history = self.progress.catching_up
        recorded = record_usage(tx, batch.events, self._limits(), history=history, plain=batch.plain)
        session_totals.save(tx, self.name, batch.totals, batch.inherited, batch.going_on)
        if batch.observations or batch.throttles:
            record_word(tx, batch.observations, batch.throttles, self._limits())
        source_store.save(tx, self._kept_under, batch.files)
        source_store.forget(tx, self._kept_under, batch.gone)
        counters.add(tx, "quota_source_errors_total", (self.name,), batch.errors)
        return recorded

    def _tell_unreadable(self, unreadable: frozenset[str]) -> None:
        """Name and count what cannot be read when that begins; it is tried in every pass, and ends with a line too."""
        begun, ended = unreadable - self._unreadable, self._unreadable - unreadable
        if begun:
            self._do(lambda tx: counters.add(tx, "quota_source_errors_total", (self.name,), len(begun))).result()
            self.progress.errors += len(begun)
        self._unreadable = unreadable
        for entry in sorted(begun):
            log.warning("source.unreadable source=%s file=%s", self.name, entry)
        for entry in sorted(ended):
            log.info("source.readable_again source=%s file=%s", self.name, entry)

    def _tell_garbled(self, places: Sequence[str]) -> None:
        """Name the first garbled line of each file; how many there are is counted."""
        for place in places:
            path = place.rpartition(", ")[0]
            if path not in self._garbled and len(self._garbled) < MOST_NAMED:
                self._garbled.add(path)
                log.warning("source.garbled source=%s line=%s", self.name, place)

    def _say_problem(self, problem: str) -> None:
        """Log trouble of the database when it begins, changes and ends, and not with each pass."""
        before, self.progress.problem = self.progress.problem, problem
        if problem and problem != before:
            log.error("source.stopped source=%s error=%s", self.name, problem)
        elif before and not problem:
            log.info("source.goes_on source=%s after=%s", self.name, before)

    def _complete(self) -> None:
        progress = self.progress
        if progress.catching_up:
            self._do(self._caught_up).result()
            if self.is_there:
                log.info(
                    "source.caught_up source=%s files=%d mb=%d", self.name, progress.files, progress.total_bytes >> 20
                )
            progress.catching_up = False
        progress.completed = time.monotonic()

    def _caught_up(self, tx: Transaction) -> None:
        if self._has_recorded:  # else sessions stand as the start of the service has put them
            rebuild_sessions(tx, self._limits())
        if facts.fact(tx, FIRST_PASS) is None:
            facts.remember(tx, FIRST_PASS, tx.now.isoformat())
