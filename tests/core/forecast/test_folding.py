"""Folding by columns against the way it was done before: one object per rollup, charged and added up one by one."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from quota_scheduler.core.forecast.folding import charges
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.observations.points import Rate
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.units import LARGEST_SUM, Unit
from quota_scheduler.core.usage import Usage
from tests.builders import MONDAY, a_concurrency_limit, a_limit, a_run_cap, a_session_limit, some_balances, some_labels

RATE = Rate(900_000, 1_234_567, 2_000_000, 9, MONDAY)
LIMITS = (
    a_limit(),
    a_limit(id="weighed", weights=(1000, 100, 1250, 2000, 5000)),
    a_limit(id="dollars", unit=Unit.USD),
    a_limit(id="calls", unit=Unit.REQUESTS, per="team"),
    a_limit(id="points", unit=Unit.PERCENT, rate=RATE),
    a_limit(id="unlearned", unit=Unit.PERCENT),
    a_session_limit(per="workflow"),
    a_limit(id="off", mode=Mode.OFF),
    a_concurrency_limit(),
    a_run_cap(),
)
BALANCES = some_balances(*LIMITS)
SETS: dict[int, tuple[Labels, Priority]] = {
    number: (some_labels(team=f"t{number % 3}", workflow=f"w{number % 4}"), CLASSES[number % 4])
    for number in range(1, 13)
}
Rollups = dict[tuple[int, int], Usage]
FIRST = int(MONDAY.timestamp()) // 3600
HUGE = LARGEST_SUM // 64


def a_usage(rng: Random, most: int) -> Usage:
    """Any usage; corrections leave some members below nothing, and rests beyond a micro-dollar."""
    members = [rng.choice((0, rng.randrange(most), -rng.randrange(1 + most // 50))) for _ in range(8)]
    return Usage(*members, cost_rest=rng.randrange(-3_000_000, 9_000_000))


def some_rollups(rng: Random, most: int) -> Rollups:
    slots = {(FIRST + rng.randrange(40), rng.randint(1, 12)) for _ in range(150)}
    return {slot: a_usage(rng, most) for slot in sorted(slots)}


def stored(rollups: Rollups) -> list[Sequence[int]]:
    return [(*slot, *usage) for slot, usage in sorted(rollups.items())]


def one_by_one(rollups: Rollups) -> dict[str, list[dict[float, int]]]:
    """By instance, the charges by hour of all classes, and of those above each rank; nothing for what comes to 0."""
    sums: dict[str, list[dict[float, int]]] = {}
    for (hour, number), usage in sorted(rollups.items()):
        labels, priority = SETS[number]
        for instance in BALANCES.instances(labels):
            charge = instance.limit.charge(usage) if instance.limit.is_windowed else 0
            of_instance = sums.setdefault(instance.name, [{} for _ in range(1 + len(CLASSES))])
            for by_hour in (of_instance[0], *of_instance[priority.rank + 2 :]):
                by_hour[hour * 3600.0] = by_hour.get(hour * 3600.0, 0) + charge
    kept = {name: [{at: n for at, n in by_hour.items() if n} for by_hour in rows] for name, rows in sums.items()}
    return {name: rows for name, rows in kept.items() if any(rows)}


def in_columns(histories: Histories) -> dict[str, list[dict[float, float]]]:
    kept = {
        name: [
            dict(zip(buckets.starts.tolist(), buckets.values.tolist(), strict=True))
            for buckets in (history.all, *history.above)
        ]
        for name, history in histories.series.items()
    }
    return {name: rows for name, rows in kept.items() if any(rows)}


def as_floats(sums: dict[str, list[dict[float, int]]]) -> dict[str, list[dict[float, float]]]:
    return {name: [{at: float(n) for at, n in row.items()} for row in rows] for name, rows in sums.items()}


@pytest.mark.parametrize("most", [pytest.param(10**7, id="usual amounts"), pytest.param(HUGE, id="amounts past 2^53")])
@pytest.mark.parametrize("seed", range(12))
def test_columns_say_what_single_rollups_say(seed: int, most: int) -> None:
    rng = Random(seed)
    rollups = some_rollups(rng, most)
    rows, at_once, histories = stored(rollups), rng.randint(1, 60), Histories(LIMITS)
    histories.fold([rows[i : i + at_once] for i in range(0, len(rows), at_once)], SETS, BALANCES)
    assert in_columns(histories) == as_floats(one_by_one(rollups))
    for _ in range(4):
        hours = {FIRST + rng.randrange(-2, 44) for _ in range(rng.randint(1, 9))}
        moved = {(hour, rng.randint(1, 12)): a_usage(rng, most) for hour in sorted(hours) for _ in range(3)}
        rollups = {slot: usage for slot, usage in rollups.items() if slot[0] not in hours or rng.random() < 0.7} | moved
        now = [row for row in stored(rollups) if row[0] in hours]
        histories.update(now, hours, SETS, BALANCES)
        assert in_columns(histories) == as_floats(one_by_one(rollups))


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.id)
@pytest.mark.parametrize("most", [10**7, HUGE])
def test_every_row_is_charged_as_if_it_came_alone(limit: Limit, most: int) -> None:
    rng = Random(7)
    usages = [a_usage(rng, most) for _ in range(200)]
    assert charges(limit, np.array(usages, dtype=np.int64)).tolist() == [limit.charge(usage) for usage in usages]
