"""Traces against a collector of the test itself: what is asked, the life of a ticket, ticks, and a collector away."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.system.service_process import Place, ServiceProcess, free_port, until

pytestmark = pytest.mark.system
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""A ``traceparent`` as W3C's Trace Context shows one: of a caller whose trace is kept."""
LIMITS = (
    "limits:\n  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}\n"
)


@dataclass(frozen=True)
class Seen:
    """A span as the collector got it; ``links`` are the traces it points at."""

    name: str
    trace: str
    span: str
    above: str
    begins: int
    ends: int
    attributes: dict[str, Any]
    links: tuple[str, ...]


class Collector:
    """Takes OTLP over HTTP, and keeps every span."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Seen] = []
        self.resources: list[dict[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                collector._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _take(self, export: ExportTraceServiceRequest) -> None:
        for group in export.resource_spans:
            self.resources.append(plain(group.resource.attributes))
            for scope in group.scope_spans:
                for span in scope.spans:
                    links = tuple(link.trace_id.hex() for link in span.links)
                    self.spans.append(
                        Seen(span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                             span.start_time_unix_nano, span.end_time_unix_nano, plain(span.attributes), links)
                    )  # fmt: skip

    def named(self, name: str, **attributes: Any) -> list[Seen]:
        """The spans of a name that carry these attributes, dots written as two underscores."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return [one for one in list(self.spans) if one.name == name and wanted.items() <= one.attributes.items()]

    def below(self, above: Seen) -> list[str]:
        """The names of a span's children, in order of their begin."""
        children = [one for one in list(self.spans) if one.above == above.span]
        return [one.name for one in sorted(children, key=lambda one: one.begins)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def traced(folder: Path, port: int, more: str = "") -> Place:
    place = Place(folder)
    place.environ["OTEL_BSP_SCHEDULE_DELAY"] = "100"  # milliseconds: a test need not wait for five seconds
    place.config(f"traces: {{endpoint: 'http://127.0.0.1:{port}'{more}}}\n{LIMITS}")
    return place


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def service(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(traced(tmp_path_factory.mktemp("traces"), collector.port)) as service:
        yield service.ready()


def submit(service: ServiceProcess, key: str, tokens: int, **headers: str) -> Any:
    body = {"key": key, "labels": {"provider": "anthropic", "team": "growth"}, "estimate": {"output": tokens}}
    return service.ask("POST", "/v1/tickets", body, headers=headers).body


def test_a_request_is_a_span_of_its_callers_trace_down_to_the_commit(
    service: ServiceProcess, collector: Collector
) -> None:
    ticket = submit(service, "first", 100, traceparent=CALLER)
    name = "POST /v1/tickets"
    (request,) = until(lambda: collector.named(name), what="the request's span")
    assert (request.trace, request.above) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert request.attributes == {
        "http.request.method": "POST", "url.path": "/v1/tickets", "http.route": "/v1/tickets",
        "http.response.status_code": 200,
    }  # fmt: skip
    assert collector.below(request) == ["queued", "cycle"]
    (cycle,) = collector.named("cycle", quota__ticket=ticket["id"])
    assert collector.below(cycle) == ["commit"]
    (commit,) = [one for one in collector.spans if one.above == cycle.span]
    assert request.begins <= cycle.begins <= commit.begins <= commit.ends <= cycle.ends <= request.ends
    assert len(cycle.links) == 1
    resource = collector.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("quota-scheduler", "0.1.0")


def test_a_ticket_is_one_trace_from_its_wait_to_its_end(service: ServiceProcess, collector: Collector) -> None:
    running, waiting = submit(service, "runs", 800), submit(service, "waits", 500)
    assert (running["state"], waiting["state"]) == ("running", "waiting")
    lease = running["lease"]
    release = {"fence": lease["fence"], "usage": {"output": 10}, "status": "completed"}
    service.ask("POST", f"/v1/leases/{lease['id']}/release", release)
    until(lambda: service.ask("GET", f"/v1/tickets/{waiting['id']}").body["state"] == "running", what="the second")
    (ticket,) = until(lambda: collector.named("ticket", quota__key="runs"), what="the ticket's span")
    assert collector.below(ticket) == ["wait", "lease"]
    (held,) = collector.named("lease", quota__key="runs")
    assert held.attributes == {
        "quota.ticket": running["id"], "quota.key": "runs", "quota.class": "normal", "quota.provider": "anthropic",
        "quota.team": "growth", "quota.outcome": "completed", "quota.fence": lease["fence"], "quota.tokens": 10,
    }  # fmt: skip
    (wait,) = until(lambda: collector.named("wait", quota__key="waits"), what="the second one's wait")
    assert wait.ends > wait.begins
    (asked,) = [one for one in collector.named("cycle", quota__ticket=waiting["id"]) if one.links][:1]
    assert asked.links == (wait.trace,)
    assert wait.trace != ticket.trace


def test_ticks_are_traced_to_their_commit_and_probes_are_not(service: ServiceProcess, collector: Collector) -> None:
    service.get("/metrics")
    ticks = until(
        lambda: [tick for tick in collector.named("tick") if "cycle" in collector.below(tick)],
        what="a tick that wrote something",
    )
    assert {tick.above for tick in ticks} == {""}
    assert not [one.name for one in collector.spans if "metrics" in one.name or "readyz" in one.name]


def test_a_ticket_goes_on_in_its_trace_after_a_restart(tmp_path: Path, collector: Collector) -> None:
    place = traced(tmp_path, collector.port)
    with ServiceProcess(place) as service:
        lease = submit(service.ready(), "restarted", 10)["lease"]
        until(lambda: collector.named("wait", quota__key="restarted"), what="its wait")
        service.kill()
    with ServiceProcess(place) as service:
        release = {"fence": lease["fence"], "usage": {"output": 10}, "status": "completed"}
        service.ready().ask("POST", f"/v1/leases/{lease['id']}/release", release)
        assert service.terminate() == 0  # what is left is sent at the end
    (ticket,) = collector.named("ticket", quota__key="restarted")
    assert collector.below(ticket) == ["wait", "lease"]


def test_a_caller_who_keeps_no_trace_is_not_traced(service: ServiceProcess, collector: Collector) -> None:
    unkept = "00-11111111111111111111111111111111-2222222222222222-00"
    submit(service, "unkept", 1, traceparent=unkept)
    submit(service, "kept", 1, traceparent=CALLER.replace("b7ad", "c7ad"))
    until(lambda: [one for one in collector.spans if one.above == "c7ad6b7169203331"], what="the kept one")
    assert not [one for one in collector.spans if one.trace == "1" * 32]


def test_a_collector_that_is_away_is_said_once_and_holds_nothing_up(tmp_path: Path) -> None:
    port = free_port()
    with ServiceProcess(traced(tmp_path, port)) as service:
        service.ready()
        began = time.monotonic()
        for number in range(20):
            assert submit(service, f"k{number}", 1)["state"] == "running"
        assert time.monotonic() - began < 5
        until(lambda: "traces.lost" in service.said, what="the sentence")
        with Collector(port) as collector:
            until(lambda: "traces.go_on" in service.said and collector.spans, what="spans again")
        assert service.said.count("traces.lost") <= 2
        assert "Traceback" not in service.said
        assert service.terminate() == 0


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off(tmp_path: Path) -> None:
    script = (
        "import sys; from quota_scheduler import assemble; "
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry.') and 'proto' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
