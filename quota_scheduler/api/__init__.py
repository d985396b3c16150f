"""HTTP: the routes and their documentation."""

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

import quota_scheduler
from quota_scheduler.api import problems
from quota_scheduler.api.access import ANSWER_SECONDS as ANSWER_SECONDS
from quota_scheduler.api.access import facade_of, require
from quota_scheduler.api.door import Door
from quota_scheduler.api.late import late, loaded
from quota_scheduler.api.plain_polls import PlainPolls
from quota_scheduler.api.plain_tickets import PlainTickets
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.errors import QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

_ANSWERED: tuple[tuple[str, str, str], ...] = (
    ("POST", "/v1/tickets", "tickets.submit"),
    ("GET", "/v1/tickets/{ticket}", "tickets.read"),
    ("DELETE", "/v1/tickets/{ticket}", "tickets.withdraw"),
    ("POST", "/v1/leases/{lease}/renew", "tickets.renew"),
    ("POST", "/v1/leases/{lease}/release", "tickets.release"),
    ("POST", "/v1/preflight", "tickets.preflight"),
    ("POST", "/v1/plans/estimate", "tickets.estimate_plan"),
    ("POST", "/v1/simulate", "simulate.simulate"),
    ("GET", "/v1/queue", "queue.queue"),
    ("GET", "/v1/decisions", "queries.decisions"),
    ("POST", "/v1/hold", "operate.hold_all"),
    ("POST", "/v1/tickets/{ticket}/hold", "operate.hold_ticket"),
    ("POST", "/v1/tickets/{ticket}/start", "operate.start_ticket"),
    ("DELETE", "/v1/leases/{lease}", "operate.revoke_lease"),
    ("PATCH", "/v1/tickets/{ticket}", "operate.change_ticket"),
    ("PATCH", "/v1/limits/{limit}", "limits.change_limit"),
    ("POST", "/v1/consequences", "consequences.consequences"),
    ("POST", "/v1/usage", "usage.record"),
    ("POST", "/v1/shipments", "shipments.receive"),
    ("POST", "/v1/observations", "observations.observe"),
    ("GET", "/v1/observations", "observations.observations"),
    ("POST", "/v1/logs", "otlp.logs"),
    ("POST", "/v1/metrics", "otlp.metrics"),
    ("POST", "/v1/traces", "otlp.traces"),
    ("POST", "/v1/litellm", "litellm.record"),
    ("POST", "/v1/headless", "headless.record"),
    ("GET", "/v1/limits", "limits.limits"),
    ("GET", "/v1/limits/{limit}", "limits.limit"),
    ("GET", "/v1/limits/{limit:path}/forecast", "queries.limit_forecast"),
    ("GET", "/api/quota/forecast", "queries.quota_forecast"),
    ("GET", "/v1/efficiency", "queries.efficiency"),
    ("GET", "/v1/runs", "queries.runs"),
    ("GET", "/v1/suggestions", "queries.suggestions"),
    ("GET", "/v1/usage/summary", "queries.usage"),
    ("GET", "/v1/usage/history", "history.history"),
    ("GET", "/v1/usage/events", "history.events"),
    ("GET", "/v1/windows", "queries.windows"),
    ("GET", "/v1/loans", "queries.loans"),
    ("GET", "/v1/ceilings", "queries.ceilings"),
    ("GET", "/v1/sources", "queries.sources"),
    ("GET", "/v1/reconciliation", "queries.reconciliation"),
    ("GET", "/v1/alerts", "alerts.look"),
    ("POST", "/v1/alerts/{alert}/ack", "alerts.acknowledge"),
    ("GET", "/v1/silences", "alerts.silences"),
    ("POST", "/v1/silences", "alerts.silence"),
    ("DELETE", "/v1/silences/{silence}", "alerts.end_silence"),
    ("GET", "/v1/audit", "queries.audit"),
    ("GET", "/v1/page", "page.state"),
    ("GET", "/v1/page/queue", "page.queue"),
    ("GET", "/v1/page/more", "page.more"),
    ("GET", "/v1/page/events", "page.events"),
    ("GET", "/metrics", "queries.metrics"),
    ("GET", "/healthz", "queries.healthz"),
    ("GET", "/readyz", "queries.readyz"),
)
"""Method, path, and the room and function that answer."""
ROOMS = (*dict.fromkeys(name.partition(".")[0] for _, _, name in _ANSWERED), "page_files")
ROUTES = tuple((method, path, late(name)) for method, path, name in _ANSWERED)
PUSHED = ("/v1/logs", "/v1/metrics", "/v1/traces", "/v1/litellm")
"""Answered with a slash behind their path too: exporters take a redirect for success and do not follow it."""
TITLE = "Quota Scheduler"


def build(service: "Facade") -> Door:
    """The application that asks ``service``.

    Plain routes: validation happens in one place of ours, and the hot ones pay for nothing else.
    """
    routes = [Route(path, handler, methods=[method]) for method, path, handler in ROUTES]
    routes += [Route(f"{path}/", handler, methods=[method]) for method, path, handler in ROUTES if path in PUSHED]
    routes += [Route("/openapi.json", document, include_in_schema=False), Route("/docs", docs, include_in_schema=False)]
    routes += [Route("/", late("page_files.index")), Route("/page/{file}", late("page_files.asset"))]
    handlers: dict[Any, ExceptionHandler] = {
        problems.Problem: problems.on_problem,
        QuotaSchedulerError: problems.on_own_error,
        HTTPException: problems.on_http,
        Exception: problems.on_unknown,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.service, app.state.page = service, None
    return Door(app, service, {handler: path.replace(":path", "") for _, path, handler in ROUTES})


def desks(service: "Facade") -> tuple[PlainTickets, PlainPolls]:
    """Who asks what is plain enough to go the short way, beside the application."""
    return PlainTickets(service), PlainPolls(service)


def warm() -> None:
    """Load every room, so that nobody who asks waits for one; a start does without most of them."""
    for room in ROOMS:
        loaded(room)
    loaded("page").load_assets()


def described() -> dict[str, Any]:
    """The OpenAPI document of this version."""
    return {**loaded("openapi").openapi(), "info": {"title": TITLE, "version": quota_scheduler.__version__}}


async def document(request: Request) -> Response:
    """The OpenAPI document."""
    _looked_at(request)
    return json_response(await asyncio.to_thread(described))


async def docs(request: Request) -> Response:
    """The same as a page."""
    _looked_at(request)
    docs_page = await asyncio.to_thread(loaded, "docs_page")
    document = docs_page.page(await asyncio.to_thread(described))
    return HTMLResponse(document, headers={"Content-Security-Policy": docs_page.POLICY})


def _looked_at(request: Request) -> None:
    """What describes the program needs a token where its figures do. Raises Problem."""
    if facade_of(request).config.metrics_auth:
        require(request, Role.VIEWER)
