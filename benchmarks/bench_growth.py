"""What history costs: the same service on an empty database and on ones that have grown, in one run.

    python benchmarks/bench_growth.py [--database postgres] [--sizes 0 10000 100000 1000000] [--seconds 70]
                                      [--claims 400] [--more 0]

A size is so many usage events of 60 days (20 teams, 40 workflows, 2 models, 25 limit instances) and so many tickets
that closed within the day. Before each comes what it is compared with: the same limits, labels and use of the last day,
and nothing older; a ratio says what history costs, not what there is to do. For each: a real ``serve`` on it is asked
until it is ready, rests for some seconds, answers claims one after another, takes ``--more`` events in arrays of 1,000,
and is killed with SIGKILL and started again. With ``--database postgres`` each lies on a server of its own, whose
settings are the usual ones, vacuumed and analysed.
Prints time to ready, memory, CPU a tick, latency of a claim, and each as a ratio to the last day alone.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.grown_database import DAYS, build

JSON = {"Content-Type": "application/json"}
TICKS_SECONDS = 2.0
MOST_TICKETS = 1_000_000
"""Tickets that closed within the day, whatever more events there are: a day's tickets do not grow for good."""
FILLING = {
    "fsync": "off", "full_page_writes": "off", "max_wal_size": "8GB", "maintenance_work_mem": "512MB",
    "work_mem": "256MB", "shared_buffers": "1GB", "jit": "off",
    "wal_level": "minimal", "max_wal_senders": "0", "archive_mode": "off",
}  # fmt: skip
"""Settings of a server while its database is made; it is measured with the usual ones."""


@dataclass
class Figures:
    """What one size costs. Times in milliseconds of wall, memory in MB; ``_cpu`` is time of the processor.

    ``event_cpu`` is in microseconds, of an event that is pushed with a thousand others, ticks beside it included.
    """

    ready: float = 0
    ready_again: float = 0
    memory: float = 0
    memory_later: float = 0
    tick: float = 0
    tick_cpu: float = 0
    claim_p50: float = 0
    claim_p99: float = 0
    claim_cpu: float = 0
    summary: float = 0
    event_cpu: float = 0


class Service:
    """``serve`` as a process of its own on one database."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url or f"sqlite:///{folder}/quota.db"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> float:
        """Start it; returns milliseconds until it says that it is ready."""
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "quota_scheduler", "serve", "--config", f"{self.folder}/quota.yaml",
             "--listen", f"127.0.0.1:{self.port}", "--database", self.url],
            env={**os.environ, "HOME": str(self.folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while time.perf_counter() - began < 600:
            with contextlib.suppress(OSError):
                if self.ask("GET", "/readyz")[0] == 200:
                    return (time.perf_counter() - began) * 1e3
            time.sleep(0.005)
        raise SystemExit("the service did not get ready")

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.wait()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body), JSON)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def memory(self) -> float:
        """Resident MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def ticks(self) -> tuple[float, float]:
        """How many ticks there were, and their seconds together."""
        text = self.ask("GET", "/metrics")[1].decode()
        count, total = (
            re.search(rf'task_duration_seconds_{part}{{task="tick"}} (\S+)', text) for part in ("count", "sum")
        )
        return (float(count[1]), float(total[1])) if count and total else (0.0, 0.0)


def claim(service: Service, count: int) -> list[float]:
    """Milliseconds of each of so many claims, each released at once; half of them of keys nobody has used."""
    taken = []
    for number in range(count):
        body = {
            "key": f"claim-{time.time_ns()}", "labels": {"provider": "anthropic", "team": f"team{number % 20}"},
            "class": "low", "estimate": {"tokens": 1000},
        }  # fmt: skip
        began = time.perf_counter()
        status, text = service.ask("POST", "/v1/tickets", body)
        taken.append((time.perf_counter() - began) * 1e3)
        answer = json.loads(text)
        assert (status, answer["verdict"]) == (200, "admit"), text
        release = {"fence": answer["lease"]["fence"], "usage": {"output": 900}, "status": "completed"}
        status, text = service.ask("POST", f"/v1/leases/{answer['lease']['id']}/release", release)
        assert status == 200, text
    return sorted(taken)


def use(service: Service, events: int) -> None:
    """Push usage of the last hour in arrays of 1,000, as ``POST /v1/usage`` takes it."""
    for begin in range(0, events, 1000):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = [
            {
                "provider": "anthropic", "key": f"more-{time.time_ns()}-{n}", "at": now, "model": "claude-sonnet-5",
                "run": f"more-{n // 100}", "labels": {"team": f"team{n % 20}", "workflow": f"flow{n % 37}"},
                "input": 6, "cache_read": 20000, "cache_write_1h": 1500, "output": 412,
            }
            for n in range(begin, min(begin + 1000, events))
        ]  # fmt: skip
        status, text = service.ask("POST", "/v1/usage", body)
        assert status == 200, text


@contextlib.contextmanager
def a_database(folder: Path, size: int, tickets: int, *, on_server: bool, days: int = DAYS) -> Iterator[str]:
    """A database of a size, and its URL; on a server it is swept and analysed, as it is after a while."""
    if not on_server:
        build(folder, events=size, tickets=tickets, now=datetime.now(UTC), days=days)
        yield f"sqlite:///{folder}/quota.db"
        return
    import psycopg

    from tests.postgres_process import DURABLE, PostgresProcess

    with PostgresProcess(FILLING) as server:
        build(folder, events=size, tickets=tickets, now=datetime.now(UTC), url=server.dsn(), days=days)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        server.stop()
        server.settings = dict(DURABLE)
        yield server.start().dsn()


def measure(folder: Path, url: str, *, seconds: float, claims: int, more: int) -> Figures:
    """Run the service on a database."""
    service, figures = Service(folder, url), Figures()
    figures.ready = service.start()
    try:
        time.sleep(10)  # the first ticks and what is learned at the start
        (count, took), cpu, began = service.ticks(), service.cpu(), time.perf_counter()
        time.sleep(seconds)
        (count_later, took_later), passed = service.ticks(), time.perf_counter() - began
        figures.tick = (took_later - took) / max(1, count_later - count) * 1e3
        figures.tick_cpu = (service.cpu() - cpu) / passed * TICKS_SECONDS * 1e3
        figures.memory = service.memory()
        cpu = service.cpu()
        taken = claim(service, claims)
        figures.claim_cpu = (service.cpu() - cpu) / max(1, claims) * 1e3
        figures.claim_p50, figures.claim_p99 = taken[len(taken) // 2], taken[int(0.99 * (len(taken) - 1))]
        cpu = service.cpu()
        use(service, more)
        figures.event_cpu = (service.cpu() - cpu) / max(1, more) * 1e6
        began = time.perf_counter()
        service.ask("GET", "/v1/usage/summary?days=30")
        figures.summary = (time.perf_counter() - began) * 1e3
        time.sleep(5 if more else 0)
        figures.memory_later = service.memory()
        service.kill()
        figures.ready_again = service.start()
    finally:
        service.kill()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=70)
    parser.add_argument("--claims", type=int, default=400)
    parser.add_argument("--more", type=int, default=0)
    given = parser.parse_args()
    for size in given.sizes:
        young = None
        for days in (1, DAYS) if size else (1,):
            events, tickets = (size, min(size, MOST_TICKETS)) if days == DAYS else (size // DAYS, 0)
            on_server = given.database == "postgres"
            with (
                tempfile.TemporaryDirectory() as name,
                a_database(Path(name), events, tickets, on_server=on_server, days=days) as url,
            ):
                figures = measure(Path(name), url, seconds=given.seconds, claims=given.claims, more=given.more)
            young = young or figures
            columns = (
                f"{field.name} {value:.1f} ({value / max(1e-9, getattr(young, field.name)):.2f} ×)"
                for field in fields(Figures)
                if (value := getattr(figures, field.name))
            )
            print(f"{events:>10,} of {days:>2} days: {', '.join(columns)}", flush=True)


if __name__ == "__main__":
    main()
