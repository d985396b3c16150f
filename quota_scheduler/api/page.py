"""The operator page over HTTP: what it shows, and a line whenever that changes."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

import quota_scheduler
from quota_scheduler.api import render
from quota_scheduler.api.access import Asker, decided, facade_of, identified, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.queries import number
from quota_scheduler.auth import allows
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Answer, Read
from quota_scheduler.core.efficiency.trend import with_trend
from quota_scheduler.core.instants import iso
from quota_scheduler.core.readings.refusing import breaker_documents
from quota_scheduler.core.readings.sighted import own_accounts, placed_in
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.page.assets import INDEX, load_assets
from quota_scheduler.page.first import FirstAnswer
from quota_scheduler.page.kept import KeptForAll
from quota_scheduler.page.state import ForecastRows, page_document, waiting_row

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

STATE_SECONDS = 1.0
"""What the page shows is made at most so often, however many look."""
LINE_SECONDS = 2.0
"""The queue is put in order so often while nobody comes or goes: age lifts tickets."""
ROWS_SECONDS = 5.0
"""Each row of the queue is a decision made anew: so often while nothing moves, for all who look at the same rows."""
MORE_SECONDS = 30.0
"""Efficiency, costs, loans and sources add up weeks of usage."""
LOOK_SECONDS = 0.5
"""A stream looks this often whether there is something new."""
BEAT_SECONDS = 5.0
"""A stream says at least this often that it lives."""
LAST = "last"
"""Stands before the key of what was made last, whatever has moved since."""
MOST_ROWS = 200
"""Rows of the queue in one answer."""
RECENT_DAYS = 7
PACK_LEVEL = 5
"""Of gzip: a third of the bytes in a millisecond per 100 KB."""
SMALL = 1_000
"""Bytes below which packing is not worth it."""


@dataclass(slots=True)
class PageRoom:
    """What one application keeps for all who look at the page."""

    assets: Any = field(default_factory=load_assets)
    kept: KeptForAll = field(default_factory=KeptForAll)
    forecasts: ForecastRows = field(default_factory=ForecastRows)
    first: FirstAnswer = field(init=False)

    def __post_init__(self) -> None:
        """Split the page where its figures go."""
        self.first = FirstAnswer(self.assets[INDEX].content, level=PACK_LEVEL)


def room_of(request: Request) -> PageRoom:
    """What is kept by the application that answers a request; made for the first who looks."""
    room: PageRoom | None = request.app.state.page
    if room is None:
        room = request.app.state.page = PageRoom()
    return room


def _revision(service: "Facade") -> str:
    """Differs whenever a tick, a cycle or an operator has changed what is shown."""
    held = service.held.sentence() if service.held else ""
    return f"{iso(service.readings.at)} {service.moved} {held}"


def takes_gzip(request: Request) -> bool:
    """Whether an answer may be packed."""
    return "gzip" in request.headers.get("accept-encoding", "")


def _shown(body: Any) -> "PackedAnswer":
    """A document as bytes; packed where that is worth it."""
    content = msgspec.json.encode(body)
    return PackedAnswer(content, gzip.compress(content, PACK_LEVEL, mtime=0) if len(content) > SMALL else b"")


def _answered(request: Request, shown: "PackedAnswer") -> Response:
    """A JSON answer."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if shown.packed and takes_gzip(request):
        return Response(shown.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type="application/json")
    return Response(shown.plain, headers=headers, media_type="application/json")


# what it shows


class PackedAnswer(NamedTuple):
    """An answer as bytes, as they are and packed."""

    plain: bytes
    packed: bytes


async def state(request: Request) -> Response:
    """Everything that is seen without opening anything; the queue's rows are asked for apart."""
    asker = require(request, Role.VIEWER)
    shown = await state_shown(request, asker, 0.0 if "fresh" in request.query_params else STATE_SECONDS)
    return _answered(request, shown)


async def state_shown(request: Request, asker: Asker, seconds: float) -> PackedAnswer:
    """The state as one asker sees it, at most so many seconds old; made and packed once for all who are alike."""
    service, room = facade_of(request), room_of(request)
    kept, revision = room.kept, _revision(service)

    def make(document: dict[str, Any]) -> PackedAnswer:
        you = {"name": asker.name, "role": asker.role.value, "operator": allows(asker.role, Role.OPERATOR)}
        return _shown({**document, "now": iso(service.now()), "you": you})

    async def of_asker() -> PackedAnswer:
        document = await kept.get(
            ("state", revision, asker.scope),
            seconds,
            lambda: asyncio.to_thread(_state, service, room.forecasts, revision, asker.scope),
        )
        shown = await asyncio.to_thread(make, document)
        kept.put((LAST, asker), shown)
        return shown

    shown: PackedAnswer = await kept.get(("shown", revision, asker), seconds, of_asker)
    return shown


def _state(service: "Facade", forecasts: ForecastRows, revision: str, scope: Scope) -> dict[str, Any]:
    """The document of the page as a scope sees it; blocks for a moment."""
    sight, now = service.sight(scope), service.now()
    readings = service.seen(sight)
    forecasts.keep(service.readings)
    problems = service.not_ready()
    more = {
        "revision": revision,
        "version": quota_scheduler.__version__,
        "zone": service.config.timezone,
        "tick_seconds": service.config.tick_seconds,
        "ready": not problems,
        "problems": problems,
        "notes": service.notes(scope),
        "hold": service.held.document() if service.held else None,
        "breakers": own_accounts(breaker_documents(readings.breakers, now), sight),
        "replica": service.replicas,
    }
    return page_document(
        readings,
        forecasts,
        alerts=service.alerts(scope),
        silences=service.silences(scope),
        turns=service.turns(scope),
        more=more,
    )


async def queue(request: Request) -> Response:
    """Waiting tickets in the order of their start, a page of them, each with why it waits and when it may start."""
    scope = require(request, Role.VIEWER).scope
    begin = number(request, "from", 0, least=0, most=10**8)
    most = number(request, "most", 50, least=1, most=MOST_ROWS)
    find = request.query_params.get("find", "")[:200].casefold()
    return _answered(request, _shown(await queue_shown(request, scope, begin, most, find)))


async def queue_shown(request: Request, scope: Scope, begin: int, most: int, find: str) -> dict[str, Any]:
    """A page of the queue, as a scope sees it."""
    service, kept = facade_of(request), room_of(request).kept
    revision = _revision(service)
    line = await _line(request)
    chosen = _matching(line, find, scope)
    begin = min(begin, max(0, len(chosen) - 1) // most * most)
    rows = await kept.get(
        ("rows", begin, most, find, revision, scope),
        ROWS_SECONDS,
        lambda: _rows(service, chosen[begin : begin + most], scope),
    )
    shown = {"at": iso(service.now()), "waiting": len(line), "matching": len(chosen), "from": begin, "rows": rows}
    kept.put((LAST, begin, most, find, scope), shown)
    return shown


async def _line(request: Request) -> list[Ticket]:
    service = facade_of(request)
    line: list[Ticket] = await room_of(request).kept.get(
        ("line", service.moved), LINE_SECONDS, lambda: asyncio.to_thread(service.line)
    )
    return line


async def line_of(request: Request, scope: Scope) -> list[tuple[int, Ticket]]:
    """Who of a scope waits, first to go first, each with its place from 1 among all."""
    line = await _line(request)
    return await asyncio.to_thread(placed_in, line, scope)


def _matching(line: list[Ticket], find: str, scope: Scope) -> list[tuple[int, Ticket]]:
    """The tickets of a scope whose id, key, class or labels hold a text, each with its place from 1 among all."""
    placed = placed_in(line, scope)
    if not find:
        return placed
    return [
        (place, ticket)
        for place, ticket in placed
        if find in f"t{ticket.id} {ticket.key} {ticket.priority.value} {' '.join(ticket.labels)}".casefold()
    ]


async def _rows(service: "Facade", placed: list[tuple[int, Ticket]], scope: Scope) -> list[dict[str, Any]]:
    """Each ticket with what is decided about it now; those that have left meanwhile are left out."""
    replies = await decided([service.ask(Read(ticket.id, claim=False)) for _, ticket in placed]) if placed else []
    limits, zone, held = service.limits, service.config.timezone, service.held
    return [
        waiting_row(
            service.ticket_row(reply.ticket._replace(key=scope.plain(reply.ticket.key)), place),
            render.answer(reply, limits, zone=zone, fence=False, held=held),
        )
        for (place, _), reply in zip(placed, replies, strict=True)
        if isinstance(reply, Answer) and reply.ticket.state is State.WAITING
    ]


async def more(request: Request) -> Response:
    """What is looked at less often: costs, efficiency with its trend, loans, sources, and what was done by hand."""
    asker, service = require(request, Role.VIEWER), facade_of(request)
    document = await room_of(request).kept.get(
        ("more", asker.scope), MORE_SECONDS, lambda: asyncio.to_thread(_more, service, asker.scope)
    )
    if allows(asker.role, Role.OPERATOR):
        document = {**document, **await asyncio.to_thread(service.audit, 30)}
    return _answered(request, await asyncio.to_thread(_shown, document))


def _more(service: "Facade", scope: Scope) -> dict[str, Any]:
    recent, longer = (service.efficiency(days, "workflow", scope) for days in (RECENT_DAYS, 2 * RECENT_DAYS))
    return {
        "at": iso(service.now()),
        "efficiency": with_trend(recent["workflows"], longer["workflows"]),
        "costs": service.costs(2 * RECENT_DAYS, scope),
        "loans": service.loans(RECENT_DAYS, scope)["loans"],
        "sources": [] if scope.is_bound else service.sources()["sources"],
    }


# live


async def events(request: Request) -> Response:
    """Server-sent events: a line whenever there is something new to ask for, and one as a sign of life."""
    asker = require(request, Role.VIEWER)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(request, asker), headers=headers, media_type="text/event-stream")


async def _told(request: Request, asker: Asker) -> AsyncIterator[bytes]:
    service = facade_of(request)
    told = ""
    beat = 0.0
    loop = asyncio.get_running_loop()
    while not service.draining:
        if not _still_may(request, asker):
            yield b"event: token\ndata: {}\n\n"
            return
        revision = _revision(service)
        if revision != told or loop.time() - beat >= BEAT_SECONDS:
            name = b"beat" if revision == told else b"news"
            told, beat = revision, loop.time()
            said = {"revision": revision, "now": iso(service.now())}
            yield b"event: %s\ndata: %s\n\n" % (name, msgspec.json.encode(said))
        await asyncio.sleep(LOOK_SECONDS)
    yield b"event: leaving\ndata: {}\n\n"


def _still_may(request: Request, asker: Asker) -> bool:
    """Whether who opened a stream could open it again: tokens end while it is open."""
    try:
        return identified(request, Role.VIEWER) == asker
    except Problem:
        return False
