"""What the exposition costs: 10,000 series published once per tick, and served from cached bytes.

    python benchmarks/bench_exposition.py

Prints CPU milliseconds, the best of several runs, and each as a ratio to plain string building of the same snapshot in
the same run; the ratio travels between machines, the milliseconds do not.
"""

import itertools
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from prometheus_client import CollectorRegistry, generate_latest

from quota_scheduler.core.readings.readings import BalanceReading, Counter, Readings
from quota_scheduler.metrics import Metrics
from quota_scheduler.metrics.exposition import Encoded, Format, Part
from tests.shell.sample import a_limit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMITS, MODELS = 200, 2
KINDS = ("input", "cache_read", "output")
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def fleet() -> Readings:
    """200 limits with everything, and consumption counters by model and kind."""
    limits = tuple(a_limit(f"team-daily/team-{n}") for n in range(LIMITS))
    counters = tuple(
        Counter("quota_consumed_tokens_total", (limit.limit, "anthropic", f"model-{m}", kind), 1e6 + m)
        for limit in limits
        for m in range(MODELS)
        for kind in KINDS
    )
    return Readings(NOW, limits=limits, counters=counters)


def moved(readings: Readings) -> Readings:
    """The same fleet a little later: every amount, ratio and instant is another."""
    later = timedelta(seconds=2)
    limits = tuple(replace(limit, balance=_moved(limit.balance, later)) for limit in readings.limits)
    counters = tuple(replace(each, value=each.value + 11) for each in readings.counters)
    return replace(readings, at=readings.at + later, limits=limits, counters=counters)


def _moved(balance: BalanceReading, later: timedelta) -> BalanceReading:
    return replace(
        balance, used=balance.used + 7, reserved=balance.reserved + 3, allowance=balance.allowance - 1,
        ends_at=balance.ends_at and balance.ends_at + later, starts_at=balance.starts_at and balance.starts_at + later,
    )  # fmt: skip


def by_hand(families: Encoded) -> bytes:
    """The same samples by plain string building: the floor, without escaping and Go's number format."""
    lines = []
    for family in families.collect():
        lines.append(f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} {family.type}\n")
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            lines.append(f"{sample.name}{{{labels}}} {sample.value}\n")
    return "".join(lines).encode()


def best(work: Callable[[], object], runs: int = 7) -> float:
    """CPU milliseconds of the fastest of several runs."""
    found = []
    for _ in range(runs):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found) * 1000


def main() -> None:
    """Measure and print."""
    readings = fleet()
    metrics = Metrics(CollectorRegistry(), process=False)
    metrics.publish(readings)
    families = metrics._published.page.families
    series = sum(len(family.samples) for family in families.collect())
    floor = best(lambda: by_hand(families))
    text = families.encoded(Format.TEXT)
    later = itertools.cycle([moved(readings), readings])
    unasked = best(lambda: metrics.publish(readings))
    metrics.exposition(OPENMETRICS, "gzip")
    rows = [
        ("plain string building (the floor)", floor),
        ("publish the same again, nobody scrapes", unasked),
        ("publish the same again, one format asked", best(lambda: metrics.publish(readings))),
        ("publish, every value changed", best(lambda: metrics.publish(next(later)))),
        ("of which: compress once", best(lambda: Part.of(text))),
        ("scrape, cached", best(lambda: metrics.exposition(OPENMETRICS), 30)),
        ("scrape, cached, gzip", best(lambda: metrics.exposition(OPENMETRICS, "gzip"), 30)),
    ]
    registry = CollectorRegistry()
    stock = Metrics(registry, process=False)
    stock.publish(readings)
    rows.append(("scrape without a cache (stock client)", best(lambda: generate_latest(registry))))
    print(f"{series} series in the snapshot, {len(text) / 1e6:.1f} MB of text")
    for name, milliseconds in rows:
        print(f"{name:40} {milliseconds:8.1f} ms {milliseconds / floor:6.1f} x")


if __name__ == "__main__":
    main()
