"""Two writers of one database, as two replicas are, against one: durable admissions with 32 askers.

    python benchmarks/bench_writers.py [--seconds 3] [--rounds 3]

Both writers live in this process and share a SQLite store, whose transactions take turns: what is measured is what
keeping up with each other costs, not what a second machine brings. Also prints what one admission alone takes, and a
job that moves one window among a thousand followed by a cycle.
"""

import argparse
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from quota_scheduler.core.cycle.requests import Release, Submit
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import Store, windows
from quota_scheduler.writer import Writer

ASKERS = 32
WINDOWS = 1000
LIMITS = (
    Limit("monthly", Unit.TOKENS, 10**15, Calendar(Every.MONTH)),
    Limit("team", Unit.TOKENS, 10**15, Calendar(Every.DAY), per="team", max_instances=10_000),
)
KEYS = count()


def draft(team: str) -> Ticket:
    """A small ticket that fits."""
    now, usage = datetime.now(UTC), Usage(output=10)
    return Ticket(
        id=0, key=f"k{next(KEYS)}", body="", labels=Labels("anthropic", team=team), priority=Priority.LOW,
        estimate=Estimate(usage, usage), created_at=now, waiting_since=now, ttl=timedelta(hours=4),
    )  # fmt: skip


def admissions(writers: list[Writer], seconds: float) -> float:
    """Admissions a second with all askers, each of whom asks the next when it is answered."""
    ends_at, done = time.perf_counter() + seconds, [0] * ASKERS

    def ask(number: int) -> None:
        writer = writers[number % len(writers)]
        while time.perf_counter() < ends_at:
            ticket = writer.ask(Submit(draft(f"t{number % 8}"))).result().ticket
            writer.ask(Release(ticket.id, ticket.lease.fence)).result()
            done[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(ASKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def alone(writer: Writer) -> float:
    """Milliseconds of one admission with nobody else, half of them in less."""
    spent = []
    for _ in range(300):
        began = time.perf_counter()
        writer.ask(Submit(draft("t"))).result()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent) * 1e3


def jobs(writer: Writer) -> float:
    """Milliseconds of a job that moves one window of many, and of the cycle behind it."""
    many = [
        UsageEvent(f"u{n}", datetime.now(UTC), Labels("anthropic", team=f"w{n}"), Usage(output=1))
        for n in range(WINDOWS)
    ]
    writer.do(lambda tx: record_usage(tx, many, LIMITS)).result()
    writer.ask(Submit(draft("w1"))).result()
    spent = []
    for n in range(100):
        event = UsageEvent(f"v{n}", datetime.now(UTC), Labels("anthropic", team="w1"), Usage(output=1))
        began = time.perf_counter()
        writer.do(lambda tx, event=event: record_usage(tx, [event], LIMITS)).result()
        writer.ask(Submit(draft("w1"))).result()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ratios = []
    for _ in range(given.rounds):
        rates = []
        for replicas in (1, 2):
            with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "quota.db") as store:
                store._engine.is_shared = replicas > 1  # for this process they are two replicas
                with store.transaction() as tx:
                    windows.adapt(tx, LIMITS)
                writers = [Writer(store, Terms(LIMITS), tell=lambda *_: None) for _ in range(replicas)]
                for writer in writers:
                    writer.start()
                one = alone(writers[0]) if replicas == 1 else 0.0
                rates.append(admissions(writers, given.seconds))
                moved = jobs(writers[0]) if replicas == 1 else 0.0
                for writer in writers:
                    writer.stop()
            if replicas == 1:
                print(f"alone {one:.2f} ms   a job and a cycle among {WINDOWS} windows {moved:.2f} ms")
        ratios.append(rates[1] / rates[0])
        print(f"one writer {rates[0]:.0f}/s   two {rates[1]:.0f}/s   two / one {ratios[-1]:.2f}")
    print(f"two / one: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
