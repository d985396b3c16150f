"""What a start costs: from exec until ``/readyz`` says so, and what the service holds when it idles.

    python -m benchmarks.bench_start [--sizes 0 100000] [--rounds 7] [--idle 6] [--before FOLDER] [--database FILE]

Each size is a database of so many usage events of 60 days with as many closed tickets (``grown_database``), 0 one that
is empty and up to date. A first start that lets histories be kept is not counted; each of the others finds what
a SIGKILL left. ``--before`` is a check-out of another version, whose starts are taken in turns with those of this one;
``--database`` a grown file of before with a ``quota.yaml`` beside it, in place of ``--sizes``. Beside them stands the
floor: an interpreter that imports uvicorn and starlette and answers with a word.

Time of the processor is the process's own, read when it is ready, so that others on the machine lengthen the clock and
hardly it. Where Python may not keep compiled modules, they are compiled once before.
"""

import argparse
import compileall
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.grown_database import CONFIG, build
from quota_scheduler.store import Store

ROOT = Path(__file__).parents[1]
POLL_SECONDS = 0.005
LONGEST_SECONDS = 120.0
SETTLE_SECONDS = 20.0
"""In which a start that is not counted keeps the histories of all instances, eight with each tick."""
CPUCLOCK_SCHED = 2
"""Which of its clocks a process is asked for (include/linux/posix-timers.h): time on the processor in nanoseconds."""
FLOOR = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def readyz(request):
    return PlainTextResponse("ready")

app = Starlette(routes=[Route("/readyz", readyz)])
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off", ws="none")
"""


class Start(NamedTuple):
    """One start: seconds by the clock and of the processor until ready, resident MB then and when it has idled."""

    wall: float
    cpu: float
    memory: float
    idle_memory: float
    idle_cpu: float


class Case(NamedTuple):
    """Something that is started: a command that takes a port, and where."""

    name: str
    command: Sequence[str]
    folder: Path


def port() -> int:
    """One that nobody listens on."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def is_ready(number: int) -> bool:
    """Whether what listens there says so."""
    connection = http.client.HTTPConnection("127.0.0.1", number, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu(process: int) -> float:
    """Seconds of the processor that a process has had in all of its threads, also in those that have ended."""
    return time.clock_gettime((~process) << 3 | CPUCLOCK_SCHED)


def resident(process: int) -> float:
    """Resident MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def started(case: Case, home: Path) -> Iterator[tuple[int, int, float, float]]:
    """Start a case and kill it at the end; process, port, seconds by the clock and of the processor until ready."""
    number = port()
    began = time.perf_counter()
    command = [part.replace("{port}", str(number)) for part in case.command]
    environ = {**os.environ, "HOME": str(home)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=case.folder, env=environ, stdout=quiet, stderr=quiet)
    try:
        while not is_ready(number):
            if process.poll() is not None or time.perf_counter() - began > LONGEST_SECONDS:
                raise SystemExit(f"{case.name}: did not get ready: {' '.join(command)}")
            time.sleep(POLL_SECONDS)
        yield process.pid, number, time.perf_counter() - began, cpu(process.pid)
    finally:
        process.kill()
        process.wait()


def measured(case: Case, home: Path, idle: float) -> Start:
    """One start of a case."""
    with started(case, home) as (process, _, wall, used):
        memory = resident(process)
        time.sleep(idle)
        return Start(wall, used, memory, resident(process), cpu(process) - used)


def status_beside(case: Case, home: Path) -> tuple[float, float]:
    """Seconds by the clock and of the processor of ``status`` beside a service, at the median of seven."""
    taken, command = [], [sys.executable, "-m", "quota_scheduler", "status"]
    with started(case, home) as (_, number, _, _):
        environ = {**os.environ, "HOME": str(home), "QUOTA_LISTEN": f"127.0.0.1:{number}"}
        time.sleep(2)
        for _ in range(7):
            before, began = os.times(), time.perf_counter()
            subprocess.run(command, cwd=case.folder, check=True, stdout=subprocess.DEVNULL, env=environ)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            taken.append((time.perf_counter() - began, used))
    wall, used = (statistics.median(column) for column in zip(*taken, strict=True))
    return wall, used


def serving(name: str, folder: Path, database: Path) -> Case:
    """``serve`` of a check-out on a database."""
    verb = [sys.executable, "-m", "quota_scheduler", "serve", "--config", str(database.parent / "quota.yaml")]
    return Case(name, [*verb, "--listen", "127.0.0.1:{port}", "--database", f"sqlite:///{database}"], folder)


def database_of(size: int, folder: Path) -> Path:
    """A database with so many events."""
    if size:
        return Path(build(folder, events=size, tickets=size, now=datetime.now(UTC)))
    (folder / "quota.yaml").write_text(CONFIG)
    Store(folder / "quota.db").close()
    return folder / "quota.db"


def compare(database: Path, others: Sequence[tuple[str, Path]], *, rounds: int, idle: float, title: str) -> None:
    """Start everything in turns and print medians."""
    cases = [serving(name, folder, database) for name, folder in others]
    with tempfile.TemporaryDirectory() as home:
        floor = Case("the floor", [sys.executable, "-c", FLOOR, "{port}"], Path(home))
        for case in cases:
            measured(case, Path(home), SETTLE_SECONDS)
        taken: dict[str, list[Start]] = {case.name: [] for case in (floor, *cases)}
        for _ in range(rounds):
            for case in (floor, *cases):
                taken[case.name].append(measured(case, Path(home), 0.0 if case is floor else idle))
        print(f"{title}, median of {rounds} (load {os.getloadavg()[0]:.1f})")
        for name, starts in taken.items():
            middle = Start(*(statistics.median(column) for column in zip(*starts, strict=True)))
            walls = [start.wall for start in starts]
            later = f"after {idle:g} s {middle.idle_memory:.0f} MB and {middle.idle_cpu:.2f} s more"
            print(
                f"  {name:12} exec to ready {middle.wall:.2f} s ({min(walls):.2f}–{max(walls):.2f}), "
                f"CPU {middle.cpu:.2f} s; resident {middle.memory:.0f} MB, {later}"
            )
        for case in cases:
            wall, used = status_beside(case, Path(home))
            print(f"  {case.name:12} `status` beside it {wall * 1000:.0f} ms, CPU {used * 1000:.0f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--idle", type=float, default=6.0)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--database", type=Path)
    given = parser.parse_args()
    others = [("before", given.before.resolve())] if given.before else []
    others.append(("now", ROOT))
    for _, folder in others:
        compileall.compile_dir(folder / "quota_scheduler", quiet=2)
    if given.database:
        title = f"{given.database.name} of {given.database.stat().st_size >> 20} MB"
        compare(given.database.resolve(), others, rounds=given.rounds, idle=given.idle, title=title)
        return
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as name:
            title = f"{size:,} events"
            compare(database_of(size, Path(name)), others, rounds=given.rounds, idle=given.idle, title=title)


if __name__ == "__main__":
    main()
