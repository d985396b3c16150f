"""Tickets and leases over HTTP: parse → one cycle → render."""

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api import render
from quota_scheduler.api.access import Asker, accepting, decided, facade_of, require
from quota_scheduler.api.bodies import one, one_or_many
from quota_scheduler.api.bounds import FREE_SECONDS, LONGEST_POLL
from quota_scheduler.api.door import may_claim
from quota_scheduler.api.problems import Problem, inside, pointed
from quota_scheduler.api.schemas import PlanBody, PreflightBody, ReportBody, TicketBody
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
PREFLIGHT: TypeAdapter[PreflightBody] = TypeAdapter(PreflightBody)
PLAN: TypeAdapter[PlanBody] = TypeAdapter(PlanBody)
REPORT: TypeAdapter[ReportBody] = TypeAdapter(ReportBody)


async def submit(request: Request) -> Response:
    """Submit one ticket or an array; the answer has a verdict for each, in order."""
    asker, service = require(request, Role.RUNNER), accepting(request)
    bodies, many = await one_or_many(request, TICKET)
    drafts = [_draft(service, asker, body, f"/{index}" if many else "") for index, body in enumerate(bodies)]
    priced = await service.price([draft for draft in drafts if isinstance(draft, Ticket)])
    replies = iter(await decided(service.submit(priced)))
    outcomes = [draft if isinstance(draft, Problem) else next(replies) for draft in drafts]
    if not many:
        return render.json_response(_submitted(service, asker, bodies[0], _sound(outcomes[0])))
    return render.json_response([_submitted(service, asker, *pair) for pair in zip(bodies, outcomes, strict=True)])


def _draft(service: "Facade", asker: Asker, body: TicketBody | Problem, within: str = "") -> Ticket | Problem:
    """The ticket to submit, or why there can be none; ``within`` points at the body in an array."""
    if isinstance(body, Problem):
        return body
    draft = body.draft(service.estimate_basis, now=service.now())
    if isinstance(draft, str):
        return pointed(f"{within}/describe", draft)
    labels = asker.scope.filled(draft.labels)
    if isinstance(labels, str):
        return _foreign(f"{within}/labels/", labels)
    key, run = asker.scope.named(draft.key), asker.scope.named(draft.run)
    return draft._replace(owner=asker.owner, labels=labels, key=key, run=run)


def _foreign(pointer: str, sentence: str) -> Problem:
    """A ticket that claims to be of somebody else than its token."""
    return pointed(f"{pointer}{sentence.partition(':')[0]}", sentence.partition(": ")[2])


def _sound(outcome: Reply | Problem, *, what: str = "ticket") -> Answer:
    """The answer to what stood alone. Raises Problem."""
    if isinstance(outcome, Problem):
        raise outcome
    if isinstance(outcome, Refused):
        raise render.problem_of(outcome, what=what)
    return outcome


def _submitted(service: "Facade", asker: Asker, body: TicketBody | Problem, outcome: Reply | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return inside(outcome)
    answer = _rendered(service, asker, outcome)
    if isinstance(outcome, Answer) and isinstance(body, TicketBody) and body.advice:
        answer["advice"]["description"] = body.advice
    return answer


async def preflight(request: Request) -> Response:
    """Decide as for a ticket, and keep nothing."""
    asker, service = require(request, Role.VIEWER), accepting(request)
    draft = _draft(service, asker, await one(request, PREFLIGHT))
    if isinstance(draft, Problem):
        raise draft
    (reply,) = await decided(service.submit(await service.price([draft]), dry_run=True))
    return render.json_response(_rendered(service, asker, reply))


async def estimate_plan(request: Request) -> Response:
    """What a whole plan is expected to cost, and which of its items will fit."""
    asker, service = require(request, Role.VIEWER), facade_of(request)
    asked = await one(request, PLAN)
    items = []
    for index, body in enumerate(asked.items):
        draft = _draft(service, asker, body, f"/items/{index}")
        if isinstance(draft, Problem):
            raise draft
        items.append(draft)
    return render.json_response(await asyncio.to_thread(service.plan, await service.price(items)))


async def read(request: Request) -> Response:
    """Look at a ticket; ``wait`` parks the request until it changes. Reading an offer claims it."""
    claim = request.query_params.get("claim", "yes") != "no" and may_claim(request.method, request.headers)
    asker = require(request, Role.RUNNER if claim else Role.VIEWER)
    service, number = facade_of(request), render.read_id(request.path_params["ticket"])
    wait = _wait(request)
    with service.parked_for(number) as changed:
        answer = await _ask(service, Read(number, claim, asker.by, asker.scope))
        if wait and answer.ticket.state is State.WAITING and not service.draining:
            await _parked(service, asker, changed, wait)
            answer = await _ask(service, Read(number, claim, asker.by, asker.scope)) if not service.draining else answer
    return render.json_response(_rendered(service, asker, answer))


async def _parked(service: "Facade", asker: Asker, changed: "asyncio.Future[None]", wait: float) -> None:
    """Wait for a change; who has waited a while has asked for nothing meanwhile, and is not counted for it."""
    began = time.monotonic()
    await asyncio.wait([changed], timeout=wait)
    if asker.is_token and time.monotonic() - began >= FREE_SECONDS:
        service.rates.give_back(asker.name)


async def withdraw(request: Request) -> Response:
    """Give a ticket up; a running one settles."""
    asker, service = require(request, Role.RUNNER), facade_of(request)
    asked = Withdraw(render.read_id(request.path_params["ticket"]), asker.by, asker.scope)
    (reply,) = await decided([service.withdraw(asked, owner=asker.owner, who=asker.name)])
    answer = _sound(reply)
    return render.json_response(_rendered(service, asker, answer))


async def renew(request: Request) -> Response:
    """A running lease's heartbeat."""
    asker, service = require(request, Role.RUNNER), facade_of(request)
    number, report = await _report(request)
    usage = await _priced(service, number, report)
    answer = await _ask(service, Renew(number, report.fence, usage, report.session, report.ttl, asker.by, asker.scope))
    return render.json_response(_rendered(service, asker, answer))


async def release(request: Request) -> Response:
    """The run is over: settle."""
    asker, service = require(request, Role.RUNNER), facade_of(request)
    number, report = await _report(request)
    usage = await _priced(service, number, report)
    answer = await _ask(
        service, Release(number, report.fence, usage, report.session, report.outcome, asker.by, asker.scope)
    )
    return render.json_response(_rendered(service, asker, answer))


async def _report(request: Request) -> tuple[int, ReportBody]:
    return render.read_id(request.path_params["lease"]), await one(request, REPORT)


async def _priced(service: "Facade", number: int, report: ReportBody) -> ModelUsage | None:
    """The report with its cost; whose prices apply the ticket's own labels say."""
    if report.usage is None:
        return None
    usage = await asyncio.to_thread(service.price_report, number, report.reported)
    if usage is None:
        raise render.problem_of(Refused(Refusal.NOT_FOUND), what="lease")
    return usage


async def _ask(service: "Facade", asked: Read | Withdraw | Renew | Release) -> Answer:
    (reply,) = await decided([service.ask(asked)])
    return _sound(reply, what="lease" if isinstance(asked, Renew | Release) else "ticket")


def _rendered(service: "Facade", asker: Asker, reply: Reply) -> dict[str, Any]:
    fence = isinstance(reply, Answer) and asker.sees_fence(reply.ticket)
    body = render.answer(reply, service.limits, zone=service.config.timezone, fence=fence, held=service.held)
    return {**body, "key": asker.scope.plain(body["key"])} if asker.scope.is_bound and "key" in body else body


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise Problem(422, "invalid_query", f"wait={text!r} is not a number of seconds: write 0 to {LONGEST_POLL:.0f}")
    return min(LONGEST_POLL, seconds)
