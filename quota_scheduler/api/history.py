"""What was used over time, over HTTP: rows by period and label, and every event for whoever takes it elsewhere."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import facade_of, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.queries import number
from quota_scheduler.api.render import json_response
from quota_scheduler.config import Role
from quota_scheduler.core.history.asking import Question, Words, question
from quota_scheduler.core.labels import LABEL_NAMES
from quota_scheduler.service.queries.usage_history import csv_of

MOST_ROWS = 100_000
"""Rows kept where nobody says: above it the smallest are added up."""
MOST_EVENTS = 5_000
"""Events of one answer: some megabytes."""


async def history(request: Request) -> Response:
    """Usage by period and labels, as JSON or, with ``format=csv``, as CSV."""
    asker = require(request, Role.VIEWER)
    document = await asyncio.to_thread(facade_of(request).usage_history, _asked(request), asker.scope)
    if request.query_params.get("format") != "csv":
        return json_response(document)
    return Response(csv_of(document), media_type="text/csv")


def _asked(request: Request) -> Question:
    given = request.query_params
    words = Words(
        by=[name for name in given.get("by", "").split(",") if name],
        since=given.get("since", ""),
        until=given.get("until", ""),
        last=given.get("last", ""),
        zone=given.get("timezone", ""),
        labels={name: given.getlist(name) for name in LABEL_NAMES if given.getlist(name)},
        top=number(request, "top", MOST_ROWS, least=1, most=MOST_ROWS),
    )
    service = facade_of(request)
    try:
        return question(words, zone=service.config.timezone, now=service.now())
    except ValueError as error:
        raise Problem(422, "invalid_query", str(error)) from None


async def events(request: Request) -> Response:
    """Recorded events in the order they came, each as ``POST /v1/usage`` takes it; ``after`` goes on from an answer."""
    asker = require(request, Role.VIEWER)
    after = number(request, "after", 0, least=0, most=10**9 - 1)
    most = number(request, "limit", MOST_EVENTS, least=1, most=MOST_EVENTS)
    since = _asked(request).since if request.query_params.get("since") else None
    kind = request.query_params.get("kind", "events")
    if kind not in ("events", "rollups"):
        raise Problem(422, "invalid_query", f"kind={kind[:40]!r} is neither events nor rollups")
    ask, scope = facade_of(request).usage_events, asker.scope
    return json_response(await asyncio.to_thread(ask, kind, after=after, since=since, most=most, scope=scope))
