"""Reading in another process: the same batches add up to the same, whoever of the two dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.sources import read_ahead
from quota_scheduler.sources.claude_code import labeller, scan, taker
from quota_scheduler.sources.read_ahead import cores, scan_ahead
from quota_scheduler.sources.tail import changed_files
from tests.corpus import write

SESSIONS, RESPONSES = 30, 200


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """More transcripts than go into one batch."""
    return write(tmp_path_factory.mktemp("corpus"), sessions=SESSIONS, responses=RESPONSES).root


def ahead(root: Path, *, worth: int = 0, processes: int = 1) -> Iterator[Batch]:
    listing = changed_files([root], {}, suffix=".jsonl")
    return scan_ahead(listing, {}, partial(taker, [root], labeller()), worth=worth, processes=processes)


def all_of(batches: list[Batch]) -> tuple:
    """What batches tell in all, wherever one ends and the next begins."""
    files = {state.path: state for batch in batches for state in batch.files}
    events = sorted((event for batch in batches for event in batch.all_events()), key=repr)
    errors = sum(batch.errors for batch in batches)
    return events, files, errors, [batch.last for batch in batches].count(True), batches[-1].last


def readers() -> list[int]:
    """The processes that this one has started and that run."""
    threads = Path("/proc/self/task").iterdir()
    return [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(read_ahead, "cores", lambda: 2)


@pytest.mark.parametrize("processes", [pytest.param(1, id="one"), pytest.param(3, id="three")])
def test_other_processes_read_the_same(root, processes):
    batches = list(ahead(root, processes=processes))
    assert len(batches) > 1
    here = list(scan([root], {}, labeller=labeller()))
    assert (batches[-1].done_bytes, batches[-1].total_bytes) == (here[-1].done_bytes, here[-1].total_bytes)
    assert all_of(batches) == all_of(here)
    assert readers() == []


@pytest.mark.parametrize("processes", [pytest.param(1, id="the only one"), pytest.param(2, id="one of two")])
def test_what_a_killed_reader_has_not_delivered_is_read_here(root, caplog, processes):
    batches = []
    for batch in ahead(root, processes=processes):
        if not batches:
            os.kill(readers()[0], signal.SIGKILL)
        batches.append(batch)
    assert all_of(batches) == all_of(list(scan([root], {}, labeller=labeller())))
    assert "source.read_here reason=the reading process ended" in caplog.text


@pytest.mark.parametrize(
    ("worth", "executable", "said"),
    [
        pytest.param(1 << 40, sys.executable, "", id="so little that another process is not worth it"),
        pytest.param(
            0,
            "/nonexistent/python",
            "source.read_here reason=the reading process ended: FileNotFoundError",
            id="another cannot be started",
        ),
        pytest.param(0, "/bin/true", "source.read_here reason=the reading process", id="another says nothing"),
    ],
)
def test_else_it_is_read_here(root, monkeypatch, caplog, worth, executable, said):
    monkeypatch.setattr(sys, "executable", executable)
    batches = list(ahead(root, worth=worth))
    assert all_of(batches) == all_of(list(scan([root], {}, labeller=labeller())))
    assert said in caplog.text
    assert bool(caplog.text) is bool(said)


def test_who_stops_half_way_leaves_no_process(root):
    batches = ahead(root)
    next(batches)
    (reader,) = readers()
    batches.close()
    assert is_gone(reader)


KILLED = """
import os, sys
from functools import partial
from pathlib import Path
from quota_scheduler.sources.claude_code import labeller, taker
from quota_scheduler.sources import read_ahead
from quota_scheduler.sources.tail import changed_files
read_ahead.cores = lambda: 2
root = Path(sys.argv[1])
listing = changed_files([root], {}, suffix=".jsonl")
batches = read_ahead.scan_ahead(listing, {}, partial(taker, [root], labeller()), worth=0)
next(batches)
print(*[Path(f"/proc/self/task/{thread}/children").read_text() for thread in os.listdir("/proc/self/task")], flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_reader_ends_with_its_service(root):
    died = subprocess.run([sys.executable, "-c", KILLED, str(root)], capture_output=True, text=True, timeout=60)
    assert died.returncode == -signal.SIGKILL
    (reader,) = map(int, died.stdout.split())
    until(lambda: is_gone(reader))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        pytest.param("max 100000", None, id="all of the machine"),
        pytest.param("100000 100000", 1, id="one core"),
        pytest.param("50000 100000", 0.5, id="half a core"),
        pytest.param("garbled", None, id="a file that says nothing"),
    ],
)
def test_the_cores_of_a_container(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path / "cpu.max") == (expected or len(os.sched_getaffinity(0)))
