"""News from other replicas for requests that are parked here: which of their tickets somebody else has changed.

    a hint (somebody wrote) ──┐
    every second              ┴─► anybody parked? ─► tickets of later revisions, by their index ─► wake who waits

The look is the guarantee, a hint only makes it sooner.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from quota_scheduler.store import Store, tickets, turns

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
"""How long a change by another replica may go unnoticed by who waits for it."""
HINTS_APART_SECONDS = 0.05
"""Hints may come with every write of every replica: they are followed no more often."""


class Parked(Protocol):
    """The requests that wait for news of tickets."""

    @property
    def is_anybody_parked(self) -> bool:
        """Whether any request waits."""

    def announce(self, tickets: Iterable[int]) -> None:
        """Wake whoever waits for these."""


class Lookout:
    """Wakes parked requests whose ticket another replica has changed. ``seen`` is up to where they were told anyway."""

    def __init__(self, store: Store, waiters: Parked, seen: Callable[[], int], *, every: float = LOOK_SECONDS) -> None:
        self._store, self._waiters, self._seen, self._every = store, waiters, seen, every
        self._told = turns.NOTHING
        self._hinted, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._hinted.set()
        if self._thread.is_alive():
            self._thread.join(self._every)

    def hint(self) -> None:
        """Look at once: somebody has written; from any thread."""
        self._hinted.set()

    def _work(self) -> None:
        failed = False
        while not self._stopping.wait(HINTS_APART_SECONDS):
            self._hinted.wait(self._every)
            self._hinted.clear()
            try:
                self.look()
                failed = False
            except Exception as error:  # whoever waits is answered when its time is over
                if not failed:
                    log.warning("lookout.failed error=%s", error)
                failed = True

    def look(self) -> None:
        """Tell who is parked which tickets were changed since the last look; costs nothing while nobody is."""
        if not self._waiters.is_anybody_parked:
            self._told = self._seen()  # whoever parks from now on looks after parking, and sees this and more
            return
        self._told = max(self._told, self._seen())  # of all until then who waits is told by who wrote or saw it
        with self._store.reading() as tx:
            revision = turns.look(tx).revision
            changed = tickets.numbers_since(tx, self._told) if revision > self._told else set()
        self._told = max(self._told, revision)
        if changed:
            self._waiters.announce(changed)
