"""A tick over many limits, all of which have changed: its CPU, and how long a loop beside it stands still.

    python benchmarks/bench_tick.py [--limits 1000] [--days 60] [--ticks 5] [--interval 5] [--profile]

Five limits for each of many teams, every one of which has used something since the last tick and is forecast anew. The
loop wants a turn every millisecond; its longest wait is compared with that beside a thread that only counts, in the
same minute. Where others keep the cores busy that says little: *held* is the CPU that the tick took while the loop
waited for one turn. ``--interval`` is how long, in milliseconds, Python lets one thread go on before it looks at the
others.
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, Session
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.price_catalog import Prices
from quota_scheduler.runtime import COLLECT_AFTER
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.record import record_usage
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.store import Store

NOW = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
BUSY_HOURS = (9, 10, 13, 16)
PRIORITIES = Priority.INTERACTIVE, Priority.NORMAL
KINDS = (
    ("session", Unit.TOKENS, Session(timedelta(hours=5))),
    ("day", Unit.TOKENS, Calendar(Every.DAY)),
    ("week", Unit.TOKENS, Calendar(Every.WEEK)),
    ("month", Unit.TOKENS, Calendar(Every.MONTH, day=1)),
    ("calls", Unit.REQUESTS, Calendar(Every.DAY)),
)


def some_limits(teams: int) -> list[Limit]:
    return [
        Limit(f"{name}-{team}", unit, 100_000_000, schedule, match_of({"team": f"t{team}"}))
        for team in range(teams)
        for name, unit, schedule in KINDS
    ]


def an_event(team: int, at: datetime, tokens: int) -> UsageEvent:
    labels = Labels("anthropic", team=f"t{team}", model="claude-sonnet-5")
    return UsageEvent(
        f"{team}-{at.timestamp()}", at, labels, Usage(output=tokens, requests=1), priority=PRIORITIES[at.hour % 2]
    )


def a_past(teams: int, days: int) -> list[UsageEvent]:
    midnight = NOW.replace(hour=0, minute=0)
    return [
        an_event(team, midnight - timedelta(days=back, hours=-hour), 10_000 + (team * 7919 + back * hour) % 997)
        for back in range(days, -1, -1)
        for hour in BUSY_HOURS
        for team in range(teams)
        if midnight - timedelta(days=back, hours=-hour) < NOW
    ]  # fmt: skip


class World:
    """A store, its clock and the ticks."""

    def __init__(self, folder: Path, teams: int, days: int) -> None:
        self.now, self.teams, self.limits = NOW, teams, some_limits(teams)
        self.store = Store(folder / "quota.db", clock=lambda: self.now)
        with self.store.transaction() as tx:
            redefine(tx, self.limits)
        past = a_past(teams, days)
        for start in range(0, len(past), 20_000):
            with self.store.transaction() as tx:
                record_usage(tx, past[start : start + 20_000], self.limits)
        self.recompute = Recompute(
            self.store, self.limits, rules=(), targets=(), sources=lambda _: (), high_usage_run=10**12,
            price=Prices().price,
        )  # fmt: skip

    def change_all(self) -> None:
        self.now += timedelta(seconds=150)
        with self.store.transaction() as tx:
            record_usage(tx, [an_event(team, self.now, 11_000) for team in range(self.teams)], self.limits)

    def tick(self) -> tuple[float, float]:
        """CPU seconds of looking and of saving."""
        begun = time.thread_time()
        readings = self.recompute.update()
        looked = time.thread_time()
        with self.store.transaction() as tx:
            self.recompute.step(tx, readings)
        return looked - begun, time.thread_time() - looked


async def stalls(work: Callable[[], object]) -> tuple[list[float], list[float]]:
    """By how much a loop was late, in milliseconds, while a thread beside it worked, and what CPU that took meanwhile.

    It wants a turn every millisecond.
    """
    late: list[float] = []
    held: list[float] = []
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        before, all_cpu, own_cpu = time.perf_counter(), time.process_time(), time.thread_time()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - before) * 1e3 - 1)
        held.append((time.process_time() - all_cpu - (time.thread_time() - own_cpu)) * 1e3)
    return late, held


def count_for(seconds: float) -> int:
    """Plain Python that holds nothing."""
    turns, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        turns += 1
    return turns


def told(stalls: tuple[list[float], list[float]]) -> str:
    late, held = map(sorted, stalls)
    return (
        f"longest {late[-1]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f}, median {late[len(late) // 2]:.1f}, "
        f"held for {held[-1]:.1f} ms at most, p99 {held[int(len(held) * 0.99)]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limits", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--ticks", type=int, default=5)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    sys.setswitchinterval(given.interval / 1e3)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), given.limits // len(KINDS), given.days)
        world.tick()
        world.change_all()
        world.tick()  # what was recorded within the last seconds is read once more
        gc.freeze()  # as the service does
        gc.set_threshold(*COLLECT_AFTER)
        profile = cProfile.Profile()
        for _ in range(given.ticks):
            world.change_all()
            if given.profile:
                profile.enable()
            looked, saved = world.tick()
            profile.disable()
            print(f"tick, {given.limits} limits, all changed: {looked:.2f} + {saved:.2f} s of CPU to look and to save")
        if given.profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return
        for _ in range(given.ticks):
            world.change_all()
            begun = time.perf_counter()
            beside_tick = asyncio.run(stalls(world.tick))
            beside_counting = asyncio.run(stalls(partial(count_for, time.perf_counter() - begun)))
            print(f"loop beside a tick: {told(beside_tick)}; beside one that counts: {told(beside_counting)}")


if __name__ == "__main__":
    main()
