"""Durable admissions over HTTP, 64 clients: against one transaction per request, and a bare app with the same writer.

    python benchmarks/bench_admission.py [--seconds 5] [--waiting 10000] [--rate 500] [--before FOLDER]
    python benchmarks/bench_admission.py --postgres        the service on PostgreSQL ÷ on SQLite, nothing else

Three servers run in turn on one core, the load generator on the other: the service; the same service with one
transaction per request; a bare Starlette app whose writer thread commits batches of one UPDATE and one INSERT each.
With ``--before`` a check-out of another build runs beside them. Prints admissions per second with p50 and p99, the core
time of each (its kernel time included; the only figure that other work on the machine leaves alone), the ratios, and
the latency at a steady rate beside that of the bare app: with nobody waiting, with many, and with many while it
ticks and reads 60 MB of transcripts, which come evenly from the beginning to the end. Rounds are taken in turns.
"""

import argparse
import asyncio
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

CLIENTS = 64
SESSIONS = 27
"""Made-up sessions with their sub-agents' files: 60 MB."""
LABELS = '"labels":{{"provider":"anthropic","team":"t{team}"}}'
BODY = '{{"key":"{key}",' + LABELS + ',"class":"low","estimate":{{"input":100,"output":900}}}}'
CONFIG = """
sources: {{claude_code: {{enabled: {reads}}}}}
limits:
  - {{id: monthly, match: {{provider: anthropic}}, unit: tokens, amount: 900T, window: month, holdback: 0}}
  - {{id: team-daily, per: team, unit: usd, amount: 900M, window: day, holdback: 0}}
  - {{id: running, unit: leases, amount: 900M}}
  - {{id: full, match: {{team: waits}}, unit: tokens, amount: 1000, window: day, holdback: 0}}
"""


def serve(variant: str, port: int, folder: Path, database: str) -> None:
    """Be one of the servers; never returns."""
    if variant != "free":
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {0})
    if variant == "bare":
        serve_bare(port, folder)
        return
    from quota_scheduler import server, writer
    from quota_scheduler.assemble import assemble
    from quota_scheduler.config import load
    from quota_scheduler.facade import Facade

    if variant == "single":
        writer.MOST_AT_ONCE = 1
    (folder / "quota.yaml").write_text(CONFIG.format(reads=str(variant == "reading").lower()))
    (folder / "claude" / "projects").mkdir(parents=True)
    config = load(
        folder / "quota.yaml",
        {"HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder / "claude")},
        {"listen": f"127.0.0.1:{port}", "database": database or f"sqlite:///{folder}/q.db"},
    )
    where = server.listen(config.listen)
    service = assemble(config)
    service.start()
    server.serve(service, Facade(service), where, reload=lambda: None)
    service.stop()


def serve_bare(port: int, folder: Path) -> None:
    """The floor: Starlette, the same group commit, the smallest durable admission there is."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    lines: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        db = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
        db.executescript(
            "PRAGMA journal_mode=wal; PRAGMA synchronous=full; CREATE TABLE c (id, r); INSERT INTO c VALUES (1, 0);"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT UNIQUE, body TEXT)"
        )
        while True:
            batch = [lines.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < 512:
                    batch.append(lines.get_nowait())
            db.execute("BEGIN IMMEDIATE")
            db.executemany("UPDATE c SET r = r + ? WHERE id = 1", [(1000,)] * len(batch))
            db.executemany("INSERT INTO t (key, body) VALUES (?, ?)", [(b["key"], "x") for b, _ in batch])
            db.execute("COMMIT")
            for _, future in batch:
                future.set_result(None)

    threading.Thread(target=work, daemon=True).start()

    async def submit(request):
        future: Future = Future()
        lines.put((json.loads(await request.body()), future))
        await asyncio.wrap_future(future)
        return Response('{"verdict":"admit"}', media_type="application/json")

    async def ready(_request):
        return Response("{}")

    app = Starlette(routes=[Route("/v1/tickets", submit, methods=["POST"]), Route("/readyz", ready)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")


class Client(asyncio.Protocol):
    """One keep-alive connection that sends a request as soon as it has the last answer, or when told."""

    def __init__(self, load: "Load") -> None:
        self.load, self.buffer, self.sent = load, b"", 0.0

    def connection_made(self, transport) -> None:
        self.transport = transport
        if self.load.rate == 0:
            self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        body = self.load.body()
        self.transport.write(
            b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, sep, rest = self.buffer.partition(b"\r\n\r\n")
        if not sep:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self.load.answered(head[9:12], rest[:length], time.perf_counter() - self.sent)
        if self.load.rate == 0:
            self.send()
        else:
            self.load.idle.append(self)


def core_seconds(process: int) -> float:
    """What a process has taken of its core so far; 0 for none."""
    if not process:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """Sixty-four clients for some seconds; counts answers that came after the warm-up."""

    def __init__(self, rate: float = 0, team: str = "", process: int = 0) -> None:
        """``process`` is that of the server, where ``core`` is to say what an answer took of its core, in seconds."""
        self.rate, self.team, self.n, self.process, self.core = rate, team, 0, process, 0.0
        self.latencies: list[float] = []
        self.bad: list[bytes] = []
        self.idle: list[Client] = []
        self.missed = 0
        self.prefix = f"{time.time_ns()}"

    def body(self) -> bytes:
        self.n += 1
        return BODY.format(key=f"{self.prefix}-{self.n}", team=self.n % 20).encode()

    def answered(self, status: bytes, body: bytes, seconds: float) -> None:
        if status != b"200" or b'"admit"' not in body:
            self.bad.append(body)
        self.latencies.append(seconds)

    async def run(self, port: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        clients = [(await loop.create_connection(lambda: Client(self), "127.0.0.1", port))[1] for _ in range(CLIENTS)]
        if self.rate:
            self.idle = list(clients)
            await self.steadily(seconds)
        else:
            await asyncio.sleep(1.0)
            self.latencies.clear()
            began = core_seconds(self.process)
            await asyncio.sleep(seconds)
            self.core = (core_seconds(self.process) - began) / max(1, len(self.latencies))
        for client in clients:
            client.transport.abort()

    async def steadily(self, seconds: float) -> None:
        started, sent, warm = time.perf_counter(), 0, False
        while (now := time.perf_counter() - started) < seconds + 1.0:
            if now > 1.0 and not warm:
                self.latencies, warm = [], True
            while sent < now * self.rate:
                sent += 1
                if self.idle:
                    self.idle.pop(0).send()
                else:
                    self.missed += 1
            await asyncio.sleep(0.001)

    def quantile(self, q: float) -> float:
        return sorted(self.latencies)[int(q * (len(self.latencies) - 1))] * 1e3


@contextlib.contextmanager
def running(variant: str, before: Path | None = None, database: str = ""):
    """A server as a process of its own, of another build where its check-out is named: its port, its id, its folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                *(sys.executable, before / "benchmarks/bench_admission.py" if before else __file__),
                *("--serve", variant, "--port", str(port), "--folder", folder),
                *(("--database", database) if database else ()),
            ],
            env={**os.environ, "HOME": folder, **({"PYTHONPATH": str(before)} if before else {})},
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                    break
                time.sleep(0.05)
            time.sleep(1.0)
            yield port, process.pid, Path(folder)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def fill(port: int, count: int) -> None:
    """Let many tickets wait for a limit that is full."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    for start in range(0, count, 500):
        many = [
            {
                "key": f"w{start + n}",
                "labels": {"provider": "anthropic", "team": "waits"},
                "class": "low",
                "estimate": {"tokens": 999 if start + n else 1000},
            }
            for n in range(500)
        ]
        connection.request("POST", "/v1/tickets", json.dumps(many), {"Content-Type": "application/json"})
        assert connection.getresponse().read()


def transcripts(folder: Path) -> list[Path]:
    """Made-up transcripts of agents that nobody has read yet."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.corpus import write

    write(folder, sessions=SESSIONS, responses=400)
    return sorted((folder / "projects").rglob("*.jsonl"))


async def coming(files: list[Path], source: Path, into: Path, seconds: float) -> None:
    """Let files come evenly, each whole, for so many seconds."""
    for file in files:
        place = into / "claude" / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place.with_suffix(".part"))
        place.with_suffix(".part").rename(place)
        await asyncio.sleep(seconds / len(files))


def tails(rate: float, waiting: int, seconds: float, rounds: int) -> None:
    """The slowest hundredth at a steady rate: the service idle and busy beside the bare app, in turns."""
    rows = {
        "bare": ("bare", 0, False),
        "bare, files of 60 MB coming that nobody reads": ("bare", 0, True),
        "service, nobody waiting": ("service", 0, False),
        f"service, {waiting} waiting": ("service", waiting, False),
        f"service, {waiting} waiting, ticks and an import of 60 MB going on": ("reading", waiting, True),
    }
    p50s: dict[str, list[float]] = {name: [] for name in rows}
    p99s: dict[str, list[float]] = {name: [] for name in rows}
    with tempfile.TemporaryDirectory() as source:
        files = transcripts(Path(source))
        for _ in range(rounds):
            for name, (variant, line, come) in rows.items():
                with running(variant) as (port, _, folder):
                    if line:
                        fill(port, line)
                    load = Load(rate=rate)

                    async def measured(load=load, port=port, come=come, folder=folder) -> None:
                        reads = coming(files if come else [], Path(source), folder, seconds + 1)
                        await asyncio.gather(load.run(port, seconds), reads)

                    asyncio.run(measured())
                    assert not load.bad, load.bad[0][:300]
                    p50s[name].append(load.quantile(0.5))
                    p99s[name].append(load.quantile(0.99))
    for name in rows:
        each = ", ".join(f"{p99:.1f}" for p99 in p99s[name])
        ratio = statistics.median(a / b for a, b in zip(p99s[name], p99s["bare"], strict=True))
        middle = statistics.median(p50s[name]), statistics.median(p99s[name])
        print(f"{rate:.0f}/s, {name}: p50 {middle[0]:.1f} p99 {middle[1]:.1f} ms (of {each}), {ratio:.1f} x bare")


def on_postgres(rounds: int, seconds: float) -> None:
    """The service on a real server with durable commits, and on a file, in turn; nobody is pinned to a core."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.postgres_process import DURABLE, PostgresProcess

    ratios = []
    with PostgresProcess(DURABLE) as server:
        for number in range(rounds):
            server.run("createdb", f"round{number}")
            rates, load_average = [], os.getloadavg()[0]
            for database in ("", server.dsn(f"round{number}")):
                with running("free", database=database) as (port, _, _):
                    load = Load()
                    asyncio.run(load.run(port, seconds))
                    assert not load.bad, load.bad[0][:300]
                    rates.append(len(load.latencies) / seconds)
            ratios.append(rates[1] / rates[0])
            print(
                f"SQLite {rates[0]:.0f}/s   PostgreSQL {rates[1]:.0f}/s   {ratios[-1]:.2f} ×   load {load_average:.1f}"
            )
    print(f"PostgreSQL ÷ SQLite: {statistics.median(ratios):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve")
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--database", default="", help=argparse.SUPPRESS)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port, given.folder, given.database)
        return
    if given.postgres:
        on_postgres(given.rounds, given.seconds)
        return
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {1})
    variants = {"service": ("service", None), "single": ("single", None), "bare": ("bare", None)}
    if given.before:
        variants["before"] = "service", given.before.absolute()
    rates: dict[str, list[float]] = {name: [] for name in variants}
    cores: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(given.rounds):
        for name, (variant, before) in variants.items():
            with running(variant, before) as (port, process, _):
                load = Load(process=process)
                asyncio.run(load.run(port, given.seconds))
                assert not load.bad, load.bad[0][:300]
                cores[name].append(load.core * 1e6)
                rates[name].append(len(load.latencies) / given.seconds)
                middle, tail = load.quantile(0.5), load.quantile(0.99)
                print(
                    f"{name:8} {rates[name][-1]:8.0f}/s   core {cores[name][-1]:5.0f} us   "
                    f"p50 {middle:6.1f} ms   p99 {tail:6.1f} ms"
                )
    for other in [name for name in variants if name != "service"]:
        ratios = [a / b for a, b in zip(rates["service"], rates[other], strict=True)]
        core = statistics.median(b / a for a, b in zip(cores["service"], cores[other], strict=True))
        each = ", ".join(f"{r:.2f}" for r in ratios)
        print(f"service / {other}: {statistics.median(ratios):.2f}  (of {each}), by core time {core:.2f}")
    tails(given.rate, given.waiting, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
