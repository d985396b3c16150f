"""Half requests: a connection whose request does not come whole is closed after a time, and there are never many.

    connection opens, or a byte of a request comes ──► half ──► the request is whole ──► the routes
                                                        │
                                                        ├── not whole in time: 408, closed
                                                        └── too many half ones: the oldest is closed, if it is not new

Uvicorn waits for ever, so that a thousand sockets that say nothing would take every descriptor of the process.
"""

import resource
from typing import Any

from msgspec import Struct, field
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ANSWERING_SECONDS = 5.0
"""Whoever reads a body gives up first and says so; only then the connection is closed under it."""
TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: 35\r\n\r\nthe request did not come whole: 408"
)


class Patience(Struct, frozen=True):
    """How long a request may take to come whole, and how many may be half at a time.

    Thousands of runners that come in the same moment are all half until their requests are read, seconds later on a
    busy machine: ``most`` is half of the descriptors that the process may have, and who came less than ``grace``
    seconds ago is not one of too many.
    """

    seconds: float = 30.0
    most: int = field(default_factory=lambda: max(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
    grace: float = 2.0


class HalfRequests:
    """The connections whose request is not whole, oldest first. Lives in the event loop of the server."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since: dict[TimedProtocol, float] = {}

    def begin(self, connection: "TimedProtocol", now: float) -> None:
        """Something of a request is there, or is waited for."""
        if self._since.setdefault(connection, now) == now:
            self._drop_too_many(now)

    def end(self, connection: "TimedProtocol") -> None:
        """The request is whole, or the connection is gone."""
        self._since.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Close what has been half for too long."""
        self._drop_too_many(now)
        late = [connection for connection, since in self._since.items() if now - since > self._allowed(connection)]
        for connection in late:
            self._drop(connection)

    def _drop_too_many(self, now: float) -> None:
        while len(self._since) > self._patience.most:
            oldest, since = next(iter(self._since.items()))
            if now - since < self._patience.grace:
                return
            self._drop(oldest)

    def _allowed(self, connection: "TimedProtocol") -> float:
        if not connection.is_answering:
            return self._patience.seconds
        return max(self._patience.seconds, connection.patience) + ANSWERING_SECONDS

    def _drop(self, connection: "TimedProtocol") -> None:
        self.end(connection)
        connection.give_up()


class TimedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which tells when a request begins and when it is whole."""

    half_requests: HalfRequests
    """Set by a subclass for one server (``short_way.protocol_of``): uvicorn makes the instances."""

    @property
    def is_answering(self) -> bool:
        """Whether the routes work on its request already."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def patience(self) -> float:
        """How long its route gives it, in seconds: one that reads a body as a stream says so in the request's state."""
        given: float = self.cycle.scope["state"].get("patience", 0.0) if self.cycle else 0.0
        return given

    def connection_made(self, transport: Any) -> None:
        """A new connection: a request is waited for."""
        super().connection_made(transport)
        self.half_requests.begin(self, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.half_requests.end(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something of a request."""
        self.half_requests.begin(self, self.loop.time())
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The first byte of a request, perhaps behind another one in the same packet."""
        self.half_requests.begin(self, self.loop.time())
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.half_requests.end(self)
        super().on_message_complete()

    def give_up(self) -> None:
        """Close the connection, saying why where no answer is under way."""
        if not self.is_answering:
            self.transport.write(TIMEOUT)
        self.transport.close()
