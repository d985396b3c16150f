"""The wire format between a shipper and the service: a usage event with everything that counting once needs.

    UsageEvent ──shipped──► ShippedEvent ──JSON──► ShippedEvent ──event──► UsageEvent, of the origin ``source@host``

Fields that are empty are left out. One bad element of a shipment is refused by its place; the others count.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec.structs import replace

from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.labels import LABEL_NAMES, LONGEST_VALUE, Labels
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Extent, PriceTerms, Usage, UsageEvent

T = TypeVar("T")
VERSION = 1
"""Changes when an old service could misread a new shipper."""
MOST_ELEMENTS = 5_000
"""Events of one shipment: what one transaction takes."""
LARGEST_COUNT = 10**15
"""More tokens than that in one session's total are no count."""
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
    thread: Key = ""


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
    told: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MOST_ELEMENTS)] = ()


class ToldOfItself(msgspec.Struct, omit_defaults=True, frozen=True):
    """What one session tells of itself: a total, from whom it was forked, or that it goes on after a total."""

    total: SessionTotal | None = None
    inherited: Inheritance | None = None
    going_on: GoingOn | None = None


class Receipt(msgspec.Struct, omit_defaults=True, frozen=True):
    """What became of a shipment; ``now`` is the service's clock when it answered.

    ``spooled`` elements lie on the service's disk until its database is back.
    """

    now: datetime
    accepted: int
    updated: int
    duplicate: int
    rejected: list[dict[str, Any]]
    spooled: int = 0


_SHIPMENT = msgspec.json.Decoder(Shipment)
_EVENT = msgspec.json.Decoder(ShippedEvent)
_TOLD = msgspec.json.Decoder(ToldOfItself)
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


def batch_in(shipment: Shipment) -> tuple[Batch, list[dict[str, Any]]]:
    """Take a shipment apart; the second is for each element that cannot be understood its place, and why."""
    rejected: list[dict[str, Any]] = []

    def understood(name: str, raws: tuple[msgspec.Raw, ...], read: Callable[[msgspec.Raw], T]) -> list[T]:
        values = []
        for index, raw in enumerate(raws):
            try:
                values.append(read(raw))
            except (ValueError, OverflowError, RecursionError) as error:
                rejected.append({name: index, "reason": str(error)})
        return values

    origin = f"{shipment.source}@{shipment.host}"
    events = understood("index", shipment.events, lambda raw: _event(_EVENT.decode(raw), origin))
    words = understood("observation", shipment.observations, lambda raw: _word(_OBSERVATION.decode(raw)))
    told = understood("told", shipment.told, lambda raw: _sound(_TOLD.decode(raw)))
    batch = Batch(
        events=tuple(events),
        observations=tuple(word for word in words if isinstance(word, Observation)),
        throttles=tuple(word for word in words if isinstance(word, Throttle)),
        totals=tuple(one.total for one in told if one.total),
        inherited=tuple(one.inherited for one in told if one.inherited),
        going_on=tuple(one.going_on for one in told if one.going_on),
    )
    return batch, rejected


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
        thread=event.thread,
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


def shipped_told(told: ToldOfItself, difference: timedelta = timedelta(0)) -> ToldOfItself:
    """What a session tells of itself as it is sent, at the time of the service's clock."""
    total, inherited, going_on = told.total, told.inherited, told.going_on
    if total:
        total = replace(total, at=total.at + difference, until=total.until and total.until + difference)
    return ToldOfItself(
        total,
        inherited and inherited._replace(at=inherited.at + difference),
        going_on and going_on._replace(at=going_on.at + difference),
    )


def _sound(told: ToldOfItself) -> ToldOfItself:
    """The same, where its instants can be meant and nothing in it is negative. Raises ValueError."""
    for one in (told.total, told.inherited, told.going_on):
        if one is not None:
            _instant(one.at)
    if told.total and told.total.until:
        _instant(told.total.until)
    for stated in told.total.stated if told.total else ():
        if not all(0 <= tokens <= LARGEST_COUNT for tokens in (*stated.usage, stated.web_searches)):
            raise ValueError(f"session {told.total and told.total.session!r} states {stated.usage.tokens} tokens")
    return told


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
        thread=told.thread,
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
