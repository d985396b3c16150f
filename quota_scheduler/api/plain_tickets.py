"""Tickets that are asked for in the plainest words, thousands of times a second.

    printable ASCII, no escapes, one object of few words ──► decoded in a microsecond ──► priced ──► the next cycle
    anything else ──► ``api.tickets``, which takes it or says what is wrong with it

What many tickets have in common, their labels and their estimate with its price, is worked out once a day.

What is taken here is what ``TicketBody`` would have made of it, to its fingerprint (tests/shell/test_plain_tickets.py):
there it is said what a ticket may be, here only how most of them are.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from quota_scheduler.api import problems, render
from quota_scheduler.api.access import Asker, asker_of, not_written, slow
from quota_scheduler.api.bounds import DEFAULT_TTL, LARGEST
from quota_scheduler.api.door import SAFE, STRICT, is_let_in_plainly
from quota_scheduler.api.problems import Problem
from quota_scheduler.config import Role
from quota_scheduler.core.cycle.requests import Refused, Reply
from quota_scheduler.core.labels import LONGEST_VALUE, Labels
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Estimate, Ticket
from quota_scheduler.core.usage import Usage
from quota_scheduler.errors import StoreError
from quota_scheduler.short_way import Asked, WholeAnswer

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from quota_scheduler.facade import Facade

ODD = re.compile(rb"[^\x20-\x5b\x5d-\x7e]")
"""What no plain body holds: control characters, backslashes, and what is not ASCII."""
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_VALUE)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
MARKS = b"".join(f"{name.lower()}: {value}\r\n".encode() for name, value in SAFE.items())
JSON, HTTPS = b"content-type: application/json\r\n" + MARKS, f"strict-transport-security: {STRICT}\r\n".encode()
MOST_ALIKE = 4096
"""Kinds of work whose labels and price are kept; past it they are forgotten."""
Work = tuple[Labels, Estimate]
"""What a ticket is, and what it is expected to use."""


class PlainLabels(msgspec.Struct, forbid_unknown_fields=True, gc=False, frozen=True):
    """Labels, as ``LabelsBody`` has them."""

    provider: Text
    account: Text | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    team: Text | UnsetType = UNSET
    project: Text | UnsetType = UNSET
    workflow: Text | UnsetType = UNSET
    task_type: Text | UnsetType = UNSET
    agent: Text | UnsetType = UNSET


class PlainEstimate(msgspec.Struct, forbid_unknown_fields=True, gc=False, frozen=True):
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


@cache
def _ttl() -> "TypeAdapter[timedelta]":
    """What reads and writes lengths of time for ``TicketBody``; loaded with the first of them."""
    from pydantic import TypeAdapter

    from quota_scheduler.api.values import Ttl

    return TypeAdapter(Ttl)


@lru_cache(1024)
def _length(text: str) -> tuple[timedelta, str]:
    """A length of time, and how ``TicketBody`` writes it. Raises ValueError for what is none."""
    span = _ttl().validate_python(text)
    return span, str(_ttl().dump_python(span, mode="json"))


def read_plain(body: bytes) -> PlainTicket | None:
    """What a plain body says; None for one that is not so plain."""
    if ODD.search(body):
        return None
    try:
        asked = _DECODE(body)
    except msgspec.MsgspecError:
        return None
    return None if b" " in body and asked.holds_padding else asked


def work_of(asked: PlainTicket, basis: EstimateBasis) -> Work | None:
    """The labels of a ticket and its estimate, still to be priced; None where that is said in two ways or in none."""
    said = asked.labels
    labels = Labels(
        canonical_provider(said.provider), said.account or "", asked.model or said.model or "", said.team or "",
        said.project or "", said.workflow or "", said.task_type or "", said.agent or "",
    )  # fmt: skip
    usage = asked.estimate.usage(basis, labels)
    return None if usage is None else (labels, declared(usage))


def draft_of(asked: PlainTicket, work: Work, now: datetime, owner: str = "") -> Ticket | None:
    """The ticket that is asked for; None where its time to live is no length of time."""
    try:
        ttl, ttl_text = (DEFAULT_TTL, UNSET) if asked.ttl is UNSET else _length(asked.ttl)
    except ValueError:
        return None
    words = _Dumped(
        asked.key, asked.labels, asked.priority, asked.estimate, asked.run, asked.session, asked.model, ttl_text
    )
    fingerprint = hashlib.blake2b(msgspec.json.encode(words), digest_size=16).hexdigest()
    return Ticket(
        0, asked.key, fingerprint, work[0], asked.priority or Priority.NORMAL, work[1], now, now, ttl,
        run=asked.run or "", session=asked.session or "", owner=owner,
    )  # fmt: skip


def plain_draft(body: bytes, basis: EstimateBasis, now: datetime) -> Ticket | None:
    """The ticket that a plain body asks for, its cost still to be priced; None for a body that is not so plain."""
    asked = read_plain(body)
    work = asked and work_of(asked, basis)
    return draft_of(asked, work, now) if asked and work else None


class PlainTickets:
    """The desk of ``POST /v1/tickets`` at which plain tickets are asked for."""

    def __init__(self, service: "Facade") -> None:
        self._service = service
        self._works: dict[tuple[PlainLabels, Any, PlainEstimate], Work] = {}
        self._as_of: tuple[Any, ...] = ()

    def wants(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may be a plain ticket; the routes make the spans of those that are traced."""
        is_ticket = scope["path"] == "/v1/tickets" and scope["method"] == "POST" and not scope["query_string"]
        return is_ticket and not self._service.traces.is_on

    def ask(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], body: bytes) -> "Asked | None":
        """Ask for the ticket of a plain body."""
        service = self._service
        if headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers:
            return None
        asker, asked = plain_asker(service, headers), read_plain(body)
        if asker is None or asked is None:
            return None
        now = service.now()
        work = self._priced(asked, now)
        draft = work and draft_of(asked, work, now, asker.owner)
        if not draft or (asker.is_token and service.rates.take(asker.name)):
            return None
        (future,) = service.submit([draft])
        return Asked(future, partial(answered, service, scope, asker, future))

    def _priced(self, asked: PlainTicket, now: datetime) -> Work | None:
        """Labels and priced estimate of a ticket; None where it is not so plain, or looking its price up takes a while.

        They are the same for the same words as long as prices, what is learned, and the day are.
        """
        service, words = self._service, (asked.labels, asked.model, asked.estimate)
        basis, prices = service.estimate_basis, service.prices_as_of(now)
        if self._as_of[:1] != (prices,) or self._as_of[1] is not basis or len(self._works) >= MOST_ALIKE:
            self._works, self._as_of = {}, (prices, basis)
        work = self._works.get(words)
        if work is None and (unpriced := work_of(asked, basis)):
            labels, estimate = unpriced
            priced = service.price_at_once(labels, estimate, now)
            work = priced and (labels, priced)
            if work and service.price_holds_all_day(labels, now):
                self._works[words] = work
        return work


def plain_asker(service: "Facade", headers: Mapping[bytes, bytes]) -> Asker | None:
    """The runner who asks, bound to no labels; None where there is more to say."""
    if service.draining or not is_let_in_plainly(service, headers):
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
