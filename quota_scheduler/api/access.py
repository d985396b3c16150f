"""Access to the service behind the routes: roles, bodies, answers in time."""

import asyncio
import contextlib
import json
import math
import zlib
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from quota_scheduler.api.problems import Problem
from quota_scheduler.auth import allows, is_over, scope_of
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Reply
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.errors import StoreError

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

T = TypeVar("T")
MOST_IN_ARRAY = 1_000
MEGABYTE = 1024 * 1024
MOST_BYTES = MEGABYTE
"""A body may be this large: a thousand tickets are a third of it."""
MOST_USAGE_BYTES = 32 * MEGABYTE
"""A body with usage may be larger: it is shipped by the day."""
LONG_BYTES = 64 * 1024
"""A longer body is read beside the event loop: a megabyte takes ten milliseconds."""
MOST_DROPPED = 64 * MEGABYTE
"""As much is read of a body that is refused, so that its sender hears why; behind that the connection is closed."""
DROP_SECONDS = 10.0
GZIP = 31
"""How zlib is told that the data has gzip's frame."""
STREAM_SECONDS = 900.0
"""A body that is read as a stream may take this long: hundreds of megabytes over a slow line."""
BODY_SECONDS = 30.0
"""A body must have come whole by then."""
ANSWER_SECONDS = 10.0
"""A write that takes longer has a database in trouble behind it; the runner is told to come again."""


def facade_of(request: Request) -> "Facade":
    """The service that answers."""
    facade: Facade = request.app.state.service
    return facade


class Asker(Struct, frozen=True):
    """Who asks: the name for the audit log, the role, and what the token is bound to."""

    name: str
    role: Role
    is_token: bool = True
    scope: Scope = EVERYBODY

    @property
    def owner(self) -> str:
        """Whose the tickets are that they submit: nobody's where there are no tokens."""
        return self.name if self.is_token else ""

    @property
    def by(self) -> str | None:
        """Whose tickets they may act on: None for all."""
        return None if self.role is Role.OPERATOR else self.name

    def sees_fence(self, ticket: Ticket) -> bool:
        """Whether they hold the right that a fence stands for, or may give and take it."""
        return allows(self.role, Role.RUNNER) and not ticket.is_foreign_to(self.by)


LOCAL = Asker("local", Role.OPERATOR, is_token=False)
"""Everybody on this machine, where no token is configured."""


def require(request: Request, role: Role) -> Asker:
    """Who is asking, for what anybody of a role may. Raises Problem when they may not, or ask too often.

    The route answers what is everybody's in itself, or with ``asker.scope`` what is theirs or shared.
    """
    asker, service = identified(request, role), facade_of(request)
    if asker.is_token and (seconds := service.rates.take(asker.name)):
        service.slowed()
        wait = math.ceil(seconds)
        raise Problem(
            429,
            "too_many_requests",
            f"the token {asker.name!r} asks too often: come again in {wait} s",
            retry_after=wait,
        )
    return asker


def require_all(request: Request, role: Role) -> Asker:
    """Who is asking, for what is told of everybody at once. Raises Problem for a token that is bound to labels, too."""
    asker = require(request, role)
    if asker.scope.is_bound:
        bound = asker.scope.prefix.rstrip("/")
        raise Problem(403, "bound", f"this tells of everybody, and the token {asker.name!r} is bound to {bound}")
    return asker


def identified(request: Request, role: Role) -> Asker:
    """Who is asking, however often. Raises Problem when they may not."""
    return asker_of(facade_of(request), request.headers.get("authorization", ""), role)


def asker_of(service: "Facade", authorization: str, role: Role) -> Asker:
    """Who sends this header, however often. Raises Problem when they may not."""
    tokens = service.tokens
    if not tokens:
        return LOCAL
    token = tokens.find(authorization)
    if token is None:
        raise Problem(401, "no_token", "send a known token: Authorization: Bearer …")
    if is_over(token, service.now()):
        raise Problem(
            401, "no_token", f"the token {token.name!r} has expired: ask an operator for the one that follows it"
        )
    if not allows(token.role, role):
        raise Problem(403, "role", f"this needs the role {role.value}, the token {token.name!r} is {token.role.value}")
    return Asker(token.name, token.role, scope=scope_of(token))


def accepting(request: Request) -> "Facade":
    """The service, when it takes new work. Raises Problem while it is draining or its database is away."""
    facade = facade_of(request)
    if facade.draining:
        raise Problem(503, "draining", "the service is stopping: come again in a moment", retry_after=5)
    return facade


class Unread(Struct, frozen=True):
    """A body as it came: its bytes without the encoding of the way, and what it says that it is."""

    content: bytes
    kind: str


async def encoded(request: Request, *, most: int, kinds: Collection[str]) -> Unread:
    """The bytes of a body of one of these kinds, unpacked where it is packed. Raises Problem.

    Neither as it comes nor unpacked it may be larger than ``most`` bytes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise await refused_unread(
            request, Problem(415, "unknown_kind", f"send {' or '.join(sorted(kinds))}, not {kind[:80]!r}")
        )
    packed = request.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity", "gzip"):
        raise await refused_unread(
            request, Problem(415, "unknown_encoding", f"send gzip or nothing, not {packed[:80]!r}")
        )
    raw = await _bytes(request, most)
    if packed != "gzip":
        return Unread(raw, kind)
    content = await asyncio.to_thread(_unpacked, raw, most) if len(raw) > LONG_BYTES else _unpacked(raw, most)
    return Unread(content, kind)


def _unpacked(raw: bytes, most: int) -> bytes:
    """What gzip holds, all of its members. Raises Problem where that is more than ``most`` bytes, or no gzip."""
    content = bytearray()
    try:
        while raw:
            member = zlib.decompressobj(wbits=GZIP)
            content += member.decompress(raw, most + 1 - len(content))
            if len(content) > most:
                raise _too_large(most)
            if not member.eof:
                raise Problem(400, "not_gzip", "the body says gzip and ends in the middle: send it again")
            raw = member.unused_data
    except zlib.error as error:
        raise Problem(400, "not_gzip", f"the body says gzip and is none: {error}") from None
    return bytes(content)


async def refused_unread(request: Request, problem: Problem) -> Problem:
    """A problem to raise once what was sent has been read and dropped: who still sends would not hear it."""
    dropped = 0
    with contextlib.suppress(ClientDisconnect, TimeoutError):
        async with asyncio.timeout(DROP_SECONDS):
            async for chunk in request.stream():
                dropped += len(chunk)
                if dropped > MOST_DROPPED:
                    problem.close = True
                    break
    return problem


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """A body as it comes, however long it is; each part must follow in time. Raises Problem."""
    request.state.patience = STREAM_SECONDS
    stream = aiter(request.stream())
    try:
        while True:
            async with asyncio.timeout(BODY_SECONDS):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
    except ClientDisconnect:
        raise Problem(408, "too_slow", "the connection ended before the body was whole", close=True) from None
    except TimeoutError:
        raise Problem(408, "too_slow", f"nothing came for {BODY_SECONDS:.0f} s", close=True) from None


async def body(request: Request, *, most: int = MOST_BYTES) -> Any:
    """The JSON body, of ``most`` bytes. Raises Problem for anything else, and for one too large."""
    return await parsed(await _raw(request, most))


async def parsed(raw: bytes) -> Any:
    """The bytes of a body as JSON; long ones are read beside the event loop. Raises Problem."""
    return await asyncio.to_thread(parsed_at_once, raw) if len(raw) > LONG_BYTES else parsed_at_once(raw)


async def raw_body(request: Request, *, most: int) -> bytes:
    """A body that says it is JSON, of ``most`` bytes, for who reads it otherwise. Raises Problem for another."""
    return await _raw(request, most)


async def raw_output(request: Request, *, most: int) -> bytes:
    """A body of ``most`` bytes whatever it says that it is: what a program printed. Raises Problem for a larger one."""
    return await _bytes(request, most)


async def optional_body(request: Request) -> Any:
    """The JSON body, an empty object where there is none. Raises Problem."""
    raw = await _raw(request, MOST_BYTES)
    return parsed_at_once(raw) if raw else {}


async def _raw(request: Request, most: int) -> bytes:
    """The bytes of a body that says that it is JSON. Raises Problem."""
    raw = await _bytes(request, most)
    if raw and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        way_out = "add -H 'Content-Type: application/json'"
        raise Problem(415, "not_declared_json", f"the body must be JSON and say so: {way_out}")
    return raw


async def _bytes(request: Request, most: int) -> bytes:
    """The bytes of a body: refused by their announced length, else as soon as there are too many. Raises Problem."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(most)
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most:
                    raise _too_large(most)
    except ClientDisconnect:  # nobody is there to read this; it must not count as a fault of ours
        raise Problem(408, "too_slow", "the connection ended before the body was whole", close=True) from None
    except TimeoutError:
        raise Problem(
            408, "too_slow", f"the body took longer than {BODY_SECONDS:.0f} s: send smaller arrays", close=True
        ) from None
    return bytes(content)


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"the body is larger than {most // MEGABYTE} MB: send smaller arrays", close=True)


def parsed_at_once(raw: bytes) -> Any:
    """The bytes of a body as JSON, however long. Raises Problem."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not_json", f"the body is not JSON: {error}") from None


async def decided(answers: "Sequence[asyncio.Future[Reply]]") -> list[Reply]:
    """Wait for the answers of a cycle. Raises Problem when the database does not take what was asked."""
    return await _within_time(answers)


async def written(future: "Future[T]", *, within: float = ANSWER_SECONDS) -> T:
    """Wait for a write, ``within`` so many seconds. Raises Problem when the database does not take it."""
    (result,) = await _within_time([asyncio.wrap_future(future)], within)
    return result


async def _within_time(waiting: "Sequence[asyncio.Future[T]]", seconds: float = ANSWER_SECONDS) -> list[T]:
    try:
        async with asyncio.timeout(seconds):
            return [await waiting[0]] if len(waiting) == 1 else await asyncio.gather(*waiting)
    except TimeoutError as error:
        raise slow() from error
    except StoreError as error:
        raise not_written(error) from error


def slow() -> Problem:
    """What is told where an answer takes too long."""
    return Problem(503, "busy", "the database is slow to answer: try again with the same key", retry_after=5)


def not_written(error: StoreError) -> Problem:
    """What is told where the database does not take what was asked."""
    return Problem(503, "not_written", f"{error}; try again with the same key", retry_after=5)
