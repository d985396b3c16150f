"""The terminal: keys in, changed lines out; resize, suspend, and the way back to what was there before.

Only lines that differ from what stands there are written: an idle screen over SSH costs a few bytes a second.
"""

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from rich.console import Console
from rich.text import Text

from quota_scheduler.terminal.asking import Ask, Asking
from quota_scheduler.terminal.picture import picture
from quota_scheduler.terminal.view import View, on_key

REDRAW_SECONDS = 1.0
"""Ages and spans move by the second."""
ESCAPE_SECONDS = 0.05
"""So long the rest of a key's sequence may take; a bare Escape has none. Longer over slow lines than any seen."""
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[?25h\x1b[?1049l"
"""The other screen and no cursor; and back."""
SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "pageup",
    "\x1b[6~": "pagedown",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\x1b[Z": "backtab",
    "\x1b": "escape",
    "\t": "tab",
    "\r": "enter",
    "\n": "enter",
    "\x03": "ctrl-c",
}
SMALLEST = (20, 6)
"""Columns and rows below which only a sentence fits."""


def keys_in(text: str) -> Iterator[str]:
    """The keys that a terminal sent; sequences nobody knows are left out whole."""
    while text:
        length = 1
        if text[0] == "\x1b" and len(text) > 1 and text[1] in "[O":
            length = next(
                (n for n in range(3, len(text) + 1) if text[n - 1].isalpha() or text[n - 1] == "~"), len(text)
            )
        key, text = text[:length], text[length:]
        name = SEQUENCES.get(key, key if key.isprintable() else "")
        if name:
            yield name


class Screen:
    """A picture of the service on this terminal until the reader leaves."""

    def __init__(self, ask: Ask, source: str, *, every: float, zone: str, blocks: bool) -> None:
        self._zone, self._blocks = zone, blocks
        self._console = Console(file=sys.stdout, force_terminal=True, legacy_windows=False)
        self._wakes, self._waker = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._waker, False)
        self._asking = Asking(ask, source, every=every, heard=self._wake)
        self._view, self._shown, self._size = View(), [""] * 0, (0, 0)
        self._is_over = False

    def run(self) -> None:
        """Draw until the reader leaves, or a signal ends it."""
        with self._terminal():
            self._asking.start()
            while not (self._view.leaving or self._is_over):
                self._draw()
                self._wait()
        self._asking.stop()

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._waker, b".")

    def _wait(self) -> None:
        """Wait for a key, news, a signal, or the next second."""
        ready, _, _ = select.select([sys.stdin, self._wakes], [], [], REDRAW_SECONDS)
        if self._wakes in ready:
            with suppress(BlockingIOError):
                os.read(self._wakes, 4096)
            while not self._asking.notes.empty():
                self._view = replace(self._view, note=self._asking.notes.get())
        if sys.stdin in ready:
            self._take_keys()

    def _take_keys(self) -> None:
        got = os.read(sys.stdin.fileno(), 1024)
        if not got:  # the terminal is gone
            self._is_over = True
        while got[-1:] == b"\x1b" or got[-2:] in (b"\x1b[", b"\x1bO"):
            if not select.select([sys.stdin], [], [], ESCAPE_SECONDS)[0]:
                break
            got += os.read(sys.stdin.fileno(), 64)
        for key in keys_in(got.decode(errors="replace")):
            self._view, deed = on_key(self._view, key, self._asking.facts)
            if deed is not None:
                self._asking.do(deed)

    def _draw(self) -> None:
        size = os.get_terminal_size(sys.stdout.fileno())
        width, height = max(1, size.columns), max(1, size.lines)
        if (width, height) != self._size:
            self._size, self._shown = (width, height), []
        if width < SMALLEST[0] or height < SMALLEST[1]:
            lines = [Text("too small"[:width]), *[Text()] * (height - 1)]
        else:
            tick = time.monotonic()
            lines = picture(
                self._asking.seen(tick), self._view, tick,
                width=width, height=height, zone=self._zone, blocks=self._blocks,
            )  # fmt: skip
        self._put([self._painted(line, width) for line in lines])

    def _painted(self, line: Text, width: int) -> str:
        with self._console.capture() as taken:
            self._console.print(line, end="", soft_wrap=True, width=width, highlight=False)
        return taken.get()

    def _put(self, lines: list[str]) -> None:
        before = self._shown or ["\0"] * len(lines)
        out = "" if self._shown else "\x1b[2J"
        for number, line in enumerate(lines):
            if number >= len(before) or before[number] != line:
                out += f"\x1b[{number + 1};1H{line}\x1b[0m\x1b[K"
        self._shown = lines
        _write(out)

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Keys as they come, the other screen; everything as before at the end, however it ends."""
        before = termios.tcgetattr(sys.stdin)
        handled = {
            signal.SIGWINCH: self._redrawn,
            signal.SIGTERM: self._over,
            signal.SIGHUP: self._over,
            signal.SIGTSTP: self._suspended(before),
        }
        kept = {number: signal.signal(number, handler) for number, handler in handled.items()}
        try:
            tty.setcbreak(sys.stdin)
            _write(ENTER)
            yield
        except KeyboardInterrupt:
            pass
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
            with suppress(OSError, termios.error):  # the terminal may be gone
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
                _write(LEAVE)

    def _redrawn(self, _number: int, _frame: FrameType | None) -> None:
        self._shown = []
        self._wake()

    def _over(self, _number: int, _frame: FrameType | None) -> None:
        self._is_over = True
        self._wake()

    def _suspended(self, before: list[object]) -> Callable[[int, FrameType | None], None]:
        """Ctrl-Z: give the terminal back, stop, and take it again when told to go on."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            _write(LEAVE)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGSTOP)
            tty.setcbreak(sys.stdin)
            _write(ENTER)
            self._shown = []

        return stop


def _write(text: str) -> None:
    """Write to the terminal; signs it cannot show become question marks."""
    data = text.encode(sys.stdout.encoding or "ascii", "replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def printed(lines: list[Text], *, width: int) -> None:
    """Print a picture once, plain where nobody looks: in a pipe, and with NO_COLOR."""
    console = Console(file=sys.stdout, legacy_windows=False, width=width)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
