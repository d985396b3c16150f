"""The short way: a request that is plain enough is asked and answered without a task and without the framework.

    headers ──► the desk wants it? ──no──► the routes          (headers that are known need no parser: ``known_heads``)
                      │ yes
    body whole ──► the desk asks ──it is not so plain after all──► the routes, which read it from its beginning
                      │
    decided ──► one write of the whole answer

Nothing is decided here, and nothing is refused here either: what is odd in any way goes to the routes, which know what
to say about it. That costs it a microsecond, and makes what is asked thousands of times a second three times as cheap.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from quota_scheduler.half_requests import HalfRequests, TimedProtocol
from quota_scheduler.known_heads import Headers, KnownCycle, KnownHeads, KnownRequest

LONGEST = 64 * 1024
"""Bytes of a body; a longer one is no matter of microseconds."""

SCHEMES = frozenset({b"http", b"https"})


class WholeAnswer(NamedTuple):
    """An answer as it goes out; ``head`` are its headers, each line with its end."""

    status: int
    head: bytes
    body: bytes


class Asked(NamedTuple):
    """Something that was asked, and how it is answered once that is decided, or was given up (TimeoutError)."""

    decided: "asyncio.Future[Any]"
    answer: Callable[[], WholeAnswer]
    is_parked: bool = False
    """Whether it takes as long as was asked for, ends by itself, and ends when whoever has asked hangs up."""


class Desk(Protocol):
    """Who asks and answers what is plain."""

    def wants(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may be plain, by its method, path and headers."""

    def ask(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], body: bytes) -> Asked | None:
        """Ask what a plain body asks; None where it is not so plain. ``headers`` are those of the scope, by name."""


class ShortWay:
    """What was asked at the desks and is not answered yet, oldest first. Lives in the event loop of the server."""

    def __init__(self, desks: Sequence[Desk], longest: float) -> None:
        """``longest`` are the seconds after which whoever has asked is told to come again."""
        self._desks, self._longest = desks, longest
        self.known = KnownHeads()
        self._default: tuple[Headers, bytes] = (), b""
        self._since: dict[asyncio.Future[Any], float] = {}

    def desk_of(self, scope: Mapping[str, Any]) -> Desk | None:
        """Who wants a request; None for the routes."""
        return next((desk for desk in self._desks if desk.wants(scope)), None)

    def begin(self, asked: "asyncio.Future[Any]", now: float) -> None:
        """Something was asked."""
        self._since[asked] = now

    def end(self, asked: "asyncio.Future[Any]") -> None:
        """It is decided."""
        self._since.pop(asked, None)

    def default_lines(self, headers: Headers) -> bytes:
        """What every answer begins with; the server makes these headers anew each second."""
        if self._default[0] is not headers:
            self._default = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._default[1]

    def sweep(self, now: float) -> None:
        """Give up what takes too long: its transaction may still succeed, and the same key finds what it brought."""
        for asked, since in list(self._since.items()):
            if now - since < self._longest:
                return
            if not asked.done():
                asked.set_exception(TimeoutError())


class QuickProtocol(TimedProtocol):
    """A connection of the server, whose plain requests go the short way."""

    short_way: ShortWay
    """Set by a subclass for one server: uvicorn makes the instances."""
    _held: "tuple[RequestResponseCycle, Any, Desk] | None" = None
    """A request that may be plain and whose body is still to come."""
    _parked: "asyncio.Future[Any] | None" = None
    """What is waited for, as long as was asked for."""
    _is_between = True
    """Whether the parser is between two requests."""
    _packet: bytes | None = None
    """What has just come, where a request begins with it."""

    @property
    def is_answering(self) -> bool:
        """Whether anybody works on its request already."""
        return self._held is None and super().is_answering

    def data_received(self, data: bytes) -> None:
        """Something of a request, or all of one whose head is known."""
        if self._is_between and (self.cycle is None or self.cycle.response_complete):
            known = self.short_way.known.read(data)
            if known is not None and self._ask_known(known):
                return
            self._packet = data
        super().data_received(data)
        self._packet = None

    def on_message_begin(self) -> None:
        """The first byte of a request that the parser reads."""
        self._is_between = False
        super().on_message_begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        desk = None if cycle.waiting_for_100_continue else self.short_way.desk_of(cycle.scope)
        if desk is None:
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle, app, desk
        else:
            self._ask(cycle, app, desk)

    def on_body(self, body: bytes) -> None:
        """Some of a body; one that is long is for the routes."""
        super().on_body(body)
        if self._held and len(self._held[0].body) > LONGEST:
            self._let_go()

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self._is_between = not self.parser.should_upgrade()
        if self._held and not self._held[0].more_body:
            (cycle, app, desk), self._held = self._held, None
            self._ask(cycle, app, desk)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, and nobody is left to wait."""
        super().connection_lost(exc)
        if self._parked is not None:
            self._parked.cancel()

    def _let_go(self) -> None:
        """Hand the request that is held to the routes."""
        if self._held:
            (cycle, app, _), self._held = self._held, None
            super()._start_asgi_task(cycle, app)

    def _ask(self, cycle: RequestResponseCycle, app: Any, desk: Desk) -> None:
        """Ask what the parser has read; what is not so plain is for the routes."""
        headers, body = list(cycle.scope["headers"]), bytes(cycle.body)
        by_name = dict(headers)
        if len(by_name) != len(headers) or not self._is_asked(cycle, app, desk, by_name, body):
            super()._start_asgi_task(cycle, app)
        elif self._packet is not None and cycle.keep_alive:
            self.short_way.known.keep(self._packet, headers, body)

    def _ask_known(self, request: KnownRequest) -> bool:
        """Ask what has come whole behind a head that is known; False where it is for the parser."""
        scope: dict[str, Any] = {
            "method": "POST", "path": request.path, "query_string": b"", "headers": request.head.headers,
            "scheme": self.scheme, "client": self.client, "state": {},
        }  # fmt: skip
        desk, cycle = self.short_way.desk_of(scope), KnownCycle(scope)
        if desk is None or not self._is_asked(cycle, self.app, desk, request.head.by_name, request.body):
            return False
        self.cycle = cycle  # type: ignore[assignment]
        self._unset_keepalive_if_required()
        self.half_requests.end(self)
        return True

    def _is_asked(
        self,
        cycle: RequestResponseCycle | KnownCycle,
        app: Any,
        desk: Desk,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> bool:
        if isinstance(app, ProxyHeadersMiddleware):
            believe(app, cycle.scope)
        asked = None if self.flow.write_paused else desk.ask(cycle.scope, headers, body)
        if asked is None:
            return False
        if asked.is_parked:
            self._parked = asked.decided
        else:
            self.short_way.begin(asked.decided, self.loop.time())
        asked.decided.add_done_callback(lambda _: self._answer(cycle, asked))
        return True

    def _answer(self, cycle: RequestResponseCycle | KnownCycle, asked: Asked) -> None:
        self._parked = None
        self.short_way.end(asked.decided)
        if asked.decided.cancelled():
            return
        answer = asked.answer()
        if cycle.disconnected:
            return
        default = self.short_way.default_lines(self.server_state.default_headers)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        length = b"content-length: %d\r\n" % len(answer.body)
        cycle.response_complete = True
        self.transport.write(b"".join((STATUS_LINE[answer.status], default, answer.head, length, end, answer.body)))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def believe(proxies: ProxyHeadersMiddleware, scope: Any) -> None:
    """Note the scheme that a trusted proxy was asked by, as the routes are told it (uvicorn's ``proxy_headers``)."""
    if scope["client"] and scope["client"][0] in proxies.trusted_hosts:
        said = next((value for name, value in scope["headers"] if name == b"x-forwarded-proto"), b"").strip()
        scope["scheme"] = said.decode("latin-1") if said in SCHEMES else scope["scheme"]


def protocol_of(half_requests: HalfRequests, short_way: ShortWay) -> type[QuickProtocol]:
    """The protocol for one server."""
    return type("ServedProtocol", (QuickProtocol,), {"half_requests": half_requests, "short_way": short_way})
