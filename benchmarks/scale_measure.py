"""The costs that the model of scale is fed with: of a real service on SQLite, in seconds of its processor.

    python -m benchmarks.scale_model --measure

Submit and release go one by one and by 32 clients at once; what a transaction costs apart from what is in it follows
from both. What eight clients cost is predicted from these by the model and compared with what was measured.
"""

import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.system.service_process import Place, ServiceProcess

CONFIG = "limits:\n  - {id: all, match: {provider: p}, unit: tokens, amount: 900T, window: month, holdback: 0}\n"
LIMITS = 300
TICK_SECONDS = 2.0
"""Between two ticks, by default: an event each time, so that each finds every limit moved."""
MOVES = 20
"""Ticks that are measured: in 40 seconds each limit is forecast once, as at most every 30 seconds."""
SETTLED_SECONDS = 6.0
"""After a start that long, what a service uses by itself is what it goes on using."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Costs:
    """Seconds of the processor: of a transaction, of each request in it, of a usage event in a batch, of a limit in a
    tick; ``commit`` is how long the disk or the standby takes."""

    transaction: float
    request: float
    event: float
    limit: float
    commit: float


def processor(service: ServiceProcess) -> float:
    """Seconds that the service has used so far, its helpers that have ended included."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


class Asker(threading.Thread):
    """A client on one connection that submits and releases."""

    def __init__(self, port: int, name: str, times: int) -> None:
        super().__init__()
        self.port, self.name, self.times = port, name, times

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for number in range(self.times):
            body = {"key": f"{self.name}-{number}", "labels": {"provider": "p"}, "estimate": {"output": 100}}
            lease = ask(connection, "/v1/tickets", body)["lease"]
            ask(connection, f"/v1/leases/{lease['id']}/release", {"fence": lease["fence"], "usage": {"output": 50}})


def ask(connection: http.client.HTTPConnection, path: str, body: Any) -> Any:
    """The answer to a request that must succeed."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return json.loads(text)


def each(service: ServiceProcess, times: int, work: Callable[[], None]) -> float:
    """Seconds of the processor for each of so many, beyond what the service uses by itself."""
    idle, began = processor(service), time.monotonic()
    time.sleep(3)
    by_itself = (processor(service) - idle) / (time.monotonic() - began)
    before, began = processor(service), time.monotonic()
    work()
    return (processor(service) - before - by_itself * (time.monotonic() - began)) / times


def commits(service: ServiceProcess) -> float:
    """How many transactions it has written so far."""
    return sum(service.sample("quota_scheduler_database_query_duration_seconds_count", operation="commit").values())


def clients(service: ServiceProcess, count: int, name: str) -> tuple[float, float]:
    """What a request costs when so many clients ask at once, and how many shared a transaction."""
    total = 1_600
    askers = [Asker(service.port, f"{name}{number}", total // count) for number in range(count)]

    def work() -> None:
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()

    before = commits(service)
    cost = each(service, 2 * total, work)
    return cost, 2 * total / (commits(service) - before)


def events(service: ServiceProcess) -> None:
    """Twenty thousand events by thousands."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
    at = datetime.now(UTC).isoformat()
    for batch in range(20):
        keys = (f"e{batch}-{number}" for number in range(1_000))
        ask(connection, "/v1/usage", [{"provider": "p", "key": key, "at": at, "output": 7} for key in keys])


def ticks(place: Place) -> float:
    """What a limit costs in a tick in which it has moved: many against one, the same events."""
    costs = []
    for count in (1, LIMITS):
        rows = (
            f"  - {{id: l{n}, match: {{provider: p}}, unit: tokens, amount: 900T, window: day}}\n" for n in range(count)
        )
        place.config("limits:\n" + "".join(rows))
        with ServiceProcess(place) as service:
            service.ready(seconds=120)
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)

            time.sleep(SETTLED_SECONDS)

            def work(connection: http.client.HTTPConnection = connection) -> None:
                for number in range(MOVES):
                    event = {"provider": "p", "key": f"t{number}-{time.monotonic()}", "at": now(), "output": 7}
                    ask(connection, "/v1/usage", [event])
                    time.sleep(TICK_SECONDS)

            costs.append(each(service, MOVES, work))
    return max(0.0, costs[1] - costs[0]) / (LIMITS - 1)


def now() -> str:
    """This instant as the API takes it."""
    return datetime.now(UTC).isoformat()


def measure() -> None:
    """Print the costs, and what they predict for eight clients beside what that costs."""
    with tempfile.TemporaryDirectory() as home:
        place = Place(Path(home)).by_default()
        place.config(CONFIG)
        with ServiceProcess(place) as service:
            service.ready(seconds=120)
            clients(service, 4, "warm")
            (alone, _), (many, shared), (some, batch) = (clients(service, n, f"c{n}-") for n in (1, 32, 8))
            event = each(service, 20_000, lambda: events(service))
    with tempfile.TemporaryDirectory() as home:
        limit = ticks(Place(Path(home)).by_default())
    # One by one a request pays for its whole transaction; of many clients some share it.
    transaction = (alone - many) / (1 - 1 / shared)
    costs = Costs(transaction, alone - transaction, event, limit, 0.001)
    predicted = costs.request + costs.transaction / batch
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"a request: {1e3 * alone:.2f} ms alone, {1e3 * some:.2f} of 8 clients, {1e3 * many:.2f} of 32")
    print(f"requests of a transaction: {batch:.1f} of 8 clients, {shared:.1f} of 32")
    print(f"predicted for 8: {1e3 * predicted:.2f} ms, {predicted / some:.2f} of what was measured")
    print(costs)
