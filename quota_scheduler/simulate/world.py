"""The world of a simulation: runs cut from recorded days, with the sizes, hours and patience that teams have.

    daily totals ──scale to a mean of 1──► Poisson many runs a day ──► class, arrival, duration, patience, estimate

Everything is drawn from one seed per series, so that every policy meets the same runs. Sizes are in mean days of the
series, instants in seconds since 1970. Numbers without a source of their own were chosen on development traces:
docs/explanation/admission.md, "The world".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
from msgspec import Struct

HOUR = 3_600.0
DAY = 86_400.0
RUNS_A_DAY = 12
"""Runs of a mean day."""
MEAN_SIZE = 1 / RUNS_A_DAY
"""Mean size of a run, in mean days."""
SIZE_SIGMA = 1.1
"""Scatter of the sizes, in logarithms."""
LARGEST = 0.4
"""Largest run, in mean days."""
SHARES = (0.25, 0.15, 0.30, 0.30)
"""Share of the tokens of interactive, high, normal and low work; a run's class is independent of its size."""
HABITS = ((1.0, 0.0), (0.75, 0.0), (0.45, 0.25), (0.10, 0.60))
"""By class: how many runs come when people work, and how many at night; the rest come at any hour."""
PEOPLE_AT = (10.5, 15.5)
"""Hours of the day around which people's runs come."""
NIGHT_AT = 1.5
"""Hour of the day around which nightly runs come."""
SPREAD = 1.5
"""Standard deviation of both, in hours."""
MEAN_DURATION = 40 * 60.0
"""Duration of a run of mean size, in seconds; larger ones take longer in proportion."""
DURATION_SIGMA = 0.4
"""Scatter of the durations, in logarithms."""
SHORTEST = 3 * 60.0
"""Shortest run, in seconds."""
LONGEST = 6 * HOUR
"""Longest run, in seconds."""
PATIENCE = (0.0, 4 * HOUR, 72 * HOUR, None)
"""How long a run waits before it is given up, by class; None: 1.2 windows."""
OWN_DEADLINE = 0.2
"""Share of normal and low work that has a deadline of its own."""
DEADLINES = (None, None, (6 * HOUR, 72 * HOUR), (24 * HOUR, 168 * HOUR))
"""Such a deadline lies this long after the arrival, by class."""
ESTIMATE_SIGMA = 0.5
"""Scatter of the estimates, in logarithms."""
P80 = 1.52
"""Factor from the median of an estimate to its 80th percentile, which is what a lease reserves: e^(0.84 · 0.5)."""
FLEET = 6
"""Developers of a fleet."""
FLEET_LEAST = 77
"""Days that a series needs to be drawn: a week of history and ten weeks."""
FLEET_MOST = 120
"""Days that a fleet is played at most."""


class DailyTrace(Struct, frozen=True):
    """Recorded usage by day, from ``first`` on."""

    name: str
    first: date
    days: tuple[float, ...]


class Run(Struct, frozen=True):
    """One run that asks to start. ``patience`` None means 1.2 windows; ``member`` is the series it belongs to.

    Runs of one ``group`` are bound by the same meters; ``charges`` say what a unit of size takes out of each of them,
    all of it where they are empty.
    """

    number: int
    at: float
    rank: int
    size: float
    rate: float
    estimate: float
    patience: float | None
    member: int = 0
    group: int = 0
    charges: tuple[float, ...] = ()

    @property
    def reserve(self) -> float:
        """What a lease would hold for it: the 80th percentile of its estimate."""
        return self.estimate * P80


class World(Struct, frozen=True):
    """Everything that asks for one quota, in order of arrival; ``level`` is the mean demand a day."""

    name: str
    start: float
    days: int
    runs: tuple[Run, ...]
    level: float
    members: int = 1

    @property
    def end(self) -> float:
        """Where the recording ends."""
        return self.start + self.days * DAY


def single(trace: DailyTrace, seed: int = 0) -> World:
    """Return the world of one developer."""
    dice = _dice(seed, trace.name)
    return _world(trace.name, trace.first, [_scaled(trace.days)], dice)


def fleets(traces: Sequence[DailyTrace], count: int, seed: int = 0, *, least: int = FLEET_LEAST) -> list[World]:
    """Worlds of six developers of equal weight, each cut at a random offset to the length of the shortest.

    Series of fewer than ``least`` days are not drawn.
    """
    long = [trace for trace in traces if len(trace.days) >= least]
    if len(long) < FLEET:
        return []
    worlds = []
    for number in range(count):
        dice = _dice(seed, f"fleet {number}")
        members = [long[i] for i in dice.choice(len(long), FLEET, replace=False)]
        length = min(FLEET_MOST, *(len(member.days) for member in members))
        rows = []
        for member in members:
            offset = int(dice.integers(len(member.days) - length + 1))
            rows.append(_scaled(member.days[offset : offset + length]))
        worlds.append(_world(f"fleet {number}", members[0].first, rows, dice))
    return worlds


def _dice(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _scaled(days: Sequence[float]) -> list[float]:
    mean = sum(days) / len(days)
    return [usage / mean for usage in days] if mean > 0 else [0.0] * len(days)


def _world(name: str, first: date, rows: Sequence[Sequence[float]], dice: np.random.Generator) -> World:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()
    drawn = [
        run
        for member, days in enumerate(rows)
        for number, total in enumerate(days)
        for run in _day(start + number * DAY, total, member, dice)
    ]
    drawn.sort(key=lambda run: run[0])
    runs = tuple(Run(number, *fields) for number, fields in enumerate(drawn))
    return World(name, start, len(rows[0]), runs, float(len(rows)), len(rows))


Drawn = tuple[float, int, float, float, float, float | None, int]


def _day(start: float, total: float, member: int, dice: np.random.Generator) -> list[Drawn]:
    """The runs of one day."""
    if total <= 0:
        return []
    sizes = _sizes(total, dice)
    count = len(sizes)
    ranks = dice.choice(len(SHARES), count, p=SHARES)
    arrivals = start + np.array([_hour(int(rank), dice) for rank in ranks]) * HOUR
    durations = MEAN_DURATION * sizes / MEAN_SIZE * dice.lognormal(0.0, DURATION_SIGMA, count)
    rates = sizes / np.clip(durations, SHORTEST, LONGEST)
    estimates = sizes * dice.lognormal(0.0, ESTIMATE_SIGMA, count)
    patience = [_patience(int(rank), dice) for rank in ranks]
    return [
        (float(at), int(rank), float(size), float(rate), float(estimate), wait, member)
        for at, rank, size, rate, estimate, wait in zip(arrivals, ranks, sizes, rates, estimates, patience, strict=True)
    ]


def _sizes(total: float, dice: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Lognormal sizes that add up to the total, none above the largest."""
    count = max(1, int(dice.poisson(RUNS_A_DAY * total)), int(np.ceil(total / LARGEST)))
    sizes = dice.lognormal(0.0, SIZE_SIGMA, count)
    sizes *= total / sizes.sum()
    for _ in range(50):
        if (over := float(np.maximum(sizes - LARGEST, 0.0).sum())) < 1e-9:
            break
        sizes = np.minimum(sizes, LARGEST)
        free = sizes < LARGEST
        if not free.any():
            break
        sizes[free] *= 1.0 + over / sizes[free].sum()
    return sizes


def _hour(rank: int, dice: np.random.Generator) -> float:
    """The hour of the day at which a run of this class comes."""
    by_day, by_night = HABITS[rank]
    habit = dice.random()
    if habit < by_day:
        return float(dice.normal(PEOPLE_AT[int(dice.integers(2))], SPREAD)) % 24
    return float(dice.normal(NIGHT_AT, SPREAD)) % 24 if habit < by_day + by_night else float(dice.uniform(0, 24))


def _patience(rank: int, dice: np.random.Generator) -> float | None:
    deadline, has_deadline = DEADLINES[rank], dice.random() < OWN_DEADLINE
    return float(dice.uniform(*deadline)) if deadline and has_deadline else PATIENCE[rank]
