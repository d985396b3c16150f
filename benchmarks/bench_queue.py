"""The throttle queue at size: core time of a pass over 10,000 waiting tickets, and 5,000 parked long-polls at a reset.

    python benchmarks/bench_queue.py [--waiting 10000] [--limits 200] [--parked 5000]

The pass is timed as CPU of the core alone, slice by slice: while nothing fits, after a reset when all fit, and for one
arrival. The long-polls are real connections to a real service whose tickets wait for a window that
resets while they are parked; the last answer is timed against the reset.
"""

import argparse
import asyncio
import contextlib
import gc
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quota_scheduler.core.cycle.cycle import decide_batch
from quota_scheduler.core.cycle.requests import Submit
from quota_scheduler.core.cycle.snapshot import Numbers, QueueState, Snapshot, Unfinished
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Holdback, Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, Unwindowed, window_at
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.tickets.ticket import Estimate, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

SETTLES = 8.0
"""Seconds after which a service has loaded what it loads once it is ready, and has ticked over what waits."""
JSON = {"Content-Type": "application/json"}
NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
CLASSES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


def some_limits(count: int, amount: int) -> list[Limit]:
    """One limit over all, and a daily and a concurrency limit for each of many teams."""
    none = Holdback(0)
    found = [Limit("all", Unit.TOKENS, amount * count, Calendar(Every.MONTH, day=1), holdback=none)]
    for number in range((count - 1) // 2):
        team = match_of({"team": f"t{number}"})
        found.append(Limit(f"day-{number}", Unit.TOKENS, amount, Calendar(Every.DAY), team, holdback=none))
        found.append(Limit(f"runs-{number}", Unit.LEASES, 10_000, Unwindowed(), team, holdback=none))
    return found


def a_ticket(number: int, teams: int) -> Ticket:
    """One of many: every team has tickets of all classes, no two of the same size."""
    usage = Usage(output=1_000 + number % 977, requests=1)
    return Ticket(
        id=number, key=f"k{number}", body="", labels=Labels("anthropic", team=f"t{number % teams}"),
        priority=CLASSES[number // teams % 3], estimate=Estimate(usage, usage), created_at=NOW,
        waiting_since=NOW - timedelta(seconds=20_000 - number), ttl=timedelta(hours=1), was_deferred=True,
    )  # fmt: skip


def some_balances(limits: list[Limit], *, full: bool) -> Balances:
    """Every window open; ``full`` ones are used up."""
    rows = []
    for number, limit in enumerate(limits, 1):
        balance = Balance(number, limit, "", window_at(limit.schedule, NOW))
        balance.used = limit.amount if full and limit.unit is Unit.TOKENS else 0
        rows.append(balance)
    return Balances(limits, rows, now=NOW)


def a_pass(
    balances: Balances, queue: ThrottleQueue, *, requests: tuple = (), look_at_all: bool = True
) -> tuple[list[float], int]:
    """CPU milliseconds of each slice of one pass, and how many tickets it let go."""
    slices, started, unfinished, terms = [], 0, Unfinished(), Terms(balances.limits)
    while True:
        state = QueueState(queue, {}, unfinished, look_at_all)
        snapshot = Snapshot(NOW, terms, balances, state, numbers=Numbers(ticket=100_000))
        gc.collect()
        before = time.thread_time()
        decided = decide_batch(requests, snapshot)
        slices.append((time.thread_time() - before) * 1e3)
        started += sum(ticket.state != "waiting" for ticket in decided.changes.tickets.values())
        unfinished, look_at_all, requests = decided.onward.unfinished, False, ()
        if not unfinished.groups:
            return slices, started


def core(waiting: int, count: int) -> None:
    """Time the core."""
    limits = some_limits(count, 1_000_000_000)
    teams = (count - 1) // 2
    tickets = [a_ticket(number, teams) for number in range(1, waiting + 1)]
    late = Submit(a_ticket(waiting + 1, teams)._replace(id=0, was_deferred=False, waiting_since=NOW))
    cases = {
        "nothing fits": (True, (), True),
        "all fit": (False, (), True),
        "one arrives": (True, (late,), False),
    }
    for name, (full, requests, look_at_all) in cases.items():
        balances = some_balances(limits, full=full)
        queue = ThrottleQueue(tickets, balances.instances, share_label="team")
        queue.know_places(tickets, at=NOW)
        slices, started = a_pass(balances, queue, requests=requests, look_at_all=look_at_all)
        print(
            f"core, {waiting} waiting in {len(limits)} limits, {name}: {sum(slices):.1f} ms in {len(slices)} slices, "
            f"longest {max(slices):.1f} ms; {started} started"
        )


# long-polls: a service of its own, whose window of a minute resets while they are parked

CONFIG = """
sources: {claude_code: {enabled: false}}
limits:
  - {id: soon, match: {provider: anthropic}, unit: tokens, amount: 10M, window: {session: 60s}, holdback: 0}
"""


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.1)


def submit(port: int, bodies: list[dict]) -> list[dict]:
    """Submit an array of tickets."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/tickets", json.dumps(bodies), JSON)
    return json.loads(connection.getresponse().read())


async def poll(port: int, ticket: str, answers: list[float]) -> None:
    """One runner: park, and again until it may run."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    state = "waiting"
    while state == "waiting":
        writer.write(f"GET /v1/tickets/{ticket}?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        text = await reader.readexactly(length)
        assert text.startswith(b"{"), (head, text[:200])
        answer = json.loads(text)
        assert "state" in answer, answer
        state = answer["state"]
    answers.append(time.time())
    writer.close()


async def park(port: int, pid: int, tickets: list[str], until: float) -> None:
    """Park one long-poll per ticket, and print what it costs and when the last was answered."""
    before, answers = memory_mb(pid), []
    polls = [asyncio.create_task(poll(port, ticket, answers)) for ticket in tickets]
    await asyncio.sleep(max(5.0, until - time.time() - 5))
    print(f"{len(tickets)} parked long-polls: {memory_mb(pid) - before:.0f} MB more memory")
    await asyncio.wait_for(asyncio.gather(*polls), 120)
    spread = sorted(at - until for at in answers)
    print(
        f"{len(answers)} answered after the reset: first {spread[0]:.2f} s, median {spread[len(spread) // 2]:.2f} s, "
        f"last {spread[-1]:.2f} s (starts are spread over 30 s on purpose)"
    )


def long_polls(parked: int) -> None:
    """Time parked long-polls at a reset."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "quota.yaml").write_text(CONFIG)
        port = 18_484
        process = subprocess.Popen(
            [sys.executable, "-m", "quota_scheduler", "serve", "--config", f"{folder}/quota.yaml",
             "--listen", f"127.0.0.1:{port}", "--database", f"sqlite:///{folder}/q.db"],
            env={**os.environ, "HOME": folder}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(port)
            whole = {"key": "first", "labels": {"provider": "anthropic"}, "estimate": {"tokens": 10_000_000}}
            lease = submit(port, [whole])[0]["lease"]
            granted = datetime.fromisoformat(lease["granted_at"]).timestamp()
            spend = {"fence": lease["fence"], "usage": {"output": 10_000_000}}
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", f"/v1/leases/{lease['id']}/release", json.dumps(spend), JSON)
            connection.getresponse().read()
            bodies = [
                {"key": f"w{n}", "labels": {"provider": "anthropic"}, "class": "low", "estimate": {"tokens": 1_000}}
                for n in range(parked)
            ]
            found = [
                each["id"] for start in range(0, parked, 500) for each in submit(port, bodies[start : start + 500])
            ]
            time.sleep(SETTLES)
            asyncio.run(park(port, process.pid, found, granted + 60))
        finally:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--limits", type=int, default=200)
    parser.add_argument("--parked", type=int, default=5_000)
    given = parser.parse_args()
    core(given.waiting, given.limits)
    if given.parked:
        long_polls(given.parked)


if __name__ == "__main__":
    main()
