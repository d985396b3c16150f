"""Replicas: processes that serve from one database, each as it said last of itself."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.readings.other_hosts import FORGOTTEN
from quota_scheduler.core.readings.readings import SourceReading

SILENT = 2
"""A replica that has said nothing for so many ttl is not there: it says something once in each."""


class Replica(Struct, frozen=True):
    """One process on the database, of a name that no other ever has.

    ``address`` is where it is asked, ``rules`` the fingerprint of its own rules, ``problem`` why it is not ready on
    their account. ``sources`` are how far what it reads on its host is, as of ``seen_at``. ``is_starting``: it does not
    know yet how far they are.
    """

    name: str
    host: str
    pid: int
    address: str
    version: str
    rules: str
    started_at: datetime
    seen_at: datetime
    problem: str = ""
    sources: tuple[SourceReading, ...] = ()
    is_starting: bool = False

    @property
    def is_behind(self) -> bool:
        """Whether a first pass over what it reads is still under way, so that its readings would lack something."""
        return self.is_starting or any(source.catching_up for source in self.sources)

    def is_alive(self, now: datetime, ttl: timedelta) -> bool:
        """Whether it has said something lately."""
        return now - self.seen_at <= SILENT * ttl


def there(replicas: Sequence[Replica], ttl: timedelta) -> list[Replica]:
    """Return those that are there, as of when the last of them was seen."""
    newest = max((one.seen_at for one in replicas), default=None)
    return [one for one in replicas if newest and one.is_alive(newest, ttl)]


def sources_elsewhere(replicas: Iterable[Replica], me: str, now: datetime) -> list[SourceReading]:
    """How far other replicas' sources are, of which anything was found and whose replica was heard of lately.

    Where several replicas of one host read the same, the one that is furthest behind is shown.
    """
    worst: dict[str, SourceReading] = {}
    for replica in replicas:
        silence = max(timedelta(0), now - replica.seen_at)
        if replica.name == me or silence > FORGOTTEN:
            continue
        for source in replica.sources:
            if not (source.files or source.errors):
                continue
            name, lag = f"{source.source}@{replica.host}", source.lag_seconds + silence.total_seconds()
            before = worst.get(name)
            if before is None or before.lag_seconds < lag:
                worst[name] = replace(source, source=name, lag_seconds=lag)
    return [worst[name] for name in sorted(worst)]
