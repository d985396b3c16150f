"""Transcripts into the ledger, beside a peer that keeps none and the floor of reading the files and counting newlines.

    python -m benchmarks.bench_ingest [--sessions 300] [--responses 400] [--rounds 3]
    python -m benchmarks.bench_ingest --corpus FOLDER [--peer "npx ccusage@20.0.24 claude daily --json --offline"]

Everything is run in turns on the same files, a made-up corpus or ``projects`` below a folder; the ratios are what to
compare between machines. Each line says seconds and CPU seconds; where other work shares the cores, believe the CPU.

floor      read every byte, count the newlines
reader     every usage event, in this process
readers    the same in two processes, half the files each
ledger     the first pass into an empty database, priced and recorded, until caught up, read in another process
peer       a program that adds the same up, with ``CLAUDE_CONFIG_DIR`` on the same files
unchanged  a pass when nothing has changed, watched and looked at
"""

import argparse
import os
import resource
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.sources import read_ahead
from quota_scheduler.sources.claude_code import NAME, PROVIDER, SUFFIX, labeller, scan, scan_ahead, taker
from quota_scheduler.sources.tail import CHUNK, changed_files
from quota_scheduler.sources.watch import FolderWatch
from quota_scheduler.store import Store, Transaction
from tests.corpus import write


class Spent(NamedTuple):
    """What one run took: seconds, and CPU seconds of this process and those it has waited for."""

    seconds: float
    cpu: float


def cpu() -> float:
    """CPU seconds so far, of this process and of children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def spent(work: Callable[[], object]) -> Spent:
    """How long one run takes."""
    start, used = perf_counter(), cpu()
    work()
    return Spent(perf_counter() - start, cpu() - used)


def floor(files: list[Path]) -> int:
    """Read every byte and count the lines; returns how many."""
    buffer, lines = bytearray(CHUNK), 0
    for path in files:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                lines += buffer.count(b"\n", 0, got)
    return lines


def read(root: Path) -> int:
    """Read every usage event; returns how many."""
    return sum(len(batch.events) for batch in scan([root], {}, labeller=labeller()))


def read_in_processes(root: Path) -> int:
    """The same, each file in one of two processes."""
    listing, make_take = changed_files([root], {}, suffix=SUFFIX), partial(taker, [root], labeller())
    batches = read_ahead.scan_ahead(listing, {}, make_take, worth=0, processes=2)
    return sum(len(batch.events) + len(batch.plain) for batch in batches)


class Service:
    """An ingest with a database, without the rest of a service."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.store = Store(folder / "quota.db")
        self.watch = FolderWatch([root], SUFFIX)
        self.ingest = Ingest(
            NAME,
            PROVIDER,
            partial(scan_ahead, [root], labeller=labeller(), look=self.watch.changed_files),
            store=self.store,
            do=self._do,
            prices=Prices(),
            limits=lambda: (),
        )

    def _do(self, work: Callable[[Transaction], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        with self.store.transaction() as tx:
            future.set_result(work(tx))
        return future


def record(root: Path) -> None:
    """The first pass into an empty ledger."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(root, Path(folder))
        service.ingest.poll()
        service.watch.close()
        service.store.close()


def unchanged(root: Path, passes: int = 9) -> tuple[float, float]:
    """CPU seconds of a pass without a change: watched, and looked at."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(root, Path(folder))
        for _ in range(2):
            service.ingest.poll()
        watched = median(spent(service.ingest.poll).cpu for _ in range(passes))
        service.watch.close()
        looked_at = median(spent(lambda: (service.watch.close(), service.ingest.poll())).cpu for _ in range(passes))
        service.store.close()
    return watched, looked_at


def peer(command: str, home: Path) -> None:
    """Another program on the same files."""
    environment = os.environ | {"CLAUDE_CONFIG_DIR": str(home)}
    subprocess.run(shlex.split(command), env=environment, stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--responses", type=int, default=400, help="responses per session")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--corpus", type=Path, help="a folder with projects, in place of a made-up corpus")
    parser.add_argument("--peer", help="the command of another program that reads CLAUDE_CONFIG_DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.corpus / "projects" if options.corpus else Path(folder) / "projects"
        if not options.corpus:
            write(root, sessions=options.sessions, responses=options.responses)
        measure(root, options.rounds, options.peer)


def measure(root: Path, rounds: int, command: str | None) -> None:
    """Everything in turns, and what it came to."""
    files = sorted(root.rglob(f"*{SUFFIX}"))
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    work: dict[str, Callable[[], object]] = {
        "floor": lambda: floor(files),
        "reader": lambda: read(root),
        "readers": lambda: read_in_processes(root),
        "ledger": lambda: record(root),
    }
    if command:
        work["peer"] = lambda: peer(command, root.parent)
    runs = [{name: spent(run) for name, run in work.items()} for _ in range(rounds)]
    print(f"corpus  {megabytes:8.1f} MB in {len(files)} files, {read(root)} events; load {os.getloadavg()[0]:.1f}")
    took = {name: Spent(*map(median, zip(*(run[name] for run in runs), strict=True))) for name in work}
    for name, (seconds, used) in took.items():
        ratios = [
            f"{seconds / took[other].seconds:5.2f} x {other} ({used / took[other].cpu:5.2f} x its CPU)"
            for other in ("floor", "peer")
            if other in took and other != name
        ]
        print(f"{name:7} {seconds:8.2f} s {used:6.2f} s CPU   {'   '.join(ratios)}")
    watched, looked_at = unchanged(root)
    print(f"a pass without a change: {watched * 1e3:.1f} ms of CPU, {looked_at * 1e3:.1f} ms without a watch")


if __name__ == "__main__":
    main()
