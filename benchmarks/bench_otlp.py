"""Answers of Claude Code over OTLP into the ledger, beside the floor of decoding the messages alone.

    python -m benchmarks.bench_otlp [--events 40000] [--batch 512] [--clients 8] [--encoding protobuf|json]

Each stage is what a real event goes through: decoding, reading by the rules of its program, pricing, recording in
transactions that reach the disk. ``over HTTP`` is the whole service behind a socket, asked by clients that send as
exporters do (gzip, one export after the other); the clients are processes of their own, and share the machine.
"""

import argparse
import gzip
import http.client
import json
import multiprocessing
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from quota_scheduler import server
from quota_scheduler.assemble import assemble
from quota_scheduler.config import Listen, load
from quota_scheduler.facade import Facade
from quota_scheduler.runtime import Service
from quota_scheduler.service.record import record_usage
from tests.shell.otlp_bodies import claude, encoded, logs

NOW = datetime(2026, 11, 22, 9, 0, 5, tzinfo=UTC)
SESSIONS = 50


def bodies(events: int, batch: int, *, as_json: bool, mark: str) -> list[bytes]:
    """Exports of so many answers of fifty sessions, as they are sent."""
    made = []
    for start in range(0, events, batch):
        records = [
            claude(f"req_{mark}{number:08}", session__id=f"5e0f-{number % SESSIONS}", cost_usd=0.034)
            for number in range(start, min(events, start + batch))
        ]
        made.append(encoded("logs", logs(*records), as_json=as_json)[0])
    return made


def started(folder: Path) -> Service:
    """A service whose writer works, and nothing else."""
    (folder / "quota.yaml").write_text("database: sqlite:///quota.db\n")
    service = assemble(load(folder / "quota.yaml", {"HOME": str(folder)}), clock=lambda: NOW)
    service.writer.start()
    service.read()
    return service


def said(name: str, events: int, seconds: float, floor: float) -> None:
    each = seconds / events
    print(f"{name:<28} {events / seconds:9,.0f} events/s {each * 1e6:7.1f} µs each {seconds / floor:6.1f} x the floor")


def timed(work: Callable[[], object]) -> float:
    """The processor's seconds of this process: what a machine that others use too leaves comparable."""
    start = process_time()
    work()
    return process_time() - start


def stages(service: Service, exports: list[bytes], events: int, *, as_json: bool) -> float:
    """What each stage takes by itself; returns the floor."""
    door, intake = service.parts.doors.otlp, service.parts.intake
    decode: Callable[[bytes], object] = json.loads if as_json else ExportLogsServiceRequest.FromString
    floor = timed(lambda: [decode(body) for body in exports])
    said("decoding alone, the floor", events, floor, floor)
    read = [door.read("logs", body, is_json=as_json, now=NOW) for body in exports[:1]]
    said("read by rules", events, timed(lambda: read.extend(
        door.read("logs", body, is_json=as_json, now=NOW) for body in exports[1:])), floor)  # fmt: skip
    priced: list = []
    said("priced", events, timed(lambda: priced.extend(map(intake.priced, read))), floor)
    limits = service.writer.terms.limits

    def record() -> None:
        for start in range(0, len(priced), 8):
            events = [event for one in priced[start : start + 8] for event in one.events]
            service.writer.do(lambda tx, events=events: record_usage(tx, events, limits)).result()

    said("recorded", events, timed(record), floor)
    return floor


def client(port: int, exports: list[bytes], kind: str, go: object, done: object) -> None:
    """Sends exports one after the other, each again when it is asked to."""
    packed = [gzip.compress(body, 1) for body in exports]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    go.wait()  # type: ignore[attr-defined]
    refused = 0
    for body in packed:
        while True:
            connection.request("POST", "/v1/logs", body, headers)
            reply = connection.getresponse()
            reply.read()
            if reply.status == 200:
                break
            refused += 1
            threading.Event().wait(0.05)
    done.put(refused)  # type: ignore[attr-defined]


def over_http(service: Service, exports: list[bytes], events: int, clients: int, kind: str, floor: float) -> None:
    """The whole way, with clients in processes of their own."""
    where = server.listen(Listen("127.0.0.1", 0))
    serving = server.server(service, Facade(service), reload=lambda: None)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [where]})
    thread.start()
    spawned = multiprocessing.get_context("spawn")
    go, done = spawned.Barrier(clients + 1), spawned.Queue()
    port = where.getsockname()[1]
    workers = [
        spawned.Process(target=client, args=(port, exports[number::clients], kind, go, done))
        for number in range(clients)
    ]
    for worker in workers:
        worker.start()
    go.wait()
    start = perf_counter()
    seconds = timed(lambda: [worker.join() for worker in workers])
    wall = perf_counter() - start
    refused = sum(done.get() for _ in workers)
    serving.should_exit = True
    thread.join()
    said(f"over HTTP, {clients} clients", events, seconds, floor)
    with service.store.reading() as tx:
        stored = tx.scalar("SELECT count(*) FROM events")
    print(f"{events / wall:,.0f} events/s by the clock on the wall")
    print(f"stored {stored:,}, asked to come again {refused} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=512, help="records of one export, as SDKs have it")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--encoding", choices=("protobuf", "json"), default="protobuf")
    options = parser.parse_args()
    as_json = options.encoding == "json"
    kind = "application/json" if as_json else "application/x-protobuf"
    with tempfile.TemporaryDirectory() as folder:
        service = started(Path(folder))
        exports = bodies(options.events, options.batch, as_json=as_json, mark="a")
        floor = stages(service, exports, options.events, as_json=as_json)
        exports = bodies(options.events, options.batch, as_json=as_json, mark="b")
        over_http(service, exports, options.events, options.clients, kind, floor)
        service.stop()


if __name__ == "__main__":
    main()
