"""The store on PostgreSQL against what PostgreSQL allows one hot limit, in one run.

    python -m benchmarks.bench_postgres_store [--seconds 4] [--rounds 3]

The floor is ``pgbench`` with one prepared statement a transaction, 32 clients, twice (``bench_postgres``): what one
admission writes in our tables, one by one, and bare, two rows of two tables. Beside it 32 tasks of an event loop ask
one ``Writer`` for admissions by one limit, as requests over HTTP do, then 16 tasks each of two processes ask their own.
Last, both ask for more than a limit allows, and what was admitted is held against it. CPU of both sides says more than
rates on a machine that others use.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_postgres import HOT, SAME, SCHEMA, bare, measure, processor_seconds
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


async def ask(writer: Writer, askers: int, seconds: float) -> int:
    """Let so many ask one request after another, as requests over HTTP do; returns how many were admitted."""
    loop, ends_at = asyncio.get_running_loop(), time.perf_counter() + seconds

    async def one_after_another() -> int:
        admitted = 0
        while time.perf_counter() < ends_at:
            lease: Lease | None = (await writer.ask_from(loop, Submit(draft()))).ticket.lease
            admitted += lease is not None
        return admitted

    return sum(await asyncio.gather(*(one_after_another() for _ in range(askers))))


def work(url: str, amount: int, askers: int, seconds: float) -> None:
    """Be one replica: wait for a line on stdin, let so many ask, print how many were admitted and the CPU spent."""
    with Store(url) as store:
        writer = Writer(store, Terms(limits(amount)), tell=lambda *_: None)
        writer.start()
        writer.ask(Submit(draft())).result()
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.process_time()
        print(asyncio.run(ask(writer, askers, seconds)), time.process_time() - began, flush=True)
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


class Run(NamedTuple):
    """What all replicas together admitted, the first of each included, and the CPU of theirs and of the server."""

    admitted: int
    ours: float
    server: float


def admitted(server: PostgresProcess, replicas: int, *, amount: int, seconds: float) -> Run:
    """Let replicas admit for some seconds, with the same number of clients between them."""
    with database(server, amount) as url:
        command = [sys.executable, "-m", "benchmarks.bench_postgres_store", "--work", url, "--amount", str(amount)]
        command += ["--askers", str(CLIENTS // replicas), "--seconds", str(seconds)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(replicas)
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        before = processor_seconds(server)
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate()[0].split() for process in processes]
        done, ours = sum(int(words[0]) + 1 for words in said), sum(float(words[1]) for words in said)
        return Run(done, ours, processor_seconds(server) - before)


def one_by_one(server: PostgresProcess, seconds: int) -> float:
    """Admissions a second where each client writes what one admission writes, in a transaction of its own."""
    with database(server, PLENTY) as url:
        name = url.rpartition("/")[2]
        with Store(url) as store:
            writer = Writer(store, Terms(limits(PLENTY)), tell=lambda *_: None)
            writer.start()
            writer.ask(Submit(draft())).result()  # opens the window
            writer.stop()
        server.run("psql", "-q", "-c", "SELECT setval(pg_get_serial_sequence('tickets', 'id'), 100)", name)
        return measure(server, SAME, CLIENTS, seconds, name)[0]


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
    sames, bares, pairs = [], [], []
    with PostgresProcess(DURABLE) as server:
        server.run("psql", "-q", "-c", SCHEMA, "postgres")
        for _ in range(given.rounds):
            load = os.getloadavg()[0]
            floor = measure(server, bare(HOT), CLIENTS, int(given.seconds))[0]
            same = one_by_one(server, int(given.seconds))
            one, two = (admitted(server, n, amount=PLENTY, seconds=given.seconds) for n in (1, 2))
            sames.append(one.admitted / given.seconds / same)
            bares.append(one.admitted / given.seconds / floor)
            pairs.append(two.admitted / one.admitted)
            print(
                f"pgbench: the same {same:.0f}/s, bare {floor:.0f}/s   one writer {one.admitted / given.seconds:.0f}/s "
                f"({sames[-1]:.2f} ×, {bares[-1]:.2f} ×, {_cpu(one)})   two {two.admitted / given.seconds:.0f}/s "
                f"({pairs[-1]:.2f} × one, {_cpu(two)})   load {load:.1f}",
                flush=True,
            )
        done = admitted(server, 2, amount=SCARCE, seconds=2.0).admitted
    middle = [f"{statistics.median(ratios):.2f}" for ratios in (sames, bares, pairs)]
    print(f"÷ pgbench with the same {middle[0]}, bare {middle[1]}   two ÷ one {middle[2]}")
    # the first of each replica is admitted too, where there was room
    print(f"a limit for {SCARCE // TOKENS}: {done} were admitted, two for the first of each replica counted")


def _cpu(run: Run) -> str:
    each = [f"{seconds / run.admitted * 1e3:.3f}" for seconds in (run.ours, run.server)]
    return f"{each[0]} ms of CPU each, the server {each[1]}"


if __name__ == "__main__":
    main()
