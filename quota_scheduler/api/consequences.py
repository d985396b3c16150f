"""What a deed of an operator would do, before it is done: asked of the same pass that would do it."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, require
from quota_scheduler.api.bodies import one
from quota_scheduler.api.problems import Problem, pointed
from quota_scheduler.api.schemas import Body
from quota_scheduler.config import Role
from quota_scheduler.config.writing import written_limit
from quota_scheduler.core.cycle.requests import Answer, Hold, Reclass, Refused, Revoke, Start
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.service.queries.consequences import Consequences

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

NAMED = 10
"""Tickets that an answer names; the others are counted."""


class ConsequencesBody(Body):
    """A deed that is not done: what would it do? ``ticket`` or ``limit`` says to what, by the deed's kind."""

    deed: Literal["hold_all", "hold", "start", "cancel", "class", "limit"]
    ticket: Annotated[str, Field(max_length=20)] = ""
    limit: Annotated[str, Field(max_length=400)] = ""
    on: Annotated[bool, Field(strict=True)] = True
    priority: Annotated[Priority | None, Field(alias="class")] = None
    amount: Any = None


BODY: TypeAdapter[ConsequencesBody] = TypeAdapter(ConsequencesBody)


async def consequences(request: Request) -> Response:
    """What a deed would do at once; nothing is changed."""
    require(request, Role.OPERATOR)
    service, asked = accepting(request), await one(request, BODY)
    if asked.deed == "limit":
        return render.json_response(await asyncio.to_thread(_of_limit, service, asked))
    if asked.deed == "hold_all":
        outcome = await asyncio.to_thread(lambda: service.consequences(hold=asked.on))
    else:
        deed = _request(asked)
        outcome = await asyncio.to_thread(lambda: service.consequences(deed))
        if isinstance(outcome.reply, Refused):
            raise render.problem_of(outcome.reply)
    return render.json_response(_document(service, asked, outcome))


def _request(asked: ConsequencesBody) -> Hold | Start | Revoke | Reclass:
    """The request that the deed would be. Raises Problem."""
    ticket = render.read_id(asked.ticket)
    match asked.deed:
        case "hold":
            return Hold(ticket, asked.on)
        case "start":
            return Start(ticket)
        case "class":
            if asked.priority is None:
                raise pointed("/class", f"name the class: {', '.join(CLASSES)}")
            return Reclass(ticket, asked.priority)
        case _:
            return Revoke(ticket)


def _of_limit(service: "Facade", asked: ConsequencesBody) -> dict[str, Any]:
    before = service.limits.get(asked.limit)
    if before is None:
        names = ", ".join(service.limits) or "none"
        raise Problem(404, "no_limit", f"there is no limit {asked.limit!r}; there are: {names}")
    outcome = service.limit_consequences(asked.limit, {"amount": asked.amount})
    if isinstance(outcome, str):
        raise Problem(422, "invalid_body", outcome)
    after, what = outcome
    return {
        **_document(service, asked, what),
        "before": written_limit(before).get("amount"),
        "after": written_limit(after).get("amount"),
    }


def _document(service: "Facade", asked: ConsequencesBody, outcome: Consequences) -> dict[str, Any]:
    target = render.read_id(asked.ticket) if asked.ticket else 0
    others = [ticket for ticket in outcome.starts if ticket.id != target]
    by_class = Counter(ticket.priority.value for ticket in others)
    return {
        "deed": asked.deed,
        "starts": len(others),
        "at_least": outcome.is_cut,
        "by_class": {name.value: by_class[name.value] for name in CLASSES if by_class[name.value]},
        "named": [service.ticket_row(ticket) for ticket in others[:NAMED]],
        "over": [{"limit": name, "ratio": round(ratio, 4)} for name, ratio in outcome.over],
        "position": outcome.reply.position if isinstance(outcome.reply, Answer) else None,
        "state": outcome.reply.ticket.state.value if isinstance(outcome.reply, Answer) else None,
        "sentence": _sentence(others, by_class, is_cut=outcome.is_cut),
    }


def _sentence(others: list[Ticket], by_class: Counter[str], *, is_cut: bool) -> str:
    """What would start, for people."""
    if not others:
        return "Nothing else would start."
    most = "At least " if is_cut else ""
    what = "1 ticket" if len(others) == 1 else f"{len(others)} tickets"
    parts = ", ".join(f"{by_class[name.value]} {name.value}" for name in CLASSES if by_class[name.value])
    return f"{most}{what} would start: {parts}."
