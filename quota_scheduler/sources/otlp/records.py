"""What both encodings of OTLP are decoded into: log records, spans and data points, with no more than is looked at.

Only attributes whose names are wanted are kept, so that texts of people (prompts, command lines, e-mail addresses) get
no further than the decoder. A record that cannot be understood is refused with its place; the others are taken.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from quota_scheduler.core.instants import EPOCH, is_plausible, parse_instant
from quota_scheduler.core.ledger.produced import Product
from quota_scheduler.sources.records import BadLine

CUMULATIVE = 2
DELTA = 1
NOT_RECORDED = 1
"""The flag of a point that says only that there is none."""
EVENT_NAME = "event.name"
R = TypeVar("R")
Scalar = str | int | float | bool | None
"""An attribute's value. An array or map is True: that it is there is all anybody asks. ``{}`` is None."""
Attributes = Mapping[str, Scalar]
Place = tuple[str, int, int, int]
"""Which list, and the numbers of resource, scope and record in it."""
LARGEST_COUNT = 10**10
"""More tokens in one record are garbled, not usage."""
LONGEST_NAME = 100
"""A log record's body may be its name; a longer one is a text."""
TYPE_NAMES = frozenset({"type", "token_type", "gen_ai.token.type"})
"""Attributes that say which kind of tokens a point counts: points that differ in nothing else belong together."""
TOKEN_METRICS = frozenset(
    {
        "claude_code.token.usage",
        "codex.turn.token_usage",
        "gemini_cli.token.usage",
        "gen_ai.client.token.usage",
    }
)
"""Metrics that count tokens."""
PRODUCT_METRICS = {
    "claude_code.commit.count": Product.COMMITS,
    "claude_code.pull_request.count": Product.PULL_REQUESTS,
}
"""Metrics that count what was made (seen with 2.1.332: deltas by session, a commit that fails is none)."""
COUNTED_METRICS = TOKEN_METRICS | PRODUCT_METRICS.keys()
"""Metrics that are looked at; no other is."""


class LogRecord(NamedTuple):
    """One log record: its attributes over those of its resource.

    ``name`` is from wherever its program puts it, times are in nanoseconds, 0 for none.
    """

    place: Place
    resource: Attributes
    name: str
    time: int
    observed: int
    attributes: Attributes


class CallSpan(NamedTuple):
    """One span: its attributes over those of its resource.

    ``number`` are its trace and itself, ``ended`` is in nanoseconds.
    """

    place: Place
    resource: Attributes
    name: str
    number: str
    ended: int
    attributes: Attributes


class Point(NamedTuple):
    """One data point of a metric that counts tokens: a sum's value, or a histogram's sum and how many records it is of.

    ``group`` is a digest of resource, scope, metric and all attributes but the type of tokens. ``start`` and ``time``
    are in nanoseconds.
    """

    place: Place
    resource: Attributes
    metric: str
    attributes: Attributes
    group: str
    start: int
    time: int
    value: float
    calls: int | None
    is_cumulative: bool


class Decoded(NamedTuple):
    """What a body holds: records, and for each that was refused a sentence with its place."""

    records: list[LogRecord] | list[CallSpan] | list[Point]
    refused: list[str]


def place_text(place: Place) -> str:
    """A place as people find it in the body."""
    signal, resource, scope, record = place
    outer, middle, inner = {
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "spans": ("resourceSpans", "scopeSpans", "spans"),
        "points": ("resourceMetrics", "scopeMetrics", "points"),
    }[signal]
    return f"{outer}[{resource}].{middle}[{scope}].{inner}[{record}]"


def count(attributes: Attributes, *names: str) -> int | None:
    """The number of tokens under the first of these names that is given. Raises BadLine for what is no count."""
    for name in names:
        value = attributes.get(name)
        if type(value) is int and 0 <= value <= LARGEST_COUNT:
            return value
        if value is not None and value != "":
            return count_of(value, name)
    return None


def count_of(value: object, name: str) -> int:
    """A number of tokens, however it is written. Raises BadLine."""
    number = value
    is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18
    if is_text or (isinstance(value, float) and value.is_integer()):
        number = int(value)  # type: ignore[call-overload]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= LARGEST_COUNT:
        raise BadLine(f"{name} is {str(value)[:40]!r}, no number of tokens")
    return number


def text(attributes: Attributes, *names: str) -> str:
    """The text under the first of these names that has one; empty where none has."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def instant_of(nanoseconds: int) -> datetime | None:
    """The instant of nanoseconds since 1970; None for 0. Raises BadLine for one that nobody can mean."""
    if not nanoseconds:
        return None
    try:
        at = EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        at = None
    if at is None or not is_plausible(at):
        raise BadLine(f"{nanoseconds} ns is no time of these two centuries")
    return at


def written_instant(said: str) -> datetime | None:
    """The instant that an attribute writes out; None where it does not."""
    try:
        at = parse_instant(said)
    except (ValueError, OverflowError):
        return None
    return at if is_plausible(at) else None


def digest(parts: Iterable[str]) -> str:
    """What tells series apart: a hash of everything that names them."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
