"""OTLP bodies in JSON, as they are really sent: integers as numbers or texts, empty values, either spelling of keys.

Every part is read by itself, so that one that is of another shape than it should be costs nothing but itself.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

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
    place_text,
)
from quota_scheduler.sources.records import BadLine

_WHOLE = frozenset({"intValue", "int_value"})
_SIMPLE = frozenset({"stringValue", "string_value", "doubleValue", "double_value", "boolValue", "bool_value"}) | _WHOLE
_TEMPORALITY = {
    1: DELTA,
    2: CUMULATIVE,
    "AGGREGATION_TEMPORALITY_DELTA": DELTA,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": CUMULATIVE,
}
_KINDS = ("sum", "histogram", "exponentialHistogram")
MOST_NANOSECONDS = 2**64
MANY = 2**53
"""Whole numbers up to here are exact in the doubles of other programs."""
Part = tuple[Place, dict[str, Scalar], dict[str, Any], str]
"""The place of a record, its resource, itself, and what tells its resource and scope apart from others."""


def logs(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The log records of a body. Raises BadLine for one that is no such document."""
    records: list[LogRecord] = []
    refused: list[str] = []
    for place, resource, record, _ in _parts(body, "logs", wanted, refused):
        try:
            attributes = resource | _attributes(_get(record, "attributes"), wanted)
            spoken = _scalar(_get(record, "body"))
            body_name = spoken[:LONGEST_NAME] if isinstance(spoken, str) else ""
            name = attributes.get(EVENT_NAME) or _get(record, "eventName") or body_name
            times = _nanoseconds(record, "timeUnixNano"), _nanoseconds(record, "observedTimeUnixNano")
            records.append(LogRecord(place, resource, str(name), *times, attributes))
        except BadLine as error:
            refused.append(f"{place_text(place)}: {error}")
    return Decoded(records, refused)


def spans(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The spans of a body. Raises BadLine for one that is no such document."""
    records: list[CallSpan] = []
    refused: list[str] = []
    for place, resource, span, _ in _parts(body, "spans", wanted, refused):
        try:
            attributes = resource | _attributes(_get(span, "attributes"), wanted)
            number = f"{_get(span, 'traceId') or ''}{_get(span, 'spanId') or ''}".lower()
            name = str(_get(span, "name") or "")
            records.append(CallSpan(place, resource, name, number, _nanoseconds(span, "endTimeUnixNano"), attributes))
        except BadLine as error:
            refused.append(f"{place_text(place)}: {error}")
    return Decoded(records, refused)


def points(body: bytes, wanted: frozenset[str]) -> Decoded:
    """The data points of a body that are looked at. Raises BadLine for one that is no such document."""
    records: list[Point] = []
    refused: list[str] = []
    for place, resource, metric, origin in _parts(body, "points", wanted, refused):
        if _get(metric, "name") in COUNTED_METRICS:
            _points_of(place, resource, metric, digest([origin, str(metric["name"])]), wanted, records, refused)
    return Decoded(records, refused)


def _points_of(
    place: Place,
    resource: Attributes,
    metric: dict[str, Any],
    origin: str,
    wanted: frozenset[str],
    records: list[Point],
    refused: list[str],
) -> None:
    for kind in _KINDS:
        data = _get(metric, kind)
        if not isinstance(data, dict):
            continue
        temporality = _TEMPORALITY.get(_get(data, "aggregationTemporality") or 0)
        for point in _list(data, "dataPoints") if temporality else ():
            try:
                if isinstance(point, dict) and not _int(_get(point, "flags")) & NOT_RECORDED:
                    cumulative = temporality == CUMULATIVE
                    records.append(_point(place, resource, metric["name"], kind, point, origin, wanted, cumulative))
            except BadLine as error:
                refused.append(f"{place_text(place)}: {error}")


def _point(
    place: Place,
    resource: Attributes,
    metric: str,
    kind: str,
    point: dict[str, Any],
    origin: str,
    wanted: frozenset[str],
    is_cumulative: bool,
) -> Point:
    written = _get(point, "attributes")
    attributes = _attributes(written, wanted)
    others = _pairs(written, without=TYPE_NAMES)
    if kind == "sum":
        said = _get(point, "asInt")
        value = _number(_get(point, "asDouble") if said is None else said)
    else:
        value = _number(_get(point, "sum"))
    return Point(
        place,
        resource,
        metric,
        attributes,
        digest([origin, *others]),
        _nanoseconds(point, "startTimeUnixNano"),
        _nanoseconds(point, "timeUnixNano"),
        value,
        None if kind == "sum" else _int(_get(point, "count")),
        is_cumulative,
    )


def _parts(body: bytes, signal: str, wanted: frozenset[str], refused: list[str]) -> Iterator[Part]:
    """Every record, or for metrics every metric, of a document with its resource."""
    outer, middle, inner = {
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "spans": ("resourceSpans", "scopeSpans", "spans"),
        "points": ("resourceMetrics", "scopeMetrics", "metrics"),
    }[signal]
    document = _document(body)
    listed = _get(document, outer)
    if listed is not None and not isinstance(listed, list):
        raise BadLine(f"{outer} is no array")
    for i, one in enumerate(_list(document, outer)):
        resource = _get(one, "resource") if isinstance(one, dict) else None
        written = _get(resource, "attributes") if isinstance(resource, dict) else None
        attributes = _attributes(written, wanted)
        for j, scoped in enumerate(_list(one, middle)):
            scope = _get(scoped, "scope") if isinstance(scoped, dict) else None
            name = str(_get(scope, "name") or "") if isinstance(scope, dict) else ""
            origin = digest([*_pairs(written), name]) if signal == "points" else ""
            for k, record in enumerate(_list(scoped, inner)):
                if isinstance(record, dict):
                    yield (signal, i, j, k), attributes, record, origin
                else:
                    refused.append(f"{place_text((signal, i, j, k))}: it is no object")


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        document = _mended(body)
    if not isinstance(document, dict):
        raise BadLine("the body is no JSON object")
    return document


def _mended(body: bytes) -> Any:
    """A document with half a character in it: a client that cut a text in the middle of an emoji sends that."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"the body is not JSON: {error}") from None


def _get(part: dict[str, Any], name: str) -> Any:
    """What stands under a name in camel case, or as the protocol's own files spell it."""
    if name in part:
        return part[name]
    return part.get(_snake(name))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)


def _list(part: Any, name: str) -> list[Any]:
    listed = _get(part, name) if isinstance(part, dict) else None
    return listed if isinstance(listed, list) else []


def _each(attributes: Any) -> Iterator[tuple[str, Any]]:
    for pair in attributes if isinstance(attributes, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            yield pair["key"], pair.get("value")


def _attributes(attributes: Any, wanted: frozenset[str]) -> dict[str, Scalar]:
    return {key: _scalar(value) for key, value in _each(attributes) if key in wanted}


def _pairs(attributes: Any, *, without: frozenset[str] = frozenset()) -> list[str]:
    return sorted(f"{key}={_scalar(value)}" for key, value in _each(attributes) if key not in without)


def _scalar(value: Any) -> Scalar:
    """An attribute's value, an integer as such even where it is written as a text; None for ``{}``."""
    if not isinstance(value, dict) or not value:
        return None
    for kind, said in value.items():
        if kind in _SIMPLE and isinstance(said, str | int | float):
            if isinstance(said, str) and kind in _WHOLE:
                return int(said) if said.lstrip("-").isdecimal() and len(said) <= 20 else said
            return said
    return True


def _nanoseconds(part: dict[str, Any], name: str) -> int:
    said = _int(_get(part, name))
    if not 0 <= said < MOST_NANOSECONDS:
        raise BadLine(f"{name} is {said}, no time")
    return said


def _int(said: Any) -> int:
    if said is None:
        return 0
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= 20:
        return int(said)
    if isinstance(said, float) and said.is_integer() and abs(said) < MANY:
        return int(said)
    if isinstance(said, bool) or not isinstance(said, int):
        raise BadLine(f"{str(said)[:40]!r} is no whole number")
    return said


def _number(said: Any) -> float:
    if isinstance(said, str):
        try:
            said = float(said)
        except ValueError:
            raise BadLine(f"{said[:40]!r} is no number") from None
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise BadLine("a point without a value")
    try:
        return float(said)
    except OverflowError:
        raise BadLine("a value beyond all numbers") from None


def answer(signal: str, refused: int, message: str) -> bytes:
    """The answer to an export; one that says what was refused, if anything was."""
    if not refused:
        return b"{}"
    name = {"logs": "rejectedLogRecords", "spans": "rejectedSpans", "points": "rejectedDataPoints"}[signal]
    return msgspec.json.encode({"partialSuccess": {name: str(refused), "errorMessage": message}})
