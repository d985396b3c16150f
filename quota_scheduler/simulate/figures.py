"""Figures: what a policy did to people's work and to the quota, summed over scenarios before anything is divided.

avoidable harm      important tokens refused, given up or cut off / their demand - the clairvoyant's
lost while waited   quota that expired though somebody waited, and work redone / quota
value               8, 4, 2, 1 x finished tokens by class / the clairvoyant's
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct, field

from quota_scheduler.simulate.jobs import SimJob
from quota_scheduler.simulate.windows import Tally
from quota_scheduler.simulate.world import Run

WEIGHTS = (8, 4, 2, 1)
"""What a token is worth, by class: that of the service's own quality (core/readings/scheduling_quality.py)."""
IMPORTANT = 2
"""Interactive and high work come first."""


def _zeros() -> list[float]:
    return [0.0] * len(WEIGHTS)


def _rows() -> list[list[float]]:
    return [[] for _ in WEIGHTS]


class SimOutcome(Struct):
    """What happened, by class where it is a list; tokens in mean days, waits in seconds.

    ``quota``, ``used`` and ``lost`` are those of the first of the ``limits``.
    """

    demand: list[float] = field(default_factory=_zeros)
    done: list[float] = field(default_factory=_zeros)
    denied: list[float] = field(default_factory=_zeros)
    runs: list[float] = field(default_factory=_zeros)
    stalls: list[float] = field(default_factory=_zeros)
    waits: list[list[float]] = field(default_factory=_rows)
    open_end: list[float] = field(default_factory=_zeros)
    scenarios: list[list[tuple[float, float, float]]] = field(default_factory=list)
    quota: float = 0.0
    used: float = 0.0
    redone: float = 0.0
    lost: float = 0.0
    overshoot: float = 0.0
    limits: list[Tally] = field(default_factory=list)

    def asked(self, run: Run) -> None:
        """Count a run that arrived."""
        self.demand[run.rank] += run.size
        self.runs[run.rank] += 1

    def started(self, job: SimJob, now: float) -> None:
        """Count how long a run waited to start; going on after a cut is no second start."""
        if not job.has_started:
            self.waits[job.run.rank].append(now - job.run.at)

    def finished(self, job: SimJob) -> None:
        """Count a run that is done."""
        self.done[job.run.rank] += job.run.size

    def given_up(self, job: SimJob, now: float) -> None:
        """Count a run that was refused, or waited too long."""
        if not job.has_started:
            self.waits[job.run.rank].append(now - job.run.at)
        self.broken_off(job)

    def broken_off(self, job: SimJob) -> None:
        """Count what is left of a run, and will never be done."""
        self.denied[job.run.rank] += job.left
        self.done[job.run.rank] += job.run.size - job.left

    def cut_off(self, job: SimJob, more: float) -> None:
        """Count a run that an empty window stopped, and that would have used ``more`` of it."""
        self.stalls[job.run.rank] += 1
        self.overshoot += more

    def redo(self, amount: float) -> None:
        """Count what a run that was cut off has to do again."""
        self.redone += amount

    def runs_on(self, job: SimJob) -> None:
        """Count a run that was running when the last window ended."""
        self.done[job.run.rank] += job.run.size - job.left
        self.open_end[job.run.rank] += job.left

    def still_waits(self, job: SimJob, now: float) -> None:
        """Count a run that was waiting when the last window ended."""
        self.done[job.run.rank] += job.run.size - job.left
        self.open_end[job.run.rank] += job.left
        if not job.has_started:
            self.waits[job.run.rank].append(now - job.run.at)

    def add(self, other: SimOutcome) -> None:
        """Pool two scenarios."""
        for mine, more in (
            (self.demand, other.demand),
            (self.done, other.done),
            (self.denied, other.denied),
            (self.runs, other.runs),
            (self.stalls, other.stalls),
            (self.open_end, other.open_end),
        ):
            mine[:] = [a + b for a, b in zip(mine, more, strict=True)]
        for waits, later in zip(self.waits, other.waits, strict=True):
            waits += later
        self.scenarios.append([hours(waits) for waits in other.waits])
        self.quota += other.quota
        self.used += other.used
        self.redone += other.redone
        self.lost += other.lost
        self.overshoot += other.overshoot

    def closed(self, limits: list[Tally]) -> None:
        """Take over what became of the windows; the first limit is the quota that shares are given of."""
        self.limits = limits
        for first in limits[:1]:
            self.quota, self.used, self.lost = first.amount, first.used, first.lost + first.redone

    @property
    def harm(self) -> float:
        """Share of the important demand that was refused, given up or cut off."""
        return _ratio(sum(self.denied[:IMPORTANT]), sum(self.demand[:IMPORTANT]))

    @property
    def value(self) -> float:
        """Finished tokens, each class by its weight."""
        return sum(weight * done for weight, done in zip(WEIGHTS, self.done, strict=True))


class PolicyRow(Struct, frozen=True):
    """One line of the table: shares in percent, stalls per 1,000 runs, waits in hours (median, P95, mean)."""

    worlds: str
    kind: str
    policy: str
    denied_interactive: float
    denied_high: float
    avoidable_harm: float
    stalls_important: float
    stalls_automation: float
    lost_while_waited: float
    overshoot: float
    normal_done: float
    low_done: float
    normal_wait: tuple[float, float, float]
    low_wait: tuple[float, float, float]
    value: float


def row(worlds: str, kind: str, policy: str, outcome: SimOutcome, best: SimOutcome) -> PolicyRow:
    """Return the figures of a policy beside those of the clairvoyant."""
    stalls, runs = outcome.stalls, outcome.runs
    return PolicyRow(
        worlds=worlds,
        kind=kind,
        policy=policy,
        denied_interactive=100 * _ratio(outcome.denied[0], outcome.demand[0]),
        denied_high=100 * _ratio(outcome.denied[1], outcome.demand[1]),
        avoidable_harm=100 * (outcome.harm - best.harm),
        stalls_important=1000 * _ratio(sum(stalls[:IMPORTANT]), sum(runs[:IMPORTANT])),
        stalls_automation=1000 * _ratio(sum(stalls[IMPORTANT:]), sum(runs[IMPORTANT:])),
        lost_while_waited=100 * _ratio(outcome.lost, outcome.quota),
        overshoot=100 * _ratio(outcome.overshoot, outcome.quota),
        normal_done=100 * _ratio(outcome.done[2], outcome.demand[2]),
        low_done=100 * _ratio(outcome.done[3], outcome.demand[3]),
        normal_wait=_mean([scenario[2] for scenario in outcome.scenarios]),
        low_wait=_mean([scenario[3] for scenario in outcome.scenarios]),
        value=100 * _ratio(outcome.value, best.value),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _mean(rows: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The mean over scenarios of their median, P95 and mean."""
    median, late, mean = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return median, late, mean


def hours(waits: list[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile and mean of waits in seconds, in hours; zeros for none."""
    if not waits:
        return 0.0, 0.0, 0.0
    all_hours = np.array(waits) / 3600
    return float(np.median(all_hours)), float(np.quantile(all_hours, 0.95)), float(all_hours.mean())
