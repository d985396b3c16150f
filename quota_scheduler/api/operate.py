"""What operators do over HTTP: change limits, hold, start, revoke."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, body, decided, require, service, validated, written
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.schemas import Body, Instant
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Hold, Refused, Revoke, Start
from quota_scheduler.core.limits.changes import FIELDS
from quota_scheduler.service.operate import limits as operate


class HoldBody(Body):
    """Hold everything, with a reason; ``on: false`` lets everything go on."""

    on: bool = True
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
    who, own = require(request, Role.OPERATOR), accepting(request)
    rule = request.path_params["limit"]
    if rule not in own.limits_by_id:
        raise Problem(404, "no_limit", f"there is no limit {rule!r}; there are: {', '.join(own.limits_by_id)}")
    asked = validated(await body(request), LIMIT)
    if not asked.given():
        raise Problem(422, "invalid_body", f"name what to change: {', '.join(FIELDS)}")
    change = partial(operate.change_limit, rule=rule, fields=asked.given(), who=who, until=asked.until)
    done = await written(own.writer.do(lambda tx: change(tx, base=own.config.limits), own.adopted))
    if isinstance(done, str):
        raise Problem(422, "invalid_body", done)
    return render.json_response({"limit": rule, "changed": sorted(asked.given())})


async def hold_all(request: Request) -> Response:
    """The incident switch: nothing starts until it is released."""
    who, own = require(request, Role.OPERATOR), accepting(request)
    asked = validated(await body(request), HOLD)
    reason = (asked.reason or "held by hand") if asked.on else ""
    await written(
        own.writer.do(lambda tx: operate.hold_all(tx, reason, who=who), lambda terms, _: replace(terms, hold=asked.on))
    )
    return render.json_response({"hold": asked.on, "reason": reason})


async def hold_ticket(request: Request) -> Response:
    """Keep one ticket from starting, or let it go on."""
    require(request, Role.OPERATOR)
    asked = validated(await body(request) if await request.body() else {}, HOLD)
    number = render.read_id(request.path_params["ticket"])
    return await _operate(request, Hold(number, asked.on), "ticket.held" if asked.on else "ticket.unheld")


async def start_ticket(request: Request) -> Response:
    """Let a waiting ticket start, whatever its limits say."""
    require(request, Role.OPERATOR)
    return await _operate(request, Start(render.read_id(request.path_params["ticket"])), "ticket.forced")


async def revoke_lease(request: Request) -> Response:
    """Take a lease away; what was reported counts."""
    require(request, Role.OPERATOR)
    return await _operate(request, Revoke(render.read_id(request.path_params["lease"])), "lease.revoked")


async def _operate(request: Request, asked: Hold | Start | Revoke, what: str) -> Response:
    who, own = require(request, Role.OPERATOR), accepting(request)
    (found,) = await decided(own, [asked])
    if isinstance(found, Refused):
        raise render.problem_of(found)
    await written(own.writer.do(partial(operate.note, what=what, ticket=found.ticket.id, who=who)))
    return render.json_response(render.answer(found, service(request).limits_by_id, zone=own.config.timezone))
