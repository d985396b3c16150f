"""The OpenAPI document: one line per route, schemas from the models that validate the bodies."""

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from quota_scheduler.api.alerts import AckBody, SilenceBody
from quota_scheduler.api.consequences import ConsequencesBody
from quota_scheduler.api.limits import LimitBody
from quota_scheduler.api.observations import ObservationBody
from quota_scheduler.api.operate import HoldBody, TicketChangeBody
from quota_scheduler.api.schemas import EventBody, PlanBody, PreflightBody, ReportBody, TicketBody
from quota_scheduler.api.simulate import SimulateBody
from quota_scheduler.api.values import INSTANT
from quota_scheduler.shipping.wire import MOST_ELEMENTS, VERSION

REF = "#/components/schemas/{model}"
MODELS = (
    *(TicketBody, PreflightBody, PlanBody, ReportBody, EventBody, ObservationBody),
    *(HoldBody, TicketChangeBody, LimitBody, ConsequencesBody, SilenceBody, AckBody, SimulateBody),
)
WITH_CSV = ("/v1/usage/summary", "/v1/usage/history")
"""What answers as CSV, too."""
ODD = {"description": "anything else is answered with what is wrong, in its place; the others are taken"}
PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "stable code"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}}},
        },
    },
}
_EXPORT = {"type": "object", "description": "an export of OTLP; as application/x-protobuf, too"}
PUSHED: dict[str, dict[str, Any]] = {
    "/v1/logs": {**_EXPORT, "properties": {"resourceLogs": {"type": ["array", "null"]}}},
    "/v1/metrics": {**_EXPORT, "properties": {"resourceMetrics": {"type": ["array", "null"]}}},
    "/v1/traces": {**_EXPORT, "properties": {"resourceSpans": {"type": ["array", "null"]}}},
    "/v1/shipments": {
        "type": "object",
        "description": "what `quota-scheduler ship` sends",
        "required": ["version", "host", "sent_at"],
        "properties": {
            "version": {"const": VERSION},
            "host": {"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{0,60}$"},
            "sent_at": dict(INSTANT.json_schema or {}),
            "events": {"type": "array", "maxItems": MOST_ELEMENTS},
            "observations": {"type": "array", "maxItems": MOST_ELEMENTS},
            "told": {"type": "array", "maxItems": MOST_ELEMENTS},
        },
    },
}
"""Bodies that other programs send, as far as they are ours to describe."""
SPOOLED = ("/v1/usage", "/v1/shipments", "/v1/observations", "/v1/headless")
"""Answered 202 where what is sent is kept on disk; what other programs export to is answered 200 then, too."""
LINKS: dict[tuple[str, str], dict[str, tuple[str, str, str, str]]] = {
    ("post", "/v1/tickets"): {
        "look": ("get", "/v1/tickets/{ticket}", "ticket", "$response.body#/id"),
        "move": ("patch", "/v1/tickets/{ticket}", "ticket", "$response.body#/id"),
        "hold": ("post", "/v1/tickets/{ticket}/hold", "ticket", "$response.body#/id"),
        "start": ("post", "/v1/tickets/{ticket}/start", "ticket", "$response.body#/id"),
        "renew": ("post", "/v1/leases/{lease}/renew", "lease", "$response.body#/lease/id"),
        "release": ("post", "/v1/leases/{lease}/release", "lease", "$response.body#/lease/id"),
        "revoke": ("delete", "/v1/leases/{lease}", "lease", "$response.body#/lease/id"),
        "withdraw": ("delete", "/v1/tickets/{ticket}", "ticket", "$response.body#/id"),
    },
    ("get", "/v1/limits"): {
        "look": ("get", "/v1/limits/{limit}", "limit", "$response.body#/limits/0/rule"),
        "change": ("patch", "/v1/limits/{limit}", "limit", "$response.body#/limits/0/rule"),
        "forecast": ("get", "/v1/limits/{limit}/forecast", "limit", "$response.body#/limits/0/limit"),
    },
    ("post", "/v1/silences"): {"end": ("delete", "/v1/silences/{silence}", "silence", "$response.body#/id")},
    ("get", "/v1/alerts"): {"acknowledge": ("post", "/v1/alerts/{alert}/ack", "alert", "$response.body#/alerts/0/id")},
}
"""What an answer gives the next question: a name, and of the next one its method, path, parameter and value."""
_LINES: tuple[tuple[str, str, str, type | None, str], ...] = (
    ("post", "/v1/tickets", "Submit one ticket or up to 1,000", TicketBody, "runner"),
    (
        "get",
        "/v1/tickets/{ticket}",
        "Look at a ticket, long-poll with ?wait=30; reading an offer claims it",
        None,
        "runner",
    ),
    ("delete", "/v1/tickets/{ticket}", "Withdraw a ticket", None, "runner"),
    ("post", "/v1/leases/{lease}/renew", "Heartbeat of a running lease, with usage so far", ReportBody, "runner"),
    ("post", "/v1/leases/{lease}/release", "Settle a lease", ReportBody, "runner"),
    ("post", "/v1/preflight", "The decision without the ticket", PreflightBody, "viewer"),
    ("post", "/v1/plans/estimate", "What a whole plan costs, and which items will fit", PlanBody, "viewer"),
    ("post", "/v1/simulate", "Recorded runs replayed under other limits; nothing is changed", SimulateBody, "viewer"),
    ("get", "/v1/queue", "The throttle queue in order; a page of those who wait: ?from=0&most=100", None, "viewer"),
    ("get", "/v1/decisions", "Deferred, throttled, woken, rejected: ?days=7&by=day,limit,class", None, "viewer"),
    ("post", "/v1/hold", "The incident switch: hold everything, or let it go on", HoldBody, "operator"),
    ("post", "/v1/tickets/{ticket}/hold", "Keep one ticket from starting, or let it go on", HoldBody, "operator"),
    ("post", "/v1/tickets/{ticket}/start", "Let a ticket start, whatever its limits say", None, "operator"),
    ("delete", "/v1/leases/{lease}", "Revoke a lease", None, "operator"),
    ("patch", "/v1/tickets/{ticket}", "Move a waiting ticket to another class", TicketChangeBody, "operator"),
    ("patch", "/v1/limits/{limit}", "Change a limit at run time; null takes a change back", LimitBody, "operator"),
    ("post", "/v1/consequences", "What a deed would do, before it is done", ConsequencesBody, "operator"),
    ("post", "/v1/usage", "Record one usage event or up to 1,000", EventBody, "runner"),
    ("post", "/v1/shipments", "What `quota-scheduler ship` sends: usage that another host has read", None, "runner"),
    ("post", "/v1/observations", "Report what a provider says, one or up to 1,000", ObservationBody, "runner"),
    ("get", "/v1/observations", "What each provider said last about each window", None, "viewer"),
    ("post", "/v1/logs", "OTLP: log records of agents and GenAI programs, protobuf or JSON", None, "runner"),
    ("post", "/v1/metrics", "OTLP: sums and histograms of tokens, delta or cumulative", None, "runner"),
    ("post", "/v1/traces", "OTLP: spans of calls of models", None, "runner"),
    ("post", "/v1/litellm", "LiteLLM's generic_api callback: an array, a value a line, or one", None, "runner"),
    ("post", "/v1/headless", "What a headless run of Claude Code printed: json or stream-json", None, "runner"),
    ("get", "/v1/limits", "Every limit: state, forecast, who waits", None, "viewer"),
    ("get", "/v1/limits/{limit}", "One limit: as in the file, as it holds, and what was changed", None, "viewer"),
    ("get", "/v1/limits/{limit}/forecast", "One limit's forecast with its fan", None, "viewer"),
    ("get", "/api/quota/forecast", "Forecast of the first monthly token limit, or ?limit=", None, "viewer"),
    ("get", "/v1/efficiency", "Tokens by kind and cache hit rate, ?days=7&by=workflow", None, "viewer"),
    ("get", "/v1/runs", "The largest runs, ?days=7&limit=100", None, "viewer"),
    ("get", "/v1/suggestions", "What would make the same work cost less, with evidence, ?days=30", None, "viewer"),
    ("get", "/v1/usage/summary", "Usage by day and labels, ?days=30&by=day,model&format=csv", None, "viewer"),
    (
        "get",
        "/v1/usage/history",
        "Usage by period and labels, ?by=day,model&last=30d&timezone=UTC&model=…&top=10&format=csv",
        None,
        "viewer",
    ),
    ("get", "/v1/usage/events", "Recorded events as they are imported again, ?after=0&limit=5000", None, "viewer"),
    ("get", "/v1/windows", "Past and present windows of limits, ?limit=max-session&last=7d", None, "viewer"),
    ("get", "/v1/loans", "Who owes whom within pools, and what was paid back, ?days=30", None, "viewer"),
    ("get", "/v1/ceilings", "What providers allow in a minute, as their rate-limit reports say", None, "viewer"),
    ("get", "/v1/sources", "Where usage comes from: last, how far behind, errors, what it cannot see", None, "viewer"),
    (
        "get",
        "/v1/reconciliation",
        "Own sums, providers' words and bills side by side, and why they drift",
        None,
        "viewer",
    ),
    ("get", "/v1/alerts", "Alerts: pending, firing, lately resolved", None, "viewer"),
    ("post", "/v1/alerts/{alert}/ack", "Acknowledge a firing alert: no more repeats", AckBody, "operator"),
    ("get", "/v1/silences", "Silences that have not ended", None, "viewer"),
    ("post", "/v1/silences", "Tell nobody about alerts that every matcher fits", SilenceBody, "operator"),
    ("delete", "/v1/silences/{silence}", "End a silence now", None, "operator"),
    (
        "get",
        "/v1/audit",
        "What was done by hand, newest first, ?limit=100&since=&until=&who=&what=limit.*",
        None,
        "operator",
    ),
    ("get", "/v1/page", "What the page at / shows", None, "viewer"),
    ("get", "/v1/page/queue", "Rows of the queue with reasons, ?from=0&most=50&find=growth", None, "viewer"),
    ("get", "/v1/page/more", "Costs, efficiency with its trend, loans, sources, audit", None, "viewer"),
    ("get", "/v1/page/events", "Server-sent events: a line whenever something has changed", None, "viewer"),
    ("get", "/metrics", "Prometheus exposition", None, "none"),
    ("get", "/healthz", "The process answers", None, "none"),
    ("get", "/readyz", "Work is taken", None, "none"),
)


def _link(method: str, path: str, parameter: str, where: str) -> dict[str, Any]:
    """A link of an answer to the operation that goes on from it."""
    pointer = path.replace("~", "~0").replace("/", "~1")
    return {"operationRef": f"#/paths/{pointer}/{method}", "parameters": {parameter: where}}


def _operation(method: str, path: str, summary: str, model: type | None, role: str) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    problem = {
        "description": "problem",
        "content": {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}},
    }
    operation: dict[str, Any] = {
        "summary": summary,
        "description": f"Needs the role {role}." if role != "none" else "Needs no token.",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "responses": {
            "200": {"description": "done", "content": {kind: {"schema": {}} for kind in _kinds(path)}},
            "default": problem,
        },
    }
    if path in SPOOLED and method == "post":
        operation["responses"]["202"] = {
            "description": "the database is away: kept on disk, recorded when it is back",
            "content": {"application/json": {"schema": {}}},
        }
    if path in PUSHED and method == "post":
        content = {"application/json": {"schema": PUSHED[path]}}
        operation["requestBody"] = {"required": True, "content": content}
    if links := LINKS.get((method, path)):
        operation["responses"]["200"]["links"] = {name: _link(*link) for name, link in links.items()}
    if model is not None:
        one = {"$ref": REF.format(model=model.__name__)}
        many = model in (TicketBody, EventBody, ObservationBody)
        schema = {"oneOf": [one, {"type": "array", "items": {"anyOf": [one, ODD]}, "maxItems": 1000}]} if many else one
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _kinds(path: str) -> tuple[str, ...]:
    """What content an answer may have."""
    if path == "/metrics":
        return ("text/plain", "application/openmetrics-text")
    if path == "/v1/page/events":
        return ("text/event-stream",)
    return ("application/json", "text/csv") if path in WITH_CSV else ("application/json",)


@cache
def openapi() -> dict[str, Any]:
    """The document without its title and version, made when somebody first asks: most services never show it."""
    _, schemas = models_json_schema([(model, "validation") for model in MODELS], ref_template=REF)
    paths: dict[str, Any] = {}
    for method, path, summary, model, role in _LINES:
        paths.setdefault(path, {})[method] = _operation(method, path, summary, model, role)
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": {**schemas["$defs"], "Problem": PROBLEM}}}


DOCUMENTED = frozenset((method.upper(), path) for method, path, *_ in _LINES)
