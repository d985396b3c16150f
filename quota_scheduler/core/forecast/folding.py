"""Rollups by the thousand into what each limit instance counted, by hour and class: columns in, columns out.

    slice of rollups ─sets─► one entry per row and instance ─charge─► sums by instance, class and hour ─► next slice

Of a slice nothing stays but its sums, so that a million rollups take the memory of a few thousand. Every rollup is
charged by itself and rounded down, as a ledger that knew them one by one would.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from quota_scheduler.core.forecast.arrays import np
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.units import PICO, Unit
from quota_scheduler.core.usage import EVEN_WEIGHTS, KINDS, PER_MILLE, Usage

if TYPE_CHECKING:
    from quota_scheduler.core.forecast.arrays import Integers

RollupRow = Sequence[int]
"""A rollup as it is stored: hours since 1970, the number of its label set, and the members of its ``Usage``."""
Bind = Callable[[Labels], Sequence[LimitInstance]]
REQUESTS, COST, REST = (Usage._fields.index(name) for name in ("requests", "cost_microusd", "cost_rest"))
SAFE = 2**40
"""Members of a usage up to this are charged in machine integers: five of them at a hundredfold weight stay below 2^50,
and the sum of all labels of an hour below 2^63. More is added up by Python, whose integers have no end."""
RANKS = len(CLASSES)
HOURS = 2**24
"""More than there are hours between any two instants: keys hold instance, class and hour in one number."""


class HourlyCharges(Struct):
    """What one limit instance counted: for each class, by rank, its hours since 1970 in order, and the charges."""

    hours: list[Integers] = field(default_factory=lambda: [np.empty(0, np.int64)] * RANKS)
    charges: list[Integers] = field(default_factory=lambda: [np.empty(0, np.int64)] * RANKS)


class Folding:
    """Takes rollups slice by slice, in any order, and tells what every instance counted in them."""

    def __init__(self, sets: Mapping[int, tuple[Labels, Priority]], bind: Bind) -> None:
        self._sets, self._bind = sets, bind
        self._instances: dict[str, tuple[int, LimitInstance]] = {}
        self._of_set: dict[int, tuple[list[int], int]] = {}
        self._keys: list[Integers] = []
        self._sums: list[Integers] = []
        self.first: int | None = None

    def add(self, rows: Sequence[RollupRow]) -> None:
        """Count some rollups. ``first`` is the oldest hour of all."""
        if not rows:
            return
        columns = np.array(rows, dtype=np.int64)
        hours, usage = columns[:, 0], columns[:, 2:]
        oldest = int(hours.min())
        self.first = oldest if self.first is None else min(self.first, oldest)
        numbers, kinds = np.unique(columns[:, 1], return_inverse=True)
        entries = [self._entries(number) for number in numbers.tolist()]
        counts = np.array([len(places) for places, _ in entries])
        flat = np.array([place for places, _ in entries for place in places], dtype=np.int64)
        ranks = np.array([rank for _, rank in entries], dtype=np.int64)
        row = np.repeat(np.arange(len(rows)), counts[kinds])
        if not row.size:
            return
        begins = np.repeat((counts.cumsum() - counts)[kinds] - (counts[kinds].cumsum() - counts[kinds]), counts[kinds])
        place = flat[begins + np.arange(row.size)]
        charge = self._charges(place, row, usage)
        self._keep((place * RANKS + ranks[kinds][row]) * HOURS + hours[row] + HOURS // 2, charge)

    def _entries(self, number: int) -> tuple[list[int], int]:
        """The places of the windowed instances that a label set falls to, and the rank of its class."""
        entries = self._of_set.get(number)
        if entries is None:
            labels, priority = self._sets[number]
            windowed = [instance for instance in self._bind(labels) if instance.limit.is_windowed]
            places = [self._instances.setdefault(i.name, (len(self._instances), i))[0] for i in windowed]
            entries = self._of_set[number] = places, priority.rank
        return entries

    def _charges(self, place: Integers, row: Integers, usage: Integers) -> Integers:
        """What each entry charges: worked out once for all limits that charge alike."""
        alike: dict[tuple[object, ...], int] = {}
        by_kind: list[Integers] = []
        kinds = np.empty(len(self._instances), dtype=np.int64)
        for number, instance in self._instances.values():
            limit = instance.limit
            kind = (limit.unit, limit.weights, limit.rate if limit.unit is Unit.PERCENT else None)
            if kind not in alike:
                alike[kind] = len(by_kind)
                by_kind.append(charges(limit, usage))
            kinds[number] = alike[kind]
        table = np.array(by_kind)
        return table[kinds[place], row]

    def _keep(self, keys: Integers, charge: Integers) -> None:
        keys, charge = _summed(keys, charge)
        self._keys.append(keys)
        self._sums.append(charge)

    def counted(self) -> dict[str, HourlyCharges]:
        """What every instance counted that counted anything; hours whose charges come to nothing are left out."""
        if not self._keys:
            return {}
        keys, sums = _summed(np.concatenate(self._keys), np.concatenate(self._sums))
        keys, sums = keys[sums != 0], sums[sums != 0]
        names = {number: name for name, (number, _) in self._instances.items()}
        slots, hours = keys // HOURS, keys % HOURS - HOURS // 2
        found: dict[str, HourlyCharges] = {}
        bounds = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), slots.size]
        for begin, end in itertools.pairwise(bounds):
            if begin < end:
                number, rank = divmod(int(slots[begin]), RANKS)
                one = found.setdefault(names[number], HourlyCharges())
                one.hours[rank], one.charges[rank] = hours[begin:end], sums[begin:end]
        return found


def _summed(keys: Integers, amounts: Integers) -> tuple[Integers, Integers]:
    """Amounts added up by key, in order of key."""
    order = keys.argsort(kind="stable")
    keys = keys[order]
    begins = np.flatnonzero(np.concatenate((np.ones(1, bool), keys[1:] != keys[:-1])))
    return keys[begins], np.add.reduceat(amounts[order], begins)


def charges(limit: Limit, usage: Integers) -> Integers:
    """``limit.charge`` of every row of usage; in Python's own integers where machine integers could end."""
    if limit.unit is Unit.PERCENT or np.abs(usage).max() > SAFE:
        singly = [limit.charge(Usage(*row)) for row in usage.tolist()]
        is_small = max(map(abs, singly)) <= SAFE
        return np.array(singly, dtype=np.int64 if is_small else object)
    if limit.unit is Unit.USD:
        return np.asarray(usage[:, COST] + usage[:, REST] // PICO)
    if limit.unit is Unit.REQUESTS:
        return usage[:, REQUESTS]
    if limit.unit is not Unit.TOKENS:
        return np.zeros(len(usage), np.int64)
    tokens = usage[:, : len(KINDS)]
    if limit.weights == EVEN_WEIGHTS:
        return np.asarray(tokens.sum(axis=1))
    return np.asarray(tokens @ np.array(limit.weights, dtype=np.int64) // PER_MILLE)
