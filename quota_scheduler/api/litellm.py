"""LiteLLM's callback: a body of any length, read as it comes and recorded in parts.

The proxy sends a batch once, and what is answered otherwise than 2xx is lost. So a part that cannot be written yet is
waited for, the sender held back meanwhile, and only a body that is none is refused.
"""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import accepting, chunks, require
from quota_scheduler.api.otlp import busy
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.pushed import taken
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.core.scope import Scope

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

PART_BYTES = 4 * 1024 * 1024
"""Items are decoded and recorded as soon as so much of them has come: the most that is held beside a longer item."""
MOST_NAMED = 20
"""Items whose faults the answer names; the others are counted."""
WAIT_SECONDS = 30.0
"""So long a body is held back while what came before is not written yet."""


async def record(request: Request) -> Response:
    """Record the calls that a batch of items tells of, each by itself."""
    asker, service = require(request, Role.RUNNER), accepting(request)
    store = partial(_store, service, asker.scope)
    items = service.litellm_items()
    sums = {"events": 0, "skipped": 0}
    refused: list[str] = []
    part: list[tuple[int, bytes]] = []
    size = 0
    async for chunk in chunks(request):
        for item in items.feed(chunk):
            part.append(item)
            size += len(item[1])
        if size >= PART_BYTES:
            await store(part, sums, refused)
            part, size = [], 0
    part += items.end()
    await store(part, sums, refused, items.refused)
    if refused and not sums["events"] and not sums["skipped"]:
        raise Problem(422, "invalid_body", f"no item could be read: {refused[0]}", refused=refused[:MOST_NAMED])
    answer: dict[str, Any] = {**sums, "refused": len(refused), "reasons": refused[:MOST_NAMED]}
    return json_response(answer)


async def _store(
    service: "Facade",
    scope: Scope,
    part: list[tuple[int, bytes]],
    sums: dict[str, int],
    refused: list[str],
    cut: "list[str] | tuple[()]" = (),
) -> None:
    """Record a part of the body, once there is room for it. Raises Problem when the database does not take it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while service.is_behind:
        if time.monotonic() > deadline:
            raise busy()
        await asyncio.sleep(0.05)
    delivery = await asyncio.to_thread(service.read_litellm, part, cut, scope)
    sums["events"] += len(delivery.events)
    sums["skipped"] += delivery.skipped
    refused += delivery.refused
    if delivery.size or delivery.refused:
        await taken(service, delivery, lambda: service.take(delivery))
