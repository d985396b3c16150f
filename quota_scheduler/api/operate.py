"""What operators do over HTTP: change limits, hold, start, revoke, change a class."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, body, decided, optional_body, require, written
from quota_scheduler.api.bodies import validated
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.schemas import Body
from quota_scheduler.api.values import Text
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Answer, Refused, Reply
from quota_scheduler.core.priority import Priority

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade


class HoldBody(Body):
    """Hold everything, with a reason; ``on: false`` lets everything go on."""

    on: Annotated[bool, Field(strict=True)] = True
    reason: Text = ""


class TicketChangeBody(Body):
    """What to change about a waiting ticket: its class."""

    priority: Annotated[Priority, Field(alias="class")]


TICKET_CHANGE: TypeAdapter[TicketChangeBody] = TypeAdapter(TicketChangeBody)
HOLD: TypeAdapter[HoldBody] = TypeAdapter(HoldBody)


async def hold_all(request: Request) -> Response:
    """The incident switch: nothing starts until it is released."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await body(request), HOLD)
    reason = (asked.reason or "held by hand") if asked.on else ""
    held = await written(service.hold(reason, who=who))
    return render.json_response({"hold": held is not None, "reason": reason, **(held.document() if held else {})})


async def hold_ticket(request: Request) -> Response:
    """Keep one ticket from starting, or let it go on."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await optional_body(request), HOLD)
    number = render.read_id(request.path_params["ticket"])
    return await _answered(service, service.hold_ticket(number, on=asked.on, who=who))


async def change_ticket(request: Request) -> Response:
    """Move a waiting ticket to another class; it keeps its age."""
    who, service = require(request, Role.OPERATOR).name, accepting(request)
    asked = validated(await body(request), TICKET_CHANGE)
    number = render.read_id(request.path_params["ticket"])
    (reply,) = await decided([service.reclass_ticket(number, asked.priority, who=who)])
    if isinstance(reply, Answer) and reply.ticket.priority is not asked.priority:
        state = reply.ticket.state.value
        raise Problem(409, "not_waiting", f"t{number} is {state}: only of tickets that wait the class can be changed")
    return _rendered(service, reply)


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
    return _rendered(service, reply, what=what)


def _rendered(service: "Facade", reply: Reply, *, what: str = "ticket") -> Response:
    if isinstance(reply, Refused):
        raise render.problem_of(reply, what=what)
    return render.json_response(
        render.answer(reply, service.limits, zone=service.config.timezone, fence=True, held=service.held)
    )
