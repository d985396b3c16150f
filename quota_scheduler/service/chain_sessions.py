"""Sessions put in their place beside the work of others, where more uses count than one write may read.

a start, changed limits ──due──► views, some slices each ──► one short write ──► in place, due no more
                                    └─ how far, every few seconds ─► a restart goes on from there
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from quota_scheduler.core.ledger.sessions import SESSION_MEMORY
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.service import chained_sessions
from quota_scheduler.service.kept_uses import gone_on, written
from quota_scheduler.service.read_uses import ReadUses, begun
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.store import Store, Transaction, facts, ledger, windows

log = logging.getLogger(__name__)
KEEP_SECONDS = 2.0
"""How far it is, is kept this often: a restart reads no more than so much again."""
SAY_SECONDS = 10.0
MOST_ROUNDS = 20
"""Attempts to put sessions in place before the next run of the job; each has only to read what came since the last."""
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


class SessionChaining:
    """Puts all sessions in their place when that is due. ``do`` is the leader's door to the writer."""

    def __init__(self, store: Store, do: Do, limits: Callable[[], Sequence[Limit]]) -> None:
        self._store, self._do, self._limits = store, do, limits
        self._stopping = False
        self.is_due, self.share, self.providers = False, 0.0, frozenset[str]()
        self.look()
        self.comes_first = self.is_due
        """Whether a start waits for it: until then nobody has seen what these limits hold."""

    def look(self) -> None:
        """See whether it is due, and for which providers' work that matters."""
        with self._store.reading() as tx:
            self.is_due = chained_sessions.are_due(tx)
            if not self.is_due:
                self.providers = frozenset()
            elif not self.providers:
                self.providers = frozenset(labels.provider for labels, _ in ledger.label_sets(tx).values())

    @property
    def problem(self) -> str:
        """How far it is, in words; empty where nothing is due."""
        if not self.is_due:
            return ""
        return f"sessions are put in their place by the usage of eight days, of which {self.share:.0%} is read"

    def stop(self) -> None:
        """End after the present slices; the next start goes on from there."""
        self._stopping = True

    def go_on(self, *, leads: bool) -> bool:
        """Do what is due, where this process leads; returns whether anything was done."""
        self.look()
        self.comes_first &= self.is_due
        if not self.is_due or not leads:
            return False
        began, uses = time.monotonic(), self._begun()
        for _ in range(MOST_ROUNDS):
            if not self._read(uses):
                return False
            if self._do(partial(self._put, uses=uses)).result():
                log.info("sessions.chained uses=%d seconds=%.1f", uses.count, time.monotonic() - began)
                self.look()
                self.comes_first = self.is_due
                return True
            if chained_sessions.shape_of(uses.limits) != chained_sessions.shape_of(self._chained()):
                uses = self._begun()
        return False

    def _chained(self) -> list[Limit]:
        return [limit for limit in self._limits() if chained_sessions.is_chained(limit)]

    def _begun(self) -> ReadUses:
        with self._store.reading() as tx:
            limits = self._chained()
            if uses := gone_on(tx, facts.fact(tx, chained_sessions.READ) or "", limits):
                log.info("sessions.read_on uses=%d", uses.count)
                return uses
            return begun(tx, windows.load(tx, limits, since=tx.now - SESSION_MEMORY), limits)

    def _read(self, uses: ReadUses) -> bool:
        """Read what is there beside whoever writes; returns whether all of it is read."""
        kept = said = time.monotonic()
        is_more = True
        while is_more:
            if self._stopping:
                self._keep(uses)
                return False
            with self._store.reading() as tx:
                is_more = uses.take(tx)
                self.share = uses.share(tx.now)
            now = time.monotonic()
            if is_more and now - kept > KEEP_SECONDS:
                kept = now
                self._keep(uses)
            if now - said > SAY_SECONDS:
                said = now
                log.info("sessions.reading uses=%d share=%.2f", uses.count, self.share)
        return True

    def _keep(self, uses: ReadUses) -> None:
        text = written(uses)
        self._do(lambda tx: facts.remember(tx, chained_sessions.READ, text)).result()

    def _put(self, tx: Transaction, *, uses: ReadUses) -> bool:
        limits = self._limits()
        is_same = chained_sessions.shape_of(uses.limits) == chained_sessions.shape_of(limits)
        return is_same and rebuild_sessions(tx, limits, uses)
