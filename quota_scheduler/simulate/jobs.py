"""Jobs: runs on their way through a simulation."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from quota_scheduler.simulate.windows import Meter
from quota_scheduler.simulate.world import Run

LEAST_RESERVED = 0.25
"""A running run counts with at least this share of its estimate: it may need more than was reserved."""


class SimJob(Struct, eq=False):
    """A run as it stands: ``left`` to do at ``since``.

    ``asked`` is what a lease would hold while it waits, ``need`` what the policy goes by.

    ``version`` tells which entries of the calendar of finishes and patience still hold; ``pairs`` are the meters that
    bind it, each with what a unit of its size takes out of it; ``presses_from`` is from when on it presses, as a ticket
    does that will be given up before long.
    """

    run: Run
    left: float
    since: float
    pairs: tuple[tuple[Meter, float], ...] = ()
    asked: float = 0.0
    need: float = 0.0
    is_running: bool = False
    has_started: bool = False
    version: int = 0
    presses_from: float = math.inf

    @property
    def outstanding(self) -> float:
        """What a lease would hold for the rest of it."""
        return max(self.run.reserve - (self.run.size - self.left), LEAST_RESERVED * self.run.estimate)

    def left_at(self, now: float) -> float:
        """Tell what is still to do."""
        return max(0.0, self.left - self.run.rate * (now - self.since)) if self.is_running else self.left

    def reserved_at(self, now: float, until: float) -> float:
        """Tell what its lease holds now of a window that ends at ``until``."""
        done = self.run.size - self.left_at(now)
        held = max(self.run.reserve - done, LEAST_RESERVED * self.run.estimate)
        return min(held, self.run.rate * (until - now))

    def could_have_used(self, now: float) -> float:
        """Tell what it could have used since it came, had it been let in."""
        return min(self.left, self.run.rate * (now - self.run.at))

    def start(self, now: float) -> None:
        """Begin, or go on."""
        self.since, self.is_running, self.has_started = now, True, True
        self.version += 1

    def stop(self, now: float) -> None:
        """Finish, or be cut off."""
        self.left, self.since, self.is_running = self.left_at(now), now, False
        self.version += 1


class Least(Struct):
    """What the smallest of many jobs needs of each of their meters, and what the slowest takes in a second.

    Bounds, good for telling that none of them fits; ``presses_from`` is when the first of them presses.
    """

    needs: list[float]
    rates: list[float]
    is_any: bool = False
    presses_from: float = math.inf

    @classmethod
    def of(cls, jobs: Iterable[SimJob], meters: int) -> Least:
        """Of jobs that so many meters bind."""
        least = cls([math.inf] * meters, [math.inf] * meters)
        for job in jobs:
            least.lower(job)
        return least

    def lower(self, job: SimJob) -> None:
        """Let one more job be among them."""
        need, rate, self.is_any = min(job.left, job.asked), job.run.rate, True
        self.presses_from = min(self.presses_from, job.presses_from)
        for place, (_, charge) in enumerate(job.pairs):
            if need * charge < self.needs[place]:
                self.needs[place] = need * charge
            if rate * charge < self.rates[place]:
                self.rates[place] = rate * charge
