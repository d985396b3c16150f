"""Access to the service behind the routes: roles, bodies, answers in time."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from quota_scheduler.api.problems import Problem, invalid
from quota_scheduler.auth import allows
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Reply
from quota_scheduler.errors import StoreError

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
MOST_IN_ARRAY = 1_000
MOST_BYTES = 32 * 1024 * 1024
ANSWER_SECONDS = 10.0
"""A write that takes longer has a database in trouble behind it; the runner is told to come again."""


def facade_of(request: Request) -> "Facade":
    """The service that answers."""
    facade: Facade = request.app.state.service
    return facade


def require(request: Request, role: Role) -> str:
    """Who is asking. Raises Problem when they may not."""
    tokens = facade_of(request).tokens
    if not tokens:
        return "local"
    token = tokens.find(request.headers.get("authorization", ""))
    if token is None:
        raise Problem(401, "no_token", "send a known token: Authorization: Bearer …")
    if not allows(token.role, role):
        raise Problem(403, "role", f"this needs the role {role.value}, the token {token.name!r} is {token.role.value}")
    return token.name


def accepting(request: Request) -> "Facade":
    """The service, when it takes new work. Raises Problem while it is draining or its database is away."""
    facade = facade_of(request)
    if facade.draining:
        raise Problem(503, "draining", "the service is stopping: come again in a moment", retry_after=5)
    return facade


async def body(request: Request) -> Any:
    """The JSON body. Raises Problem for anything else, and for one too large."""
    raw = await request.body()
    if len(raw) > MOST_BYTES:
        raise Problem(413, "too_large", f"the body is larger than {MOST_BYTES // 1024**2} MB: send smaller arrays")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not_json", f"the body is not JSON: {error}") from None


async def one_or_many(request: Request, adapter: TypeAdapter[M]) -> tuple[list[M], bool]:
    """One validated object or an array of them; the flag says which it was. Raises Problem."""
    if (await request.body())[:1] == b"{":
        return [await one(request, adapter)], False
    raw = await body(request)
    many = isinstance(raw, list)
    items = raw if many else [raw]
    if len(items) > MOST_IN_ARRAY:
        raise Problem(413, "too_many", f"{len(items)} entries: send at most {MOST_IN_ARRAY} at a time")
    return [validated(item, adapter) for item in items], many


async def one(request: Request, adapter: TypeAdapter[M]) -> M:
    """One validated object. Raises Problem with a pointer to each error."""
    raw = await request.body()
    if len(raw) <= MOST_BYTES:
        with contextlib.suppress(ValidationError):  # said below, with what was given in its place
            return adapter.validate_json(raw)
    return validated(await body(request), adapter)


def validated(raw: Any, adapter: TypeAdapter[M]) -> M:
    """One validated object. Raises Problem with a pointer to each error."""
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise invalid(error, raw) from None


async def decided(answers: "Sequence[asyncio.Future[Reply]]") -> list[Reply]:
    """Wait for the answers of a cycle. Raises Problem when the database does not take what was asked."""
    return await _within_time(answers)


async def written(future: "Future[T]") -> T:
    """Wait for a write. Raises Problem when the database does not take it."""
    (result,) = await _within_time([asyncio.wrap_future(future)])
    return result


async def _within_time(waiting: "Sequence[asyncio.Future[T]]") -> list[T]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return [await waiting[0]] if len(waiting) == 1 else await asyncio.gather(*waiting)
    except TimeoutError:
        raise Problem(
            503, "busy", "the database is slow to answer: try again with the same key", retry_after=5
        ) from None
    except StoreError as error:
        raise Problem(503, "not_written", f"{error}; try again with the same key", retry_after=5) from error
