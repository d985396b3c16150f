"""Bodies of OTLP as agents send them: the figures of one answer, in both encodings."""

import base64
import json
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

AT = 1_795_338_000_000_000_000
"""22 November 2026, 09:00 UTC, in nanoseconds: when the services of these tests begin."""
MESSAGES = {
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
Attributes = dict[str, Any]


def value(said: Any) -> dict[str, Any]:
    """An attribute's value as JSON has it; None is the empty one."""
    if said is None:
        return {}
    if isinstance(said, bool):
        return {"boolValue": said}
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    return {kinds[type(said)]: said}


def pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(said)} for key, said in attributes.items()]


def logs(*records: dict[str, Any], service: str = "claude-code", **resource: Any) -> dict[str, Any]:
    """An export of log records."""
    about = {"attributes": pairs({"service.name": service, **resource})}
    return {"resourceLogs": [{"resource": about, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [*records]}]}]}


def record(
    attributes: Attributes, *, body: str = "", at: int = AT, observed: int = 0, name: str = ""
) -> dict[str, Any]:
    """One log record."""
    one: dict[str, Any] = {"timeUnixNano": str(at), "attributes": pairs(attributes)}
    if observed:
        one["observedTimeUnixNano"] = str(observed)
    if body:
        one["body"] = {"stringValue": body}
    return one | ({"eventName": name} if name else {})


def claude(request: str = "req_1", **changes: Any) -> dict[str, Any]:
    """An answer as Claude Code 2.1.332 tells of it."""
    attributes = {
        "user.email": "somebody@example.org",
        "user.id": "f00d",
        "session.id": "5e0f",
        "event.name": "api_request",
        "event.timestamp": "2026-11-22T09:00:00.000Z",
        "event.sequence": 7,
        "model": "claude-opus-5",
        "input_tokens": 6,
        "output_tokens": 412,
        "cache_read_tokens": 20000,
        "cache_creation_tokens": 1600,
        "cache_creation_5m_tokens": 700,
        "cache_creation_1h_tokens": 900,
        "duration_ms": 1234,
        "request_id": request,
        "speed": "normal",
        "query_source": "sdk",
        "effort": None,
    }
    attributes |= {name.replace("__", "."): said for name, said in changes.items()}
    return record(attributes, body="claude_code.api_request")


def codex(**changes: Any) -> dict[str, Any]:
    """An answer as Codex 0.171 tells of it: its time is 0, three of its figures are texts."""
    attributes = {
        "event.name": "codex.sse_event",
        "event.kind": "response.completed",
        "event.timestamp": "2026-11-22T09:00:00.000Z",
        "conversation.id": "thread-1",
        "model": "gpt-5.5",
        "input_token_count": "21042",
        "output_token_count": "301",
        "tool_token_count": "21343",
        "cached_token_count": 20001,
        "cache_write_token_count": 40,
        "reasoning_token_count": 51,
    }
    return record(attributes | changes, at=0, observed=AT)


def gemini(**changes: Any) -> dict[str, Any]:
    """An answer as Gemini CLI 0.61 tells of it."""
    attributes = {
        "event.name": "gemini_cli.api_response",
        "event.timestamp": "2026-11-22T09:00:00.000Z",
        "session.id": "s-1",
        "prompt_id": "s-1########0",
        "role": "main",
        "model": "gemini-3.8-flash",
        "input_token_count": 21004,
        "output_token_count": 302,
        "cached_content_token_count": 20002,
        "thoughts_token_count": 52,
        "tool_token_count": 10,
        "total_token_count": 21368,
        "auth_type": None,
    }
    return record(attributes | changes)


def metric(
    name: str,
    points: list[tuple[Attributes, Any]],
    *,
    start: int = AT,
    at: int = AT + 10**9,
    cumulative: bool = False,
    histogram: bool = False,
    service: str = "claude-code",
) -> dict[str, Any]:
    """An export of one metric."""
    made = []
    for attributes, said in points:
        figures = {"sum": said, "count": "1"} if histogram else {"asInt" if isinstance(said, int) else "asDouble": said}
        made.append(
            {"attributes": pairs(attributes), "startTimeUnixNano": str(start), "timeUnixNano": str(at), **figures}
        )
    data = {"dataPoints": made, "aggregationTemporality": 2 if cumulative else 1}
    one = {"name": name, ("histogram" if histogram else "sum"): data}
    about = {"attributes": pairs({"service.name": service, "process.command_args": "a secret prompt"})}
    return {"resourceMetrics": [{"resource": about, "scopeMetrics": [{"scope": {"name": "m"}, "metrics": [one]}]}]}


def spans(*attributes: Attributes, service: str = "app", name: str = "chat", **resource: Any) -> dict[str, Any]:
    """An export of spans."""
    made = [
        {
            "traceId": "0" * 30 + "01",
            "spanId": f"{number:016x}",
            "name": name,
            "startTimeUnixNano": str(AT),
            "endTimeUnixNano": str(AT),
            "attributes": pairs(said),
        }
        for number, said in enumerate(attributes, 1)
    ]
    about = {"attributes": pairs({"service.name": service, **resource})}
    return {"resourceSpans": [{"resource": about, "scopeSpans": [{"scope": {"name": "t"}, "spans": made}]}]}


def encoded(signal: str, document: dict[str, Any], *, as_json: bool) -> tuple[bytes, str]:
    """A document as it is sent, and what it says that it is."""
    if as_json:
        return json.dumps(document).encode(), "application/json"
    hexed = json.loads(json.dumps(document))
    for outer in hexed.get("resourceSpans", ()):
        for span in outer["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId"):
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(hexed, MESSAGES[signal]()).SerializeToString(), "application/x-protobuf"
