"""What providers say of each limit, for the readings: judged again only when somebody has said something new."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.observations.reported_window import ReportedWindow
from quota_scheduler.core.readings.observed import ObservedWord
from quota_scheduler.service.observe import judged, used_elsewhere
from quota_scheduler.store import Transaction, observations, observed_rates

Seen = tuple[int, datetime | None]
"""How many reports there are on a window, and when the newest was made."""


class Observing:
    """Remembers between ticks what reports came to."""

    def __init__(self) -> None:
        self._judged: dict[ReportKey, tuple[Seen, ReportedWindow | None]] = {}

    def words(self, tx: Transaction, limits: Iterable[Limit]) -> dict[str, ObservedWord]:
        """The provider's word on each limit that it reports on, by the limit's id."""
        observed = [limit for limit in limits if limit.observed]
        if not observed:
            return {}
        learned = observed_rates.learned(tx)
        words: dict[str, ObservedWord] = {}
        for limit in observed:
            assert limit.observed is not None
            reported = self._newest(tx, limit.observed)
            elsewhere = (used_elsewhere(tx, limit, reported),) if reported else ()
            words[limit.id] = ObservedWord(reported, learned.get(limit.id), *elsewhere)
        return words

    def _newest(self, tx: Transaction, key: ReportKey) -> ReportedWindow | None:
        seen = observations.seen(tx, key)
        before = self._judged.get(key)
        if before is None or before[0] != seen:
            windows = judged(tx, key)
            before = self._judged[key] = seen, windows[-1] if windows else None
        return before[1]
