"""What a run says of itself, on standard error: a live line on a terminal, plain lines in a log."""

import signal
import sys
import threading
import time
from datetime import UTC, datetime

from quota_scheduler.client.answers import Decision

AGAIN_SECONDS = 300.0
"""A log that changes nothing says so this often; one that changes says it at once."""


class Notices:
    """Writes to one stream. ``quiet`` says nothing but what went wrong."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._stream, self._quiet = sys.stderr, quiet
        self._live = self._stream.isatty()
        self._line, self._since, self._said_at = "", time.monotonic(), 0.0
        self._until: datetime | None = None
        self._over: threading.Event | None = None

    def say(self, text: str) -> None:
        """One sentence that matters."""
        self._clear()
        print(f"quota-scheduler: {text}", file=self._stream, flush=True)

    def waits(self, decision: Decision) -> None:
        """Why it waits, its place and until when."""
        if self._quiet:
            return
        line = _sentence(decision)
        if self._live:
            self._line, self._until = line, decision.until
            self._tick()
        elif line != self._line or time.monotonic() - self._said_at > AGAIN_SECONDS:
            self._line, self._said_at = line, time.monotonic()
            print(f"quota-scheduler: {line}", file=self._stream, flush=True)

    def begins(self, lease: str) -> None:
        """The wait is over."""
        waited = self._line
        self._clear()
        if waited and not self._quiet:
            seconds = time.monotonic() - self._since
            print(f"quota-scheduler: starts after {seconds:.0f} s, lease {lease}", file=self._stream, flush=True)

    def _tick(self) -> None:
        if self._over is None:
            self._over = threading.Event()
            threading.Thread(target=self._draw_on, args=(self._over,), daemon=True).start()

    def _draw_on(self, over: threading.Event) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
        while not over.is_set():
            left = f" ({_left(self._until)})" if self._until else ""
            self._stream.write(f"\r\x1b[K{self._line}{left}")
            self._stream.flush()
            over.wait(1.0)

    def _clear(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _sentence(decision: Decision) -> str:
    parts = [f"waits ({decision.reason}): {decision.message.removesuffix('.')}"]
    if decision.position:
        parts.append(f"place {decision.position}")
    if decision.until:
        parts.append(f"until {_clock(decision.until)}")
    if decision.expected_start:
        parts.append(f"expected to start {_clock(decision.expected_start)}")
    return "; ".join(parts)


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%a %d %b %H:%M:%S %Z}"


def _left(until: datetime) -> str:
    seconds = max(0, int((until - datetime.now(UTC)).total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
