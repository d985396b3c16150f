"""Time of a forecast: one limit with 120 days of history, and 10,000 limits at once.

Run: python benchmarks/bench_forecast.py [--limits 10000] [--statsforecast]

Prints one line per figure with its floor. With --statsforecast (not a dependency) the same limit is
also forecast by AutoETS, for comparison only.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.forecast import project, project_many

DAY = timedelta(days=1)
NOW = datetime(2026, 5, 20, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Month:
    starts_at: datetime = datetime(2026, 5, 1, tzinfo=UTC)
    ends_at: datetime = datetime(2026, 6, 1, tzinfo=UTC)


def a_history(seed: int, days: int = 120) -> list[tuple[datetime, float]]:
    """Return bursty usage with idle days, as developers have it."""
    dice = random.Random(seed)
    return [(NOW - (days - i) * DAY, dice.lognormvariate(15, 1.3)) for i in range(days) if dice.random() > 0.25]


def milliseconds(work: Callable[[], object], rounds: int = 20, calls: int = 50) -> float:
    """Return the CPU time of one call, the best of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, (time.process_time() - began) / calls)
    return best * 1000


def many(limits: int) -> float:
    """Return the CPU seconds to forecast ``limits`` limits."""
    histories = [a_history(i) for i in range(limits)]
    windows = [Month()] * limits
    began = time.process_time()
    project_many(histories, windows, now=NOW, step=DAY)
    return time.process_time() - began


def with_statsforecast(history: list[tuple[datetime, float]]) -> float:
    """Return the milliseconds AutoETS takes for the same limit."""
    import numpy as np
    from statsforecast.models import AutoETS

    daily = np.zeros(120)
    for at, tokens in history:
        daily[120 - (NOW - at) // DAY] += tokens
    return milliseconds(lambda: AutoETS(season_length=7).forecast(y=daily, h=12, level=[80]), 3, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", type=int, default=10_000)
    parser.add_argument("--statsforecast", action="store_true")
    options = parser.parse_args()
    history = a_history(0)
    one = milliseconds(lambda: project(history, Month(), now=NOW, step=DAY))
    print(f"one forecast, 120 days of history: {one:.3f} ms (floor 1 ms, aim 0.25 ms)")
    all_ = many(options.limits)
    print(f"{options.limits} limits at once: {all_:.2f} s of CPU (floor 5 s for 10,000)")
    faster = one * options.limits / 1000 / all_
    print(f"per limit: {all_ / options.limits * 1000:.3f} ms, {faster:.1f} times as fast as one by one")
    if options.statsforecast:
        print(f"AutoETS (statsforecast), same limit: {with_statsforecast(history):.1f} ms")


if __name__ == "__main__":
    main()
