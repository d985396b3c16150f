"""The throttle queue over HTTP: a page of those who wait, or all of it, which goes out row by row."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quota_scheduler.api.access import Asker, facade_of, require
from quota_scheduler.api.page import line_of
from quota_scheduler.api.queries import number
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.core.tickets.ticket import Ticket

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

MOST_ROWS = 1_000
"""Rows of one page."""
ROWS_AT_ONCE = 200
"""Rows that are written out at a time: two milliseconds, between which the others are answered."""


async def queue(request: Request) -> Response:
    """The throttle queue in order: all of it, or with ``most`` so many of those that wait, ``from`` a place on."""
    asker = require(request, Role.VIEWER)
    service = facade_of(request)
    if "most" in request.query_params:
        return json_response(await _page(request, service, asker))
    document, placed = await asyncio.to_thread(service.queue, asker.scope)
    return StreamingResponse(_whole(service, asker, document, placed), media_type="application/json")


async def _page(request: Request, service: "Facade", asker: Asker) -> dict[str, Any]:
    begin = number(request, "from", 0, least=0, most=10**8)
    most = number(request, "most", 100, least=1, most=MOST_ROWS)
    placed = await line_of(request, asker.scope)
    standing = await asyncio.to_thread(service.standing, asker.scope)
    rows = [service.ticket_row(ticket, place, asker.scope) for place, ticket in placed[begin : begin + most]]
    return {**standing, "total": len(placed), "from": begin, "waiting": rows}


async def _whole(
    service: "Facade", asker: Asker, document: dict[str, Any], placed: Sequence[tuple[int, Ticket]]
) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(document)[:-1] + b',"waiting":['
    for begin in range(0, len(placed), ROWS_AT_ONCE):
        some = placed[begin : begin + ROWS_AT_ONCE]
        rows = msgspec.json.encode([service.ticket_row(ticket, place, asker.scope) for place, ticket in some])
        yield (b"," if begin else b"") + rows[1:-1]
        await asyncio.sleep(0)
    yield b"]}"
