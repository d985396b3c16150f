"""Histories of limits: hourly rollups folded into what each limit instance counted, kept up to date hour by hour.

    rollups (hour by labels) ─folding─► all    usage of the instance, in its unit
    unmet demand             ──rank───► above  demand of the classes above each rank: usage and what could not run

A fold of 120 days is done now and then; in between, the hours that changed are read again as a whole and put in the
place of what they were. Of the rollups themselves nothing is kept: what this takes follows from hours and limits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct, field

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.forecast.folding import Folding, HourlyCharges, RollupRow
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import CLASSES, Priority

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Integers

Pairs = list[tuple[datetime, float]]
Shared = dict[tuple[int, tuple[tuple[float, float], ...]], tuple[Buckets, Buckets]]
"""What was made of a history, by which one it was and what was put into it; with it, lest another takes its number."""
Sets = Mapping[int, tuple[Labels, Priority]]
"""Label sets as the store numbers them."""
HOUR_SECONDS = 3_600
MOST_SUMS = 8
"""Sums between edges that a history keeps: those of today and of the days before, of an hour or two."""
LATELY = timedelta(hours=26)
"""As far back as the longest lookback of a burn rate, and a part of an hour."""


def no_buckets() -> Buckets:
    """Return a history without use."""
    return Buckets(np.empty(0), np.empty(0))


class UsageHistory(Struct):
    """Hourly history of one limit instance in its unit: its usage, and the demand of the classes above each rank."""

    all: Buckets = field(default_factory=no_buckets)
    above: list[Buckets] = field(default_factory=lambda: [no_buckets() for _ in CLASSES])
    unmet: dict[float, list[int]] = field(default_factory=dict)
    _lately: Pairs | None = None
    _sums: tuple[Buckets, dict[tuple[float, ...], list[float]]] | None = None

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

    def used_between(self, edges: Sequence[float]) -> list[float]:
        """Add up the usage of the hours that begin between each two of ``edges`` (seconds since 1970).

        Each tick asks for the same edges, of hours and days, and past hours seldom change.
        """
        if self._sums is None or self._sums[0] is not self.all or len(self._sums[1]) >= MOST_SUMS:
            self._sums = self.all, {}
        sums = self._sums[1]
        if (key := tuple(edges)) not in sums:
            sums[key] = self._added_between(edges)
        return sums[key]

    def _added_between(self, edges: Sequence[float]) -> list[float]:
        first = bisect_left(self.all.starts, min(edges))
        starts = self.all.starts[first:].tolist()
        places = [first + bisect_left(starts, edge) for edge in edges]
        values = self.all.values[first : max(places)].tolist()
        return [sum(values[i - first : j - first]) for i, j in pairwise(places)]

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
        self._add_above(hour, rank, amount)

    def add_demand(self, hour: datetime, rank: int, amount: int) -> None:
        """Count demand of a class for the classes below it, beside what is used."""
        unmet = self.unmet.setdefault(hour.timestamp(), [0] * len(CLASSES))
        unmet[rank] += amount
        self._add_above(hour, rank, amount)

    def _add_above(self, hour: datetime, rank: int, amount: float) -> None:
        for below in range(rank + 1, len(CLASSES)):
            self.above[below] = moved(self.above[below], hour, amount)

    def put(self, usage: Mapping[float, Sequence[int]], shared: Shared) -> None:
        """Put what is used of each class, by rank, in the place of what these hours (seconds since 1970) had.

        What could not run in them stays demand. What classes and instances have in common, they go on having in common.
        """
        nothing = [0] * len(CLASSES)
        demand = {
            at: list(accumulate((u + v for u, v in zip(used, self.unmet.get(at, nothing), strict=True)), initial=0))
            for at, used in usage.items()
        }

        def with_these(history: Buckets, amounts: dict[float, float]) -> Buckets:
            key = id(history), tuple(amounts.items())
            if key not in shared:
                shared[key] = history, replaced(history, amounts)
            return shared[key][1]

        self._lately = None
        self.all = with_these(self.all, {at: sum(used) for at, used in usage.items()})
        self.above[1:] = [
            with_these(self.above[rank], {at: sums[rank] for at, sums in demand.items()})
            for rank in range(1, len(CLASSES))
        ]

    def let_go(self, at: float) -> None:
        """Forget the hours that begin before ``at`` (seconds since 1970)."""
        shorter: dict[int, Buckets] = {}
        for history in (self.all, *self.above):
            i = bisect_left(history.starts, at)
            shorter.setdefault(
                id(history), Buckets(history.starts[i:].copy(), history.values[i:].copy()) if i else history
            )
        self.all, *self.above = (shorter[id(history)] for history in (self.all, *self.above))
        self.unmet = {hour: amounts for hour, amounts in self.unmet.items() if hour >= at}

    def ends_before(self, at: float) -> bool:
        """Whether it has nothing in the hour that begins at ``at`` (seconds since 1970) or later."""
        return all(not history.starts.size or history.starts[-1] < at for history in (self.all, *self.above))


def pairs(history: Buckets, since: float) -> Pairs:
    """Return the buckets from ``since`` (seconds since 1970) on, as instants and amounts."""
    # Not numpy's search: it lets go of the interpreter for a microsecond, and who waits for it starts to wait anew.
    i = bisect_left(history.starts, since)
    instants = (datetime.fromtimestamp(at, UTC) for at in history.starts[i:].tolist())
    return list(zip(instants, history.values[i:].tolist(), strict=True))


def moved(history: Buckets, hour: datetime, amount: float) -> Buckets:
    """Return the history with an amount added to one hour; an hour left without any disappears: it opens no session."""
    at = hour.timestamp()
    i = bisect_left(history.starts, at)
    if i == history.starts.size or history.starts[i] != at:
        if not amount:
            return history
        return Buckets(np.insert(history.starts, i, at), np.insert(history.values, i, amount))
    values = history.values.copy()
    values[i] += amount
    if not values[i]:
        return Buckets(np.delete(history.starts, i), np.delete(values, i))
    return Buckets(history.starts, values)


def replaced(history: Buckets, amounts: Mapping[float, float]) -> Buckets:
    """Return the history with these amounts in these hours (seconds since 1970); an hour without any disappears."""
    i = bisect_left(history.starts, min(amounts))
    j = bisect_right(history.starts, max(amounts))
    before = dict(zip(history.starts[i:j].tolist(), history.values[i:j].tolist(), strict=True))
    after = {at: float(amount) for at, amount in {**before, **amounts}.items() if amount}
    if after == before:
        return history
    hours = sorted(after)
    starts, values = (
        np.concatenate((old[:i], np.array(new, dtype=np.float64), old[j:]))
        for old, new in ((history.starts, hours), (history.values, [after[at] for at in hours]))
    )
    return Buckets(starts, values)


class Histories:
    """The histories of every limit instance."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)
        self.series: dict[str, UsageHistory] = {}
        self.first: datetime | None = None
        """The oldest hour that was folded; None before any."""
        self._bound: dict[Labels, tuple[LimitInstance, ...]] = {}

    def bind(self, labels: Labels, balances: Balances) -> tuple[LimitInstance, ...]:
        """Return the limit instances that labels fall to; remembered, since every tick asks for the same ones."""
        instances = self._bound.get(labels)
        if instances is None:
            instances = self._bound[labels] = balances.instances(labels)
        return instances

    def of(self, instance: str) -> UsageHistory:
        """Return the histories of an instance; empty for one that nothing was ever counted in."""
        history = self.series.get(instance)
        if history is None:
            history = self.series[instance] = UsageHistory()
        return history

    def fold(self, slices: Iterable[Sequence[RollupRow]], sets: Sets, balances: Balances) -> None:
        """Fold every rollup there is, some at a time, into histories made anew."""
        folding = self._folding(slices, sets, balances)
        self.first = _instant(folding.first)
        alike: Alike = {}
        self.series = {name: _history(counted, alike) for name, counted in folding.counted().items()}

    def update(self, rows: Sequence[RollupRow], hours: Collection[int], sets: Sets, balances: Balances) -> None:
        """Put what the rollups of some hours (since 1970) say now, ``rows``, in the place of what they said before."""
        folding = self._folding([rows], sets, balances)
        first = _instant(folding.first)
        self.first = min(self.first, first) if self.first and first else self.first or first
        counted, shared = folding.counted(), Shared()
        for name in self.series.keys() | counted.keys():
            usage = {float(hour * HOUR_SECONDS): [0] * len(CLASSES) for hour in hours}
            if name in counted:
                for rank, (of_rank, charges) in enumerate(zip(counted[name].hours, counted[name].charges, strict=True)):
                    for hour, charge in zip(of_rank.tolist(), charges.tolist(), strict=True):
                        usage[float(hour * HOUR_SECONDS)][rank] = charge
            if name in counted or not self.of(name).ends_before(min(usage)):
                self.of(name).put(usage, shared)

    def let_go(self, since: datetime) -> None:
        """Forget the hours before that of ``since``."""
        hour = since.replace(minute=0, second=0, microsecond=0)
        for history in self.series.values():
            history.let_go(hour.timestamp())
        self.first = max(self.first, hour) if self.first else None

    def _folding(self, slices: Iterable[Sequence[RollupRow]], sets: Sets, balances: Balances) -> Folding:
        folding = Folding(sets, lambda labels: self.bind(labels, balances))
        for rows in slices:
            folding.add(rows)
        return folding

    def demand(self, rows: Iterable[tuple[datetime, str, int, int]]) -> None:
        """Take in unmet demand; a row is all of its hour, instance and rank, and corrects what was taken in before."""
        for hour, instance, rank, amount in rows:
            history = self.of(instance)
            before = history.unmet.get(hour.timestamp())
            more = amount - (before[rank] if before else 0)
            if more:
                history.add_demand(hour, rank, more)


def _instant(hour: int | None) -> datetime | None:
    return None if hour is None else datetime.fromtimestamp(hour * HOUR_SECONDS, UTC)


Alike = dict[tuple[bytes, bytes], Buckets]
"""Histories by what is in them: limits on the same work share one."""


def _history(counted: HourlyCharges, alike: Alike) -> UsageHistory:
    """The histories of one instance; classes above which the same was used share one, and so do instances."""
    above, sums = [no_buckets()], no_buckets()
    for rank in range(len(CLASSES)):
        if counted.hours[rank].size:
            sums = _buckets(counted.hours[: rank + 1], counted.charges[: rank + 1])
            sums = alike.setdefault((sums.starts.tobytes(), sums.values.tobytes()), sums)
        above.append(sums)
    return UsageHistory(sums, above[:-1])


def _buckets(hours: Sequence[Integers], charges: Sequence[Integers]) -> Buckets:
    """The charges of some classes added up by hour; corrections may have left an hour without any."""
    together, places = np.unique(np.concatenate(hours), return_inverse=True)
    amounts = np.concatenate(charges)
    sums = np.zeros(together.size, dtype=amounts.dtype)
    np.add.at(sums, places, amounts)
    kept = sums != 0
    return Buckets(together[kept] * float(HOUR_SECONDS), sums[kept].astype(np.float64))
