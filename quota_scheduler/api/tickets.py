"""Tickets and leases over HTTP: parse → one cycle → render."""

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, decided, facade_of, one, one_or_many, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.schemas import PlanBody, ReportBody, TicketBody
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import (
    Answer,
    Read,
    Refusal,
    Refused,
    Release,
    Renew,
    Reply,
    Withdraw,
)
from quota_scheduler.core.tickets.ticket import ModelUsage, State, Ticket

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

TICKET: TypeAdapter[TicketBody] = TypeAdapter(TicketBody)
PLAN: TypeAdapter[PlanBody] = TypeAdapter(PlanBody)
REPORT: TypeAdapter[ReportBody] = TypeAdapter(ReportBody)
LONGEST_POLL = 30.0


async def submit(request: Request) -> Response:
    """Submit one ticket or an array; the answer has a verdict for each, in order."""
    require(request, Role.RUNNER)
    service = accepting(request)
    bodies, many = await one_or_many(request, TICKET)
    replies = await decided(service.submit(_drafts(service, bodies)))
    if not many and isinstance(replies[0], Refused):
        raise render.problem_of(replies[0])
    answers = [_rendered(service, reply) for reply in replies]
    for answer, asked in zip(answers, bodies, strict=True):
        if asked.advice:
            answer["advice"]["description"] = asked.advice
    return render.json_response(answers if many else answers[0])


async def preflight(request: Request) -> Response:
    """Decide as for a ticket, and keep nothing."""
    require(request, Role.VIEWER)
    service = accepting(request)
    asked = await one(request, TICKET)
    (reply,) = await decided(service.submit(_drafts(service, [asked]), dry_run=True))
    return render.json_response(_rendered(service, reply))


async def estimate_plan(request: Request) -> Response:
    """What a whole plan is expected to cost, and which of its items will fit."""
    require(request, Role.VIEWER)
    service = facade_of(request)
    asked = await one(request, PLAN)
    items = _drafts(service, asked.items)
    return render.json_response(await asyncio.to_thread(service.plan, items))


def _drafts(service: "Facade", bodies: Sequence[TicketBody]) -> list[Ticket]:
    now = service.now()
    return service.price([asked.draft(service.estimate_basis, now=now) for asked in bodies])


async def read(request: Request) -> Response:
    """Look at a ticket; ``wait`` parks the request until it changes. Reading an offer claims it."""
    claim = request.query_params.get("claim", "yes") != "no"
    require(request, Role.RUNNER if claim else Role.VIEWER)
    service, number = facade_of(request), render.read_id(request.path_params["ticket"])
    wait = _wait(request)
    with service.parked_for(number) as changed:
        answer = await _ask(service, Read(number, claim))
        if wait and answer.ticket.state is State.WAITING and not service.draining:
            await asyncio.wait([changed], timeout=wait)
            answer = await _ask(service, Read(number, claim)) if not service.draining else answer
    return render.json_response(_rendered(service, answer))


async def withdraw(request: Request) -> Response:
    """Give a ticket up; a running one settles."""
    require(request, Role.RUNNER)
    service = facade_of(request)
    answer = await _ask(service, Withdraw(render.read_id(request.path_params["ticket"])))
    return render.json_response(_rendered(service, answer))


async def renew(request: Request) -> Response:
    """A running lease's heartbeat."""
    require(request, Role.RUNNER)
    service = facade_of(request)
    number, report = await _report(request)
    usage = await _priced(service, number, report)
    answer = await _ask(service, Renew(number, report.fence, usage, report.session, report.ttl))
    return render.json_response(_rendered(service, answer))


async def release(request: Request) -> Response:
    """The run is over: settle."""
    require(request, Role.RUNNER)
    service = facade_of(request)
    number, report = await _report(request)
    usage = await _priced(service, number, report)
    answer = await _ask(service, Release(number, report.fence, usage, report.session, report.outcome))
    return render.json_response(_rendered(service, answer))


async def _report(request: Request) -> tuple[int, ReportBody]:
    return render.read_id(request.path_params["lease"]), await one(request, REPORT)


async def _priced(service: "Facade", number: int, report: ReportBody) -> ModelUsage | None:
    """The report with its cost; whose prices apply the ticket's own labels say."""
    if report.usage is None:
        return None
    usage = await asyncio.to_thread(service.price_report, number, report.reported)
    if usage is None:
        raise render.problem_of(Refused(Refusal.NOT_FOUND))
    return usage


async def _ask(service: "Facade", asked: Read | Withdraw | Renew | Release) -> Answer:
    (reply,) = await decided([service.ask(asked)])
    if isinstance(reply, Refused):
        raise render.problem_of(reply)
    return reply


def _rendered(service: "Facade", reply: Reply) -> dict[str, Any]:
    return render.answer(reply, service.limits, zone=service.config.timezone)


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise Problem(422, "invalid_query", f"wait={text!r} is not a number of seconds: write 0 to {LONGEST_POLL:.0f}")
    return min(LONGEST_POLL, seconds)
