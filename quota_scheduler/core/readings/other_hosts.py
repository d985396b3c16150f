"""Sources on other hosts, whose shippers say how they are doing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from quota_scheduler.core.readings.readings import SourceReading

FORGOTTEN = timedelta(days=2)
"""A host that has been silent for longer is no lag any more: it is gone, or will say so itself when it comes back."""


class ShippedSource(NamedTuple):
    """One source on another host: ``lag`` is the age of its last complete pass when it was ``seen_at``.

    ``clock_difference`` is how far our clock is ahead of the host's; its instants were corrected by it.
    """

    host: str
    source: str
    seen_at: datetime
    lag: timedelta
    catching_up: bool
    errors: int
    files: int
    done_bytes: int
    total_bytes: int
    clock_difference: timedelta
    program: str

    @property
    def origin(self) -> str:
        """What usage that it read says it came from."""
        return f"{self.source}@{self.host}"

    def behind(self, now: datetime) -> timedelta:
        """The age of its last complete pass: what it was when it was seen, and the silence since."""
        return max(timedelta(0), now - self.seen_at) + self.lag


def shipped_readings(sources: Iterable[ShippedSource], now: datetime) -> list[SourceReading]:
    """How far each source is of which anything was found and whose host has been heard of lately."""
    return [
        SourceReading(
            source.origin,
            source.catching_up,
            source.behind(now).total_seconds(),
            source.errors,
            source.files,
            source.done_bytes,
            source.total_bytes,
        )
        for source in sources
        if (source.files or source.errors) and now - source.seen_at <= FORGOTTEN
    ]
