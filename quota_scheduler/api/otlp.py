"""OTLP over HTTP: what OpenTelemetry's exporters send, and the answers that they understand.

200 says that all is stored, in the database or on this disk until that is back. Who is told 429, 502, 503 or 504
sends the same once more, if it is told to come again soon; everything else loses the batch, so nothing that a later
try could mend is answered otherwise.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import LONG_BYTES, MEGABYTE, accepting, encoded, refused_unread, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.pushed import taken
from quota_scheduler.config import Role

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_EXPORT_BYTES = 64 * MEGABYTE
"""An export may be this large, packed and unpacked: a turn of Codex is 1.2 MB of spans."""
STORE_SECONDS = 5.0
"""Exporters wait ten seconds: who has waited for five is better told to come again, while it still listens."""
AGAIN_SECONDS = 2
"""When a busy service wants to be asked again: exporters give up at once where that is beyond their patience."""


async def logs(request: Request) -> Response:
    """Record what log records tell."""
    return await _export(request, "logs")


async def metrics(request: Request) -> Response:
    """Record what data points add."""
    return await _export(request, "points")


async def traces(request: Request) -> Response:
    """Record what spans tell."""
    return await _export(request, "spans")


async def _export(request: Request, signal: str) -> Response:
    asker, service = require(request, Role.RUNNER), accepting(request)
    if service.is_behind:
        raise await refused_unread(request, busy())
    unread = await encoded(request, most=MOST_EXPORT_BYTES, kinds=(PROTOBUF, JSON))
    if service.is_behind:  # others came while this body did
        raise busy()
    is_json = unread.kind == JSON
    if len(unread.content) > LONG_BYTES:
        delivery = await asyncio.to_thread(
            service.read_export, signal, unread.content, is_json=is_json, scope=asker.scope
        )
    else:
        delivery = service.read_export(signal, unread.content, is_json=is_json, scope=asker.scope)
    if isinstance(delivery, str):
        raise Problem(400, "not_otlp", f"this is no export of {signal}: {delivery}")
    if delivery.size or delivery.refused:
        await taken(service, delivery, lambda: service.take(delivery), within=STORE_SECONDS)
    content = service.export_answer(signal, delivery, is_json=is_json)
    return Response(content, media_type=unread.kind)


def busy() -> Problem:
    """What is answered while what came before is not written yet."""
    detail = "so much has come that is not written yet: send the same again in a moment"
    return Problem(503, "busy", detail, retry_after=AGAIN_SECONDS)
