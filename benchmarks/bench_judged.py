"""Forecast and scheduling judged on recorded usage: the tables of the docs, by one command.

Run: python benchmarks/bench_judged.py TRACES [--owners all|tuning|held-out] [--only forecast|scheduling]
                                       [--policy two-sided] [--quick] [--seed 0]

TRACES holds daily.csv (series_id, date, tokens) and series.csv (series_id, owner_id). Owners with an odd number are for
tuning, those with an even one judge what was tuned. Prints Markdown: errors, coverage and pinball of the forecast
(docs/explanation/forecasting.md), harm / lost / value of every policy (docs/explanation/admission.md). An hour of CPU
for everything; with --only scheduling --policy two-sided about two minutes and a half for a half of the owners, a few
for all of them; --quick plays quotas of .9 and the two-sided rule only.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from quota_scheduler.backtest import run as backtest
from quota_scheduler.backtest.traces import DAY
from quota_scheduler.simulate import FACTORS, POLICIES, DailyTrace, PolicyRow, WindowKind, compare, read
from quota_scheduler.simulate.world import FLEET, FLEET_LEAST, fleets, single

HALVES = {"tuning": 1, "held-out": 0}
"""What the number of an owner leaves when it is halved."""
HALF_FLEET_LEAST = 57
"""Days of the shortest series of a half's fleets: so few are long that six of 77 days are not to be had."""
FLEETS = {"all": 12, "tuning": 8, "held-out": 8}


def owners(folder: Path) -> dict[str, int]:
    """Return the number of the owner of each series; nothing without a series.csv."""
    path = folder / "series.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {line["series_id"]: int(re.sub(r"\D", "", line["owner_id"])) for line in csv.DictReader(file)}


def chosen(folder: Path, half: str) -> list[DailyTrace]:
    """Return the daily series of all owners, or of a half of them."""
    traces, numbers = read(folder), owners(folder)
    if half == "all":
        return traces
    return [trace for trace in traces if numbers.get(trace.name, -1) % 2 == HALVES[half]]


def forecasts(folder: Path, half: str, traces: Sequence[DailyTrace]) -> str:
    """The table of the forecast: WAPE, coverage and pinball at 25 / 50 / 75 % of each kind of window."""
    names = {trace.name for trace in traces}
    series = [trace for trace in backtest.read(folder) if trace.name in names and trace.step == DAY]
    result = backtest.verify(series)
    kinds = list(dict.fromkeys(row.cases.rsplit(" ", 1)[0] for row in result.rows))
    lines = [f"| {half} | method | WAPE | coverage | pinball |", "|---|---|---|---|---|"]
    for kind in kinds:
        for method in dict.fromkeys(row.method for row in result.rows):
            rows = [row for row in result.rows if row.cases.rsplit(" ", 1)[0] == kind and row.method == method]
            cells = [_three([row.wape for row in rows]), _three([row.coverage for row in rows], 2)]
            lines.append(f"| {kind} | {method} | {' | '.join([*cells, _three([row.pinball for row in rows])])} |")
    return "\n".join(lines)


def _three(values: Sequence[float | None], digits: int = 3) -> str:
    return " / ".join("-" if value is None else f"{value:.{digits}f}".removeprefix("0") for value in values)


def schedules(half: str, traces: Sequence[DailyTrace], seed: int, policies: Sequence[str], *, quick: bool) -> str:
    """The table of scheduling: harm / lost / value of each policy, of one developer and of fleets of six."""
    policies, factors = (("two-sided",), (0.9,)) if quick else (policies, FACTORS)
    least = FLEET_LEAST if half == "all" else HALF_FLEET_LEAST
    pooled = fleets(traces, FLEETS[half], seed, least=least)
    rows = compare("1", [single(trace, seed) for trace in traces], policies=policies, factors=factors)
    rows += compare(str(FLEET), pooled, policies=policies, factors=factors)
    kinds = [(worlds, kind.value) for worlds in ("1", str(FLEET)) for kind in WindowKind]
    by_name = {(row.policy, row.worlds, row.kind): row for row in rows}
    head = " | ".join(f"{worlds}, {kind}" for worlds, kind in kinds)
    lines = [f"| {half}: harm / lost / value | {head} |", "|---" * (len(kinds) + 1) + "|"]
    for policy in dict.fromkeys(row.policy for row in rows):
        lines.append(f"| {policy} | {' | '.join(_figures(by_name.get((policy, *kind))) for kind in kinds)} |")
    return "\n".join(lines)


def _figures(row: PolicyRow | None) -> str:
    return f"{row.avoidable_harm:.1f} / {row.lost_while_waited:.2f} / {row.value:.1f}" if row else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="TRACES")
    parser.add_argument("--owners", choices=tuple(FLEETS), action="append")
    parser.add_argument("--only", choices=("forecast", "scheduling"))
    parser.add_argument("--policy", choices=POLICIES, action="append", help="only these, beside the clairvoyant")
    parser.add_argument("--quick", action="store_true", help="quotas of .9, the two-sided rule")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.folder is None:
        print("no folder of traces was given: bench_judged.py TRACES (daily.csv and series.csv)")
        return
    halves = options.owners or list(FLEETS)
    if not owners(options.folder) and halves != ["all"]:
        sys.exit(f"{options.folder} holds no series.csv (series_id, owner_id): ask for --owners all")
    for half in halves:
        began, traces = time.process_time(), chosen(options.folder, half)
        if options.only != "scheduling":
            print(forecasts(options.folder, half, traces) + "\n")
        if options.only != "forecast":
            policies = options.policy or POLICIES
            print(schedules(half, traces, options.seed, policies, quick=options.quick) + "\n")
        print(f"{half}: {len(traces)} series, {time.process_time() - began:.0f} s of CPU\n", flush=True)


if __name__ == "__main__":
    main()
