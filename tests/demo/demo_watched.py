"""A demo from its begin to its end, and what the dashboards found in it meanwhile, where Prometheus is installed."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana.build import PAGES
from tests.docs.dashboards import charts, filled_in, load
from tests.system.prometheus_process import PrometheusProcess

REPOSITORY = Path(__file__).parent.parent.parent
MOST_SECONDS = 60


@dataclass(frozen=True)
class Watched:
    """What a demo said on stderr and told on stdout, its folder for temporary files, and panels without an answer.

    ``silent`` are dashboard and title of each panel of which no query found anything at any time; None without a
    Prometheus.
    """

    said: str
    events: list[dict[str, Any]]
    folder: Path
    silent: frozenset[tuple[str, str]] | None


def command(*args: str) -> list[str]:
    """A demo as a command."""
    return [sys.executable, "-m", "quota_scheduler", "demo", *args]


def variables(folder: Path) -> dict[str, str]:
    """Its environment: temporary files go into a folder."""
    return os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY)}


def watch(folder: Path, beside: Path, *args: str) -> Watched:
    """Play a demo; what it writes for us goes ``beside`` its folder."""
    said, told = beside / "said", beside / "told"
    with ExitStack() as ends, said.open("w") as stderr, told.open("w") as stdout:
        began = time.time()
        demo = ends.enter_context(
            subprocess.Popen(command("--json", *args), env=variables(folder), stdout=stdout, stderr=stderr)
        )
        port = _port(demo, said)
        has_prometheus = shutil.which("prometheus") is not None
        asker = ends.enter_context(PrometheusProcess(beside / "tsdb", port)) if has_prometheus else None
        assert demo.wait(MOST_SECONDS) == 0, said.read_text()
        silent = _silent(asker, began) if asker else None
    events = [json.loads(line) for line in told.read_text().splitlines()]
    return Watched(said.read_text(), events, folder, silent)


def _port(demo: "subprocess.Popen[bytes]", said: Path) -> int:
    """Where its service answers, as it says itself."""
    deadline = time.monotonic() + 30
    while not (named := re.search(r"http://127\.0\.0\.1:(\d+)/metrics\n", said.read_text())):
        assert demo.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.05)
    return int(named[1])


def _silent(prometheus: PrometheusProcess, since: float) -> frozenset[tuple[str, str]]:
    """The panels of which no query finds anything at any second since an instant."""
    span = {"start": f"{since:.0f}", "end": f"{time.time():.0f}", "step": "1"}

    def finds(query: str) -> bool:
        return bool(prometheus.get("query_range", query=query, **span)["result"])

    limits = prometheus.get("label/limit/values", **{"match[]": "quota_usage_ratio"})
    return frozenset(
        (uid, panel["title"])
        for uid in PAGES
        for panel in charts(load(uid))
        if not any(
            finds(filled_in(target["expr"], limit=limit))
            for target in panel["targets"]
            for limit in (limits if '"$limit"' in target["expr"] else limits[:1])
        )
    )
