"""Whether a server still answers: the watch over what was asked of it and not answered yet.

    a statement is not answered ──a third of the patience──► the pulse: is anything answered, on another connection?
        yes ──► it is a long one: waited for, up to LONGEST_SECONDS
        no, for two thirds of it ──► silent: what waits is cut off; nothing more is asked until the pulse is answered

A partition takes what is sent and answers nothing. TCP notices that within ten seconds where packets are lost, and not
at all where something in between (a proxy, a pooler) keeps the connection alive; so we ask ourselves.
"""

import contextlib
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from quota_scheduler.errors import StoreError

log = logging.getLogger(__name__)
LONGEST_SECONDS = 120.0
"""How long a single statement may take while others are answered: the longest that were measured, over ten million
events, take a tenth of it."""
LOOK_SECONDS = 0.25
RETRY_SECONDS = 0.5
"""A silent server is asked again this often."""


class Watch:
    """Cuts off what a silent server does not answer. ``reach`` makes a connection, within ``patience`` or so."""

    def __init__(self, reach: Callable[[], "psycopg.Connection[Any]"], patience: float) -> None:
        self._reach, self._patience = reach, patience
        self._waiting: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._pulse: psycopg.Connection[Any] | None = None
        self._ended = threading.Event()
        self.is_silent = False
        self._thread = threading.Thread(target=self._work, name="database-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()

    @contextlib.contextmanager
    def waiting(self, connection: "psycopg.Connection[Any]") -> Iterator[None]:
        """Watch over a connection while it waits for an answer."""
        self._waiting[id(connection)] = time.monotonic(), connection
        try:
            yield
        finally:
            self._waiting.pop(id(connection), None)

    def _work(self) -> None:
        while not self._ended.wait(RETRY_SECONDS if self.is_silent else LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                log.exception("database.watch_failed")

    def look(self) -> None:
        """Take the pulse where it is due, and draw the consequences."""
        now = time.monotonic()
        overdue = [since for since, _ in list(self._waiting.values()) if now - since > self._patience / 3]
        if not overdue and not self.is_silent:
            return
        answers = self._answers()
        if answers is self.is_silent:
            self.is_silent = not answers
            if answers:
                log.warning("database.answers_again")
            else:
                log.error("database.silent seconds=%.1f", time.monotonic() - min(overdue, default=now))
        self._cut(now - LONGEST_SECONDS if answers else now)

    def _answers(self) -> bool:
        """Whether the server says anything, though it be no."""
        try:
            self._pulse = self._pulse or self._reach()
            if _is_answered(self._pulse, 2 * self._patience / 3):
                return True
        except (psycopg.OperationalError, StoreError) as error:
            self._let_go()
            return "FATAL" in str(error)  # the server's own word: too many connections, starting up
        self._let_go()
        return False

    def _let_go(self) -> None:
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            with contextlib.suppress(psycopg.Error):
                pulse.close()

    def _cut(self, before: float) -> None:
        """Shut down every connection that has waited since before an instant; who waits there hears that it broke."""
        for since, connection in list(self._waiting.values()):
            if since < before:
                with contextlib.suppress(OSError, psycopg.Error):
                    shut_down(connection)


def shut_down(connection: "psycopg.Connection[Any]") -> None:
    """End a connection's conversation from another thread than the one that waits for it."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


def _is_answered(connection: "psycopg.Connection[Any]", seconds: float) -> bool:
    """Whether a statement that touches nothing is answered in time. Raises OperationalError where it broke."""
    conversation, deadline = connection.pgconn, time.monotonic() + seconds
    conversation.send_query(b"SELECT 1")
    said = select.poll()
    said.register(conversation.socket, select.POLLIN)
    while conversation.flush() or conversation.is_busy():
        if not said.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return False
        conversation.consume_input()
    while conversation.get_result() is not None:
        pass
    return True
