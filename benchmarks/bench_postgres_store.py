"""The store on PostgreSQL against what PostgreSQL allows one hot limit, in one run.

    python -m benchmarks.bench_postgres_store [--seconds 4] [--rounds 3]

The floor is ``pgbench`` with one prepared statement a transaction at one row (``bench_postgres``), 32 clients. Beside
it 32 threads ask one ``Writer`` for admissions by one limit, then 16 threads each of two processes ask their own. Last,
both ask for more than a limit allows, and what was admitted is held against it.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_postgres import HOT, SCHEMA, measure
from quota_scheduler.core.cycle.requests import Submit
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate, Lease, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Store, windows
from quota_scheduler.writer import Writer
from tests.postgres_process import DURABLE, PostgresProcess

CLIENTS, TOKENS = 32, 100
PLENTY, SCARCE = 10**15, 300 * TOKENS
KEYS = count()


def limits(amount: int) -> tuple[Limit, ...]:
    """One limit that everybody asks for."""
    return (Limit("hot", Unit.TOKENS, amount, Calendar(Every.MONTH)),)


def draft() -> Ticket:
    """A ticket for a hundred tokens."""
    now, usage = datetime.now(UTC), Usage(output=TOKENS)
    return Ticket(
        id=0, key=f"{os.getpid()}-{next(KEYS)}", body="", labels=Labels("anthropic"), priority=Priority.INTERACTIVE,
        estimate=Estimate(usage, usage), created_at=now, waiting_since=now, ttl=timedelta(hours=4),
    )  # fmt: skip


def work(url: str, amount: int, askers: int, seconds: float) -> None:
    """Be one replica: wait for a line on stdin, let so many ask, print how many were admitted and the CPU spent."""
    with Store(url) as store:
        writer = Writer(store, Terms(limits(amount)), tell=lambda *_: None)
        writer.start()
        writer.ask(Submit(draft())).result()
        print("ready", flush=True)
        sys.stdin.readline()
        ends_at, admitted, began = time.perf_counter() + seconds, [0] * askers, time.process_time()

        def ask(number: int) -> None:
            while time.perf_counter() < ends_at:
                lease: Lease | None = writer.ask(Submit(draft())).result().ticket.lease
                admitted[number] += lease is not None

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(askers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(sum(admitted), time.process_time() - began, flush=True)
        writer.stop()


@contextlib.contextmanager
def database(server: PostgresProcess, amount: int) -> Iterator[str]:
    """A database of its own with the schema and the limit."""
    name = f"store{next(KEYS)}"
    server.run("psql", "-q", "-c", f"CREATE DATABASE {name}", "postgres")
    url = server.dsn(name)
    with Store(url) as store, store.transaction() as tx:
        windows.adapt(tx, limits(amount))
    yield url
    server.run("psql", "-q", "-c", f"DROP DATABASE {name} WITH (FORCE)", "postgres")


def admitted(server: PostgresProcess, replicas: int, *, amount: int, seconds: float) -> tuple[int, float]:
    """How many all replicas together admitted, the first of each included, and the CPU seconds of them."""
    with database(server, amount) as url:
        command = [sys.executable, "-m", "benchmarks.bench_postgres_store", "--work", url, "--amount", str(amount)]
        command += ["--askers", str(CLIENTS // replicas), "--seconds", str(seconds)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(replicas)
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate()[0].split() for process in processes]
        return sum(int(words[0]) + 1 for words in said), sum(float(words[1]) for words in said)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    for internal in ("--work", "--amount", "--askers"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, int(given.amount), int(given.askers), given.seconds)
        return
    ones, pairs = [], []
    with PostgresProcess(DURABLE) as server:
        server.run("psql", "-q", "-c", SCHEMA, "postgres")
        for _ in range(given.rounds):
            load = os.getloadavg()[0]
            floor = measure(server, HOT, CLIENTS, int(given.seconds))[0]
            rates, spent = [], []
            for replicas in (1, 2):
                done, cpu = admitted(server, replicas, amount=PLENTY, seconds=given.seconds)
                rates.append(done / given.seconds)
                spent.append(cpu / done * 1e3)
            ones.append(rates[0] / floor)
            pairs.append(rates[1] / rates[0])
            print(
                f"pgbench {floor:.0f}/s   one writer {rates[0]:.0f}/s ({ones[-1]:.2f} ×, {spent[0]:.2f} ms of CPU each)"
                f"   two {rates[1]:.0f}/s ({pairs[-1]:.2f} × one, {spent[1]:.2f} ms)   load {load:.1f}",
                flush=True,
            )
        done, _ = admitted(server, 2, amount=SCARCE, seconds=2.0)
    print(f"÷ pgbench {statistics.median(ones):.2f}   two ÷ one {statistics.median(pairs):.2f}")
    # the first of each replica is admitted too, where there was room
    print(f"a limit for {SCARCE // TOKENS}: {done} were admitted, two for the first of each replica counted")


if __name__ == "__main__":
    main()
