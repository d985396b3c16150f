"""A Prometheus of a test's own: scrapes a service, or its replicas, every second and is asked over HTTP."""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.system.service_process import free_port, until

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: quota-scheduler
    static_configs: [{{targets: {targets}}}]
"""


def needed(program: str, package: str) -> None:
    """Skip with a hint where a program is missing; fail where it is promised."""
    if shutil.which(program) is None:
        hint = f"{program} is missing: apt-get install {package}"
        if os.environ.get("REQUIRE_PROGRAMS") == "1":
            pytest.fail(hint)
        pytest.skip(hint)


class PrometheusProcess:
    """A running server. Ends with the ``with`` block, however it goes."""

    def __init__(self, folder: Path, *scraped: int) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(targets=json.dumps([f"127.0.0.1:{port}" for port in scraped])))
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        command += ["--log.level=error", f"--web.listen-address=127.0.0.1:{self.port}"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        until(self._is_ready, what=f"Prometheus: {(self.folder / 'log').read_text()!r}")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
            return True
        return False

    def get(self, path: str, **params: str) -> Any:
        """What one of its endpoints answers."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(params)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def found(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The labels and numbers of every series that a query finds now."""
        return [(series["metric"], float(series["value"][1])) for series in self.get("query", query=expr)["result"]]

    def values(self, expr: str) -> list[float]:
        """The numbers that a query finds now."""
        return [value for _, value in self.found(expr)]
