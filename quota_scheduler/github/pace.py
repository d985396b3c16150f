"""How fast GitHub is asked: a second between writes, so many an hour, and not at all while it asks to be left alone."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from quota_scheduler.core.comments.patience import BETWEEN_WRITES, HOUR, WRITES_AN_HOUR


class Pace:
    """Shared by everything that one account asks; ``monotonic`` in seconds."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, between: timedelta = BETWEEN_WRITES) -> None:
        self._monotonic, self._between = monotonic, between.total_seconds()
        self._writes: deque[float] = deque(maxlen=WRITES_AN_HOUR)
        self._quiet_until = float("-inf")
        self._closing = threading.Event()

    @property
    def is_free(self) -> bool:
        """Whether anything may be asked now."""
        now = self._monotonic()
        is_full = len(self._writes) == self._writes.maxlen and now - self._writes[0] < HOUR.total_seconds()
        return now >= self._quiet_until and not is_full

    def be_quiet(self, wait: timedelta) -> None:
        """Ask nothing for so long."""
        self._quiet_until = max(self._quiet_until, self._monotonic() + wait.total_seconds())

    def before_write(self) -> bool:
        """Wait for the turn of a write; False where there is none any more."""
        if self._writes and (left := self._writes[-1] + self._between - self._monotonic()) > 0:
            self._closing.wait(left)
        if self._closing.is_set():
            return False
        self._writes.append(self._monotonic())
        return True

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closing.set()
