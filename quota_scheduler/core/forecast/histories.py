"""Histories of limits: hourly rollups folded into what each limit instance counted, kept up to date hour by hour.

    rollups (hour by labels) ─instances─► all    usage of the instance, in its unit
    unmet demand            ──rank──────► above  demand of the classes above each rank: usage and what could not run

A fold of 120 days is done once; after that only the hours that changed are folded again. The sums by labels, which the
ledger moves in the same transaction as its rollups, prove that nothing was missed: where they disagree, all is folded
anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.usage import Usage

Pairs = list[tuple[datetime, float]]
Hour = tuple[datetime, int, Usage]
"""A rollup: its hour, the id of its labels, what was used."""
HourChange = tuple[datetime, int, Usage, Usage]
"""A rollup that changed: its hour, the id of its labels, what it said before and what it says now."""
LATELY = timedelta(hours=26)
"""As far back as the longest lookback of a burn rate, and a part of an hour."""
NOTHING = Usage()


def no_buckets() -> Buckets:
    """Return a history without use."""
    return Buckets(np.empty(0), np.empty(0))


@dataclass(slots=True)
class UsageHistory:
    """Hourly history of one limit instance in its unit: its usage, and the demand of the classes above each rank."""

    all: Buckets = field(default_factory=no_buckets)
    above: list[Buckets] = field(default_factory=lambda: [no_buckets() for _ in CLASSES])
    _lately: Pairs | None = None

    @property
    def first(self) -> datetime | None:
        """The hour of its own first use: what others used before says nothing of it."""
        return datetime.fromtimestamp(float(self.all.starts[0]), UTC) if self.all.starts.size else None

    def lately(self) -> Pairs:
        """Return the newest day or so of its usage, up to its last use."""
        if self._lately is None:
            newest = self.all.starts[-1] if self.all.starts.size else 0.0
            self._lately = pairs(self.all, newest - LATELY.total_seconds())
        return self._lately

    def since(self, start: datetime) -> Pairs:
        """Its usage from an instant on, with its very first hour before that, so that its age shows."""
        newer = pairs(self.all, start.timestamp())
        first = pairs(Buckets(self.all.starts[:1], self.all.values[:1]), 0.0)
        return newer if not first or (newer and newer[0] == first[0]) else first + newer

    def used(self, start: datetime, end: datetime) -> float:
        """Add up the usage of the hours that begin in ``[start, end)``."""
        i, j = self.all.starts.searchsorted((start.timestamp(), end.timestamp()))
        return float(self.all.values[i:j].sum())

    def course(self, start: datetime, now: datetime) -> Pairs:
        """How use grew since ``start``: what was used by the end of each hour with any; the hour of now ends now.

        Of the hour in which ``start`` lies all counts that was used in it.
        """
        hour = start.replace(minute=0, second=0, microsecond=0)
        total, course = 0.0, []
        for at, amount in pairs(self.all, hour.timestamp()):
            total += amount
            course.append((min(now, at + timedelta(hours=1)), total))
        return course

    def add_usage(self, hour: datetime, rank: int, amount: float) -> None:
        """Count usage of a class, or take it back."""
        self.all, self._lately = moved(self.all, hour, amount), None
        self.add_demand(hour, rank, amount)

    def add_demand(self, hour: datetime, rank: int, amount: float) -> None:
        """Count demand of a class for the classes below it."""
        for below in range(rank + 1, len(CLASSES)):
            self.above[below] = moved(self.above[below], hour, amount)


def pairs(history: Buckets, since: float) -> Pairs:
    """Return the buckets from ``since`` (seconds since 1970) on, as instants and amounts."""
    i = int(history.starts.searchsorted(since))
    instants = (datetime.fromtimestamp(at, UTC) for at in history.starts[i:].tolist())
    return list(zip(instants, history.values[i:].tolist(), strict=True))


def moved(history: Buckets, hour: datetime, amount: float) -> Buckets:
    """Return the history with an amount added to one hour; an hour left without any disappears: it opens no session."""
    at = hour.timestamp()
    i = int(history.starts.searchsorted(at))
    if i == history.starts.size or history.starts[i] != at:
        if not amount:
            return history
        return Buckets(np.insert(history.starts, i, at), np.insert(history.values, i, amount))
    values = history.values.copy()
    values[i] += amount
    if not values[i]:
        return Buckets(np.delete(history.starts, i), np.delete(values, i))
    return Buckets(history.starts, values)


class Histories:
    """The histories of every limit instance, and the rollups that they were folded from."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)
        self.series: dict[str, UsageHistory] = {}
        self.hours: dict[datetime, dict[int, Usage]] = {}
        self._bound: dict[Labels, tuple[LimitInstance, ...]] = {}
        self._totals: dict[int, Usage] = {}
        self._unmet: dict[tuple[datetime, str, int], int] = {}

    @property
    def first(self) -> datetime | None:
        """The oldest hour that was folded; None before any."""
        return next(iter(self.hours), None)

    def bind(self, labels: Labels, balances: Balances) -> tuple[LimitInstance, ...]:
        """Return the limit instances that labels fall to; remembered, since every tick asks for the same ones."""
        instances = self._bound.get(labels)
        if instances is None:
            instances = self._bound[labels] = balances.instances(labels)
        return instances

    def of(self, instance: str) -> UsageHistory:
        """Return the histories of an instance; empty for one that nothing was ever counted in."""
        return self.series.setdefault(instance, UsageHistory())

    def fold(
        self,
        rows: Iterable[Hour],
        sets: Mapping[int, tuple[Labels, Priority]],
        balances: Balances,
        totals: Mapping[int, Usage],
    ) -> None:
        """Fold every rollup there is, oldest first, into histories made anew."""
        sums: dict[str, _Sums] = {}
        self.hours, self._totals, self._unmet = {}, dict(totals), {}
        for hour, number, usage in rows:
            self.hours.setdefault(hour, {})[number] = usage
            labels, priority = sets[number]
            for instance in self.bind(labels, balances):
                charge = instance.limit.charge(usage) if instance.limit.is_windowed else 0
                if charge:
                    sums.setdefault(instance.name, _Sums()).add(hour.timestamp(), priority.rank, charge)
        self.series = {name: instance_sums.history() for name, instance_sums in sums.items()}

    def update(
        self,
        rows: Iterable[Hour],
        since: datetime,
        sets: Mapping[int, tuple[Labels, Priority]],
        balances: Balances,
        totals: Mapping[int, Usage],
    ) -> bool:
        """Fold what changed in the rollups from the hour ``since`` on, of which ``rows`` are all there are now.

        Returns False when the sums by labels show that older hours changed too: then ``fold`` everything.
        """
        fresh: dict[datetime, dict[int, Usage]] = {}
        for hour, number, usage in rows:
            fresh.setdefault(hour, {})[number] = usage
        changes = self._changes(fresh, since)
        if not self._explains(changes, totals):
            return False
        for change in changes:
            self._apply(change, sets, balances)
        if changes:
            self.hours = {hour: by_labels for hour, by_labels in self.hours.items() if hour < since} | fresh
            self._totals = dict(totals)
        return True

    def _changes(self, fresh: Mapping[datetime, Mapping[int, Usage]], since: datetime) -> list[HourChange]:
        """What differs from ``since`` on, in order of hour and labels; an hour that is gone counts as nothing used."""
        hours = sorted({*fresh, *(hour for hour in self.hours if hour >= since)})
        changes: list[HourChange] = []
        for hour in hours:
            before, after = self.hours.get(hour, {}), fresh.get(hour, {})
            for number in sorted(before.keys() | after.keys()):
                old, new = before.get(number, NOTHING), after.get(number, NOTHING)
                if old != new:
                    changes.append((hour, number, old, new))
        return changes

    def _apply(self, change: HourChange, sets: Mapping[int, tuple[Labels, Priority]], balances: Balances) -> None:
        """Move the histories of every instance that these labels fall to by what one of its hours changed."""
        hour, number, old, new = change
        labels, priority = sets[number]
        for instance in self.bind(labels, balances):
            charge = instance.limit.charge(new) - instance.limit.charge(old) if instance.limit.is_windowed else 0
            if charge:
                self.of(instance.name).add_usage(hour, priority.rank, charge)

    def _explains(self, changes: Iterable[HourChange], totals: Mapping[int, Usage]) -> bool:
        """Whether these changes are all that moved the sums by labels."""
        sums: dict[int, Usage] = {}
        for _, number, old, new in changes:
            sums[number] = sums.get(number, NOTHING).plus(new).minus(old)
        for number, total in totals.items():
            before = self._totals.get(number, NOTHING)
            if sums.pop(number, NOTHING) != (NOTHING if total is before or total == before else total.minus(before)):
                return False
        return not any(any(unexplained) for unexplained in sums.values())

    def demand(self, rows: Iterable[tuple[datetime, str, int, int]]) -> None:
        """Take in unmet demand; a row is all of its hour, instance and rank, and corrects what was taken in before."""
        for hour, instance, rank, amount in rows:
            more = amount - self._unmet.get((hour, instance, rank), 0)
            if more:
                self.of(instance).add_demand(hour, rank, more)
                self._unmet[hour, instance, rank] = amount

    def between(self, start: datetime, end: datetime) -> list[Hour]:
        """Return the rollups of the hours that begin in ``[start, end)``, oldest first."""
        return [
            (hour, number, usage)
            for hour, by_labels in self.hours.items()
            if start <= hour < end
            for number, usage in by_labels.items()
        ]


class _Sums:
    """One instance while it is folded: usage by hour (seconds since 1970), and demand above each rank."""

    def __init__(self) -> None:
        self.all: dict[float, int] = {}
        self.above: list[dict[float, int]] = [{} for _ in CLASSES]

    def add(self, at: float, rank: int, charge: int) -> None:
        """Count a charge of a class in its hour: as usage, and as demand for every class below."""
        for sums in (self.all, *self.above[rank + 1 :]):
            sums[at] = sums.get(at, 0) + charge

    def history(self) -> UsageHistory:
        """Return the sums as arrays."""
        return UsageHistory(_buckets(self.all), [_buckets(sums) for sums in self.above])


def _buckets(sums: Mapping[float, int]) -> Buckets:
    """Arrays from sums that are in order of time already; corrections may have left an hour without any."""
    kept = [(at, amount) for at, amount in sums.items() if amount]
    return Buckets(np.array([at for at, _ in kept], dtype=np.float64), np.array([a for _, a in kept], dtype=np.float64))
