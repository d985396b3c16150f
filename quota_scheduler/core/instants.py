"""Instants as text and integers: aware UTC in the core, microseconds in the store, ISO with Z for people and JSON."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant; exact, unlike ``timestamp()``."""
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def iso(at: datetime) -> str:
    """RFC 3339 in UTC with ``Z``, to the second where that is exact."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant; raises ValueError for one without a zone, since an hour guessed is an hour wrong."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: append Z for UTC or an offset such as +02:00")
    return at.astimezone(UTC)
