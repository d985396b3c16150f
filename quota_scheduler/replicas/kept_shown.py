"""What counters stand at, over a restart and a change of the lead.

Counters are sums of the store, so they go on where they were. One whose sum fell (sessions list more calls, a cost is
corrected) stands at what it showed; were it to show less after a restart, rates would take that for a new beginning
and count all of it once more.
"""

from typing import Protocol

from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.replicas.documents import decode_shown, encode_shown, shown_shape
from quota_scheduler.replicas.leading import Do, Leading
from quota_scheduler.store import leadership


class Counting(Protocol):
    """Who shows counters."""

    def shown(self) -> Shown:
        """What was shown up to now."""

    def go_on_from(self, shown: Shown) -> None:
        """Let no counter be less than that."""


class KeptShown:
    """Keeps what counters stand at; ``do_as_leader`` is the leader's door to the database."""

    def __init__(self, leading: Leading, do_as_leader: Do, counting: Counting) -> None:
        self._leading, self._do, self._counting = leading, do_as_leader, counting
        self._kept = Shown()

    def keep(self) -> None:
        """Store what counters stand at, where that has changed: after each tick, whose leader calls it."""
        shown, epoch = self._counting.shown(), self._leading.epoch
        if shown == self._kept:
            return
        body = encode_shown(shown)
        self._do(lambda tx: leadership.publish(tx, leadership.SHOWN, epoch, shape=shown_shape(), body=body)).result()
        self._kept = shown

    def go_on(self) -> None:
        """Let counters stand where whoever led before left them."""
        with self._leading.store.reading() as tx:
            kept = leadership.published(tx, leadership.SHOWN)
        if kept and (shown := decode_shown(kept.shape, kept.body)):
            self._counting.go_on_from(shown)
