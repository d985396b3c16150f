"""Scheduling quality: the landed core on recorded usage, beside other policies and a clairvoyant.

Run: python benchmarks/bench_simulate.py [FOLDER] [--quick] [--fleets 6] [--seed 0]

FOLDER holds daily.csv (columns series_id, date, tokens). Prints one line per kind of window and policy, and then the
main figures beside the reference for the development traces (docs/explanation/admission.md). Without a folder a few
made-up series are played, for which there is no reference. --quick plays one factor and no fleets.
"""

from __future__ import annotations

import argparse
import random
import time
from datetime import date
from pathlib import Path

from quota_scheduler.simulate import FACTORS, FLEETS, DailyTrace, PolicyRow, compare, read, to_text
from quota_scheduler.simulate.world import fleets, single

REFERENCE = {
    # (series, kind, policy): interactive and high denied, avoidable harm, stalls of important runs, lost, value
    ("1", "month", "none"): (39.5, 42.9, 23.1, 3.9, 0.1, 77.9),
    ("1", "month", "fixed90"): (31.1, 46.8, 19.3, 4.6, 0.9, 81.8),
    ("1", "month", "safe"): (40.0, 40.5, 22.6, 5.6, 0.1, 77.9),
    ("1", "month", "fixed-thresholds"): (24.2, 29.9, 8.7, 2.9, 5.4, 88.4),
    ("1", "month", "two-sided"): (13.4, 34.0, 3.4, 0.5, 0.1, 95.8),
    ("1", "month", "clairvoyant"): (9.9, 30.9, 0.0, 0.0, 0.0, 100.0),
    ("1", "week", "none"): (63.4, 63.2, 38.2, 10.1, 0.5, 60.6),
    ("1", "week", "fixed90"): (57.5, 65.7, 35.5, 15.0, 0.7, 62.9),
    ("1", "week", "safe"): (61.4, 61.3, 36.3, 13.9, 0.2, 63.1),
    ("1", "week", "fixed-thresholds"): (43.3, 48.1, 20.0, 12.0, 3.5, 77.8),
    ("1", "week", "two-sided"): (23.3, 43.7, 5.7, 1.8, 0.4, 92.4),
    ("1", "week", "clairvoyant"): (15.6, 41.2, 0.0, 0.0, 0.1, 100.0),
    ("1", "session", "none"): (70.9, 70.0, 41.7, 42.7, 4.2, 53.6),
    ("1", "session", "fixed90"): (66.4, 71.6, 39.4, 45.9, 4.6, 55.3),
    ("1", "session", "safe"): (62.5, 56.2, 31.3, 44.4, 1.5, 62.6),
    ("1", "session", "fixed-thresholds"): (53.6, 65.4, 29.1, 121.6, 6.3, 71.4),
    ("1", "session", "two-sided"): (32.2, 41.3, 6.7, 5.2, 2.4, 89.0),
    ("1", "session", "clairvoyant"): (21.8, 40.9, 0.0, 0.3, 0.3, 100.0),
    ("6", "month", "none"): (16.2, 16.0, 16.2, 1.3, 0.1, 88.2),
    ("6", "month", "fixed90"): (5.6, 23.3, 12.4, 1.0, 2.1, 91.6),
    ("6", "month", "safe"): (16.0, 16.1, 16.0, 1.7, 0.0, 88.4),
    ("6", "month", "fixed-thresholds"): (0.1, 4.7, 1.9, 0.0, 10.7, 95.7),
    ("6", "month", "two-sided"): (0.0, 0.8, 0.3, 0.0, 0.1, 99.0),
    ("6", "month", "clairvoyant"): (0.0, 0.0, 0.0, 0.0, 0.0, 100.0),
    ("6", "week", "none"): (31.7, 28.4, 28.6, 7.1, 0.2, 78.8),
    ("6", "week", "fixed90"): (22.7, 33.5, 25.0, 6.0, 0.9, 82.4),
    ("6", "week", "safe"): (30.7, 28.1, 27.8, 5.7, 0.1, 79.4),
    ("6", "week", "fixed-thresholds"): (11.9, 18.8, 12.7, 3.5, 4.9, 90.5),
    ("6", "week", "two-sided"): (2.7, 9.1, 3.3, 0.2, 0.3, 97.2),
    ("6", "week", "clairvoyant"): (0.0, 4.8, 0.0, 0.0, 0.0, 100.0),
    ("6", "session", "none"): (40.7, 35.5, 35.3, 32.4, 2.6, 73.1),
    ("6", "session", "fixed90"): (32.8, 40.5, 32.4, 31.3, 3.5, 76.2),
    ("6", "session", "safe"): (35.3, 26.9, 28.7, 18.9, 0.4, 77.0),
    ("6", "session", "fixed-thresholds"): (20.1, 21.4, 17.2, 31.3, 7.0, 85.8),
    ("6", "session", "two-sided"): (6.4, 7.0, 3.2, 0.8, 0.7, 96.3),
    ("6", "session", "clairvoyant"): (1.5, 6.3, 0.0, 0.0, 0.1, 100.0),
}


def made_up(number: int, days: int = 63) -> DailyTrace:
    """Return bursty days with idle ones, as developers have them."""
    dice = random.Random(number)
    totals = tuple(dice.lognormvariate(0, 1.1) if dice.random() > 0.25 else 0.0 for _ in range(days))
    return DailyTrace(f"made up {number}", date(2026, 5, 1), totals)


def beside(rows: list[PolicyRow]) -> str:
    """The figures that have a reference, each with it."""
    lines = ["", "ours (reference)      denied int.      denied high     harm         stalls       lost        value"]
    for row in rows:
        known = REFERENCE.get((row.worlds, row.kind, row.policy))
        if known is None:
            continue
        found = (
            row.denied_interactive,
            row.denied_high,
            row.avoidable_harm,
            row.stalls_important,
            row.lost_while_waited,
            row.value,
        )
        cells = "".join(f"{own:7.1f} ({theirs:5.1f})" for own, theirs in zip(found, known, strict=True))
        lines.append(f"{row.worlds}, {row.kind:<8}{row.policy:<12}{cells}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="one factor, no fleets")
    parser.add_argument("--fleets", type=int, default=FLEETS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    traces = read(options.folder) if options.folder else [made_up(number) for number in range(3)]
    quick = options.quick or not options.folder
    factors = (0.9,) if quick else FACTORS
    began = time.process_time()
    rows = compare("1", [single(trace, options.seed) for trace in traces], factors=factors)
    if not quick:
        rows += compare("6", fleets(traces, options.fleets, options.seed), factors=factors)
    print(to_text(rows))
    if options.folder and not quick:
        print(beside(rows))
    print(f"\n{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
