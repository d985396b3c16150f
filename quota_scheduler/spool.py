"""The spool: usage that is pushed while the database is away lies on this host's disk until it is back.

    pushed ──database away──► the file: kept, and answered     as long as there is room; then 503 with Retry-After
    the database is back ──► replayed, oldest first ──► recorded ──commit──► dropped from the file

While anything lies there, what comes lines up behind it, so that it is recorded in the order in which it came. A crash
between the commit and the dropping replays a part: every event and every report has a key, and counts once.
"""

import logging
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import msgspec

from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.errors import StoreError
from quota_scheduler.store.database import Clock
from quota_scheduler.store.spool_file import SpooledBody, SpoolFile

log = logging.getLogger(__name__)
MOST_AT_ONCE = 50
"""Bodies that are replayed together: their commits are shared, and a crash repeats no more than these."""
PACK_LEVEL = 1
RECORD_SECONDS = 60.0
"""How long the recording of one body is waited for."""

Take = Callable[[Pushed], "Future[Any]"]
"""Prices a delivery and records it; the future resolves after its commit."""


class SpoolMetrics(Protocol):
    """Who shows how full it is."""

    def spool(self, *, size: int, oldest_at: float) -> None:
        """Bytes that lie there, and when the oldest came, in seconds since 1970; 0 where nothing does."""

    def spooled(self, outcome: str) -> None:
        """A body was ``kept``, ``refused``, ``replayed`` or ``unreadable``."""


class Spool:
    """One process's spool; without ``file`` nothing is ever kept."""

    def __init__(self, file: SpoolFile | None, take: Take, metrics: SpoolMetrics) -> None:
        self._file, self._take, self._metrics = file, take, metrics
        self._since, self._is_full = time.monotonic(), False
        self._show()

    @property
    def is_kept(self) -> bool:
        """Whether there is a spool."""
        return self._file is not None

    @property
    def is_in_use(self) -> bool:
        """Whether something lies there, so that whatever comes must line up behind it."""
        return self._file is not None and self._file.entries > 0

    def keep(self, delivery: Pushed) -> bool:
        """Keep a delivery on the disk; False where there is no room, or no spool. Blocks for a moment."""
        if self._file is None:
            return False
        if not self._file.entries:
            self._since = time.monotonic()
        is_kept = self._file.put(packed(delivery))
        self._metrics.spooled("kept" if is_kept else "refused")
        if is_kept and self._file.entries == 1:
            log.warning("spool.keeps file=%s", self._file.path)
        if not is_kept and not self._is_full:
            log.error("spool.full bytes=%d", self._file.size)
        self._is_full = not is_kept
        self._show()
        return is_kept

    def replay(self) -> None:
        """Record what lies there, oldest first. Raises StoreError while the database refuses."""
        entries = 0
        while self._file is not None and (kept := self._file.first(MOST_AT_ONCE)):
            try:
                entries += self._record(self._file, kept)
            finally:
                self._show()
        if entries:
            log.warning("spool.replayed bodies=%d after_seconds=%.0f", entries, time.monotonic() - self._since)

    def _record(self, file: SpoolFile, kept: list[SpooledBody]) -> int:
        """Record some; what cannot be read is set aside, and what fails for the database's sake stays."""
        futures: list[tuple[int, Future[Any]]] = []
        for one in kept:
            delivery = unpacked(one.body)
            if delivery is None:
                log.error("spool.unreadable number=%d: it stays in %s", one.number, file.path)
                self._metrics.spooled("unreadable")
                file.set_aside([one.number])
            else:
                futures.append((one.number, self._take(delivery)))
        done: list[int] = []
        try:
            for number, future in futures:
                future.result(RECORD_SECONDS)
                done.append(number)
                self._metrics.spooled("replayed")
        finally:
            file.drop(done)
        return len(done)

    def _show(self) -> None:
        if self._file is not None:
            self._metrics.spool(size=self._file.size, oldest_at=self._file.oldest_at / 1e6)

    def close(self) -> None:
        """Let the file go; what lies there is replayed after the next start."""
        if self._file is not None:
            self._file.close()
            self._file = None


def opened(path: Path, most: int, clock: Clock) -> SpoolFile | None:
    """The file of a spool of ``most`` bytes; None where it cannot be used, which is said."""
    try:
        return SpoolFile(path, most, clock)
    except StoreError as error:
        log.warning("spool.unusable error=%s", error)
        return None


def packed(delivery: Pushed) -> bytes:
    """A delivery as bytes."""
    return zlib.compress(msgspec.msgpack.encode(delivery), PACK_LEVEL)


def unpacked(body: bytes) -> Pushed | None:
    """The delivery again, an equal value; None where these bytes hold none that this version can read."""
    try:
        return msgspec.msgpack.decode(zlib.decompress(body), type=Pushed)
    except (zlib.error, msgspec.MsgspecError):
        return None
