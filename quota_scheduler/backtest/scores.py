"""How good forecasts were: the measures of one method over one group of cases.

Errors are divided by the series' mean window total before they are pooled, so that a heavy user does not drown the
others (docs/explanation/forecasting.md says what each measure is good for).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from quota_scheduler.backtest.traces import Case

Array = np.ndarray[Any, Any]
Projection = tuple[float, float | None, float | None]
"""What a method says of a window's total: the median and the bounds of its 80 % interval, if it has one."""

NEAR = 0.1
"""A projection is right within this share of the total."""
SURE = 0.85
"""Confidence from which on a claim is one to rely on."""
BINS = 5
"""Equal bins of confidence over which claims and hits are compared."""


class ScoreRow(Struct, frozen=True):
    """The measures of one method over one group of cases; None where a method gives no interval.

    ``wape``: pooled error over pooled totals. ``mdape``: median relative error. ``within_10``: share of projections
    within 10 %. ``exceed``: share of right answers to "will it pass a quota of the series' mean?". ``coverage``,
    ``pinball`` and ``width`` are those of the 80 % interval. ``ms``: milliseconds a call.
    """

    method: str
    cases: str
    n: int
    wape: float
    mdape: float
    within_10: float
    exceed: float | None
    coverage: float | None
    pinball: float | None
    width: float | None
    ms: float


class Honesty(Struct, frozen=True):
    """Whether ``confidence`` may be believed.

    ``error``: mean gap between claim and hit rate in the middle of windows. ``claims``: how many projections claimed
    .85 or more, ``true`` how many of these came within 10 %, ``share`` how many of the last three days' did claim it.
    """

    error: float
    claims: int
    true: float | None
    share: float


def measure(method: str, cases: Sequence[Case], answers: Sequence[Projection], ms: float) -> ScoreRow:
    """Return the measures of a method's answers to these cases."""
    actual, scale = _array([case.actual for case in cases]), _array([case.scale for case in cases])
    median = _array([answer[0] for answer in answers])
    error = np.abs(median - actual)
    coverage = pinball = width = None
    if all(answer[1] is not None for answer in answers):
        low, high = (_array([answer[i] for answer in answers]) for i in (1, 2))
        coverage = float(np.mean((low <= actual + 1e-9) & (actual <= high + 1e-9)))
        width = float(np.mean((high - low) / scale))
        losses = [_pinball(q, actual, said) for q, said in ((0.1, low), (0.5, median), (0.9, high))]
        pinball = float(np.mean(np.mean(losses, axis=0) / scale))
    open_ = _array([case.used for case in cases]) <= scale
    return ScoreRow(
        method=method,
        cases=f"{cases[0].kind} {cases[0].at}",
        n=len(cases),
        wape=float((error / scale).sum() / (actual / scale).sum()),
        mdape=float(np.median(error / actual)),
        within_10=float(np.mean(error <= NEAR * actual)),
        exceed=float(np.mean((median > scale)[open_] == (actual > scale)[open_])) if open_.any() else None,
        coverage=coverage,
        pinball=pinball,
        width=width,
        ms=ms,
    )


def honesty(early: Sequence[tuple[float, bool]], late: Sequence[tuple[float, bool]]) -> Honesty | None:
    """Compare claims of confidence with what came true; ``late`` are those of the last three days."""
    if not early:
        return None
    claims, rights = np.array(early, dtype=np.float64).T
    bins = np.minimum((claims * BINS).astype(int), BINS - 1)
    gaps = sum(abs(claims[bins == b].sum() - rights[bins == b].sum()) for b in range(BINS))
    sure = [right for claim, right in (*early, *late) if claim >= SURE]
    return Honesty(
        error=float(gaps / len(early)),
        claims=len(sure),
        true=float(np.mean(sure)) if sure else None,
        share=sum(claim >= SURE for claim, _ in late) / len(late) if late else 0.0,
    )


def _pinball(q: float, actual: Array, said: Array) -> Array:
    return np.asarray(np.maximum(q * (actual - said), (q - 1) * (actual - said)))


def _array(values: Sequence[float | None]) -> Array:
    return np.array(values, dtype=np.float64)
