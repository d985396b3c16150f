"""Routes whose room is loaded when somebody first asks for one of them, beside the event loop.

What validates bodies, what imports a replay, what draws a document: together a fifth of what a start would load, for
requests that most services hear later or never. Once a service is ready it loads them all, so that nobody waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


def late(name: str) -> Handler:
    """What answers a route: ``name`` is a room of this package and a function in it, such as ``tickets.submit``."""
    room, _, function = name.partition(".")
    answer: Handler | None = None

    async def handler(request: Request) -> Response:
        nonlocal answer
        if answer is None:
            answer = getattr(await asyncio.to_thread(loaded, room), function)
        return await answer(request)

    handler.__qualname__ = name
    return handler


@cache
def loaded(room: str) -> Any:
    """A room of this package; any thread may ask."""
    return import_module(f"{__package__}.{room}")
