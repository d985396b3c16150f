"""When most is used: by hour of the day and by weekday, on the clock of a zone."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Peaks(Struct, frozen=True):
    """Shares (0-1) of all tokens: 24 by hour from midnight, seven by weekday from Monday."""

    hours: tuple[float, ...]
    weekdays: tuple[float, ...]

    @property
    def hour(self) -> int:
        """The busiest hour of the day; of two the earlier."""
        return self.hours.index(max(self.hours))

    @property
    def weekday(self) -> str:
        """The busiest weekday; of two the earlier."""
        return WEEKDAYS[self.weekdays.index(max(self.weekdays))]


def peaks(tokens_by_hour: Mapping[datetime, int], zone: str) -> Peaks | None:
    """Add hours up by the clock of ``zone``; keys are when each begins. None where nothing was used."""
    total = sum(tokens_by_hour.values())
    if total <= 0:
        return None
    clock, hours, weekdays = ZoneInfo(zone), [0] * 24, [0] * 7
    for begins_at, tokens in tokens_by_hour.items():
        local = begins_at.astimezone(clock)
        hours[local.hour] += tokens
        weekdays[local.weekday()] += tokens
    return Peaks(tuple(hour / total for hour in hours), tuple(day / total for day in weekdays))
