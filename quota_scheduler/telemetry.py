"""Traces that go somewhere: spans of OpenTelemetry, handed in batches to a collector over OTLP."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.traces import TRACED_TASKS, Place, Times, Traces, inside, span_here

log = logging.getLogger(__name__)
PATH = "/v1/traces"
ANSWER_SECONDS = 5.0
"""How long a collector may take: what it does not take in time is dropped, and counted for nobody."""
END_MILLISECONDS = 3_000
"""How long what is left may take to be sent when the service ends."""
SCOPE = "quota_scheduler"
_CONTEXT = TraceContextTextMapPropagator()


class Ids(RandomIdGenerator):
    """Random ids, but within ``of`` those that are given beforehand: of a ticket's root, and in this thread alone."""

    def __init__(self) -> None:
        self._given: ContextVar[SpanContext | None] = ContextVar("given", default=None)

    @contextlib.contextmanager
    def of(self, given: SpanContext) -> Iterator[None]:
        """Let the span that is begun within have these ids."""
        token = self._given.set(given)
        try:
            yield
        finally:
            self._given.reset(token)

    def generate_span_id(self) -> int:
        """As given, else by chance."""
        given = self._given.get()
        return given.span_id if given else super().generate_span_id()

    def generate_trace_id(self) -> int:
        """As given, else by chance."""
        given = self._given.get()
        return given.trace_id if given else super().generate_trace_id()


class SayingExporter(SpanExporter):
    """An exporter that says once when its collector is away, and once when it is there again."""

    def __init__(self, to: SpanExporter, address: str) -> None:
        self._to, self._address, self._is_away = to, address, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand spans on; those that the collector does not take are gone."""
        done = self._to.export(spans)
        is_away = done is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            log.warning("traces.lost to=%s", self._address)
        elif self._is_away and not is_away:
            log.info("traces.go_on to=%s", self._address)
        self._is_away = is_away
        return done

    def shutdown(self) -> None:
        """End."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = END_MILLISECONDS) -> bool:
        """Send what is left."""
        return self._to.force_flush(timeout_millis)


class _Ending:
    """A request's span."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def says(self, status: int, method: str, route: str) -> None:
        """Note the answer's status, and the route as its name."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        if route:
            self._span.set_attribute("http.route", route)
            self._span.update_name(f"{method} {route}")


class SentTraces(Traces):
    """Spans for a collector at ``endpoint``; of traces that begin here, ``share`` (0 to 1) are kept.

    What a caller sends as ``traceparent`` decides for its own trace.
    """

    is_on = True

    def __init__(self, endpoint: str, share: float, *, version: str, instance: str) -> None:
        for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # a collector that is away is said once, by us
        facts = {"service.name": "quota-scheduler", "service.version": version, "service.instance.id": instance}
        self._ids = Ids()
        self._sampled = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            sampler=ParentBased(self._sampled), resource=Resource.create(facts), id_generator=self._ids
        )
        to = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH, timeout=ANSWER_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(SayingExporter(to, endpoint)))
        self._tracer = self._provider.get_tracer(SCOPE, version)

    @contextlib.contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[_Ending]:
        """A request while it is answered, as a child of what its ``traceparent`` names."""
        above = _CONTEXT.extract(headers)
        attributes = {"http.request.method": method, "url.path": path}
        with self._span(method, context=above, kind=SpanKind.SERVER, attributes=attributes) as span:
            yield _Ending(span)

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[None]:
        """A run of a periodic task; nothing for those that only look."""
        if name not in TRACED_TASKS:
            yield
            return
        with self._span(name, context=set_span_in_context(INVALID_SPAN)):
            yield

    @contextlib.contextmanager
    def _span(self, name: str, **options: Any) -> Iterator[Span]:
        span = self._tracer.start_span(name, **options)
        try:
            with inside(span):
                yield span
        except BaseException as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()

    def here(self) -> Place:
        """The span under way with the time, to be handed to the writer's thread."""
        span = span_here()
        return (span, time.time_ns()) if span is not None and span.is_recording() else None

    def served(self, places: Sequence[Place], times: Times, tickets: Sequence[Ticket | None]) -> None:
        """Spans below each request or task: how long it was in line, was decided with others, and was committed."""
        for place, ticket in zip(places, tickets, strict=True):
            if place is None:
                continue
            span, asked = place
            above = set_span_in_context(span)
            self._past("queued", above, asked, times.began)
            links = [Link(self._root(ticket))] if ticket else []
            about = {"quota.ticket": f"t{ticket.id}"} if ticket else {}
            cycle = self._tracer.start_span(
                "cycle", above, attributes={"quota.batch": len(places), **about}, links=links, start_time=times.began
            )
            self._past("commit", set_span_in_context(cycle), times.committing, times.ended)
            cycle.end(times.ended)

    def started(self, tickets: Sequence[Ticket]) -> None:
        """The wait of each, told when it is over."""
        for ticket in tickets:
            if ticket.lease:
                self._past(
                    "wait", self._below(ticket), _ns(ticket.created_at), _ns(ticket.lease.granted_at), _about(ticket)
                )

    def closed(self, tickets: Sequence[Ticket]) -> None:
        """The lease of each that ran, and its whole life."""
        for ticket in tickets:
            ended = _ns(ticket.closed_at or ticket.created_at)
            about = {**_about(ticket), "quota.outcome": ticket.outcome.value if ticket.outcome else ""}
            if lease := ticket.lease:
                used = {"quota.fence": lease.fence, "quota.tokens": lease.usage.tokens}
                over = _ns(lease.ended_at) if lease.ended_at else ended
                self._past("lease", self._below(ticket), _ns(lease.granted_at), over, about | used)
            with self._ids.of(self._root(ticket)):
                self._past("ticket", set_span_in_context(INVALID_SPAN), _ns(ticket.created_at), ended, about)

    def _past(
        self, name: str, above: Context, begins: int, ends: int, attributes: Mapping[str, Any] | None = None
    ) -> None:
        self._tracer.start_span(name, above, attributes=attributes, start_time=begins).end(max(begins, ends))

    def _root(self, ticket: Ticket) -> SpanContext:
        """Where every span of a ticket belongs: the same at each replica, and after each restart."""
        known = f"{ticket.id} {to_micros(ticket.created_at)} {ticket.body}"
        digest = hashlib.blake2b(known.encode(), digest_size=24).digest()
        trace, span = int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1
        is_kept = self._sampled.should_sample(None, trace, "").decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_kept else TraceFlags.DEFAULT)
        return SpanContext(trace, span, is_remote=True, trace_flags=flags)

    def _below(self, ticket: Ticket) -> Context:
        return set_span_in_context(NonRecordingSpan(self._root(ticket)))

    def close(self) -> None:
        """Send what is left, for some seconds at most."""
        self._provider.force_flush(END_MILLISECONDS)
        self._provider.shutdown()


def _about(ticket: Ticket) -> dict[str, Any]:
    labels = ticket.labels
    return {
        "quota.ticket": f"t{ticket.id}",
        "quota.key": ticket.key,
        "quota.class": ticket.priority.value,
        "quota.provider": labels.provider,
        **({"quota.team": labels.team} if labels.team else {}),
        **({"quota.model": labels.model} if labels.model else {}),
    }


def _ns(at: datetime) -> int:
    return to_micros(at) * 1000
