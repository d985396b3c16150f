"""Scheduling quality: every window that has closed is judged once, and again when late usage corrects it.

owed    closed windows without a judgement            what they turned away was counted by the cycles themselves
judge   who used them, what ran, what waited          core.quality
save    in the transaction of the tick; a judgement that did not reach the disk is simply owed again
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from quota_scheduler.core.board import Binding, Board
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits import Mode
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.quality import NOTHING, ClosedWindow, QualityReading, could_have_used, pool
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store import quality as store
from quota_scheduler.store.tickets import USUAL_LENGTH

LOOKBACK = timedelta(days=30)
"""The windows that readings are over: those that closed this lately, and the last one of a limit in any case."""
LOOK_EVERY = timedelta(seconds=30)
FIRST_JUDGED = timedelta(hours=24)
"""A window that closed longer ago is not judged any more: who waited then is forgotten."""
CORRECTED = timedelta(days=35)
"""How long late usage corrects a judgement: as long as raw events are kept."""
Sets = dict[int, tuple[Labels, Priority]]


class Quality:
    """The quality of every limit instance over its closed windows."""

    def __init__(self) -> None:
        self._readings: dict[str, QualityReading] = {}
        self._owed: list[ClosedWindow] = []
        self._looked_at: datetime | None = None

    def reading(self, instance: str) -> QualityReading | None:
        """The quality of a limit; None before its first window has closed."""
        return self._readings.get(instance)

    def look(self, tx: Transaction, board: Board) -> None:
        """Judge what has closed; now and then is soon enough."""
        if self._looked_at and timedelta(0) <= tx.now - self._looked_at < LOOK_EVERY:
            return
        known = [limit.id for limit in board.limits if limit.is_windowed and limit.unit is not Unit.LEASES]
        found = store.owed(tx, known, since=tx.now - CORRECTED, first_since=tx.now - FIRST_JUDGED)
        if found or self._looked_at is None:
            self._owed = _Judge(tx, board).judge(found)
            self._readings = _pooled(store.judged(tx, tx.now - store.KEPT), self._owed, tx.now - LOOKBACK)
        self._looked_at = tx.now

    def save(self, tx: Transaction) -> None:
        """Write what was judged since the last save."""
        store.save(tx, self._owed)
        self._owed = []


def _pooled(
    stored: Sequence[ClosedWindow], fresh: Sequence[ClosedWindow], since: datetime
) -> dict[str, QualityReading]:
    by_window = {(each.instance, each.starts_at): each for each in (*stored, *fresh)}
    by_instance: dict[str, list[ClosedWindow]] = {}
    for each in sorted(by_window.values(), key=lambda window: window.ends_at):
        by_instance.setdefault(each.instance, []).append(each)
    found = {}
    for instance, windows in by_instance.items():
        lately = [each for each in windows if each.ends_at >= since] or windows[-1:]
        if (reading := pool(lately)) is not None:
            found[instance] = reading
    return found


class _Judge:
    """Looks up what happened in windows; several that share a span are looked up once."""

    def __init__(self, tx: Transaction, board: Board) -> None:
        self._tx, self._board = tx, board
        self._sets: Sets = {}
        self._used: dict[tuple[datetime, datetime], list[tuple[int, Usage]]] = {}
        self._runs: dict[tuple[datetime, datetime], list[tuple[int, int]]] = {}
        self._waited: dict[datetime, list[store.Waited]] = {}

    def judge(self, windows: Sequence[ClosedWindow]) -> list[ClosedWindow]:
        """The same windows with who used them, and what ran and waited."""
        self._sets = ledger.label_sets(self._tx) if windows else {}
        return [self._one(each) for each in windows]

    def _one(self, window: ClosedWindow) -> ClosedWindow:
        span = window.starts_at, window.ends_at
        if span not in self._used:
            self._used[span] = store.used_between(self._tx, *span)
            self._runs[span] = store.runs_between(self._tx, *span)
        served, runs = [0] * len(CLASSES), [0] * len(CLASSES)
        for number, usage in self._used[span]:
            if binding := self._bound(number, window.instance):
                served[self._sets[number][1].rank] += binding.limit.charge(usage)
        for number, count in self._runs[span]:
            if self._bound(number, window.instance):
                runs[self._sets[number][1].rank] += count
        waited = window.waited or self._could_have_used(window)
        return replace(window, served=tuple(served), runs=tuple(runs), waited=waited)

    def _bound(self, number: int, instance: str) -> Binding | None:
        labels = self._sets[number][0]
        return next((each for each in self._board.bindings(labels) if each.instance == instance), None)

    def _could_have_used(self, window: ClosedWindow) -> tuple[int, ...]:
        """What waited at the reset, as far as it could have been used in this window."""
        if window.used >= window.amount:
            return NOTHING
        at, found = window.ends_at, [0] * len(CLASSES)
        if at not in self._waited:
            self._waited[at] = store.waited_at(self._tx, at)
        for each in self._waited[at]:
            bindings = self._board.bindings(each.labels)
            own = next((binding for binding in bindings if binding.instance == window.instance), None)
            if own is None or any(self._held_by(other, each) for other in bindings if other != own):
                continue
            waited, takes = at - max(each.since, window.starts_at), each.takes or USUAL_LENGTH
            found[each.priority.rank] += could_have_used(own.limit.charge(each.median), waited=waited, takes=takes)
        return tuple(found)

    def _held_by(self, other: Binding, ticket: store.Waited) -> bool:
        """Whether another limit has no room for a ticket, so that nothing was lost for it here."""
        if other.limit.mode is not Mode.ENFORCE:
            return False
        tally = self._board.current(other)
        need = 1 if other.limit.unit is Unit.LEASES else other.limit.charge(ticket.median)
        return tally.spent + tally.reserved + need > tally.amount
