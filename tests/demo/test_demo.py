"""The demo as a newcomer runs it: what it promises happens, is told from the service's answers, and leaves nothing."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from grafana.build import PAGES
from tests.demo.demo_watched import Watched, command, variables, watch
from tests.system.prometheus_process import needed

DASHBOARDS = Path(__file__).parents[2] / "docs" / "reference" / "dashboards.md"
WINDOW = 12.0
"""Seconds: the shortest in which service and runners of a busy machine find the time for everything."""


def processes_in(folder: Path) -> list[str]:
    """The command lines of processes that work in a folder or below, on Linux."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def until(look: Any, *, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """One demo from its begin to its end, for all who ask what happened in it."""
    folder, beside = tmp_path_factory.mktemp("tmp"), tmp_path_factory.mktemp("beside")
    return watch(folder, beside, "--window", f"{WINDOW:g}", "--seconds", f"{2.5 * WINDOW:g}")


@pytest.fixture(scope="module")
def played(watched: Watched) -> tuple[str, list[dict[str, Any]], Path]:
    """What it said and told, and the folder for temporary files it was given."""
    return watched.said, watched.events, watched.folder


@pytest.mark.parametrize(
    ("kind", "within"),
    [
        pytest.param("usage", 0.6, id="usage rises in the first half of a window"),
        pytest.param("deferred", 0.4, id="low work is deferred early"),
        pytest.param("fan", 0.8, id="the fan tightens before the window ends"),
        pytest.param("loan", 0.8, id="a loan is made"),
        pytest.param("repaid", 2.4, id="a loan is paid back"),
        pytest.param("alert_fired", 1.0, id="an alert fires before the reset"),
        pytest.param("reset", 1.2, id="the window is reset"),
        pytest.param("alert_resolved", 1.3, id="the alert resolves after the reset"),
        pytest.param("woken", 1.4, id="the reset wakes who waited"),
    ],
)
def test_what_is_promised_happens_in_time(played, kind, within):
    _, events, _ = played
    first = min((event["seconds"] for event in events if event["kind"] == kind), default=None)
    assert first is not None, [event["kind"] for event in events]
    assert first <= within * WINDOW + 3  # looks at the service lie half a second apart, more on a busy machine


def test_who_is_deferred_is_told_why_and_when_it_starts(played):
    _, events, _ = played
    for event in (event for event in events if event["kind"] == "deferred"):
        assert event["class"] == "low"
        assert event["reason"] in ("paced", "no_headroom", "exhausted")
        assert event["at"] < event["expected_start"]["high"]
        assert event["message"].startswith("It waits until")


def test_those_who_waited_start_in_a_ramp(played):
    _, events, _ = played
    woken = next(event for event in events if event["kind"] == "woken")
    starts = [start["after_seconds"] for start in woken["starts"]]
    assert len(starts) >= 2
    assert starts == sorted(starts)
    assert len(set(starts)) > 1  # they do not start all at once


def test_the_alert_that_fires_is_the_one_that_resolves(played):
    _, events, _ = played
    fired = next(event for event in events if event["kind"] == "alert_fired")
    resolved = next(event for event in events if event["kind"] == "alert_resolved")
    assert (fired["rule"], fired["scope"], fired["fired_at"]) == (
        resolved["rule"], resolved["scope"], resolved["fired_at"],
    )  # fmt: skip
    assert resolved["resolved_at"] > fired["fired_at"]


def test_it_names_two_addresses_and_leaves_nothing_behind(played):
    said, _, folder = played
    assert said.count("http://127.0.0.1:") == 2
    assert "everything is removed" in said
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


def test_panels_that_have_nothing_to_show_in_the_demo_are_those_of_the_reference(watched):
    needed("prometheus", "prometheus")
    titles = {uid: page.title for uid, page in PAGES.items()}
    rows = re.findall(r"^\| (Quota [^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", DASHBOARDS.read_text(), re.MULTILINE)
    assert watched.silent == {(uid, panel) for uid, title in titles.items() for name, panel in rows if name == title}
    assert {name for name, _ in rows} <= set(titles.values())


@pytest.mark.parametrize(
    ("how", "times"),
    [
        pytest.param(signal.SIGINT, 1, id="Ctrl-C"),
        pytest.param(signal.SIGINT, 3, id="an impatient Ctrl-C"),
        pytest.param(signal.SIGTERM, 1, id="told to end"),
        pytest.param(signal.SIGKILL, 1, id="kill -9"),
    ],
)
def test_however_it_ends_nothing_stays(tmp_path, how, times):
    with subprocess.Popen(
        command(), env=variables(tmp_path), stdout=subprocess.PIPE, text=True, preexec_fn=started_in_the_background
    ) as demo:
        until(lambda: processes_in(tmp_path), what="the service")  # it is just being born
        for _ in range(times):
            demo.send_signal(how)
        until(lambda: not processes_in(tmp_path), what="the end of the service")
        until(lambda: not list(tmp_path.iterdir()), what="an empty folder")


def started_in_the_background() -> None:
    """What a shell does to a command behind which an ``&`` stands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_a_service_that_dies_ends_it_with_one_sentence(tmp_path):
    with subprocess.Popen(
        command(), env=variables(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        until(lambda: processes_in(tmp_path), seconds=15, what="the service")
        (service,) = (
            int(process.parent.name)
            for process in Path("/proc").glob("[0-9]*/cwd")
            if os.access(process, os.R_OK) and str(tmp_path) in os.readlink(process)
        )
        os.kill(service, signal.SIGKILL)
        _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert errors.startswith("quota-scheduler: the service has ended by itself")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        pytest.param(
            ["--keep", "/proc/nowhere"], "the demo cannot write to /proc/nowhere", id="a folder without leave"
        ),
        pytest.param(["--keep", "{full}"], "is not empty", id="a folder that holds something"),
        pytest.param(["--keep", "{file}"], "is a file", id="a file"),
        pytest.param(["--listen", "127.0.0.1:{taken}"], "the demo cannot listen on 127.0.0.1:", id="a taken port"),
        pytest.param(["--listen", "here"], "write HOST:PORT", id="no address"),
    ],
)
def test_a_bad_day_is_one_sentence(tmp_path, args, sentence):
    import socket

    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "thing").touch()
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"full": full, "file": file, "taken": taken.getsockname()[1]}
        done = subprocess.run(
            command(*(arg.format(**names) for arg in args)), env=variables(tmp_path), capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_nowhere_to_write_is_one_sentence(tmp_path):
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "-", *command()], env=variables(tmp_path), capture_output=True,
        text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("quota-scheduler: the demo cannot write to a temporary folder (No usable temporary")
    assert done.stderr.endswith("): set TMPDIR to a folder that is yours\n")
    assert done.stderr.count("\n") == 1
