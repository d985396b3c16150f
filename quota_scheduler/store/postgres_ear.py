"""Hearing at once that another replica has written: a hint by NOTIFY, and nothing that anybody relies on.

    a write with a revision ──NOTIFY with its commit──► the server ──► every ear ──► hint(), but for one's own

Where a pooler stands between, nothing can be heard: it hands a connection to somebody else after each transaction. It
shows by another process number than the connection was told, and then nobody listens. Whoever waits for news looks
every second anyway.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from quota_scheduler.errors import StoreError

CHANNEL = "quota_scheduler_turns"
AGAIN_SECONDS = 5.0
"""After a connection was lost, or none could be had, the next is tried no sooner: it is a hint."""
APART_SECONDS = 0.02
"""What comes together is one hint."""
QUIET_SECONDS = 1.0
"""How often is looked whether to end while nothing is heard."""


class Ear:
    """Calls ``hint`` when anybody but ``name`` has written. ``reach`` makes a connection."""

    def __init__(self, reach: Callable[[], "psycopg.Connection[Any]"], name: str, hint: Callable[[], None]) -> None:
        self._reach, self._name, self._hint = reach, name, hint
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="database-ear", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; its connection ends within a moment."""
        self._ended.set()

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                with contextlib.closing(self._reach()) as connection:
                    if is_pooled(connection):
                        return
                    self._listen(connection)
            except (psycopg.Error, StoreError):
                pass  # no hints for a while: who waits for news looks anyway
            self._ended.wait(AGAIN_SECONDS)

    def _listen(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self._hint()  # what was written before is news, too
        while not self._ended.is_set():
            heard = [one.payload for one in connection.notifies(timeout=QUIET_SECONDS, stop_after=1)]
            if any(name != self._name for name in heard):
                self._hint()
                self._ended.wait(APART_SECONDS)


def is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Whether something stands between that may hand the connection to others."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid
