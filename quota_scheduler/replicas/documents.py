"""What the leader lets the others know, as text and back: exactly, and refused where another version wrote it.

MessagePack keeps every float and every microsecond as it is; base64 lets it lie in a column of text. The *shape* is a
fingerprint of all fields and their types: nobody has to remember to count it up.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct, field
from msgspec.structs import fields

from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Schedule
from quota_scheduler.core.limits.thresholds import Thresholds
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.core.replicas.rules import Rules
from quota_scheduler.core.replicas.shown import Shown

T = TypeVar("T")
PACK_LEVEL = 1
"""Of zlib: a document of 200 limits shrinks to a tenth in two milliseconds."""


class PublishedReadings(Struct, frozen=True):
    """What a tick of the leader came to: for metrics, pages and alerts, and for the admission test everywhere."""

    readings: Readings
    outlooks: dict[str, Outlook] = field(default_factory=dict)
    shown: Shown = field(default_factory=Shown)


class PlainLimit(Struct, frozen=True):
    """A limit whose schedule is a name and fields: a union of classes tells nobody which one it is."""

    schedule: tuple[str, dict[str, Any]]
    fields: dict[str, Any]


class PlainRules(Struct, frozen=True):
    """Rules, their limits plain."""

    limits: tuple[PlainLimit, ...]
    policy: QueuePolicy
    thresholds: Thresholds
    models: tuple[str, ...]
    prices: dict[str, OwnPrice]


def encode_readings(published: PublishedReadings) -> str:
    """Write what a tick came to."""
    return _packed(published)


def decode_readings(shape: str, body: str) -> PublishedReadings | None:
    """Read it back, an equal value; None where another version wrote it."""
    return _unpacked(PublishedReadings, body) if shape == readings_shape() else None


def encode_shown(shown: Shown) -> str:
    """Write what counters stand at."""
    return _packed(shown)


def decode_shown(shape: str, body: str) -> Shown | None:
    """Read it back, an equal value; None where another version wrote it."""
    return _unpacked(Shown, body) if shape == shown_shape() else None


def encode_rules(rules: Rules) -> str:
    """Write rules."""
    plain = tuple(_plain(limit) for limit in rules.limits)
    return _packed(PlainRules(plain, rules.policy, rules.thresholds, rules.models, dict(rules.prices)))


def decode_rules(shape: str, body: str) -> Rules | None:
    """Read them back, equal values; None where another version wrote them."""
    if shape != rules_shape():
        return None
    plain = _unpacked(PlainRules, body)
    limits = tuple(_limit(one) for one in plain.limits)
    return Rules(limits, plain.policy, plain.thresholds, plain.models, plain.prices)


@cache
def shown_shape() -> str:
    """Differs between versions that remember otherwise what was shown."""
    return _shape(Shown)


@cache
def readings_shape() -> str:
    """Differs between versions whose readings have other fields."""
    return _shape(PublishedReadings)


@cache
def rules_shape() -> str:
    """Differs between versions whose rules have other fields."""
    return _shape(Rules)


def _packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(value), PACK_LEVEL)).decode()


def _unpacked(kind: type[T], body: str) -> T:
    return msgspec.msgpack.decode(zlib.decompress(base64.b64decode(body)), type=kind)


SCHEDULES: Mapping[str, type] = {kind.__name__: kind for kind in get_args(Schedule)}
LIMIT_FIELDS = {one.name: get_type_hints(Limit)[one.name] for one in fields(Limit) if one.name != "schedule"}


def _plain(limit: Limit) -> PlainLimit:
    schedule: Any = limit.schedule
    told = {name: msgspec.to_builtins(getattr(limit, name)) for name in LIMIT_FIELDS}
    return PlainLimit((type(schedule).__name__, msgspec.to_builtins(schedule)), told)


def _limit(plain: PlainLimit) -> Limit:
    name, told = plain.schedule
    given: dict[str, Any] = {name: msgspec.convert(plain.fields[name], kind) for name, kind in LIMIT_FIELDS.items()}
    return Limit(schedule=msgspec.convert(told, SCHEDULES[name]), **given)


def _shape(kind: type) -> str:
    """A fingerprint of the fields of a class and of all classes that they are made of."""
    lines: dict[str, str] = {}
    _describe(kind, lines)
    return hashlib.sha256("\n".join(f"{name} {lines[name]}" for name in sorted(lines)).encode()).hexdigest()[:12]


def _describe(kind: Any, lines: dict[str, str]) -> None:
    if isinstance(kind, type) and (issubclass(kind, Struct) or hasattr(kind, "_fields")) and kind.__name__ not in lines:
        hints = get_type_hints(kind)
        lines[kind.__name__] = str(hints)
        for hint in hints.values():
            _describe(hint, lines)
    for part in get_args(kind):
        _describe(part, lines)
