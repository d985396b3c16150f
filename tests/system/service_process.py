"""The service as a process: a home, a database and a port that nobody else has, and waiting for conditions."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from quota_scheduler.core.usage import KINDS

REPOSITORY = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 30.0
"""How long a condition may take on a busy machine; nothing waits for so long when all is well."""


def until(look: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS, what: str = "the condition") -> Any:
    """The first true answer of ``look``. Fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Reply:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Place:
    """A home of its own, with everything the product reads and writes inside; ``run`` calls the program in it.

    It looks and ticks more often than it would by itself, so that tests need not wait for it.
    """

    home: Path
    environ: dict[str, str] = field(
        default_factory=lambda: {"QUOTA_TICK_SECONDS": "0.2", "QUOTA_SOURCES__CLAUDE_CODE__POLL_SECONDS": "0.2"}
    )

    def by_default(self) -> "Place":
        """The same with nothing set in the environment."""
        self.environ.clear()
        return self

    @property
    def database(self) -> Path:
        """Where the database lies without a configuration."""
        return self.home / ".local/state/quota-scheduler/quota.db"

    def command(self, *args: str) -> list[str]:
        """The command line of the program."""
        return [sys.executable, "-m", "quota_scheduler", *args]

    def variables(self) -> dict[str, str]:
        """The environment of the program: nothing of the developer's own but the search paths."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        return {**kept, "HOME": str(self.home), "PYTHONPATH": str(REPOSITORY), **self.environ}

    def run(self, *args: str, stdin: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            self.command(*args), input=stdin, capture_output=True, text=True, timeout=60, check=False,
            cwd=self.home, env=self.variables(), **options,
        )  # fmt: skip

    def config(self, text: str, name: str = "quota.yaml") -> Path:
        """Write a configuration file where the program looks for it."""
        (self.home / name).write_text(text)
        return self.home / name


class ServiceProcess:
    """``quota-scheduler serve`` in a place. Ends with the ``with`` block, however it goes."""

    def __init__(self, place: Place, *args: str, port: int = 0, **options: Any) -> None:
        self.place, self.port = place, port or free_port()
        self.log = place.home / f"serve-{time.monotonic_ns()}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                place.command("--listen", f"127.0.0.1:{self.port}", *args, "serve"),
                stdout=out, stderr=subprocess.STDOUT, cwd=place.home, env=place.variables(), **options,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def said(self) -> str:
        """Everything it printed so far."""
        return self.log.read_text()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; a body is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = raw if raw is not None else None if body is None else json.dumps(body).encode()
            sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
            sent |= {"Content-Type": "application/json"} if content else {}
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("content-type", "")
        return Reply(answer.status, dict(answer.headers), json.loads(text) if "json" in kind else text.decode())

    def get(self, path: str) -> Any:
        """The body of a look that must succeed."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.body

    def ready(self, *, seconds: float = PATIENCE_SECONDS) -> Self:
        """Wait until it takes work."""
        until(self._is_ready, seconds=seconds, what=f"/readyz of {self.said!r}")
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said}"
        try:
            return self.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def caught_up(self) -> Self:
        """Wait until it has read its sources once and published readings of them."""
        self.ready()
        until(self._is_caught_up, what="the first complete pass")
        return self

    def _is_caught_up(self) -> bool:
        found = self.get("/v1/limits")
        return bool(found["limits"]) and not any(source["catching_up"] for source in found["sources"])

    def sample(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The samples of a metric that carry these labels, by all their labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def consumed(self, limit: str = "anthropic-monthly") -> dict[str, int]:
        """Tokens by kind that a limit has counted over all windows, as Prometheus sees them."""
        found: dict[str, int] = {}
        for labels, value in self.sample("quota_consumed_tokens_total", limit=limit).items():
            kind = dict(labels)["kind"]
            found[kind] = found.get(kind, 0) + int(value)
        return found

    def recorded(self, provider: str = "anthropic") -> dict[str, int]:
        """Tokens by kind of everything of a provider in the ledger, however old; nothing before the first."""
        found = self.get("/v1/usage/summary?days=3660&by=provider")["usage"]
        rows = [row for row in found if row["provider"] == provider]
        return {kind: sum(row[kind] for row in rows) for kind in KINDS} if rows else {}

    def kill(self) -> None:
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self, *, seconds: float = 15.0) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


class HttpReceiver:
    """Somebody who is told: a local HTTP server that keeps every notification."""

    def __init__(self, *, answer: int = 200, delay_seconds: float = 0.0) -> None:
        self.got: list[dict[str, Any]] = []
        self.answer, self.delay_seconds = answer, delay_seconds
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if receiver.delay_seconds:
                    receiver._closing.wait(receiver.delay_seconds)
                receiver.got.append(json.loads(body))
                self.send_response(receiver.answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address as Apprise has it."""
        return f"json://127.0.0.1:{self._server.server_address[1]}"

    @property
    def titles(self) -> list[str]:
        """The subject of each notification, in order."""
        return [each["title"] for each in self.got]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
