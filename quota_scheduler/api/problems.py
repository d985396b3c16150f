"""What goes wrong, as RFC 9457 problem details: one sentence with what, where and the way out."""

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.explanations import EXPLANATIONS, SERVED

if TYPE_CHECKING:
    from pydantic import ValidationError

log = logging.getLogger(__name__)
STATUS = {"store": 503, "busy": 503, "not_ours": 503, "config": 422}
"""HTTP status by error code; everything else is 500."""
LONGEST_SENTENCE = 400
"""Letters of an error: a value of a hundred thousand digits is not echoed."""
MOST_ERRORS = 20
"""Errors of one body that are named; the others are counted."""
HTTP = {
    404: ("not_found", "there is no such path; /docs shows those there are"),
    405: ("method_not_allowed", "this path has other methods; /docs shows them"),
}
"""What the router itself refuses: code and way out by status."""


def short(text: str) -> str:
    """A sentence that may quote what was given, which may be long."""
    half = LONGEST_SENTENCE // 2
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:half]}…{text[-half:]}"


class Problem(Exception):
    """An answer that is not what was asked for; raised by handlers, rendered in one place."""

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after: int = 0, close: bool = False, **more: Any
    ) -> None:
        """``close`` ends the connection: what else comes on it is the rest of a body that nobody reads."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.retry_after, self.more = (
            status,
            code,
            short(detail),
            retry_after,
            more,
        )
        self.close = close


def response(problem: Problem) -> Response:
    """A problem as a response."""
    body = {
        "type": f"{SERVED}#{problem.code}" if problem.code in EXPLANATIONS else "about:blank",
        "title": problem.code,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
    if problem.close:
        headers["Connection"] = "close"
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(json.dumps(body, default=str), problem.status, headers, media_type="application/problem+json")


def invalid(error: "ValidationError", raw: Any, *, within: str = "") -> Problem:
    """A body that does not fit: every error with its JSON pointer; ``within`` is the pointer of ``raw`` itself."""
    messages = [(within + pointer, message) for pointer, message in _errors(error, raw).items()]
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    errors = [{"pointer": pointer, "message": message} for pointer, message in messages[:MOST_ERRORS]]
    return Problem(422, "invalid_body", f"{': '.join(messages[0]).removeprefix(': ')}{more}", errors=errors)


def pointed(pointer: str, message: str) -> Problem:
    """A body that is sound by itself and cannot be taken all the same, because of the value at ``pointer``."""
    errors = [{"pointer": pointer, "message": message}]
    return Problem(422, "invalid_body", f"{pointer}: {message}", errors=errors)


def inside(problem: Problem) -> dict[str, Any]:
    """A problem in its place of an array's answer."""
    return {"error": {"status": problem.status, "code": problem.code, "detail": problem.detail, **problem.more}}


def _errors(error: "ValidationError", raw: Any) -> dict[str, str]:
    """The first error at each place of the body: where a value may be read in several ways, each of them complains."""
    messages: dict[str, str] = {}
    for wrong in error.errors():
        messages.setdefault(_pointer(wrong, raw), _message(wrong))
    return messages


def _pointer(error: Any, raw: Any) -> str:
    """A JSON pointer (RFC 6901); empty for the body as a whole."""
    steps, at = [], raw
    for number, step in enumerate(error["loc"], 1):
        if (isinstance(at, dict) and step in at) or (isinstance(at, list) and isinstance(step, int) and step < len(at)):
            at = at[step]
        elif error["type"] != "missing" or number < len(error["loc"]):
            continue  # the name of a way to read the value, no place in the body
        steps.append("/" + str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(steps)


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key: remove it or see /docs for the keys there are"
    text = short(str(error["msg"]).removeprefix("Value error, "))
    shown = error.get("input")
    return f"{text}, got {shown!r}" if isinstance(shown, str | int | float) and len(str(shown)) < 80 else text


async def on_problem(_request: Request, error: Exception) -> Response:
    """Render a raised problem."""
    assert isinstance(error, Problem)
    return response(error)


async def on_http(request: Request, error: Exception) -> Response:
    """What the router refuses: a path or a method that is not there."""
    assert isinstance(error, HTTPException)
    code, way_out = HTTP.get(error.status_code, ("http", error.detail))
    rendered = response(Problem(error.status_code, code, f"{request.method} {request.url.path}: {way_out}"))
    rendered.headers.update(error.headers or {})
    if error.status_code == 405:
        rendered.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return rendered


def _methods(request: Request) -> set[str]:
    """Every method that the path of a request has: routes have one each, the router names that of the first."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return {
        method
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


async def on_own_error(_request: Request, error: Exception) -> Response:
    """Render one of this package's errors."""
    assert isinstance(error, QuotaSchedulerError)
    status = STATUS.get(error.code, 500)
    return response(Problem(status, error.code, str(error), retry_after=5 if status == 503 else 0))


async def on_unknown(request: Request, error: Exception) -> Response:
    """Outside it is an internal error, the log has the rest."""
    return broken(request.method, request.url.path, error)


def broken(method: str, path: str, error: BaseException) -> Response:
    """The answer to a request that failed by a fault of ours; written to the log."""
    log.error("request.failed method=%s path=%s", method, path, exc_info=error)
    return response(Problem(500, "internal_error", "something broke here; the service's log has the details"))


def pointers(error: "ValidationError", raw: Any) -> Sequence[str]:
    """Each error of a body in one line, with its pointer where it is about a part."""
    return [f"{pointer}: {message}".removeprefix(": ") for pointer, message in _errors(error, raw).items()]
