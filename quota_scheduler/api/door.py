"""The door before the routes: who may knock at all, whatever they ask.

Without tokens everybody on this machine is an operator, and so would be every web page that a browser on it shows. A
page can send requests to loopback, but not without telling: its browser names the page's ``Origin``, says
``Sec-Fetch-Site``, and a name that was bound to 127.0.0.1 by its owner stands in ``Host``.

    Host is another name ──► 421          (only without tokens: with them a proxy may have given us any name)
    writing, from another site ──► 403
    else ──► the routes, every answer with the headers of SAFE
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quota_scheduler.api.problems import Problem, response
from quota_scheduler.traces import NOTHING, Ending, is_traced

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer says to browsers: what it is, that no other page may hold it, and that no disk keeps it."""
STRICT = "max-age=31536000"
"""Browsers that have come over HTTPS once come over it for a year."""
PROBES = frozenset({"/readyz", "/healthz"})
"""Their 503 is an answer, no failure."""


class Door:
    """Lets requests in to ``app``, or answers them itself."""

    def __init__(self, app: ASGIApp, service: "Facade", paths: Mapping[Any, str]) -> None:
        """``paths`` are those of the routes, by what answers them."""
        self._app, self._service, self._paths = app, service, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        traces = self._service.traces
        if not traces.is_on or not is_traced(scope["path"]):
            await self._answer(scope, receive, send, NOTHING)
            return
        with traces.request(scope["method"], scope["path"], Headers(scope=scope)) as span:
            await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Ending) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.says(message["status"], scope["method"], self._paths.get(scope.get("endpoint"), ""))
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    headers["Strict-Transport-Security"] = STRICT
                if message["status"] >= 500 and scope["path"] not in PROBES:
                    self._service.failed()
            await send(message)

        problem = self._refusal(scope["method"], Headers(scope=scope))
        await (response(problem) if problem else self._app)(scope, receive, send_marked)

    def _refusal(self, method: str, headers: Headers) -> Problem | None:
        trusting = not self._service.tokens
        if trusting and not all(self._is_our_name(host) for host in headers.getlist("host")):
            return Problem(
                421,
                "foreign_host",
                f"this service is not {headers['host']}: without tokens it answers to localhost and its own address "
                "only; call it by one of them, or configure tokens",
            )
        if method in READING:
            return None
        forged = comes_from_elsewhere(headers) if trusting or "authorization" not in headers else False
        if forged or headers.get("sec-fetch-site") == "cross-site":
            return Problem(
                403,
                "foreign_origin",
                "a page of another site asks for this: only pages of this service may, and programs, which send "
                "neither Origin nor Sec-Fetch-Site",
            )
        return None

    def _is_our_name(self, host: str) -> bool:
        return is_our_name(host, self._service.config.listen.host.lower())


def is_let_in_plainly(service: "Facade", headers: Mapping[bytes, bytes]) -> bool:
    """Whether the door lets in who writes with these headers, as far as a glance tells: programs, no pages."""
    if b"origin" in headers or b"sec-fetch-site" in headers:
        return False
    host = headers.get(b"host", b"").decode("latin-1")
    return bool(service.tokens) or is_our_name(host, service.config.listen.host.lower())


@lru_cache(256)
def is_our_name(host: str, ours: str) -> bool:
    """Whether a Host header names this machine, or where we were told to listen."""
    name = _name_of(host)
    return name in {"localhost", ours} or _is_loopback(name)


def _name_of(host: str) -> str:
    """The name or address of a Host header; empty for what is none."""
    try:
        return "" if "@" in host else (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:  # a bracket that does not close
        return ""


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def comes_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser sent this on behalf of a page that is not ours; programs name no origin."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower()


def may_claim(method: str, headers: Headers) -> bool:
    """Whether looking at an offer may claim it: a picture, a link or a probe in a browser must not take a lease."""
    return (
        method == "GET"
        and headers.get("sec-fetch-site", "same-origin") == "same-origin"
        and (not comes_from_elsewhere(headers))
    )
