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
from typing import Any

from quota_scheduler.client.errors import Refused, Unavailable

Tell = Callable[[str, str, Any], Any]
MOST_BYTES = 64 * 1024 * 1024
"""A spool that has grown to this says so instead of filling the disk."""


class Spool:
    """One file; None as its path keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def put(self, method: str, path: str, body: Any) -> bool:
        """Keep a request; whether it is on disk."""
        if self.path is None:
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("ab") as file:
                if file.tell() > MOST_BYTES:
                    return False
                file.write(json.dumps([method, path, body]).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        return True

    def tell(self, ask: Tell) -> int:
        """Tell what is kept, in order, until the service is away again; returns how much of it was told."""
        if self.path is None:
            return 0
        taken = [*self._left_behind(), *self._taken()]
        told = 0
        for file in taken:
            lines = file.read_bytes().splitlines(keepends=True)
            for number, line in enumerate(lines):
                try:
                    _tell_line(line, ask)
                except Unavailable:
                    self._give_back(file, lines[number:])
                    return told
                told += 1
            file.unlink(missing_ok=True)
        return told

    def _taken(self) -> list[Path]:
        """The file as it is now, out of everybody else's way."""
        assert self.path is not None
        mine = self.path.with_name(f"{self.path.name}.{os.getpid()}")
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

    def _give_back(self, file: Path, lines: list[bytes]) -> None:
        assert self.path is not None
        with self.path.open("ab") as back:
            back.write(b"".join(lines))
            back.flush()
            os.fsync(back.fileno())
        file.unlink(missing_ok=True)


def _tell_line(line: bytes, ask: Tell) -> None:
    """Tell one line; what the service refuses, or is torn, is not told again."""
    with contextlib.suppress(ValueError, Refused):
        method, path, body = json.loads(line)
        ask(method, path, body)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
