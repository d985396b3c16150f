"""Sources on other hosts, whose shippers say how they are doing."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from quota_scheduler.core.ledger.source_batch import ShippedSource
from quota_scheduler.core.readings.readings import SourceReading

FORGOTTEN = timedelta(days=2)
"""A host that has been silent for longer is no lag any more: it is gone, or will say so itself when it comes back."""


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
