"""Many runs of many workers under a small quota, while the service is killed: nothing is lost, nothing too much."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.wrapper.statuses import LIMIT_HIT
from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
AGENT = [sys.executable, str(Path(__file__).parent / "printing_agent.py")]
TOKENS, OUTPUT = 2_000, 36
ENDS = {
    "once": (0, "completed"), "json": (0, "completed"), "twice": (0, "completed"), "interrupt": (0, "failed"),
    "limit": (LIMIT_HIT, "paused_quota"), "half": (1, "failed"), "garbled": (0, "completed"),
    "codex": (0, "completed"), "gemini": (0, "completed"), "opencode": (0, "completed"), "qwen": (0, "completed"),
    "hang": (0, "completed"), "silent": (0, ""),
}  # fmt: skip
"""How agents end, with the exit status of the run and how it is recorded; a run that used nothing is not listed."""
RESUMED = frozenset({"json", "codex", "qwen"})
"""These print totals of their session: each worker goes on with one of its own."""


@dataclass
class Worker:
    """Does one piece of work after another, of every kind; ``before`` is what its sessions had used."""

    place: Place
    port: int
    number: int
    before: dict[str, int] = field(default_factory=dict)
    done: list[tuple[str, str, subprocess.CompletedProcess[str]]] = field(default_factory=list)

    def work(self, pieces: int, workers: int) -> None:
        for piece in range(pieces):
            kind = list(ENDS)[(self.number + piece * workers) % len(ENDS)]
            for turn in range(2 if kind in RESUMED else 1):
                name = f"w{self.number}-{piece}-{turn}"
                if kind == "hang":
                    self._run_until_killed(name)
                self.done.append((name, kind, self._run(name, kind)))

    def _run(self, name: str, kind: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(name, "once" if kind == "hang" else kind), capture_output=True, text=True, timeout=200,
            check=False, cwd=self.place.home, env=self.place.variables(),
        )  # fmt: skip

    def _command(self, name: str, end: str) -> list[str]:
        session, parts = f"s-{name}", 2 if end == "twice" else 1
        before = ["0", "0"]
        resume: list[str] = []
        if end in RESUMED:
            session, times = f"s-{self.number}-{end}", self.before.get(end, 0)
            self.before[end] = times + 1
            before = [str(times * (TOKENS - OUTPUT)), str(times * OUTPUT)]
            # half of them are resumed by the script itself, which the wrapper must find out
            resume = ["--resume", session] if times and self.number % 2 else []
        given = [str(TOKENS // parts - OUTPUT // parts), str(OUTPUT // parts)]
        agent = [*AGENT, session, *given, "--before", *before, "--end", end]
        return self.place.command(
            "run", "--class", "high", "--patience", "60", "--estimate", "2k", "--ttl", "30s", "--key", name,
            "--label", f"workflow={name}", *resume, "--", *agent,
        )  # fmt: skip

    def _run_until_killed(self, name: str) -> None:
        """One whose wrapper is killed with -9 once its usage was told."""
        killed = subprocess.Popen(
            self._command(name, "hang"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.place.home,
            env=self.place.variables(),
        )  # fmt: skip
        until(lambda: self._told(name), seconds=200, what=f"the usage of {name}")
        killed.kill()
        killed.wait()

    def _told(self, name: str) -> bool:
        service = Service(self.port)
        return any(row["key"] == name and row["spent_ratio"] for row in service.get("/v1/queue").get("running", []))


class Service(ServiceProcess):
    """A look at whatever service listens at a port just now; none is an empty answer."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> Any:
        try:
            return super().get(path)
        except (OSError, AssertionError, ValueError):
            return {}


def expected(kind: str) -> int:
    """What one piece of work uses."""
    return {"silent": 0, "hang": 2 * TOKENS}.get(kind, TOKENS)


class Watch(threading.Thread):
    """Looks at the limit all the time: what was used and reserved of how much."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.seen: list[tuple[float, float, float, str]] = []
        self.over = threading.Event()
        self._service = Service(port)

    def run(self) -> None:
        while not self.over.wait(0.1):
            for row in self._service.get("/v1/limits").get("limits", []):
                self.seen.append((row["used"], row.get("reserved", 0.0), row["amount"], row["starts_at"]))


@pytest.fixture
def watched(place: Place) -> Iterator[tuple[Place, int, Watch]]:
    port = free_port()
    place.environ["QUOTA_LISTEN"] = f"127.0.0.1:{port}"
    watch = Watch(port)
    watch.start()
    yield place, port, watch
    watch.over.set()
    watch.join()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("runs", "workers", "kills", "amount", "seconds"),
    [
        pytest.param(16, 8, 1, "30k", 9, id="20 runs of eight workers, one kill"),
        pytest.param(100, 10, 8, "60k", 25, id="100 runs of ten workers, eight kills", marks=pytest.mark.torture),
    ],
)  # fmt: skip
def test_to_the_token_nothing_overshoots_every_wait_is_explained_and_leftovers_start_after_the_reset(
    watched: tuple[Place, int, Watch], runs: int, workers: int, kills: int, amount: str, seconds: int
) -> None:
    place, port, watch = watched
    place.config(f"limits:\n  - {{id: small, unit: tokens, amount: {amount}, window: {{session: {seconds}s}}}}\n")
    crew = [Worker(place, port, number) for number in range(workers)]
    service = ServiceProcess(place, port=port).ready()
    try:
        with ThreadPoolExecutor(workers) as pool:
            shifts = [pool.submit(worker.work, runs // workers, workers) for worker in crew]
            for kill in range(kills):
                share = runs * (kill + 1) // (kills + 2)
                until(lambda share=share: sum(len(worker.done) for worker in crew) >= share, seconds=400)
                service.kill()
                service = ServiceProcess(place, port=port).ready()
            for shift in shifts:
                shift.result()
        done = [run for worker in crew for run in worker.done]
        place.run("run", "--class", "high", "--estimate", "1", "--", "true")  # tells what was kept meanwhile
        recorded = {
            row["workflow"]: (row["status"], row["tokens"]) for row in service.get("/v1/runs?limit=500")["runs"]
        }
        usage = {row["workflow"]: row["tokens"] for row in service.get("/v1/usage/summary?days=1&by=workflow")["usage"]}
    finally:
        service.kill()
    assert {name: (kind, run.returncode) for name, kind, run in done if run.returncode != ENDS[kind][0]} == {}
    assert {name: usage.get(name, 0) for name, _, _ in done} == {name: expected(kind) for name, kind, _ in done}
    assert {name: recorded.get(name) for name, _, _ in done} == {
        name: (ENDS[kind][1], expected(kind)) if expected(kind) else None for name, kind, _ in done
    }
    assert [row for row in watch.seen if row[0] > row[2]] == []
    said = [line for _, _, run in done for line in run.stderr.splitlines() if "waits (" in line]
    assert [line for line in said if ": It waits until" not in line or "; until " not in line] == []
    assert [line for line in said if "small" not in line] == []
    assert len({starts for _, _, _, starts in watch.seen}) > 1
    assert any("starts after" in run.stderr for _, _, run in done)
