"""Usage over HTTP."""

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import MOST_IN_ARRAY, MOST_USAGE_BYTES, accepting, parsed, raw_body, require
from quota_scheduler.api.plain_usage import plain_events
from quota_scheduler.api.problems import Problem, pointers
from quota_scheduler.api.pushed import taken
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import EventBody
from quota_scheduler.config import Role
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import UsageEvent

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

EVENT: TypeAdapter[EventBody] = TypeAdapter(EventBody)
DOOR = "usage"
NOTHING = {"accepted": 0, "updated": 0, "duplicate": 0}
"""What is known of events that lie in the spool."""


async def record(request: Request) -> Response:
    """Record one usage event or an array; what is wrong with one does not keep the others out.

    202 says that they lie on this disk, and are recorded once the database is back.
    """
    asker, service = require(request, Role.RUNNER), accepting(request)
    text = await raw_body(request, most=MOST_USAGE_BYTES)
    if not asker.scope.is_bound and (plain := await asyncio.to_thread(plain_events, text, most=MOST_IN_ARRAY)):
        return await _answered(service, plain, asker.scope, [])
    raw = await parsed(text)
    items = raw if isinstance(raw, list) else [raw]
    if len(items) > MOST_IN_ARRAY:
        raise Problem(422, "too_many", f"{len(items)} events: send at most {MOST_IN_ARRAY} at a time")
    events, rejected = await asyncio.to_thread(valid_events, items, asker.scope)
    single = str(rejected[0]["reason"]) if rejected and not isinstance(raw, list) else ""
    return await _answered(service, events, asker.scope, rejected, single=single)


async def _answered(
    service: "Facade", events: list[UsageEvent], scope: Scope, rejected: list[dict[str, Any]], *, single: str = ""
) -> Response:
    """What became of events; ``single`` is what is wrong with one that came by itself. Raises Problem for that."""
    done = await taken(service, Pushed(DOOR, tuple(events), scope=scope), lambda: service.record(events, scope))
    if done is None:
        return json_response({**NOTHING, "spooled": len(events), "rejected": rejected}, 202)
    counts: dict[str, Any] = {
        "accepted": done.accepted,
        "updated": done.updated,
        "duplicate": done.duplicate,
        "rejected": rejected,
    }
    if single:
        raise Problem(422, "invalid_body", single, **counts)
    return json_response(counts)


def valid_events(items: list[Any], scope: Scope = EVERYBODY) -> tuple[list[UsageEvent], list[dict[str, Any]]]:
    """The events among ``items`` as ``scope`` may send them, and of each of the others its index and what is wrong."""
    events: list[UsageEvent] = []
    rejected: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        try:
            event = scope.event(EVENT.validate_python(item).event())
            if isinstance(event, str):
                rejected.append({"index": index, "reason": f"/labels/{event}"})
            else:
                events.append(event)
        except ValidationError as error:
            rejected.append({"index": index, "reason": "; ".join(pointers(error, item))})
    return events, rejected
