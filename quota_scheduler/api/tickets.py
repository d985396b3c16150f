"""Tickets and leases over HTTP: parse → one cycle → render."""

import asyncio
import math
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import accepting, decided, one, one_or_many, require, service
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
    Submit,
    Withdraw,
)
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.service.apply_prices import priced_report, priced_ticket

TICKET: TypeAdapter[TicketBody] = TypeAdapter(TicketBody)
PLAN: TypeAdapter[PlanBody] = TypeAdapter(PlanBody)
REPORT: TypeAdapter[ReportBody] = TypeAdapter(ReportBody)
LONGEST_POLL = 30.0


async def submit(request: Request) -> Response:
    """Submit one ticket or an array; the answer has a verdict for each, in order."""
    require(request, Role.RUNNER)
    own = accepting(request)
    bodies, many = await one_or_many(request, TICKET)
    now = own.store.clock()
    drafts = [priced_ticket(each.draft(own.learned, now=now), now, own.prices) for each in bodies]
    answers = await decided(own, [Submit(draft) for draft in drafts])
    if not many and isinstance(answers[0], Refused):
        raise render.problem_of(answers[0])
    found = [_rendered(request, each) for each in answers]
    for rendered, asked in zip(found, bodies, strict=True):
        if asked.advice:
            rendered["advice"]["description"] = asked.advice
    return render.json_response(found if many else found[0])


async def preflight(request: Request) -> Response:
    """Decide as for a ticket, and keep nothing."""
    require(request, Role.VIEWER)
    own = accepting(request)
    asked = await one(request, TICKET)
    now = own.store.clock()
    draft = priced_ticket(asked.draft(own.learned, now=now), now, own.prices)
    (found,) = await decided(own, [Submit(draft, dry_run=True)])
    return render.json_response(_rendered(request, found))


async def estimate_plan(request: Request) -> Response:
    """What a whole plan is expected to cost, and which of its items will fit."""
    require(request, Role.VIEWER)
    own = service(request)
    asked = await one(request, PLAN)
    now = own.store.clock()
    items = [priced_ticket(item.draft(own.learned, now=now), now, own.prices) for item in asked.items]
    return render.json_response(await asyncio.to_thread(own.plan, items))


async def read(request: Request) -> Response:
    """Look at a ticket; ``wait`` parks the request until it changes. Reading an offer claims it."""
    claim = request.query_params.get("claim", "yes") != "no"
    require(request, Role.RUNNER if claim else Role.VIEWER)
    own, number = service(request), render.read_id(request.path_params["ticket"])
    wait = _wait(request)
    with own.waiters.parked_for(number) as changed:
        found = await _ask(request, Read(number, claim))
        if wait and found.ticket.state is State.WAITING and not own.draining:
            await asyncio.wait([changed], timeout=wait)
            found = await _ask(request, Read(number, claim)) if not own.draining else found
    return render.json_response(_rendered(request, found))


async def withdraw(request: Request) -> Response:
    """Give a ticket up; a running one settles."""
    require(request, Role.RUNNER)
    found = await _ask(request, Withdraw(render.read_id(request.path_params["ticket"])))
    return render.json_response(_rendered(request, found))


async def renew(request: Request) -> Response:
    """A running lease's heartbeat."""
    require(request, Role.RUNNER)
    number, report = await _report(request)
    usage = await _priced(request, number, report)
    found = await _ask(request, Renew(number, report.fence, usage, report.session, report.ttl))
    return render.json_response(_rendered(request, found))


async def release(request: Request) -> Response:
    """The run is over: settle."""
    require(request, Role.RUNNER)
    number, report = await _report(request)
    usage = await _priced(request, number, report)
    found = await _ask(request, Release(number, report.fence, usage, report.session, report.outcome))
    return render.json_response(_rendered(request, found))


async def _report(request: Request) -> tuple[int, ReportBody]:
    return render.read_id(request.path_params["lease"]), await one(request, REPORT)


async def _priced(request: Request, number: int, report: ReportBody) -> Any:
    """The report with its cost; whose prices apply the ticket's own labels say."""
    own = service(request)
    if report.usage is None:
        return None
    labels = await asyncio.to_thread(own.labels_of, number)
    if labels is None:
        raise render.problem_of(Refused(Refusal.NOT_FOUND))
    return priced_report(labels, report.reported(labels.model), own.store.clock(), own.prices)


async def _ask(request: Request, asked: Read | Withdraw | Renew | Release) -> Answer:
    (found,) = await decided(service(request), [asked])
    if isinstance(found, Refused):
        raise render.problem_of(found)
    return found


def _rendered(request: Request, found: Reply) -> dict[str, Any]:
    own = service(request)
    return render.answer(found, own.limits_by_id, zone=own.config.timezone)


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise Problem(422, "invalid_query", f"wait={text!r} is not a number of seconds: write 0 to {LONGEST_POLL:.0f}")
    return min(LONGEST_POLL, seconds)
