"""Tells usage beside the calls: a thread sends what has gathered; what cannot be told goes to the spool."""

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from quota_scheduler.client.errors import Refused, Unavailable
from quota_scheduler.client.spool import Spool
from quota_scheduler.client.transport import Transport

MOST_AT_ONCE = 500
"""Events of one request; the service takes 1,000."""
AT_EXIT_SECONDS = 5.0
"""The end of a program waits so long for its usage to be told; what is left goes to the spool."""
PAUSE_SECONDS = 2.0
"""After an unheard request, events go to the spool for so long without another try: a call must not wait for it."""
PATIENCE = 0.3
"""Seconds in which a request that was not heard is tried again."""
LOG = logging.getLogger("quota_scheduler.client")
Event = Mapping[str, Any]


class Teller(Protocol):
    """What a recorder needs of a client."""

    transport: Transport
    spool: Spool


class Recorder:
    """One for each tracker. ``put`` costs some microseconds and never raises."""

    def __init__(self, client: Teller) -> None:
        self._client = client
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._telling = threading.Lock()
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._away_until = 0.0
        self._is_behind = False
        atexit.register(self.flush, AT_EXIT_SECONDS)

    def put(self, event: Event) -> None:
        """Take an event to be told."""
        self._events.put(event)
        self._due.set()
        if self._thread is None or self._process != os.getpid() or not self._thread.is_alive():
            self._begin()

    def flush(self, seconds: float = 10.0) -> bool:
        """Tell everything that was put before, and what waits in the spool; whether the service has all of it.

        Waits ``seconds`` at the most for another thread that is telling.
        """
        if not self._telling.acquire(timeout=seconds):
            return False
        try:
            self._away_until = 0.0  # somebody waits for the truth: try now
            self._tell_all()
            if self._is_behind:
                self._catch_up()
            return not self._is_behind
        finally:
            self._telling.release()

    def _begin(self) -> None:
        with self._mutex:
            if self._process != os.getpid():  # a fork has neither the thread nor, for sure, its lock
                self._process, self._telling, self._thread = os.getpid(), threading.Lock(), None
                self._due.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="quota-usage", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            with self._telling:
                self._tell_all()

    def _tell_all(self) -> None:
        while True:
            batch: list[Event] = []
            while len(batch) < MOST_AT_ONCE:
                try:
                    batch.append(self._events.get_nowait())
                except queue.Empty:
                    break
            if not batch:
                return
            self._tell(batch)

    def _tell(self, batch: list[Event]) -> None:
        if time.monotonic() >= self._away_until:
            try:
                self._ask("POST", "/v1/usage", batch)
                self._catch_up()
                return
            except Refused as refused:  # it would be refused again
                LOG.warning("usage of %d calls was refused: %s", len(batch), refused)
                return
            except Unavailable:
                self._away_until = time.monotonic() + PAUSE_SECONDS
        self._is_behind = True
        if not self._client.spool.put("POST", "/v1/usage", batch):
            LOG.warning("usage of %d calls is lost: the service is away and the spool takes no more", len(batch))

    def _catch_up(self) -> None:
        """Tell what the spool has, as far as that can be heard."""
        try:
            self._client.spool.tell(self._ask)
        except OSError:
            return
        path = self._client.spool.path
        self._is_behind = path is not None and path.exists()

    def _ask(self, method: str, path: str, body: Any) -> Any:
        return self._client.transport.ask(method, path, body, patience=PATIENCE)
