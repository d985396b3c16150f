"""Time of a forecast: one limit with 120 days of history, and 10,000 limits at once; AutoETS beside it if installed.

Run: python benchmarks/bench_forecast.py [--limits 10000] [--traces FOLDER]

Prints one line per figure with its floor. statsforecast is no dependency: without it one sentence says so. With it and
with a folder of traces (daily.csv) its errors, interval and time are compared with ours on the same moments.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from quota_scheduler.backtest import run as backtest
from quota_scheduler.backtest.scores import Projection, measure
from quota_scheduler.backtest.traces import Case, cases_of
from quota_scheduler.core.forecast.project import Projectable, project, project_many
from quota_scheduler.core.forecast.series import buckets

DAY = timedelta(days=1)
NOW = datetime(2026, 5, 20, tzinfo=UTC)
MISSING = "statsforecast is not installed, so it is not compared (uv pip install statsforecast)"


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


def seconds(histories: Sequence[Any]) -> float:
    """Return the CPU seconds to forecast so many limits."""
    windows = [Projectable(history, Month()) for history in histories]
    began = time.process_time()
    project_many(windows, now=NOW, step=DAY)
    return time.process_time() - began


def statsforecast_models() -> dict[str, Any]:
    """The library's models by name; empty when it is not installed."""
    try:
        from statsforecast import models
    except ImportError:
        return {}
    return {
        "AutoETS": models.AutoETS(season_length=7),
        "AutoTheta": models.AutoTheta(season_length=7),
        "MSTL": models.MSTL(season_length=[7], trend_forecaster=models.AutoETS(model="ZZN")),
        "CrostonSBA": models.CrostonSBA(),
    }


def ask(model: Any, case: Case) -> Projection:
    """What a model says of a window's total: daily forecasts added up, their scatter as if days were independent."""
    trace = case.trace
    seen = np.array(trace.values[: (case.now - trace.start) // trace.step])
    days = (case.end - case.now) // DAY
    try:
        found = model.forecast(y=seen, h=days, level=[80])
    except Exception:  # some models refuse short or constant series, or have no interval
        found = model.forecast(y=seen, h=days)
    middle = case.used + float(np.maximum(found["mean"], 0).sum())
    if "lo-80" not in found:
        return middle, None, None
    wide = float(np.sqrt(np.square((found["hi-80"] - found["lo-80"]) / 2).sum()))
    return middle, max(case.used, middle - wide), middle + wide


def compare(chosen: Sequence[Case], models: dict[str, Any]) -> None:
    """Print the measures of every model and of ours for the same moments."""
    methods: dict[str, Callable[[Case], Projection]] = {
        "ours": lambda case: backtest.forecast(case.trace.history(case.now), case.now, case.start, case.end)
    }
    methods |= {name: lambda case, model=model: ask(model, case) for name, model in models.items()}
    for group in dict.fromkeys(case.group for case in chosen):
        own = [case for case in chosen if case.group == group]
        for name, method in methods.items():
            began = time.process_time()
            answers = [method(case) for case in own]
            row = measure(name, own, answers, (time.process_time() - began) / len(own) * 1000)
            cover = "-" if row.coverage is None else f"{row.coverage:.2f}"
            pinball = "-" if row.pinball is None else f"{row.pinball:.3f}"
            print(f"{row.cases:<12} {name:<11} n {row.n:>3}  WAPE {row.wape:.3f}  cover {cover}  "
                  f"pinball {pinball}  {row.ms:.2f} ms", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", type=int, default=10_000)
    parser.add_argument("--traces", type=Path, help="a folder with daily.csv to compare errors on (minutes)")
    options = parser.parse_args()
    history = a_history(0)
    one = milliseconds(lambda: project(history, Month(), now=NOW, step=DAY))
    kept = buckets(history)
    again = milliseconds(lambda: project(kept, Month(), now=NOW, step=DAY))
    print(f"one forecast, 120 days of history: {one:.3f} ms from pairs, {again:.3f} ms from arrays (floor 1, aim 0.25)")
    histories = [a_history(seed) for seed in range(options.limits)]
    arrays = [buckets(each) for each in histories]
    print(f"{options.limits} limits at once: {seconds(histories):.2f} s of CPU from pairs, "
          f"{seconds(arrays):.2f} s from arrays, as the service keeps them (floor 5 s for 10,000)")  # fmt: skip
    models = statsforecast_models()
    if not models:
        print(MISSING)
        return
    daily = np.zeros(120)
    for at, tokens in history:
        daily[120 - (NOW - at) // DAY] += tokens
    for name, model in models.items():
        took = milliseconds(lambda model=model: model.forecast(y=daily, h=12), 3, 3)
        print(f"{name} (statsforecast), same limit: {took:.2f} ms")
    if options.traces:
        traces = [trace for trace in backtest.read(options.traces) if trace.step == DAY]
        cases = [case for trace in traces for case in cases_of(trace) if case.kind != "month"]
        compare(sorted(cases, key=lambda case: case.group), models)


if __name__ == "__main__":
    main()
