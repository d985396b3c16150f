"""Bodies that a model validates: one object or an array of them, or what is wrong with each.

With it comes pydantic, which a start does without: routes load what validates when they are first asked (``late``).
"""

import contextlib
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from quota_scheduler.api.access import MOST_BYTES, MOST_IN_ARRAY, parsed, parsed_at_once, raw_body
from quota_scheduler.api.problems import Problem, invalid

M = TypeVar("M", bound=BaseModel)


async def one_or_many(request: Request, adapter: TypeAdapter[M]) -> tuple[list[M | Problem], bool]:
    """One object or an array of them, each validated or what is wrong with it; the flag says which it was.

    Raises Problem for what is neither, and for one object that is wrong.
    """
    content = await raw_body(request, most=MOST_BYTES)
    if content[:1] == b"{":
        return [_one(content, adapter)], False
    raw = await parsed(content)
    if not isinstance(raw, list):
        return [validated(raw, adapter)], False
    if len(raw) > MOST_IN_ARRAY:
        raise Problem(422, "too_many", f"{len(raw)} entries: send at most {MOST_IN_ARRAY} at a time")
    return [_element(item, index, adapter) for index, item in enumerate(raw)], True


def _element(raw: Any, index: int, adapter: TypeAdapter[M]) -> M | Problem:
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        return invalid(error, raw, within=f"/{index}")


async def one(request: Request, adapter: TypeAdapter[M]) -> M:
    """One validated object. Raises Problem with a pointer to each error."""
    return _one(await raw_body(request, most=MOST_BYTES), adapter)


def _one(raw: bytes, adapter: TypeAdapter[M]) -> M:
    with contextlib.suppress(ValidationError):  # said below, with what was given in its place
        return adapter.validate_json(raw)
    return validated(parsed_at_once(raw), adapter)


def validated(raw: Any, adapter: TypeAdapter[M]) -> M:
    """One validated object. Raises Problem with a pointer to each error."""
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        raise invalid(error, raw) from None
