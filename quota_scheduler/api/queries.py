"""What can be looked at: limits, forecasts, the queue, efficiency, health and metrics."""

import asyncio
import csv
import io
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import Asker, facade_of, require, require_all
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.quota_forecast import quota_forecast_document
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.core.history.asking import LONGEST
from quota_scheduler.core.instants import is_plausible, iso, parse_instant
from quota_scheduler.core.labels import LABEL_NAMES
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.readings.documents import forecast_document, limit_document
from quota_scheduler.core.readings.readings import LimitReading, Readings
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import KINDS
from quota_scheduler.service.queries.decisions import COUNTED_BY
from quota_scheduler.service.queries.usage_history import safe_cell

LONGEST_NUMBER = 10
"""Digits of a number in a query, and one more."""
RUNS_BY = ("workflow", "provider", "model", "task_type", "team")
"""What runs can be grouped by: the labels that each of them has one of."""
READY_SECONDS = 1.5
"""A probe is told that the database does not answer before it gives up itself."""
SUMMED_BY = ("day", *(name for name in LABEL_NAMES if name != "agent"))
"""What a usage summary can be by: rollups keep every label but the agent."""


async def limit_forecast(request: Request) -> Response:
    """One limit's forecast, with the fan and the use of its window so far for charts."""
    asker = require(request, Role.VIEWER)
    reading = await _reading(request, asker, request.path_params["limit"])
    document = forecast_document(reading)
    if document is None or reading.projection.forecast is None:
        raise Problem(404, "no_forecast", _no_forecast(reading))
    scale = reading.unit.base
    document["fan"] = [
        {"at": iso(at), "quantiles": [round(v / scale, 6) for v in values]}
        for at, values in reading.projection.forecast.fan()
    ]
    document["course"] = [{"at": iso(at), "used": round(used, 6)} for at, used in facade_of(request).course(reading)]
    return json_response({**limit_document(reading), "forecast": document})


async def quota_forecast(request: Request) -> Response:
    """The founding documents' endpoint, its fields true: by default the first monthly token limit."""
    asker = require(request, Role.VIEWER)
    limits = (await sighted_readings(request, asker)).limits
    name = request.query_params.get("limit")
    reading = (
        await _reading(request, asker, name)
        if name
        else next((r for r in limits if r.unit is Unit.TOKENS and r.period == "month"), None)
    )
    if reading is None:
        raise Problem(404, "no_forecast", "there is no monthly token limit: name another limit with ?limit=")
    if reading.projection.forecast is None or not (reading.balance.starts_at and reading.balance.ends_at):
        raise Problem(404, "no_forecast", _no_forecast(reading))
    days = await asyncio.to_thread(facade_of(request).recent_days, reading)
    return json_response(
        quota_forecast_document(reading, reading.projection.forecast, days, now=facade_of(request).readings.at)
    )


def _no_forecast(reading: LimitReading) -> str:
    """Why a limit has no forecast."""
    if reading.unit is Unit.LEASES:
        return f"{reading.limit} counts what runs at once: it has no windows, so there is nothing to forecast"
    return f"{reading.limit} has no forecast yet: it comes with the next tick after the first use"


async def sighted_readings(request: Request, asker: Asker) -> Readings:
    """What the last tick saw, as far as who asks may."""
    service = facade_of(request)
    if not asker.scope.is_bound:
        return service.readings
    return await asyncio.to_thread(lambda: service.seen(service.sight(asker.scope)))


async def _reading(request: Request, asker: Asker, name: str) -> LimitReading:
    readings = (await sighted_readings(request, asker)).limits
    for reading in readings:
        if reading.limit == name:
            return reading
    rule = facade_of(request).limits.get(name)
    if rule and rule.is_per_run and not asker.scope.is_bound:
        raise Problem(
            404, "no_forecast", f"{name} is a cap on each run: it has no window that resets, so there is no forecast"
        )
    names = ", ".join(reading.limit for reading in readings[:20]) or "none yet"
    raise Problem(404, "no_limit", f"there is no limit {name!r}; there are: {names}")


async def audit(request: Request) -> Response:
    """What was done by hand, newest first."""
    require(request, Role.OPERATOR)
    most = number(request, "limit", 100, least=1, most=10_000)
    given = request.query_params
    wanted = {name: _instant(request, name) for name in ("since", "until") if given.get(name)}
    named = {name: given[name][:200] for name in ("who", "what") if given.get(name)}
    ask = partial(facade_of(request).audit, most, **wanted, **named)
    return json_response(await asyncio.to_thread(ask))


def _instant(request: Request, name: str) -> datetime:
    """An instant of a query. Raises Problem."""
    text = request.query_params[name]
    try:
        at = parse_instant(text)
        if not is_plausible(at):
            raise ValueError(text)
    except (ValueError, OverflowError):
        way_out = "write one such as 2026-11-28T09:00:00Z"
        raise Problem(422, "invalid_query", f"{name}={text[:40]!r} is no instant: {way_out}") from None
    return at


async def decisions(request: Request) -> Response:
    """How often work was admitted, deferred, woken and rejected in ``days`` (7), ``by`` day, limit and class."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 7, least=1, most=400)
    by = [name for name in request.query_params.get("by", "day,limit,class").split(",") if name]
    if unknown := [name for name in by if name not in COUNTED_BY]:
        raise Problem(422, "invalid_query", f"by={unknown[0][:40]!r} is none of {', '.join(COUNTED_BY)}")
    return json_response(await asyncio.to_thread(facade_of(request).decisions, days, by, asker.scope))


async def efficiency(request: Request) -> Response:
    """Tokens by kind and cache hit rate ``by`` workflow, or another label of runs, over ``days`` (7)."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 7, least=1, most=366)
    by = request.query_params.get("by", "workflow")
    if by not in RUNS_BY:
        raise Problem(422, "invalid_query", f"by={by[:40]!r} is none of {', '.join(RUNS_BY)}")
    return json_response(await asyncio.to_thread(facade_of(request).efficiency, days, by, asker.scope))


async def suggestions(request: Request) -> Response:
    """What would have made the work of the last ``days`` (30) cost less, with the runs that show it."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 30, least=1, most=366)
    return json_response(await asyncio.to_thread(facade_of(request).suggestions, days, asker.scope))


def number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A whole number of a query. Raises Problem for what is none, or lies outside."""
    text = request.query_params.get(name, str(default))
    is_short_number = text.isascii() and text.isdigit() and len(text) < LONGEST_NUMBER
    if not is_short_number or not least <= int(text) <= most:
        raise Problem(422, "invalid_query", f"{name}={text[:40]!r} must be a whole number from {least} to {most}")
    return int(text)


async def usage(request: Request) -> Response:
    """Usage of the last ``days`` (30) added up ``by`` day and labels, as JSON or, with ``format=csv``, as CSV."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 30, least=1, most=3660)
    by = [name for name in request.query_params.get("by", "day,model").split(",") if name]
    if unknown := [name for name in by if name not in SUMMED_BY]:
        raise Problem(422, "invalid_query", f"by={unknown[0]!r} is none of {', '.join(SUMMED_BY)}")
    summary = await asyncio.to_thread(facade_of(request).usage, days, by, asker.scope)
    if request.query_params.get("format") != "csv":
        return json_response(summary)
    text = io.StringIO()
    beyond = ("unlisted_tokens", "unlisted_cost_usd", "partial_answers")
    table = csv.DictWriter(text, [*by, *KINDS, "tokens", "requests", "cost_usd", "unpriced_tokens", *beyond])
    table.writeheader()
    table.writerows({**row, **{name: safe_cell(row[name]) for name in by}} for row in summary["usage"])
    return Response(text.getvalue(), media_type="text/csv")


async def windows(request: Request) -> Response:
    """Windows of ``limit``, or of all, that ended in the ``last`` span (7d) or are open."""
    asker = require(request, Role.VIEWER)
    try:
        back = parse_span(request.query_params.get("last", "7d"))
    except ValueError as error:
        raise Problem(422, "invalid_query", str(error)) from None
    name = request.query_params.get("limit", "")
    return json_response(await asyncio.to_thread(facade_of(request).windows, name, min(back, LONGEST), asker.scope))


async def loans(request: Request) -> Response:
    """Who owes whom within pools, and what was paid back in the last ``days`` (30)."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 30, least=1, most=3660)
    return json_response(await asyncio.to_thread(facade_of(request).loans, days, asker.scope))


async def ceilings(request: Request) -> Response:
    """What providers allow in a moment, as their administration interfaces say."""
    asker = require(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).ceilings, asker.scope))


async def sources(request: Request) -> Response:
    """Every door that usage and providers' words come through, and what it cannot see."""
    require_all(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).sources))


async def reconciliation(request: Request) -> Response:
    """Own sums, providers' words and bills side by side, with their drift and its likely cause."""
    require_all(request, Role.VIEWER)
    return json_response(await asyncio.to_thread(facade_of(request).reconciliation))


async def runs(request: Request) -> Response:
    """The largest runs of the last ``days`` (7): tokens by kind and cache hit rate."""
    asker = require(request, Role.VIEWER)
    days = number(request, "days", 7, least=1, most=366)
    most = number(request, "limit", 100, least=1, most=10_000)
    return json_response(await asyncio.to_thread(facade_of(request).runs, days, most, asker.scope))


async def metrics(request: Request) -> Response:
    """What Prometheus scrapes: cached bytes of the last tick and this process's own counts."""
    service = facade_of(request)
    if service.config.metrics_auth:
        require_all(request, Role.VIEWER)
    accept, encoding = request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
    content, headers = await asyncio.to_thread(service.exposition, accept, encoding)
    return Response(content, headers=headers)


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Whether work is taken: the database answers, nothing is draining, every receiver is usable."""
    service = facade_of(request)
    try:
        async with asyncio.timeout(READY_SECONDS):
            problems = await asyncio.to_thread(service.not_ready)
    except TimeoutError:
        problems = [f"the database has not answered for {READY_SECONDS:g} s"]
    several = {"replica": replicas} if (replicas := service.replicas) else {}
    notes = [] if service.tokens.any_bound else service.notes()  # they name accounts, and nobody says who asks
    return json_response(
        {"ready": not problems, "problems": problems, "notes": notes, **several}, 503 if problems else 200
    )
