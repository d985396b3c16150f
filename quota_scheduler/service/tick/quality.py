"""Scheduling quality: every window that has closed is judged once, and again when late usage corrects it.

owed    closed windows without a judgement            what they turned away was counted by the cycles themselves
judge   who used them, what ran, what waited          core.readings.closed_windows
save    in the transaction of the tick; a judgement that did not reach the disk is simply owed again
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.readings.closed_windows import WindowFacts, judged
from quota_scheduler.core.readings.scheduling_quality import ClosedWindow, QualityReading, pool
from quota_scheduler.core.units import Unit
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store import quality as quality_store

LOOKBACK = timedelta(days=30)
"""The windows that readings are over: those that closed this lately, and the last one of a limit in any case."""
REMEMBERED = timedelta(days=62)
"""A month's window may have closed that long ago and be the last one."""
LOOK_EVERY = timedelta(seconds=30)
LOAD_EVERY = timedelta(days=1)
FIRST_JUDGED = timedelta(hours=24)
"""A window that closed longer ago is not judged any more: who waited then is forgotten."""
CORRECTED = timedelta(days=35)
"""How long late usage corrects a judgement: as long as raw events are kept."""


class Quality:
    """The quality of every limit instance over its closed windows; what it remembers is what the database holds."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[datetime, ClosedWindow]] = {}
        self._readings: dict[str, QualityReading] = {}
        self._owed: list[ClosedWindow] = []
        self._looked_at: datetime | None = None
        self._loaded_at: datetime | None = None

    def reading(self, instance: str) -> QualityReading | None:
        """The quality of a limit; None before its first window has closed."""
        return self._readings.get(instance)

    def update(self, tx: Transaction, balances: Balances) -> None:
        """Judge what has closed; now and then is soon enough."""
        if self._looked_at and timedelta(0) <= tx.now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = tx.now
        changed = set(self._load(tx))
        rules = [limit.id for limit in balances.limits if limit.is_windowed and limit.unit is not Unit.LEASES]
        owed = quality_store.owed(tx, rules, since=tx.now - CORRECTED, first_since=tx.now - FIRST_JUDGED)
        self._owed = _Verifier(tx, balances).verify(owed)
        for window in self._owed:
            self._windows.setdefault(window.instance, {})[window.starts_at] = window
            changed.add(window.instance)
        for instance in changed:
            ended = [window for window in self._windows[instance].values() if window.ends_at <= tx.now]
            if ended:  # else its only window goes on: a clock that was ahead had ended it
                self._readings[instance] = _lately(ended, tx.now - LOOKBACK)

    def save(self, tx: Transaction) -> None:
        """Write what was judged since the last save."""
        quality_store.save(tx, self._owed)
        self._owed = []

    def _load(self, tx: Transaction) -> Iterable[str]:
        """Read what was judged before, at the start and once a day, which lets go of what has become too old."""
        if self._loaded_at and timedelta(0) <= tx.now - self._loaded_at < LOAD_EVERY:
            return ()
        self._loaded_at, self._windows, self._readings = tx.now, {}, {}
        for window in quality_store.judged(tx, tx.now - REMEMBERED):
            self._windows.setdefault(window.instance, {})[window.starts_at] = window
        return tuple(self._windows)


def _lately(windows: Iterable[ClosedWindow], since: datetime) -> QualityReading:
    """The quality over the windows that closed since then, or over the last one."""
    by_end = sorted(windows, key=lambda window: window.ends_at)
    return pool([window for window in by_end if window.ends_at >= since] or by_end[-1:])


class _Verifier:
    """Looks up what happened in windows; several that share a span are looked up once."""

    def __init__(self, tx: Transaction, balances: Balances) -> None:
        self._tx, self._balances = tx, balances
        self._facts: dict[tuple[datetime, datetime], WindowFacts] = {}

    def verify(self, windows: Sequence[ClosedWindow]) -> list[ClosedWindow]:
        """The same windows with who used them, and what ran and waited."""
        sets = ledger.label_sets(self._tx) if windows else {}
        return [judged(window, self._facts_of(window), sets, self._balances) for window in windows]

    def _facts_of(self, window: ClosedWindow) -> WindowFacts:
        span = window.starts_at, window.ends_at
        if span not in self._facts:
            self._facts[span] = WindowFacts(
                quality_store.used_between(self._tx, *span),
                quality_store.runs_between(self._tx, *span),
                quality_store.waited_at(self._tx, window.ends_at),
            )
        return self._facts[span]
