"""A terminal that somebody sits at: a real pseudo-terminal, and what stands on its screen."""

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import Any, Self

import pyte

from tests.system.service_process import Place


class ATerminal:
    """A verb on a terminal of ``columns`` by ``rows``. Ends with the ``with`` block."""

    def __init__(
        self, place: Place, *args: str, columns: int = 80, rows: int = 24, environ: dict[str, str] | None = None
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self._screen)
        self._lock = threading.Lock()
        self.master, self._slave = pty.openpty()
        self.raw = ""
        self._size(columns, rows)
        self.before = termios.tcgetattr(self._slave)
        variables = {**place.variables(), "TERM": "xterm-256color", "LANG": "C.UTF-8", **(environ or {})}
        self.process = subprocess.Popen(
            place.command(*args), stdin=self._slave, stdout=self._slave, stderr=self._slave,
            cwd=place.home, env=variables, start_new_session=True, preexec_fn=self._own,
        )  # fmt: skip
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _own(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while not self._closing.is_set():
            if select.select([self.master], [], [], 0.05)[0]:
                text = decoder.decode(os.read(self.master, 65536))
                with self._lock:
                    self.raw += text
                    self._stream.feed(text)

    def resize(self, columns: int, rows: int) -> None:
        """Make it larger or smaller, as dragging its window does."""
        with self._lock:
            self._screen.resize(rows, columns)
        self._size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, line by line."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """All that stands on the screen."""
        return "\n".join(self.lines)

    def shows(self, *words: str, seconds: float = 30.0) -> str:
        """Wait until all of this stands on the screen at once, wherever its lines break."""
        deadline = time.monotonic() + seconds
        while not all(word in " ".join(self.text.split()) for word in words):
            assert time.monotonic() < deadline, f"{words} did not come; there stands:\n{self.text}"
            time.sleep(0.02)
        return self.text

    def modes(self) -> list[Any]:
        """How the terminal treats keys, now."""
        return list(termios.tcgetattr(self._slave))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._closing.set()
        self._reader.join()
        os.close(self.master)
        os.close(self._slave)
