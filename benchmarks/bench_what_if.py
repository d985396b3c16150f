"""What if: a month of 10,000 runs under every policy, beside the floor of what any replay must do.

Run: python benchmarks/bench_what_if.py [RUNS] [--limits 1]

Made-up runs of three teams over thirty days after a week of history, under a week of nine tenths of their demand and,
with --limits 4, a daily budget of each team. The floor is the policy ``none``, which decides nothing: reading, events
and adding up. Seconds of CPU; the aim is 10 s for all six policies together.
"""

from __future__ import annotations

import argparse
import random
import time
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.history.recorded_runs import RecordedRun, Recording
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import CLASSES
from quota_scheduler.core.usage import Usage
from quota_scheduler.simulate.policies import POLICIES
from quota_scheduler.simulate.replay import Replay, replay_document
from quota_scheduler.simulate.what_if import WhatIf

START = datetime(2026, 9, 1, tzinfo=UTC)
DAYS, HISTORY = 30, 7
TEAMS = ("growth", "core", "data")


def made_up(count: int) -> Recording:
    """Return so many runs a month, people's by day and the others at any hour."""
    dice = random.Random(3)
    runs = []
    for number in range(count * (DAYS + HISTORY) // DAYS):
        priority = dice.choices(CLASSES, (25, 15, 30, 30))[0]
        hour = dice.gauss(13, 3) % 24 if priority.rank < 2 else dice.uniform(0, 24)
        runs.append(
            RecordedRun(
                f"run {number}",
                Labels("anthropic", team=dice.choice(TEAMS)),
                priority,
                START + timedelta(days=dice.randrange(DAYS + HISTORY), hours=hour),
                timedelta(seconds=dice.lognormvariate(6.5, 0.6)),
                Usage(output=int(dice.lognormvariate(13, 1.1)) + 1),
            )
        )
    return Recording(tuple(sorted(runs, key=lambda run: run.at)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=int, default=10_000)
    parser.add_argument("--limits", type=int, choices=(1, 4), default=1)
    options = parser.parse_args()
    recording = made_up(options.runs)
    week = sum(run.usage.tokens for run in recording.runs) * 7 // (DAYS + HISTORY) * 9 // 10
    budgets = {"*": f"{week // 12}/day"} if options.limits == 4 else {}
    times: dict[str, float] = {}
    for names in (("clairvoyant",), *((name, "clairvoyant") for name in POLICIES if name != "clairvoyant")):
        asked = WhatIf(policies=names, quotas=(f"{week}/week",), budgets=budgets)
        began = time.process_time()
        replay_document(Replay(recording, (), asked, since=START + timedelta(days=HISTORY)))
        times[names[0]] = time.process_time() - began - times.get("clairvoyant", 0.0)
    for name in POLICIES:
        print(f"{name:<18}{times[name]:6.2f} s of CPU   {times[name] / max(times['none'], 0.001):5.1f} times the floor")
    print(f"{'all six':<18}{sum(times.values()):6.2f} s of CPU for {options.runs:,} runs a month")


if __name__ == "__main__":
    main()
