"""Reading in a process of its own, beside the one that records: for months of history, where there is a core to spare.

    listing ──► another process: scan_files ──pipe──► Batch, Batch, … ──► recorded here, while the next is read there

Lines are parsed there and added up here, each at its own speed; the pipe keeps the reader one batch ahead at most. The
batches are those of ``scan_files``, most events in them by columns, so whatever counts once there counts once here.
Where the other process cannot be started or dies half-way, what it has not delivered is read here. It ends with its
pipe, however this one ends.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from quota_scheduler.core.ledger.plain_events import parted
from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.sources.passes import Take, scan_files
from quota_scheduler.sources.tail import ChangedFiles

log = logging.getLogger(__name__)
WORTH_BYTES = 32 << 20
"""Less than this is read sooner than another process has started (0.1 s)."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""How much of the machine a container may use: microseconds of each period, or ``max``."""
MakeTake = Callable[[], Take]
"""Makes what takes lines into batches; it is handed to the other process, so it can be pickled."""


def scan_ahead(
    listing: ChangedFiles,
    states: Mapping[str, FileState],
    make_take: MakeTake,
    *,
    worth: int = WORTH_BYTES,
    processes: int = 1,
) -> Iterator[Batch]:
    """The batches of ``scan_files``, read in other processes where there is much to read and a core for it.

    One reads faster than this one records; more are of use where nothing is recorded.
    """
    if listing.total_bytes >= worth and cores() > 1:
        done: dict[str, FileState] = {}
        for batch in _delivered(make_take, [listing.todo[start::processes] for start in range(processes)]):
            if batch.last:
                unreadable = (*listing.unreadable.values(), *batch.unreadable)
                yield replace(batch, gone=tuple(listing.gone(states)), unreadable=unreadable)
                return
            done |= {state.path: state for state in batch.files}
            yield batch
        listing.todo = [_left(todo, done.get(todo.path)) for todo in listing.todo if done.get(todo.path) != todo]
    yield from scan_files(listing, states, make_take())


def cores(quota: Path = CPU_QUOTA) -> float:
    """How many cores this process may use, as far as the kernel and a container say."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return usable if share == "max" else min(usable, int(share) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return usable


def _left(todo: FileState, done: FileState | None) -> FileState:
    return replace(todo, offset=done.offset) if done else todo


def _delivered(make_take: MakeTake, parts: Sequence[Sequence[FileState]]) -> Iterator[Batch]:
    """What other processes read, one part each, by turns and as far as they get."""
    readers: list[_Reader] = []
    try:
        readers += [_Reader(make_take, part) for part in parts]
        waited_for = list(readers)
        while waited_for:
            for reader in tuple(waited_for):
                batch = reader.batch()
                if batch.last:
                    waited_for.remove(reader)
                done, total = (sum(reader.progress[end] for reader in readers) for end in (0, 1))
                yield replace(batch, last=not waited_for, done_bytes=done, total_bytes=total)
    except Exception as error:  # whatever it is that went wrong there: it is read here
        log.warning("source.read_here reason=the reading process ended: %r", error)
    finally:
        for reader in readers:
            reader.end()


class _Reader:
    """Another process that reads some files. Raises OSError where it cannot be started."""

    def __init__(self, make_take: MakeTake, todo: Sequence[FileState]) -> None:
        self.progress = 0, sum(state.size - state.offset for state in todo)
        command = [sys.executable, "-P", "-m", __name__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin
        try:
            with self._process.stdin as pipe:
                pickle.dump((make_take, todo), pipe, pickle.HIGHEST_PROTOCOL)
        except BaseException:
            self.end()
            raise

    def batch(self) -> Batch:
        """Its next batch. Raises EOFError, or another error of what it sent, where it has ended too soon."""
        assert self._process.stdout
        batch: Batch = pickle.load(self._process.stdout)
        self.progress = batch.done_bytes, batch.total_bytes
        return batch

    def end(self) -> None:
        """End it, if it has not."""
        self._process.kill()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()


def _packed(batch: Batch) -> Batch:
    """A batch as it goes through the pipe: by columns, a tenth of the work of events one by one at the other end."""
    plain, events = parted(batch.events)
    return replace(batch, plain=plain, events=events)


def main() -> None:
    """Read what stands on the standard input, and write the batches to the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who reads the pipe is told, and closes it
    make_take, todo = pickle.load(sys.stdin.buffer)
    try:
        for batch in scan_files(ChangedFiles(todo), {}, make_take()):
            pickle.dump(_packed(batch), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
