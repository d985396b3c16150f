"""The wire format between a shipper and the service: a usage event with everything that counting once needs.

    UsageEvent ──shipped──► ShippedEvent ──JSON──► ShippedEvent ──event──► UsageEvent, of the origin ``source@host``

Fields that are empty are left out. One bad element of a shipment is refused by its place; the others count.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.labels import LABEL_NAMES, LONGEST_VALUE, Labels
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Extent, PriceTerms, Usage, UsageEvent

VERSION = 1
"""Changes when an old service could misread a new shipper."""
MOST_ELEMENTS = 5_000
"""Events of one shipment: what one transaction takes."""
LONGEST_KEY = 500
"""Letters of a key or an id: the longest that a provider was seen to give has 429."""

Key = Annotated[str, msgspec.Meta(max_length=LONGEST_KEY)]
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_EVENT)]
Host = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ShippedEvent(msgspec.Struct, omit_defaults=True, frozen=True):
    """One usage event. ``kinds`` are the five token kinds in the order of ``core.usage.KINDS``."""

    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_VALUE)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_KEY)]
    at: datetime
    kinds: tuple[Tokens, Tokens, Tokens, Tokens, Tokens]
    requests: Tokens = 1
    labels: dict[Name, Name] = {}  # msgspec copies it
    run: Key = ""
    session: Key = ""
    message: Key = ""
    sidechain: bool = False
    priority: Priority = Priority.INTERACTIVE
    flags: Annotated[tuple[Name, ...], msgspec.Meta(max_length=20)] = ()
    prompt_version: Name = ""
    status: Name = ""
    terms: PriceTerms | None = None
    extent: Extent = Extent.WHOLE


class ShippedObservation(msgspec.Struct, omit_defaults=True, frozen=True):
    """One report of a provider, or with ``throttled`` a moment in which it refused."""

    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_VALUE)]
    observed_at: datetime
    source: Name
    account: Name = ""
    window: ProviderWindow | None = None
    used_ratio: Annotated[float, msgspec.Meta(ge=0, le=1_000)] | None = None
    resets_at: datetime | None = None
    scope: Name = ""
    standing: Standing = Standing.UNKNOWN
    overage: bool = False
    retry_after: Annotated[float, msgspec.Meta(ge=0, le=10**7)] | None = None


class SourceState(msgspec.Struct, omit_defaults=True, frozen=True):
    """How one source on the other host is doing. ``lag_seconds`` is the age of its last complete pass there."""

    name: Host
    catching_up: bool = False
    lag_seconds: Annotated[float, msgspec.Meta(ge=0, le=10**9)] = 0.0
    errors: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    files: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    done_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    total_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class Shipment(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a shipper sends at once; without elements it is a sign of life, and measures the clocks.

    ``source`` names the source that the elements were read by. ``clock_difference`` is what the shipper has already
    added to every instant in it, in seconds: how far the service's clock is ahead of the host's.
    """

    version: int
    host: Host
    sent_at: datetime
    program: Name = ""
    source: str = ""
    clock_difference: float = 0.0
    sources: tuple[SourceState, ...] = ()
    events: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MOST_ELEMENTS)] = ()
    observations: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MOST_ELEMENTS)] = ()


class Receipt(msgspec.Struct, frozen=True):
    """What became of a shipment; ``now`` is the service's clock when it answered."""

    now: datetime
    accepted: int
    updated: int
    duplicate: int
    rejected: list[dict[str, Any]]


_SHIPMENT = msgspec.json.Decoder(Shipment)
_EVENT = msgspec.json.Decoder(ShippedEvent)
_OBSERVATION = msgspec.json.Decoder(ShippedObservation)
_RECEIPT = msgspec.json.Decoder(Receipt)
_ENCODER = msgspec.json.Encoder()


def shipment_in(raw: bytes) -> Shipment:
    """A body as a shipment. Raises ValueError with a sentence that says what is wrong where."""
    try:
        shipment = _SHIPMENT.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"this is no shipment: {error}") from None
    if shipment.version != VERSION:
        raise ValueError(
            f"the shipper speaks version {shipment.version} of the format and this service version {VERSION}: "
            "bring both to the same release"
        )
    return shipment


def receipt_in(raw: bytes) -> Receipt:
    """An answer as a receipt. Raises ValueError."""
    try:
        return _RECEIPT.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the answer is no receipt: {error}") from None


def encoded(value: msgspec.Struct) -> bytes:
    """A value as JSON."""
    return _ENCODER.encode(value)


def elements(
    shipment: Shipment,
) -> tuple[list[UsageEvent], list[Observation | Throttle], list[dict[str, Any]]]:
    """What a shipment holds, and for each element that cannot be understood its place and what is wrong with it."""
    events: list[UsageEvent] = []
    words: list[Observation | Throttle] = []
    rejected: list[dict[str, Any]] = []
    origin = f"{shipment.source}@{shipment.host}"
    for index, raw in enumerate(shipment.events):
        try:
            events.append(_event(_EVENT.decode(raw), origin))
        except (ValueError, OverflowError, RecursionError) as error:
            rejected.append({"index": index, "reason": str(error)})
    for index, raw in enumerate(shipment.observations):
        try:
            words.append(_word(_OBSERVATION.decode(raw)))
        except (ValueError, OverflowError, RecursionError) as error:
            rejected.append({"observation": index, "reason": str(error)})
    return events, words, rejected


def shipped(event: UsageEvent, difference: timedelta = timedelta(0)) -> ShippedEvent:
    """An event as it is sent, at the time of the service's clock. What it costs is the service's matter."""
    labels = {
        name: value[:LONGEST_VALUE]
        for name, value in zip(LABEL_NAMES, event.labels, strict=True)
        if value and name != "provider"
    }
    return ShippedEvent(
        provider=event.labels.provider[:LONGEST_VALUE],
        key=event.key,
        at=event.at + difference,
        kinds=event.usage.kinds,
        requests=event.usage.requests,
        labels=labels,
        run=event.run,
        session=event.session,
        message=event.message,
        sidechain=event.sidechain,
        priority=event.priority,
        flags=event.flags,
        prompt_version=event.prompt_version,
        status=event.status,
        terms=event.terms if event.terms and any(event.terms) else None,
        extent=event.extent,
    )


def shipped_word(word: Observation | Throttle, difference: timedelta = timedelta(0)) -> ShippedObservation:
    """An observation as it is sent. Its reset is the provider's clock's, and stays as it is."""
    seen = word.observed_at + difference
    if isinstance(word, Throttle):
        wait = None if word.retry_after is None else word.retry_after.total_seconds()
        return ShippedObservation(word.provider, seen, word.source, word.account, retry_after=wait)
    return ShippedObservation(
        word.provider, seen, word.source, word.account, word.window, word.used_ratio, word.resets_at, word.scope,
        word.standing, word.overage,
    )  # fmt: skip


def _event(told: ShippedEvent, origin: str) -> UsageEvent:
    if strangers := told.labels.keys() - set(LABEL_NAMES[1:]):
        raise ValueError(f"there is no label {sorted(strangers)[0]!r}: labels are {', '.join(LABEL_NAMES)}")
    return UsageEvent(
        key=told.key,
        at=_instant(told.at),
        labels=Labels(canonical_provider(told.provider), **{str(name): value for name, value in told.labels.items()}),
        usage=Usage(*told.kinds, requests=told.requests),
        run=told.run,
        session=told.session,
        message=told.message,
        sidechain=told.sidechain,
        priority=told.priority,
        flags=told.flags,
        prompt_version=told.prompt_version,
        status=told.status,
        terms=told.terms or PriceTerms(),
        origin=origin,
        extent=told.extent,
    )


def _word(told: ShippedObservation) -> Observation | Throttle:
    provider, seen = canonical_provider(told.provider), _instant(told.observed_at)
    if told.window is None:
        wait = None if told.retry_after is None else timedelta(seconds=told.retry_after)
        return Throttle(provider, told.account, seen, told.source, wait)
    return Observation(
        provider, told.account, told.window, seen, told.source, told.used_ratio,
        None if told.resets_at is None else _instant(told.resets_at), told.scope, told.standing, told.overage,
    )  # fmt: skip


def _instant(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    at = at.astimezone(UTC)
    if not is_plausible(at):
        raise ValueError(f"{at} is no time at which anything was used")
    return at
