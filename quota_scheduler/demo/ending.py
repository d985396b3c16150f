"""Ctrl-C and its like: they end a demo at once, or as soon as what must not be cut in two is done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGINT, too: a shell that starts a command in the background lets it ignore Ctrl-C."""


class DemoEnding:
    """Raises KeyboardInterrupt when a signal to end comes."""

    def __init__(self) -> None:
        self._is_held = self._has_come = False
        for name in ENDING:
            signal.signal(name, self._come)

    def _come(self, _signal: int, _frame: FrameType | None) -> None:
        self._has_come = True
        if not self._is_held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing interrupt the block; what came meanwhile is raised behind it."""
        self._is_held = True
        yield
        self._is_held = False
        if self._has_come:
            raise KeyboardInterrupt

    def ignored(self) -> None:
        """From now on the demo ends by itself, however often somebody asks."""
        self._is_held = True
