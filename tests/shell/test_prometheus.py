"""A real Prometheus scrapes the exposition and knows what it gets; dashboards are asked in tests/system."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from quota_scheduler.metrics import Metrics
from quota_scheduler.metrics.table import FAMILIES
from tests.shell.sample import some_readings

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: quota-scheduler
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
DEADLINE_SECONDS = 45


@dataclass
class Prometheus:
    """A running server, asked over HTTP."""

    url: str
    scrapes: list[tuple[str, str]]

    def get(self, path: str, **params: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(params)}", timeout=5) as answer:
            return json.load(answer)["data"]

    def values(self, expr: str) -> list[float]:
        """The numbers that a query finds now."""
        return [float(series["value"][1]) for series in self.get("query", query=expr)["result"]]


def serve(metrics: Metrics, scrapes: list[tuple[str, str]]) -> ThreadingHTTPServer:
    """Serve the exposition, and publish and decide something before each scrape, as a living service does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            factor = 1.0 + len(scrapes)
            metrics.publish(some_readings(datetime.now(UTC), factor))
            metrics.decided("team-daily/growth", "defer", "throttled", 0.004)
            metrics.decided("team-daily/growth", "admit", "fits", 0.002)
            body, headers = metrics.exposition(self.headers["Accept"], self.headers["Accept-Encoding"] or "")
            scrapes.append((headers["Content-Type"], headers.get("Content-Encoding", "")))
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Any) -> None:
    """Until it holds; fails after a deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        with suppress(URLError, ConnectionError):
            if condition():
                return
        time.sleep(0.1)
    pytest.fail("Prometheus did not get there in time")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None:
        if os.environ.get("REQUIRE_PROGRAMS") == "1":
            pytest.fail("prometheus is missing: apt-get install prometheus")
        pytest.skip("prometheus is missing: apt-get install prometheus")
    folder: Path = tmp_path_factory.mktemp("prometheus")
    scrapes: list[tuple[str, str]] = []
    server = serve(Metrics(CollectorRegistry(), version="1.2.3"), scrapes)
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(CONFIG.format(port=server.server_port))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"]
    process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        found = Prometheus(f"http://127.0.0.1:{port}", scrapes)
        rate = "rate(quota_consumed_tokens_total[10s]) > 0"
        wait_for(lambda: len(scrapes) >= 4 and found.values(rate))
        yield found
    finally:
        process.terminate()
        process.wait(10)
        server.shutdown()
        server.server_close()


def test_it_scrapes_openmetrics_with_gzip_and_finds_no_fault(prometheus: Prometheus) -> None:
    (target,) = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert set(prometheus.scrapes) == {("application/openmetrics-text; version=1.0.0; charset=utf-8", "gzip")}


def test_it_knows_the_kind_of_each_metric(prometheus: Prometheus) -> None:
    known = {name: rows[0]["type"] for name, rows in prometheus.get("metadata").items()}
    exposed = {f.name.removesuffix("_total"): f.kind for f in FAMILIES if not f.live}
    assert {name: known.get(name, known.get(f"{name}_total")) for name in exposed} == exposed
