"""Scheduling quality: every window that has closed is judged once, and again when late usage corrects it.

owed    closed windows without a judgement            what they turned away was counted by the cycles themselves
judge   who used them, what ran, what waited          core.quality
save    in the transaction of the tick; a judgement that did not reach the disk is simply owed again
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.readings.scheduling_quality import (
    NOTHING,
    ClosedWindow,
    QualityReading,
    could_have_used,
    pool,
)
from quota_scheduler.core.tickets.run_history import USUAL_LENGTH
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
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
Sets = dict[int, tuple[Labels, Priority]]


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

    def look(self, tx: Transaction, balances: Balances) -> None:
        """Judge what has closed; now and then is soon enough."""
        if self._looked_at and timedelta(0) <= tx.now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = tx.now
        changed = set(self._load(tx))
        known = [limit.id for limit in balances.limits if limit.is_windowed and limit.unit is not Unit.LEASES]
        found = quality_store.owed(tx, known, since=tx.now - CORRECTED, first_since=tx.now - FIRST_JUDGED)
        self._owed = _Judge(tx, balances).judge(found)
        for each in self._owed:
            self._windows.setdefault(each.instance, {})[each.starts_at] = each
            changed.add(each.instance)
        for instance in changed:
            ended = [each for each in self._windows[instance].values() if each.ends_at <= tx.now]
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
        for each in quality_store.judged(tx, tx.now - REMEMBERED):
            self._windows.setdefault(each.instance, {})[each.starts_at] = each
        return tuple(self._windows)


def _lately(windows: Iterable[ClosedWindow], since: datetime) -> QualityReading:
    """The quality over the windows that closed since then, or over the last one."""
    by_end = sorted(windows, key=lambda window: window.ends_at)
    return pool([each for each in by_end if each.ends_at >= since] or by_end[-1:])


class _Judge:
    """Looks up what happened in windows; several that share a span are looked up once."""

    def __init__(self, tx: Transaction, balances: Balances) -> None:
        self._tx, self._balances = tx, balances
        self._sets: Sets = {}
        self._used: dict[tuple[datetime, datetime], list[tuple[int, Usage]]] = {}
        self._runs: dict[tuple[datetime, datetime], list[tuple[int, int]]] = {}
        self._waited: dict[datetime, list[quality_store.Waited]] = {}

    def judge(self, windows: Sequence[ClosedWindow]) -> list[ClosedWindow]:
        """The same windows with who used them, and what ran and waited."""
        self._sets = ledger.label_sets(self._tx) if windows else {}
        return [self._one(each) for each in windows]

    def _one(self, window: ClosedWindow) -> ClosedWindow:
        span = window.starts_at, window.ends_at
        if span not in self._used:
            self._used[span] = quality_store.used_between(self._tx, *span)
            self._runs[span] = quality_store.runs_between(self._tx, *span)
        served, runs = [0] * len(CLASSES), [0] * len(CLASSES)
        for number, usage in self._used[span]:
            if instance := self._bound(number, window.instance):
                served[self._sets[number][1].rank] += instance.limit.charge(usage)
        for number, count in self._runs[span]:
            if self._bound(number, window.instance):
                runs[self._sets[number][1].rank] += count
        waited = window.waited or self._could_have_used(window)
        return replace(window, served=tuple(served), runs=tuple(runs), waited=waited)

    def _bound(self, number: int, instance: str) -> LimitInstance | None:
        labels = self._sets[number][0]
        return next((each for each in self._balances.instances(labels) if each.name == instance), None)

    def _could_have_used(self, window: ClosedWindow) -> tuple[int, ...]:
        """What waited at the reset, as far as it could have been used in this window."""
        if window.used >= window.amount:
            return NOTHING
        at, found = window.ends_at, [0] * len(CLASSES)
        if at not in self._waited:
            self._waited[at] = quality_store.waited_at(self._tx, at)
        for each in self._waited[at]:
            instances = self._balances.instances(each.labels)
            own = next((instance for instance in instances if instance.name == window.instance), None)
            if own is None or any(self._held_by(other, each) for other in instances if other != own):
                continue
            waited, takes = at - max(each.since, window.starts_at), each.takes or USUAL_LENGTH
            found[each.priority.rank] += could_have_used(own.limit.charge(each.median), waited=waited, takes=takes)
        return tuple(found)

    def _held_by(self, other: LimitInstance, ticket: quality_store.Waited) -> bool:
        """Whether another limit has no room for a ticket, so that nothing was lost for it here."""
        if other.limit.mode is not Mode.ENFORCE:
            return False
        balance = self._balances.ruling(other)
        need = 1 if other.limit.unit is Unit.LEASES else other.limit.charge(ticket.median)
        return balance.spent + balance.reserved + need > balance.amount
