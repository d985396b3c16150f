"""Instants as text and integers: aware UTC in the core, microseconds in the store, ISO with Z for people and JSON."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MICROSECOND = timedelta(microseconds=1)
HOUR_MICROS = 3_600_000_000
"""Microseconds of an hour, which is what usage is added up by."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=2)
"""How far clocks of two hosts may be apart and both be believed (design, section 2)."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Instants at or after the first and before the second can be meant; any other is a wrong unit or a broken clock."""


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant; exact, unlike ``timestamp()``."""
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def micros_or_none(at: datetime | None) -> int | None:
    """Microseconds since 1970, None for no instant."""
    return None if at is None else to_micros(at)


def instant_or_none(micros: int | None) -> datetime | None:
    """Return the instant of microseconds since 1970, None for none."""
    return None if micros is None else from_micros(micros)


def is_plausible(at: datetime) -> bool:
    """Tell whether an instant lies where instants can be meant: 2000 to 2199."""
    return EARLIEST <= at < LATEST


def iso_or_none(at: datetime | None) -> str | None:
    """Write RFC 3339 in UTC, None for no instant."""
    return iso(at) if at else None


@lru_cache(1024)
def iso(at: datetime) -> str:
    """Write RFC 3339 in UTC with ``Z``, to the second where that is exact."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant; raises ValueError for one without a zone, since an hour guessed is an hour wrong."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: append Z for UTC or an offset such as +02:00")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def local_time(at: datetime, zone: str) -> str:
    """Return an instant for people, in a named zone: ``Mon 23 Nov 09:00 Europe/Berlin``."""
    return f"{at.astimezone(ZoneInfo(zone)):%a %d %b %H:%M} {zone}"
