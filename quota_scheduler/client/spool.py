"""What could not be told while the service was away: kept in a file, told with the next chance, each once.

A line is one request. It is written whole and flushed before the caller goes on; telling takes the file by renaming it,
so that two processes never tell the same line, and what is not told goes back. Telling something twice does no harm:
usage events have keys, and a release that comes late is recorded.
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from quota_scheduler.client.errors import Refused, Unavailable
from quota_scheduler.client.transport import WHO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

Tell = Callable[[str, str, Any], Any]
MOST_BYTES = 64 * 1024 * 1024
"""A spool that has grown to this says so instead of filling the disk."""


class Spool:
    """One file; None as its path keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @property
    def holds_something(self) -> bool:
        """Whether something waits to be told."""
        return self.path is not None and self.path.exists()

    def put(self, method: str, path: str, body: Any) -> bool:
        """Keep a request; whether it is on disk."""
        if self.path is None:
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self._append(json.dumps([method, path, body]).encode() + b"\n")
        except OSError:
            return False

    def tell(self, ask: Tell) -> int:
        """Tell what is kept, in order, until the service is away again; returns how much of it was told.

        What the service refuses because of the token goes back too: it may be told with another.
        """
        if self.path is None:
            return 0
        told = 0
        with contextlib.suppress(OSError):
            for file in [*self._left_behind(), *self._taken()]:
                lines = _whole(file)
                for number, line in enumerate(lines):
                    try:
                        _tell_line(line, ask)
                    except Unavailable:
                        self._append(b"".join(lines[number:]))
                        file.unlink(missing_ok=True)
                        return told
                    told += 1
                file.unlink(missing_ok=True)
        return told

    def _append(self, lines: bytes) -> bool:
        assert self.path is not None
        while True:
            with self.path.open("ab") as file:
                _lock(file)
                if not _is_at(self.path, file):
                    continue  # somebody took it, to tell it, before we held it: a line written now would be lost
                if file.tell() > MOST_BYTES:
                    return False
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
                return True

    def _taken(self) -> list[Path]:
        """The file as it is now, out of everybody else's way: of other processes, and of other threads of this one."""
        assert self.path is not None
        mine = self.path.with_name(f"{self.path.name}.{os.urandom(6).hex()}.{os.getpid()}")
        try:
            self.path.rename(mine)
        except FileNotFoundError:
            return []
        return [mine]

    def _left_behind(self) -> list[Path]:
        """Files that processes took which are dead."""
        assert self.path is not None
        left = []
        for file in sorted(self.path.parent.glob(f"{self.path.name}.*")):
            number = file.name.rpartition(".")[2]
            if number.isdigit() and not _is_alive(int(number)):
                left.append(file)
        return left


def _whole(file: Path) -> list[bytes]:
    """The lines of a file that was taken, with that of who was just writing one; none where another was quicker."""
    try:
        with file.open("rb") as taken:
            _lock(taken)
            return taken.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _lock(file: IO[bytes]) -> None:
    """Hold a file alone until it is closed; where the system has no such locks, hope."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether a file that is open is still the one at its path."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _tell_line(line: bytes, ask: Tell) -> None:
    """Tell one line; what the service refuses, or is torn, is not told again. Raises Unavailable."""
    try:
        method, path, body = json.loads(line)
    except ValueError:
        return
    try:
        ask(method, path, body)
    except Refused as refused:
        if refused.status in WHO:
            raise Unavailable(str(refused)) from None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
