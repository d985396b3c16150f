"""Windows: concrete half-open spans of a limit, and the arithmetic of their resets.

The only place that counts in civil time zones and knows daylight saving. A window that starts at a wall-clock time
which a spring change skips starts when the clocks have jumped; one that an autumn change repeats starts at its first
hour.
"""

import calendar
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from quota_scheduler.core.instants import local_time as local_time
from quota_scheduler.core.units import LONGEST_TEXT

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(sec|s|min|m|h|d|w)", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_CLOCK = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$")


class Every(StrEnum):
    """Calendar periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Calendar(Struct, frozen=True):
    """Windows on the calendar of ``zone``: each ``every``, starting at ``clock`` on ``day``.

    ``day`` is a weekday 0-6 from Monday for weeks, a day 1-31 for months (the last day where a month is shorter), and
    unused for days.
    """

    every: Every
    zone: str = "UTC"
    day: int = 0
    clock: time = time()

    def span(self, at: datetime) -> tuple[datetime, datetime]:
        """Return the window that contains ``at``, as UTC instants."""
        index = self._index(at.astimezone(ZoneInfo(self.zone)).date())
        while self._start(index) > at:
            index -= 1
        while self._start(index + 1) <= at:
            index += 1
        return self._start(index), self._start(index + 1)

    def _index(self, day: date) -> int:
        """Number of the period that a local date falls in, near enough to search from."""
        match self.every:
            case Every.DAY:
                return day.toordinal()
            case Every.WEEK:
                return (day.toordinal() - 1 - self.day) // 7
            case Every.MONTH:
                return day.year * 12 + day.month - 1

    def _start(self, index: int) -> datetime:
        match self.every:
            case Every.DAY:
                day = date.fromordinal(index)
            case Every.WEEK:
                day = date.fromordinal(index * 7 + 1 + self.day)
            case Every.MONTH:
                year, month = index // 12, index % 12 + 1
                day = date(year, month, min(self.day or 1, calendar.monthrange(year, month)[1]))
        return datetime.combine(day, self.clock, ZoneInfo(self.zone)).astimezone(UTC)


class Session(Struct, frozen=True):
    """Windows opened by their first use at or after the last one's end, each ``length`` long."""

    length: timedelta

    def opened(self, uses: Iterable[datetime], *, last_end: datetime | None = None) -> list[tuple[datetime, datetime]]:
        """Return the windows that these uses opened, oldest first; ``last_end`` is where the last known window ends."""
        spans: list[tuple[datetime, datetime]] = []
        end = last_end
        for at in sorted(uses):
            if end is None or at >= end:
                end = at + self.length
                spans.append((at, end))
        return spans


class PerRun(Struct, frozen=True):
    """One cap for each run: no reset and no forecast."""


class Unwindowed(Struct, frozen=True):
    """No window at all: a limit on what runs at once."""


Schedule = Calendar | Session | PerRun | Unwindowed


class Window(Struct, frozen=True):
    """One concrete span ``[starts_at, ends_at)`` of a limit."""

    starts_at: datetime
    ends_at: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.ends_at - self.starts_at

    def contains(self, at: datetime) -> bool:
        """Tell whether an instant lies in it; the reset itself belongs to the next window."""
        return self.starts_at <= at < self.ends_at


def window_at(schedule: Schedule, at: datetime) -> Window | None:
    """Return the window of ``at``: the calendar's, or for a session the one that a use at this instant would open.

    None where a limit has no windows.
    """
    match schedule:
        case Calendar():
            return Window(*schedule.span(at))
        case Session(length):
            return Window(at, at + length)
        case _:
            return None


def parse_span(text: str | int | float | timedelta) -> timedelta:
    """Read a length of time: ``"5h"``, ``"1h30m"``, ``"2d"``, or seconds as a number.

    Raises ValueError for anything else, and for a length of zero or less.
    """
    if isinstance(text, timedelta):
        span = text
    else:
        is_number = isinstance(text, int | float) and not isinstance(text, bool)
        try:
            span = timedelta(seconds=float(text) if is_number else _seconds(str(text)))
        except OverflowError:
            raise ValueError(f"{text!r} is not a length of time: no calendar is that long") from None
        except ValueError:
            raise ValueError(f"{text!r} is not a length of time: write 5h, 30m or 1h30m") from None
    if span <= timedelta(0):
        raise ValueError(f"{text!r} is not a length of time: it must be more than nothing")
    return span


def _seconds(text: str) -> float:
    if len(text) > LONGEST_TEXT:
        raise ValueError
    compact = text.replace(" ", "")
    parts = _SPAN.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def span_text(span: timedelta) -> str:
    """Return a length of time as short as it goes: ``5h``, ``1h30m``, ``45s``."""
    seconds, parts = span.total_seconds(), ""
    for size, name in ((86400, "d"), (3600, "h"), (60, "m")):
        count, seconds = divmod(seconds, size)
        parts += f"{count:.0f}{name}" if count else ""
    return parts + (f"{seconds:g}s" if seconds or not parts else "")


def parse_starts(every: Every, text: str | int) -> tuple[int, time]:
    """Read where a calendar period starts: ``"09:00"``, ``"monday 09:00"``, ``15`` or ``"15 09:00"``.

    Returns (day, clock) for ``Calendar``. Raises ValueError when it does not fit the period.
    """
    words = str(text).strip().lower().split()
    clock = time()
    if words and (match := _CLOCK.match(words[-1])):
        clock = time(int(match[1]), int(match[2]))
        words.pop()
    if every is Every.DAY and not words:
        return 0, clock
    if every is Every.WEEK and len(words) == 1:
        for number, name in enumerate(WEEKDAYS):
            if len(words[0]) >= 3 and name.startswith(words[0]):
                return number, clock
    if every is Every.WEEK and not words:
        return 0, clock
    if every is Every.MONTH and not words:
        return 1, clock
    if every is Every.MONTH and len(words) == 1 and words[0].isdigit() and 1 <= int(words[0]) <= 31:
        return int(words[0]), clock
    example = {Every.DAY: "09:00", Every.WEEK: "monday 09:00", Every.MONTH: "15 or 15 09:00"}[every]
    raise ValueError(f"{text!r} does not say where a {every.value} starts: write {example}")


def check_zone(name: str) -> str:
    """Return the name of a time zone that is known. Raises ValueError otherwise."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a known time zone: write a name such as Europe/Berlin or UTC") from None
    return name


def local_date(at: datetime, zone: str) -> date:
    """Return the civil date of an instant in a zone."""
    return at.astimezone(ZoneInfo(zone)).date()
