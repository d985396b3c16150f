"""Requests to the service: retried while it is away or busy, answered with JSON or one of the client's errors."""

import http.client
import json
import random
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from quota_scheduler.client.errors import Refused, Unavailable

CONNECT_SECONDS = 5.0
LONGEST_PAUSE = 15.0
"""Most seconds between two tries."""
MORE_SECONDS, LEAST_SECONDS = 15.0, 5.0
"""An answer may come this much later than the time it was asked to wait: as patience allows, within these."""
NOT_OURS = "not this service, or one of another version: check QUOTA_URL"
WHO = frozenset({401, 403})
"""The token is refused: this says nothing about what was asked, which may be told with another."""
LOOK_SECONDS = 0.1
"""While the service takes its time, it is looked so often whether the caller has given up."""


class Transport:
    """Asks one service. Safe to use from several threads: every request has a connection of its own."""

    def __init__(self, url: str, token: str = "", *, patience: float = 60.0) -> None:
        """``patience`` is for how many seconds a request is tried again while the service is away or busy."""
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address: write http://host:port or https://host")
        self._secure, self._host = parts.scheme == "https", parts.hostname
        self._port, self._prefix = parts.port, parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{parts.netloc}{self._prefix}"
        self._token, self.patience = token, patience

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        wait: float = 0.0,
        patience: float | None = None,
        stop: threading.Event | None = None,
    ) -> Any:
        """Ask until there is an answer; ``wait`` is how long the service may take its time.

        ``stop`` ends the tries, and the wait for an answer that takes its time.

        Raises Unavailable after ``patience`` seconds of no answer, Refused for a 4xx.
        """
        ends = time.monotonic() + (self.patience if patience is None else patience)
        pause, stop = 0.25, stop or threading.Event()
        while True:
            try:
                more = min(MORE_SECONDS, max(LEAST_SECONDS, ends - time.monotonic()))
                return self._once(method, path, body, wait, more, stop)
            except _TryAgain as reason:
                left = ends - time.monotonic()
                # many runners that lost one service must not all come back at once
                seconds = min(LONGEST_PAUSE, max(reason.after, pause * random.uniform(0.5, 1.0)))
                if left <= seconds or stop.wait(seconds):
                    raise Unavailable(f"{reason}; tried at {self.url}") from None
                pause *= 2

    def _once(self, method: str, path: str, body: Any, wait: float, more: float, stop: threading.Event) -> Any:
        """One request, answered ``more`` seconds after ``wait``. Raises _TryAgain where another may succeed."""
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(wait + more)
            content = None if body is None else json.dumps(body)
            connection.request(method, f"{self._prefix}{path}", content, self._headers())
            if wait:
                _until_readable(connection.sock, wait + more, stop)
            answer = connection.getresponse()
            return _content(answer.status, dict(answer.headers), answer.read())
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"the certificate of {self.url} is not trusted ({error.verify_message}): "
                "name the file of its authority, or its own where it has signed itself, in SSL_CERT_FILE"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgain(f"nothing answers ({error or type(error).__name__})") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return headers | {"Authorization": f"Bearer {self._token}"} if self._token else headers


def _until_readable(sock: socket.socket, seconds: float, stop: threading.Event) -> None:
    """Wait until an answer begins. Raises _TryAgain where the caller gives up, or it does not come in time."""
    ends = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        while not selector.select(LOOK_SECONDS):
            if stop.is_set():
                raise _TryAgain("given up")
            if time.monotonic() >= ends:
                raise _TryAgain("nothing answers (timed out)")


class _TryAgain(Exception):
    """No answer, or one that says to come again ``after`` so many seconds."""

    def __init__(self, text: str, after: float = 0.0) -> None:
        super().__init__(text)
        self.after = after


def _content(status: int, headers: Mapping[str, str], raw: bytes) -> Any:
    try:
        content = json.loads(raw) if raw else None
    except ValueError:
        content = None
    problem = content if isinstance(content, dict) else {}
    if status in (408, 425, 429) or status >= 500:
        detail = f": {problem['detail']}" if problem.get("detail") else ""
        raise _TryAgain(f"the service answered {status}{detail}", _seconds(headers))
    if status in WHO or (status >= 400 and problem.get("title")):
        raise Refused(status, str(problem.get("title", "")), str(problem.get("detail", "")))
    if status >= 400 or not isinstance(content, dict):
        raise _TryAgain(f"what answers ({status}) is {NOT_OURS}")
    return content


def _seconds(headers: Mapping[str, str]) -> float:
    try:
        return min(LONGEST_PAUSE, max(0.0, float(headers.get("Retry-After", ""))))
    except ValueError:
        return 0.0
