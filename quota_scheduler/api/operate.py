"""What operators do over HTTP: change limits, hold, start, revoke."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, body, decided, optional_body, require, validated, written
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.schemas import Body, Instant
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Refused, Reply
from quota_scheduler.core.limits.changes import FIELDS

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade


class HoldBody(Body):
    """Hold everything, with a reason; ``on: false`` lets everything go on."""

    on: Annotated[bool, Field(strict=True)] = True
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class LimitBody(Body):
    """Fields of a limit to change; null takes a change back. ``until`` is when the file's values hold again."""

    amount: Any = None
    holdback: Any = None
    borrow: Any = None
    lend: Any = None
    overrides: Any = None
    mode: Any = None
    policy: Any = None
    until: Instant | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were given."""
        return {name: getattr(self, name) for name in FIELDS if name in self.model_fields_set}


LIMIT: TypeAdapter[LimitBody] = TypeAdapter(LimitBody)
HOLD: TypeAdapter[HoldBody] = TypeAdapter(HoldBody)


async def change_limit(request: Request) -> Response:
    """Change a limit at run time; it takes effect with the next cycle, also for what waits."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    rule = request.path_params["limit"]
    if rule not in service.limits:
        raise Problem(404, "no_limit", f"there is no limit {rule!r}; there are: {', '.join(service.limits)}")
    asked = validated(await body(request), LIMIT)
    if not asked.given():
        raise Problem(422, "invalid_body", f"name what to change: {', '.join(FIELDS)}")
    done = await written(service.change_limit(rule, asked.given(), until=asked.until, who=who))
    if isinstance(done, str):
        raise Problem(422, "invalid_body", done)
    return render.json_response({"limit": rule, "changed": sorted(asked.given())})


async def hold_all(request: Request) -> Response:
    """The incident switch: nothing starts until it is released."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await body(request), HOLD)
    reason = (asked.reason or "held by hand") if asked.on else ""
    await written(service.hold(reason, who=who))
    return render.json_response({"hold": asked.on, "reason": reason})


async def hold_ticket(request: Request) -> Response:
    """Keep one ticket from starting, or let it go on."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await optional_body(request), HOLD)
    number = render.read_id(request.path_params["ticket"])
    return await _answered(service, service.hold_ticket(number, on=asked.on, who=who))


async def start_ticket(request: Request) -> Response:
    """Let a waiting ticket start, whatever its limits say."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    return await _answered(service, service.start_ticket(render.read_id(request.path_params["ticket"]), who=who))


async def revoke_lease(request: Request) -> Response:
    """Take a lease away; what was reported counts."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    number = render.read_id(request.path_params["lease"])
    return await _answered(service, service.revoke(number, who=who), what="lease")


async def _answered(service: "Facade", answer: "asyncio.Future[Reply]", *, what: str = "ticket") -> Response:
    (reply,) = await decided([answer])
    if isinstance(reply, Refused):
        raise render.problem_of(reply, what=what)
    return render.json_response(render.answer(reply, service.limits, zone=service.config.timezone, fence=True))
