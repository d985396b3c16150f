"""Real exporters of OpenTelemetry send to a socket: each encoding, each signal, and to a service that is busy."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.json.http import _log_exporter as json_logs
from opentelemetry.exporter.otlp.json.http import metric_exporter as json_metrics
from opentelemetry.exporter.otlp.json.http import trace_exporter as json_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from quota_scheduler.core.usage import Usage
from tests.shell.serving import Serving, serving_in

EXPORTERS: dict[str, dict[str, Callable[..., Any]]] = {
    "protobuf": {"logs": OTLPLogExporter, "metrics": OTLPMetricExporter, "traces": OTLPSpanExporter},
    "json": {
        "logs": json_logs.OTLPLogExporter,
        "metrics": json_metrics.OTLPMetricExporter,
        "traces": json_traces.OTLPSpanExporter,
    },
}


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with serving_in(tmp_path) as serving:
        yield serving


def exporter(serving: Serving, encoding: str, signal: str, **options: Any) -> Any:
    """A real exporter that sends to the service; protobuf in gzip."""
    packed = {"compression": Compression.Gzip} if encoding == "protobuf" else {}
    return EXPORTERS[encoding][signal](endpoint=f"{serving.url}/v1/{signal}", **packed, **options)


RESOURCE = Resource.create({"service.name": "claude-code", "team.id": "growth"})
EVENT = {
    "event.name": "api_request",
    "session.id": "s-1",
    "model": "claude-opus-5",
    "input_tokens": 6,
    "cache_read_tokens": 20000,
    "cache_creation_5m_tokens": 700,
    "cache_creation_1h_tokens": 900,
    "cache_creation_tokens": 1600,
    "output_tokens": 412,
}
ONE = (6, 20000, 700, 900, 412)
ENCODINGS = [pytest.param("protobuf", id="protobuf in gzip"), pytest.param("json", id="JSON")]


def emit_logs(serving: Serving, encoding: str, count: int) -> Any:
    """Answers of a client, as its SDK hands them to its exporter; returns what flushes them."""
    provider = LoggerProvider(resource=RESOURCE)
    serving.at_end.append(provider.shutdown)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter(serving, encoding, "logs")))
    logger = provider.get_logger("com.anthropic.claude_code.events")
    for number in range(count):
        logger.emit(LogRecord(body="claude_code.api_request", attributes=EVENT | {"request_id": f"req_{number:04}"}))
    return provider


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_log_records_are_stored_when_the_exporter_is_told_so(serving, encoding):
    assert emit_logs(serving, encoding, 1200).force_flush(10_000) is not False
    assert serving.used() == [("otlp/claude_code/logs", "s-1", *ONE)] * 1200


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "temporality",
    [
        pytest.param(AggregationTemporality.DELTA, id="deltas"),
        pytest.param(AggregationTemporality.CUMULATIVE, id="cumulative sums"),
    ],
)
def test_sums_add_up_whatever_their_temporality(serving, encoding, temporality):
    kinds = {Counter: temporality, Histogram: temporality}
    sender = exporter(serving, encoding, "metrics", preferred_temporality=kinds)
    provider = MeterProvider([PeriodicExportingMetricReader(sender, 3_600_000)], RESOURCE)
    serving.at_end.append(provider.shutdown)
    counter = provider.get_meter("com.anthropic.claude_code").create_counter("claude_code.token.usage", "tokens")
    for _ in range(3):
        for kind, tokens in (("input", 6), ("cacheRead", 20000), ("cacheCreation", 1600), ("output", 412)):
            counter.add(tokens, {"type": kind, "model": "claude-opus-5", "session.id": "s-1"})
        provider.force_flush()
    provider.force_flush()
    assert serving.sum() == Usage(18, 60000, 4800, 0, 1236)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_histograms_count_by_their_sums(serving, encoding):
    sender = exporter(serving, encoding, "metrics")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(sender, 3_600_000)], Resource.create({"service.name": "app"})
    )
    serving.at_end.append(provider.shutdown)
    histogram = provider.get_meter("genai").create_histogram("gen_ai.client.token.usage", "{token}")
    about = {"gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-5.5"}
    for tokens in (21606, 4):
        histogram.record(tokens, about | {"gen_ai.token.type": "input"})
        histogram.record(412, about | {"gen_ai.token.type": "output"})
        provider.force_flush()
    assert (serving.sum().input, serving.sum().output) == (21610, 824)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_spans_are_calls(serving, encoding):
    provider = TracerProvider(resource=Resource.create({"service.name": "app"}))
    serving.at_end.append(provider.shutdown)
    provider.add_span_processor(BatchSpanProcessor(exporter(serving, encoding, "traces")))
    for number in range(3):
        with provider.get_tracer("t").start_as_current_span("chat") as span:
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.response.model": "claude-opus-5",
                    "gen_ai.response.id": f"msg_{number}",
                    "gen_ai.response.finish_reasons": ["stop"],
                    "gen_ai.usage.input_tokens": 21606,
                    "gen_ai.usage.cache_read.input_tokens": 20000,
                    "gen_ai.usage.cache_write.input_tokens": 1600,
                    "gen_ai.usage.output_tokens": 412,
                }
            )
    assert provider.force_flush()
    assert serving.used() == [("otlp/genai/traces", "", 6, 20000, 1600, 0, 412)] * 3


class BusyFor:
    """Stands in for the longest line there may be: whoever is among the first few that compare with it is too many."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __le__(self, _size: int) -> bool:
        self.times -= 1
        return self.times >= 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_busy_service_is_asked_again_and_nothing_is_lost(serving, encoding, monkeypatch):
    busy = BusyFor(2)
    monkeypatch.setattr("quota_scheduler.service.intake.MOST_WAITING", busy)
    emit_logs(serving, encoding, 20).force_flush(30_000)
    assert busy.times < 0
    assert serving.used() == [("otlp/claude_code/logs", "s-1", *ONE)] * 20
