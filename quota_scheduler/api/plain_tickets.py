"""Tickets that are asked for in the plainest words, thousands of times a second.

    printable ASCII, no escapes, one object of few words ──► decoded in a microsecond ──► priced ──► the next cycle
    anything else ──► ``api.tickets``, which takes it or says what is wrong with it

What is taken here is what ``TicketBody`` would have made of it, to its fingerprint (tests/shell/test_plain_tickets.py):
there it is said what a ticket may be, here only how most of them are.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from quota_scheduler.api import problems, render
from quota_scheduler.api.access import Asker, asker_of, not_written, slow
from quota_scheduler.api.door import SAFE, STRICT, is_let_in_plainly
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.values import DEFAULT_TTL, LARGEST, Ttl
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Refused, Reply
from quota_scheduler.core.labels import LONGEST_VALUE, Labels
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.usage import Usage
from quota_scheduler.errors import StoreError
from quota_scheduler.short_way import Asked, WholeAnswer

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

ODD = re.compile(rb"[^\x20-\x5b\x5d-\x7e]")
"""What no plain body holds: control characters, backslashes, and what is not ASCII."""
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_VALUE)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
MARKS = b"".join(f"{name.lower()}: {value}\r\n".encode() for name, value in SAFE.items())
JSON, HTTPS = b"content-type: application/json\r\n" + MARKS, f"strict-transport-security: {STRICT}\r\n".encode()
_TTL: TypeAdapter[timedelta] = TypeAdapter(Ttl)


class PlainLabels(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Labels, as ``LabelsBody`` has them."""

    provider: Text
    account: Text | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    team: Text | UnsetType = UNSET
    project: Text | UnsetType = UNSET
    workflow: Text | UnsetType = UNSET
    task_type: Text | UnsetType = UNSET
    agent: Text | UnsetType = UNSET


class PlainEstimate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Whole tokens by kind, or in all, as ``EstimateBody`` has them."""

    input: Count | UnsetType = UNSET
    cache_read: Count | UnsetType = UNSET
    cache_write_5m: Count | UnsetType = UNSET
    cache_write_1h: Count | UnsetType = UNSET
    output: Count | UnsetType = UNSET
    requests: Count | UnsetType = UNSET
    tokens: Count | UnsetType = UNSET

    def usage(self, basis: EstimateBasis, labels: Labels) -> Usage | None:
        """As the core has it; None where it is said in two ways or in none."""
        requests = 1 if self.requests is UNSET else self.requests
        kinds = (
            self.input or 0, self.cache_read or 0, self.cache_write_5m or 0, self.cache_write_1h or 0, self.output or 0
        )  # fmt: skip
        if self.tokens is UNSET:
            return Usage(*kinds, requests) if any(kinds) else None
        return basis.of_tokens(self.tokens, labels, requests=requests) if self.tokens and not any(kinds) else None


class PlainTicket(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ticket, its words in the order of ``TicketBody``: its fingerprint is made of them in that order."""

    key: Text
    labels: PlainLabels
    estimate: PlainEstimate
    priority: Priority | UnsetType = msgspec.field(default=UNSET, name="class")
    run: Text | UnsetType = UNSET
    session: Text | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    ttl: Text | UnsetType = UNSET

    @property
    def holds_padding(self) -> bool:
        """Whether a text begins or ends with a space, which would have to go."""
        texts = (self.key, self.run, self.session, self.model, *msgspec.structs.astuple(self.labels))
        return any(text and (text[0] == " " or text[-1] == " ") for text in texts)


_DECODE = msgspec.json.Decoder(PlainTicket).decode


class _Dumped(msgspec.Struct, gc=False):
    """The same words in the order, and by the names, in which ``TicketBody`` writes them."""

    key: str
    labels: PlainLabels
    priority: Priority | UnsetType
    estimate: PlainEstimate
    run: str | UnsetType
    session: str | UnsetType
    model: str | UnsetType
    ttl: str | UnsetType


@lru_cache(1024)
def _length(text: str) -> tuple[timedelta, str]:
    """A length of time, and how ``TicketBody`` writes it. Raises ValidationError for what is none."""
    span = _TTL.validate_python(text)
    return span, str(_TTL.dump_python(span, mode="json"))


def plain_draft(body: bytes, basis: EstimateBasis, now: datetime) -> Ticket | None:
    """The ticket that a plain body asks for, its cost still to be priced; None for a body that is not so plain."""
    if ODD.search(body):
        return None
    try:
        asked = _DECODE(body)
        ttl, ttl_text = (DEFAULT_TTL, UNSET) if asked.ttl is UNSET else _length(asked.ttl)
    except (msgspec.MsgspecError, ValidationError):
        return None
    said = asked.labels
    labels = Labels(
        canonical_provider(said.provider), said.account or "", asked.model or said.model or "", said.team or "",
        said.project or "", said.workflow or "", said.task_type or "", said.agent or "",
    )  # fmt: skip
    usage = asked.estimate.usage(basis, labels)
    if usage is None or asked.holds_padding:
        return None
    words = _Dumped(asked.key, said, asked.priority, asked.estimate, asked.run, asked.session, asked.model, ttl_text)
    return Ticket(
        id=0,
        key=asked.key,
        body=hashlib.blake2b(msgspec.json.encode(words), digest_size=16).hexdigest(),
        labels=labels,
        priority=asked.priority or Priority.NORMAL,
        estimate=declared(usage),
        created_at=now,
        waiting_since=now,
        ttl=ttl,
        run=asked.run or "",
        session=asked.session or "",
    )


class PlainTickets:
    """The desk of ``POST /v1/tickets`` at which plain tickets are asked for."""

    def __init__(self, service: "Facade") -> None:
        self._service = service

    def wants(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may be a plain ticket; the routes make the spans of those that are traced."""
        is_ticket = scope["path"] == "/v1/tickets" and scope["method"] == "POST" and not scope["query_string"]
        return is_ticket and not self._service.traces.is_on

    def ask(self, scope: Mapping[str, Any], body: bytes) -> "Asked | None":
        """Ask for the ticket of a plain body."""
        service, headers = self._service, dict(scope["headers"])
        if headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers:
            return None
        asker = plain_asker(service, scope, headers)
        if asker is None or (draft := plain_draft(body, service.estimate_basis, service.now())) is None:
            return None
        priced = service.price_at_once(draft._replace(owner=asker.owner) if asker.owner else draft)
        if priced is None or (asker.is_token and service.rates.take(asker.name)):
            return None
        (future,) = service.submit([priced])
        return Asked(future, partial(answered, service, scope, asker, future))


def plain_asker(service: "Facade", scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Asker | None:
    """The runner who asks, bound to no labels; None where ``headers`` stand there twice, or there is more to say."""
    if len(headers) != len(scope["headers"]) or service.draining or not is_let_in_plainly(service, headers):
        return None
    try:
        asker = asker_of(service, headers.get(b"authorization", b"").decode("latin-1"), Role.RUNNER)
    except Problem:
        return None
    return None if asker.scope.is_bound else asker


def answered(service: "Facade", scope: Mapping[str, Any], asker: Asker, asked: "asyncio.Future[Reply]") -> WholeAnswer:
    """What is told of a ticket that was asked for or about: as the routes tell it."""
    error = asked.exception()
    if error is not None:
        return _failed(service, error, scope)
    reply = asked.result()
    if isinstance(reply, Refused):
        return _told(problems.response(render.problem_of(reply)), scope)
    fence = asker.sees_fence(reply.ticket)
    body = render.answer(reply, service.limits, zone=service.config.timezone, fence=fence, held=service.held)
    return WholeAnswer(200, _head(JSON, scope), msgspec.json.encode(body))


def _failed(service: "Facade", error: BaseException, scope: Mapping[str, Any]) -> WholeAnswer:
    """What is told where nothing was written: as the routes tell it."""
    service.failed()
    if isinstance(error, StoreError):
        return _told(problems.response(not_written(error)), scope)
    if isinstance(error, TimeoutError):
        return _told(problems.response(slow()), scope)
    return _told(problems.broken(scope["method"], scope["path"], error), scope)


def _told(response: Response, scope: Mapping[str, Any]) -> WholeAnswer:
    """A response as it goes out."""
    lines = (b"%b: %b\r\n" % header for header in response.raw_headers if header[0] != b"content-length")
    return WholeAnswer(response.status_code, _head(b"".join(lines) + MARKS, scope), bytes(response.body))


def _head(lines: bytes, scope: Mapping[str, Any]) -> bytes:
    return lines + HTTPS if scope["scheme"] == "https" else lines
