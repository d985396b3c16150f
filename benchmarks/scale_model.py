"""How far one database carries, and how many it takes beyond that: a discrete-event model fed with measured costs.

    python -m benchmarks.scale_model              # the tables of docs/explanation/scale.md
    python -m benchmarks.scale_model --measure    # the costs, of a real service here, and how well they predict

The model: requests arrive at a node, which takes everything that waits (at most BATCH) into one transaction. That
occupies its processor for a fixed cost and one for each request, then waits for the commit. All accounts of a node
share it; no account lies on two, since its counters are one row. Costs are seconds of the processor, which other work
on the machine changes less than it changes times.
"""

import argparse
import heapq
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale_measure import Costs, measure

BATCH = 256
"""Requests of one transaction at most."""
RUN_SECONDS, RENEW_SECONDS, CALL_SECONDS = 600.0, 200.0, 10.0
"""A runner: a ticket every ten minutes, a heartbeat every 200 s, a call of a model every ten seconds."""


@dataclass(frozen=True)
class Load:
    """What one node carried: requests a second, seconds to the answer (median, 99 of 100), the share of one core that
    was busy, and requests of a transaction."""

    rate: float
    median: float
    p99: float
    busy: float
    batch: float


def requests_a_second(runners: float) -> float:
    """Submit and release of each run, and its heartbeats."""
    return runners * (2 / RUN_SECONDS + 1 / RENEW_SECONDS)


def simulate(costs: Costs, *, rate: float = 0.0, clients: int = 0, seconds: float = 60.0, seed: int = 1) -> Load:
    """One node under ``rate`` requests a second from many runners, or ``clients`` that each ask again once answered."""
    rng, now, busy = random.Random(seed), 0.0, 0.0
    arrivals = [0.0] * clients if clients else [rng.expovariate(rate)]
    waits: list[float] = []
    batches: list[int] = []
    while arrivals and arrivals[0] < seconds:
        now = max(now, arrivals[0])
        batch: list[float] = []
        while arrivals and arrivals[0] <= now and len(batch) < BATCH:
            batch.append(heapq.heappop(arrivals))
            if not clients:
                heapq.heappush(arrivals, batch[-1] + rng.expovariate(rate))
        work = costs.transaction + len(batch) * costs.request
        now, busy = now + work + costs.commit, busy + work
        waits.extend(now - begun for begun in batch)
        batches.append(len(batch))
        for _ in batch if clients else ():
            heapq.heappush(arrivals, now)
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    return Load(len(waits) / now, statistics.median(waits), p99, busy / now, statistics.mean(batches))


def background(costs: Costs, runners: float, limits: float, *, tick_seconds: float = 2.0) -> float:
    """Cores that usage events and ticks take beside the requests, where every limit moves in every tick."""
    return runners / CALL_SECONDS * costs.event + limits / tick_seconds * costs.limit


def most_runners(costs: Costs, *, limits_per_runner: float = 0.01, p99: float = 0.25, share: float = 0.7) -> int:
    """How many runners a node carries: answers within ``p99`` seconds, all work in at most ``share`` of a core."""
    low, high = 1, 4_000_000
    while low < high - max(1, low // 50):
        middle = (low + high) // 2
        beside = background(costs, middle, middle * limits_per_runner)
        fits = beside < share
        if fits:
            slowed = Costs(*(cost / (1 - beside) for cost in (costs.transaction, costs.request)), 0, 0, costs.commit)
            load = simulate(slowed, rate=requests_a_second(middle), seconds=20)
            fits = load.p99 <= p99 and load.busy * (1 - beside) + beside <= share
        low, high = (middle, high) if fits else (low, middle)
    return low


def nodes(accounts: Sequence[int], most: int) -> int:
    """Nodes for accounts of these sizes, largest first onto the emptiest that has room. An account is never cut."""
    loads: list[int] = []
    for size in sorted(accounts, reverse=True):
        if loads and loads[0] + size <= most:
            heapq.heapreplace(loads, loads[0] + size)
        else:
            heapq.heappush(loads, size)
    return len(loads)


def zipf(total: int, accounts: int) -> list[int]:
    """Runners by account: the n-th has 1/n of what the first has."""
    weights = [1 / n for n in range(1, accounts + 1)]
    return [max(1, round(total * weight / sum(weights))) for weight in weights]


SQLITE = Costs(transaction=0.00096, request=0.00056, event=0.000028, limit=0.0001, commit=0.001)
"""Measured: see docs/explanation/scale.md."""


def main() -> None:
    """Print the measured costs and how they predict, or the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure the costs on this machine")
    if parser.parse_args().measure:
        measure()
        return
    tables(SQLITE)


def tables(costs: Costs) -> None:
    """What one node carries by the latency of a commit, and how many nodes a million runners take."""
    for commit in (0.0002, 0.001, 0.005, 0.02):
        one = Costs(costs.transaction, costs.request, costs.event, costs.limit, commit)
        most = most_runners(one)
        load = simulate(one, rate=requests_a_second(most), seconds=20)
        print(
            f"commit {1000 * commit:4.1f} ms: {most:8,} runners a node, {load.batch:5.1f} requests a transaction",
            end="",
        )
        print(f", p99 {1000 * load.p99:.0f} ms")
        for runners in (10_000, 100_000, 1_000_000):
            for accounts in (100, 10_000):
                sizes = zipf(runners, accounts)
                too_large = f", {sum(size > most for size in sizes)} of them too large" if sizes[0] > most else ""
                print(f"    {runners:9,} runners, {accounts:6,} accounts{too_large}: {nodes(sizes, most):4} nodes")


if __name__ == "__main__":
    main()
