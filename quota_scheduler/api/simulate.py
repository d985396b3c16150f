"""What if, over HTTP: recorded runs replayed under other limits, in a process of its own; nothing is changed.

Who accepts ``application/x-ndjson`` hears how far it is, a line at a time; who goes away ends the work.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from quota_scheduler.api.access import accepting, body, require_all
from quota_scheduler.api.bodies import validated
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import Body
from quota_scheduler.config import Role
from quota_scheduler.core.history.asking import Words, question

LINES = "application/x-ndjson"
LOOK_SECONDS = 0.2
"""So often is looked whether the asker is still there."""
MOST_CHANGES = 200
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Texts = Annotated[tuple[Text, ...], Field(max_length=MOST_CHANGES)]
Pairs = Annotated[dict[Text, Text], Field(max_length=MOST_CHANGES, default_factory=dict)]


class SimulateBody(Body):
    """What if. Everything empty: how the last 30 days would have been, as things are.

    ``amounts`` and ``windows`` are by limit, ``*`` for all: ``-20%``, ``80%``, ``300M``; ``day``, ``week``, ``month``,
    ``5h``. ``quotas`` are limits on everything (``50M/week``), ``budgets`` on teams, ``*`` for each. ``classes`` are by
    label (``workflow=nightly``), ``models`` by model.
    """

    policies: Texts = ("two-sided",)
    limits: Texts = ()
    amounts: Pairs
    windows: Pairs
    quotas: Texts = ()
    budgets: Pairs
    classes: Pairs
    models: Pairs
    last: str = ""
    since: str = ""
    until: str = ""

    def changes(self) -> dict[str, Any]:
        """What would be different, by name."""
        return self.model_dump(exclude={"last", "since", "until"})


SIMULATE: TypeAdapter[SimulateBody] = TypeAdapter(SimulateBody)


async def simulate(request: Request) -> Response:
    """Replay recorded runs as things are, and as they might be."""
    require_all(request, Role.VIEWER)
    service = accepting(request)
    asked: SimulateBody = validated(await body(request), SIMULATE)
    words = Words(since=asked.since, until=asked.until, last=asked.last or ("" if asked.since else "30d"))
    if service.simulations.is_full():
        raise Problem(503, "busy", "other replays are being played: come again in a moment", retry_after=5)
    try:
        span = question(words, zone=service.config.timezone, now=service.now())
        given = bool(asked.since or asked.last)
        lines = await service.simulate(asked.changes(), span.since, span.until, starts=given)
    except ValueError as error:
        raise Problem(422, "invalid_body", str(error)) from None
    if LINES in request.headers.get("accept", ""):
        return StreamingResponse(_written(lines), media_type=LINES)
    last = await _unless_left(request, lines)
    if "problem" in last:
        raise Problem(422, "invalid_body", last["problem"])
    return json_response(last["answer"])


async def _written(lines: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield json.dumps(line).encode() + b"\n"


async def _unless_left(request: Request, lines: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    """The last line. Raises ClientDisconnect when the asker has gone, and then the work has ended too."""
    playing = asyncio.ensure_future(_last(lines))
    try:
        while not (await asyncio.wait({playing}, timeout=LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return playing.result()
    finally:
        playing.cancel()
        await asyncio.wait({playing})


async def _last(lines: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    return [line async for line in lines][-1]
