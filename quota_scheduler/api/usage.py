"""Usage over HTTP."""

import asyncio
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import MOST_IN_ARRAY, MOST_USAGE_BYTES, accepting, body, require
from quota_scheduler.api.problems import Problem, pointers
from quota_scheduler.api.pushed import taken
from quota_scheduler.api.render import json_response
from quota_scheduler.api.schemas import EventBody
from quota_scheduler.config import Role
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import UsageEvent

EVENT: TypeAdapter[EventBody] = TypeAdapter(EventBody)
DOOR = "usage"
NOTHING = {"accepted": 0, "updated": 0, "duplicate": 0}
"""What is known of events that lie in the spool."""


async def record(request: Request) -> Response:
    """Record one usage event or an array; what is wrong with one does not keep the others out.

    202 says that they lie on this disk, and are recorded once the database is back.
    """
    asker, service = require(request, Role.RUNNER), accepting(request)
    raw = await body(request, most=MOST_USAGE_BYTES)
    items = raw if isinstance(raw, list) else [raw]
    if len(items) > MOST_IN_ARRAY:
        raise Problem(422, "too_many", f"{len(items)} events: send at most {MOST_IN_ARRAY} at a time")
    events, rejected = await asyncio.to_thread(valid_events, items, asker.scope)
    delivery = Pushed(DOOR, tuple(events), scope=asker.scope)
    done = await taken(service, delivery, lambda: service.record(events, asker.scope))
    if done is None:
        return json_response({**NOTHING, "spooled": len(events), "rejected": rejected}, 202)
    counts: dict[str, Any] = {
        "accepted": done.accepted,
        "updated": done.updated,
        "duplicate": done.duplicate,
        "rejected": rejected,
    }
    if rejected and not isinstance(raw, list):
        raise Problem(422, "invalid_body", str(rejected[0]["reason"]), **counts)
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
