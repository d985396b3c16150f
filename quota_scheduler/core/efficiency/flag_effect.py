"""What an optimization flag brought: tokens per run with it over without, matched by workflow.

Runs of different workflows are never compared with each other: within each workflow that has completed runs on both
sides, the mean of log tokens is compared, and the differences are pooled with the weight that gives the smallest
variance (least squares with one level per workflow). Logarithms, since run sizes are skewed and an optimization
multiplies; the ratio is therefore one of typical runs. Only completed runs are compared: a run that fails early is
cheap, which is why the success rates stand beside the ratio.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import NormalDist, fmean

from msgspec import Struct

from quota_scheduler.core.efficiency.runs import COMPLETED, RunSummary, success_rate

LEAST_RUNS = 5
"""Completed runs that each side needs over all matched workflows before an effect is named."""
LEAST_FREEDOM = 3
"""Degrees of freedom below which the scatter of runs is not known well enough for an interval."""
CONFIDENCE = 0.95
"""Share of such intervals that hold the true ratio."""


class FlagReading(Struct, frozen=True):
    """An optimization flag: in how many workflows it was in force lately, and what it brought.

    ``effect`` (low, expected, high) is tokens per run with it over without, matched by workflow; ``success_with`` and
    ``success_without`` are the completed shares of the runs of those workflows. None until there are runs to compare.
    """

    flag: str
    workflows: int
    effect: tuple[float, float, float] | None = None
    success_with: float | None = None
    success_without: float | None = None


class FlagEffect(Struct, frozen=True):
    """``expected`` 0.7 says a run with the flag takes 70 % of the tokens; ``low`` to ``high`` is a 95 % interval.

    Runs are the completed ones compared; ``workflows`` the matched ones; success rates are of all finished runs of
    those workflows.
    """

    flag: str
    low: float
    expected: float
    high: float
    runs_with: int
    runs_without: int
    workflows: tuple[str, ...]
    success_with: float | None
    success_without: float | None


Sides = tuple[list[RunSummary], list[RunSummary]]


def flag_effects(runs: Iterable[RunSummary]) -> tuple[FlagEffect, ...]:
    """Return the effect of every flag, in order of flag, that some finished runs of a workflow had and others not."""
    finished = [run for run in runs if run.status]
    flags = sorted({flag for run in finished for flag in run.flags})
    return tuple(effect for flag in flags if (effect := flag_effect(flag, finished)) is not None)


def flag_readings(runs: Sequence[RunSummary], *, since: datetime) -> tuple[FlagReading, ...]:
    """Return every flag in order of name: the workflows that ran with it ``since`` an instant, and what it brought."""
    effects = {effect.flag: effect for effect in flag_effects(runs)}
    workflows: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for flag in run.flags if run.last_at >= since else ():
            workflows[flag].add(run.workflow)
    return tuple(
        _reading(flag, len(workflows.get(flag, ())), effects.get(flag)) for flag in sorted({*effects, *workflows})
    )


def _reading(flag: str, workflows: int, effect: FlagEffect | None) -> FlagReading:
    if effect is None:
        return FlagReading(flag, workflows)
    interval = (effect.low, effect.expected, effect.high)
    return FlagReading(flag, workflows, interval, effect.success_with, effect.success_without)


def flag_effect(flag: str, runs: Iterable[RunSummary]) -> FlagEffect | None:
    """Return the effect of one flag; None without five completed runs on each side and some scatter to judge by."""
    matched = _matched(flag, runs)
    logs = [(_logs(have), _logs(have_not)) for have, have_not in matched.values()]
    count_with, count_without = sum(len(a) for a, _ in logs), sum(len(b) for _, b in logs)
    if min(count_with, count_without) < LEAST_RUNS or _freedom(logs) < LEAST_FREEDOM:
        return None
    centre, margin = _pooled(logs)
    return FlagEffect(
        flag=flag,
        low=math.exp(centre - margin),
        expected=math.exp(centre),
        high=math.exp(centre + margin),
        runs_with=count_with,
        runs_without=count_without,
        workflows=tuple(sorted(matched)),
        success_with=success_rate(run for have, _ in matched.values() for run in have),
        success_without=success_rate(run for _, have_not in matched.values() for run in have_not),
    )


def _matched(flag: str, runs: Iterable[RunSummary]) -> dict[str, Sides]:
    """Finished runs by workflow, with and without the flag, where both sides have completed ones."""
    sides: dict[str, Sides] = defaultdict(lambda: ([], []))
    for run in runs:
        if run.status:
            sides[run.workflow][flag not in run.flags].append(run)
    return {workflow: pair for workflow, pair in sides.items() if all(map(_any_completed, pair))}


def _any_completed(runs: Iterable[RunSummary]) -> bool:
    return any(run.status == COMPLETED and run.usage.tokens > 0 for run in runs)


def _logs(runs: Iterable[RunSummary]) -> list[float]:
    return [math.log(run.usage.tokens) for run in runs if run.status == COMPLETED and run.usage.tokens > 0]


def _freedom(logs: Sequence[tuple[list[float], list[float]]]) -> int:
    return sum(len(a) + len(b) - 2 for a, b in logs)


def _pooled(logs: Sequence[tuple[list[float], list[float]]]) -> tuple[float, float]:
    """The pooled difference of means and half the width of its interval."""
    weights = [len(a) * len(b) / (len(a) + len(b)) for a, b in logs]
    differences = [fmean(a) - fmean(b) for a, b in logs]
    centre = sum(w * d for w, d in zip(weights, differences, strict=True)) / sum(weights)
    spread = sum(_squares(side) for pair in logs for side in pair)
    freedom = _freedom(logs)
    return centre, student_t(CONFIDENCE, freedom) * math.sqrt(spread / freedom / sum(weights))


def _squares(logs: Sequence[float]) -> float:
    """The sum of squared distances to the mean."""
    mean = fmean(logs)
    return sum((x - mean) ** 2 for x in logs)


def student_t(confidence: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's t, within 1 % from three degrees of freedom on.

    Cornish-Fisher expansion (Abramowitz and Stegun, 26.7.5).
    """
    z, n = NormalDist().inv_cdf(0.5 + confidence / 2), freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
