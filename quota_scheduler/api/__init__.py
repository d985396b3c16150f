"""HTTP: the routes and their documentation."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

import quota_scheduler
from quota_scheduler.api import operate, problems, state, tickets, usage
from quota_scheduler.api.documents import OPENAPI
from quota_scheduler.errors import QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.app import Service

ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/v1/tickets", tickets.submit),
    ("GET", "/v1/tickets/{ticket}", tickets.read),
    ("DELETE", "/v1/tickets/{ticket}", tickets.withdraw),
    ("POST", "/v1/leases/{lease}/renew", tickets.renew),
    ("POST", "/v1/leases/{lease}/release", tickets.release),
    ("POST", "/v1/preflight", tickets.preflight),
    ("POST", "/v1/plans/estimate", tickets.estimate_plan),
    ("GET", "/v1/queue", state.queue),
    ("POST", "/v1/hold", operate.hold_all),
    ("POST", "/v1/tickets/{ticket}/hold", operate.hold_ticket),
    ("POST", "/v1/tickets/{ticket}/start", operate.start_ticket),
    ("DELETE", "/v1/leases/{lease}", operate.revoke_lease),
    ("PATCH", "/v1/limits/{limit}", operate.change_limit),
    ("POST", "/v1/usage", usage.record),
    ("GET", "/v1/limits", state.limits),
    ("GET", "/v1/limits/{limit:path}/forecast", state.limit_forecast),
    ("GET", "/api/quota/forecast", state.quota_forecast),
    ("GET", "/v1/efficiency", state.efficiency),
    ("GET", "/v1/runs", state.runs),
    ("GET", "/v1/usage/summary", state.usage),
    ("GET", "/v1/alerts", state.alerts),
    ("GET", "/metrics", state.metrics),
    ("GET", "/healthz", state.healthz),
    ("GET", "/readyz", state.readyz),
)


def build(service: "Service") -> FastAPI:
    """The application that serves ``service``."""
    app = FastAPI(title="Quota Scheduler", version=quota_scheduler.__version__, docs_url="/docs", redoc_url=None)
    app.state.service = service
    for method, path, handler in ROUTES:
        # plain routes: validation happens in one place of ours, and the hot ones pay for nothing else
        app.router.add_route(path, handler, methods=[method])
    handlers: dict[type[Exception], ExceptionHandler] = {
        problems.Problem: problems.on_problem,
        QuotaSchedulerError: problems.on_own_error,
        HTTPException: problems.on_http,
        Exception: problems.on_unknown,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.openapi = lambda: {**OPENAPI, "info": {"title": app.title, "version": app.version}}  # type: ignore[method-assign]
    return app
