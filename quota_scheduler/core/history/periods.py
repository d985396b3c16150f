"""Civil periods over sums that are kept by UTC hour.

    2026-10-25 in Berlin:  offset +2 h │ +1 h          a span of one offset is a ``Stretch``; in it the local day of an
                                 01:00Z                hour is one division, so the database adds up by local day

The hour that is repeated in autumn is two hours here, told apart by their offsets. In zones whose offset is no whole
hour an hour of sums belongs to the period in which it begins.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH_DAY = date(1970, 1, 1).toordinal()


class Period(StrEnum):
    """What usage over time can be added up by."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


PERIODS = tuple(Period)


class Stretch(Struct, frozen=True):
    """A span ``[starts_at, ends_at)`` of whole UTC hours in which a zone is ``offset`` ahead of UTC."""

    starts_at: datetime
    ends_at: datetime
    offset: timedelta


def stretches(since: datetime, until: datetime, zone: str) -> list[Stretch]:
    """The spans of one offset between two whole UTC hours, oldest first."""
    changes = [since, *(at for day in _days(since, until) for at in _changes(*day, zone)), until]
    return [Stretch(a, b, _offset(a, zone)) for a, b in pairwise(changes) if a < b]


def _days(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    start = since
    while start < until:
        end = min(start + DAY, until)
        yield start, end
        start = end


def _changes(since: datetime, until: datetime, zone: str) -> Iterator[datetime]:
    """The whole hours of a day from which on another offset holds."""
    if _offset(since, zone) == _offset(until, zone):
        return
    at = since
    while at < until:
        if _offset(at, zone) != _offset(at + HOUR, zone):
            yield at + HOUR
        at += HOUR


def _offset(at: datetime, zone: str) -> timedelta:
    return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)


def named(period: Period, slot: int, offset: timedelta) -> str:
    """How a period is written: ``2026-11-27``, a week by its Monday, a month as ``2026-11``.

    ``slot`` is the UTC hour since 1970 for hours, written in local time with its offset, the local day since 1970 for
    everything else.
    """
    if period is Period.HOUR:
        local = datetime(1970, 1, 1, tzinfo=UTC) + slot * HOUR + offset
        return f"{local:%Y-%m-%d %H:%M}{offset_text(offset)}"
    day = date.fromordinal(EPOCH_DAY + slot)
    match period:
        case Period.WEEK:
            return (day - timedelta(days=day.weekday())).isoformat()
        case Period.MONTH:
            return f"{day:%Y-%m}"
        case _:
            return day.isoformat()


def offset_text(offset: timedelta) -> str:
    """An offset as RFC 3339 has it: ``Z`` or ``+02:00``."""
    minutes = round(offset.total_seconds() / 60)
    if not minutes:
        return "Z"
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def begin_of(period: Period, at: datetime, zone: str) -> datetime:
    """The UTC instant at which the civil period of an instant began."""
    local = at.astimezone(ZoneInfo(zone))
    if period is Period.HOUR:
        return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = local.date()
    if period is Period.WEEK:
        day -= timedelta(days=day.weekday())
    return begin_of_day(day.replace(day=1) if period is Period.MONTH else day, zone)


def begin_of_day(day: date, zone: str) -> datetime:
    """The UTC instant at which a civil day begins; of a midnight that a change skips, when the clocks have jumped."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def civil(at: datetime, zone: str) -> str:
    """An instant in the civil time of a zone, to the minute: ``2026-11-27 09:00``."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def names_between(period: Period, since: datetime, until: datetime, zone: str) -> list[str]:
    """Every period between two whole UTC hours, oldest first, also those in which nothing was used."""
    names: dict[str, None] = {}
    for stretch in stretches(since, until, zone):
        slot = slot_of(period, stretch.starts_at, stretch.offset)
        last = slot_of(period, stretch.ends_at - HOUR, stretch.offset)
        for one in range(slot, last + 1):
            names[named(period, one, stretch.offset)] = None
    return list(names)


def slot_of(period: Period, at: datetime, offset: timedelta) -> int:
    """The number that ``named`` takes, of an instant in a stretch."""
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since_epoch // HOUR if period is Period.HOUR else (since_epoch + offset) // DAY
