"""When a limit ends, as sentences say it: a clock, perhaps with a day and a zone, to an instant.

    "5:40pm (Europe/Madrid)"   "Mon 12:00am"   "Oct 3, 4pm (UTC)"   "Sep 19th, 2026 7:10 AM"
    "2026-08-09 00:00 UTC"     "in 3 days 4 hours"                   "1760000000"

A clock without a date is its first occurrence after the record was written, whenever it is read. In the hour that
comes twice when summer time ends it is the first that still lies ahead; an hour that is skipped is the one after it.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from quota_scheduler.sources.word.word import instant_of

LOCAL: tzinfo | None = None
"""The zone of this machine: where the sentence was shown on it, its clock is meant."""
_EPOCH = re.compile(r"\|?\s*(\d{10}|\d{13})(?!\d)")
_ABSOLUTE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T]|,? at )(\d\d:\d\d(?::\d\d)?) ?(?:UTC|Z|GMT|\+00:00)", re.IGNORECASE)
_SPANS = re.compile(r"in ((?:(?:\d{1,4} ?[a-z]+)(?:,? and |, | )?){1,4})", re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,4}) ?(d|h|m|s)[a-z]*", re.IGNORECASE)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_CLOCK = re.compile(
    r"(?:(?P<today>today|tomorrow),? |(?P<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*,? "
    r"|(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,?"
    r"(?: (?P<year>\d{4}),?)? )?"
    r"(?:at )?(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>[ap]\.?m\b\.?)?(?: ?\((?P<zone>[^)]{1,40})\))?",
    re.IGNORECASE,
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def reset_in(text: str, at: datetime, zone: tzinfo | None = LOCAL) -> datetime | None:
    """The instant with which a text begins, the next one after ``at``; None where it begins with none.

    ``zone`` is meant where the text names none; one that it names and nobody knows makes the instant unknown.
    """
    text = text.lstrip()
    if match := _EPOCH.match(text):
        return instant_of(match[1])
    if match := _ABSOLUTE.match(text):
        return instant_of(f"{match[1]}T{match[2]}+00:00")
    if match := _SPANS.match(text):
        seconds = sum(int(count) * _SECONDS[unit.lower()] for count, unit in _SPAN.findall(match[1]))
        return at + timedelta(seconds=seconds) if seconds else None
    match = _CLOCK.match(text)
    if match is None or (match["half"] is None and match["minute"] is None):
        return None
    hour, minute = _hour(int(match["hour"]), match["half"]), int(match["minute"] or 0)
    if hour is None or minute > 59:
        return None
    if match["zone"]:
        named = zone_named(match["zone"])
        if named is None:
            return None
        zone = named
    instants = (occurrence for day in _days(match, at, zone) for occurrence in _occurrences(day, hour, minute, zone))
    if match["year"]:
        return next(iter(instants), None)
    return min((instant for instant in instants if instant > at), default=None)


def zone_named(name: str) -> tzinfo | None:
    """A zone by its name in the tz database; None for one that is not there."""
    if name.upper() in {"UTC", "Z", "GMT"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of zones, and a name with dots
        return None


def _hour(hour: int, half: str | None) -> int | None:
    """The hour of the day: 12am is 0 and 12pm 12."""
    if half is None:
        return hour if hour < 24 else None
    return hour % 12 + (12 if half[0] in "pP" else 0) if 1 <= hour <= 12 else None


def _days(match: re.Match[str], at: datetime, zone: tzinfo | None) -> Iterable[datetime]:
    """The days that may be meant, as their midnights without a zone."""
    local = at.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    if match["month"]:
        return _dates(match, local)
    following = [local + timedelta(days=count) for count in range(-1, 9)]
    if match["weekday"]:
        return [day for day in following if day.weekday() == _WEEKDAYS.index(match["weekday"].lower())]
    if match["today"]:
        return [local + timedelta(days=1)] if match["today"].lower() == "tomorrow" else [local]
    return following


def _dates(match: re.Match[str], local: datetime) -> Iterator[datetime]:
    years = [int(match["year"])] if match["year"] else [local.year + more for more in (-1, 0, 1)]
    for year in years:
        try:
            yield datetime(year, _MONTHS.index(match["month"].lower()) + 1, int(match["day"]))
        except ValueError:
            continue  # the 29th of February, of another year


def _occurrences(day: datetime, hour: int, minute: int, zone: tzinfo | None) -> Iterator[datetime]:
    """A clock of a day as instants: two of them in the hour that comes twice, one in the hour that is skipped."""
    for fold in (0, 1):
        clock = day.replace(hour=hour, minute=minute, fold=fold)
        try:
            instant = (clock if zone is None else clock.replace(tzinfo=zone)).astimezone(UTC)
        except (OverflowError, ValueError, OSError):
            return
        if fold == 0 or instant.astimezone(zone).replace(tzinfo=None, fold=0) == clock.replace(fold=0):
            yield instant
