"""OTLP bodies in protobuf, and answers to them. The only file that knows the generated classes."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from quota_scheduler.sources.otlp.records import (
    COUNTED_METRICS,
    CUMULATIVE,
    DELTA,
    EVENT_NAME,
    LONGEST_NAME,
    NOT_RECORDED,
    TYPE_NAMES,
    Attributes,
    CallSpan,
    Decoded,
    LogRecord,
    Place,
    Point,
    Scalar,
    digest,
)
from quota_scheduler.sources.records import BadLine


def logs(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The log records of a body. Raises BadLine for one that is no such message."""
    records: list[LogRecord] = []
    for i, outer in enumerate(_parsed(ExportLogsServiceRequest, body).resource_logs):
        resource = _some(outer.resource.attributes, wanted)
        for j, scope in enumerate(outer.scope_logs):
            for k, record in enumerate(scope.log_records):
                attributes = resource | _some(record.attributes, wanted)
                named = attributes.get(EVENT_NAME) or record.event_name or record.body.string_value[:LONGEST_NAME]
                place = ("logs", i, j, k)
                times = record.time_unix_nano, record.observed_time_unix_nano
                records.append(LogRecord(place, resource, str(named), *times, attributes))
    return Decoded(records, [])


def spans(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The spans of a body. Raises BadLine for one that is no such message."""
    records: list[CallSpan] = []
    for i, outer in enumerate(_parsed(ExportTraceServiceRequest, body).resource_spans):
        resource = _some(outer.resource.attributes, wanted)
        for j, scope in enumerate(outer.scope_spans):
            for k, span in enumerate(scope.spans):
                attributes = resource | _some(span.attributes, wanted)
                number = f"{span.trace_id.hex()}{span.span_id.hex()}"
                place = ("spans", i, j, k)
                records.append(CallSpan(place, resource, span.name, number, span.end_time_unix_nano, attributes))
    return Decoded(records, [])


def points(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The data points of a body that are looked at. Raises BadLine for one that is no such message."""
    records: list[Point] = []
    for i, outer in enumerate(_parsed(ExportMetricsServiceRequest, body).resource_metrics):
        resource, number = _some(outer.resource.attributes, wanted), 0
        for j, scope in enumerate(outer.scope_metrics):
            for metric in scope.metrics:
                if metric.name not in COUNTED_METRICS:
                    continue
                origin = digest([*_pairs(outer.resource.attributes), scope.scope.name, metric.name])
                for point in _data_points(metric, ("points", i, j, number), resource, origin, wanted):
                    records.append(point)
                    number += 1
    return Decoded(records, [])


def _data_points(
    metric: Any, place: Place, resource: Attributes, origin: str, wanted: frozenset[str]
) -> Iterable[Point]:
    kind = metric.WhichOneof("data")
    if kind not in ("sum", "histogram", "exponential_histogram"):
        return
    data, (signal, i, j, first) = getattr(metric, kind), place
    for k, point in enumerate(data.data_points, first):
        if point.flags & NOT_RECORDED or data.aggregation_temporality not in (DELTA, CUMULATIVE):
            continue
        if kind == "sum":
            value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
        else:
            value = point.sum
        attributes = _some(point.attributes, wanted)
        group = digest([origin, *_pairs(pair for pair in point.attributes if pair.key not in TYPE_NAMES)])
        yield Point(
            (signal, i, j, k),
            resource,
            metric.name,
            attributes,
            group,
            point.start_time_unix_nano,
            point.time_unix_nano,
            float(value),
            None if kind == "sum" else point.count,
            data.aggregation_temporality == CUMULATIVE,
        )


def answer(signal: str, refused: int, message: str) -> bytes:
    """The answer to an export; one that says what was refused, if anything was."""
    if signal == "logs":
        logs_answer = ExportLogsServiceResponse()
        if refused:
            logs_answer.partial_success.rejected_log_records = refused
            logs_answer.partial_success.error_message = message
        return logs_answer.SerializeToString()
    if signal == "spans":
        spans_answer = ExportTraceServiceResponse()
        if refused:
            spans_answer.partial_success.rejected_spans = refused
            spans_answer.partial_success.error_message = message
        return spans_answer.SerializeToString()
    points_answer = ExportMetricsServiceResponse()
    if refused:
        points_answer.partial_success.rejected_data_points = refused
        points_answer.partial_success.error_message = message
    return points_answer.SerializeToString()


def _parsed(message: Any, body: bytes) -> Any:
    try:
        return message.FromString(body)
    except DecodeError as error:
        raise BadLine(f"it is no {message.DESCRIPTOR.name}: {error}") from None


def _some(attributes: Any, wanted: frozenset[str]) -> dict[str, Scalar]:
    """What is wanted of attributes. Most values are texts or numbers, and asking for those costs least."""
    return {
        key: (value := pair.value).string_value or value.int_value or _value(value)
        for pair in attributes
        if (key := pair.key) in wanted
    }


def _value(value: Any) -> Scalar:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    return getattr(value, kind) if kind in ("string_value", "int_value", "double_value", "bool_value") else True


def _pairs(attributes: Iterable[Any]) -> list[str]:
    """All of these attributes in one order; numbers alike whatever their encoding writes."""
    return sorted(f"{pair.key}={_value(pair.value)}" for pair in attributes)
