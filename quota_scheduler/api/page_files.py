"""The files of the operator page over HTTP, and the page itself with what it shows first."""

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from quota_scheduler.api.access import Asker, facade_of, require
from quota_scheduler.api.page import LAST, STATE_SECONDS, queue_shown, room_of, state_shown, takes_gzip
from quota_scheduler.api.problems import Problem
from quota_scheduler.config import Role
from quota_scheduler.core.instants import iso
from quota_scheduler.page.assets import INDEX, POLICY, Asset

log = logging.getLogger(__name__)
FIRST_ROWS = 20
"""Rows of the queue that come with the page."""
LAST_SECONDS = 10.0
"""Figures of a moment ago come with the page rather than none: it hears of newer ones as soon as it listens."""
FIRST_SECONDS = 1.0
"""Figures that take longer than this do not come with the page: it asks for them itself, and says so."""
FOR_GOOD = "public, max-age=31536000, immutable"
"""Of a file that is asked for by its tag: it never changes, and holds no figure."""


async def index(request: Request) -> Response:
    """The page itself; with what it shows first where nobody has to say who asks."""
    room = room_of(request)
    if facade_of(request).tokens:
        return _file(request, room.assets[INDEX])
    headers = {**BROWSER, "Cache-Control": "no-store"}
    if takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
    return StreamingResponse(_first(request, require(request, Role.VIEWER)), headers=headers, media_type="text/html")


async def _first(request: Request, asker: Asker) -> AsyncIterator[bytes]:
    """The page in two pieces: its files are fetched while its figures are still made."""
    first, packs = room_of(request).first, takes_gzip(request)
    yield first.packed_head if packs else first.head
    shown = b""
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            shown = await _first_shown(request, asker)
    except (TimeoutError, Problem) as problem:
        log.info("page.first_without_figures problem=%s", problem or "they took too long")
    yield await asyncio.to_thread(first.packed_rest if packs else first.rest, shown)


async def _first_shown(request: Request, asker: Asker) -> bytes:
    """What the page shows first: as it was made last for anybody, for the page hears at once what has moved since."""
    kept, place = room_of(request).kept, (0, FIRST_ROWS, "")
    state = kept.last((LAST, asker), LAST_SECONDS) or await state_shown(request, asker, STATE_SECONDS)
    queue = kept.last((LAST, *place, asker.scope), LAST_SECONDS) or await queue_shown(request, asker.scope, *place)
    now = iso(facade_of(request).now())
    return b'{"now":"%s","state":%s,"queue":%s}' % (now.encode(), state.plain, msgspec.json.encode(queue))


async def asset(request: Request) -> Response:
    """One of its files."""
    name = request.path_params["file"]
    if name not in room_of(request).assets:
        raise Problem(404, "not_found", f"the page has no file {name[:80]!r}")
    return _file(request, room_of(request).assets[name])


BROWSER = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
"""What every file of the page says to a browser."""


def _file(request: Request, file: Asset) -> Response:
    by_tag = request.query_params.get("v") == file.tag
    headers = {**BROWSER, "ETag": f'"{file.tag}"', "Cache-Control": FOR_GOOD if by_tag else "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if not takes_gzip(request):
        return Response(file.content, headers=headers, media_type=file.kind)
    return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.kind)
