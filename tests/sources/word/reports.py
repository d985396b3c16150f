"""Reports as the tables of these tests write them: one account, one instant, and what differs."""

from datetime import UTC, datetime

from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing
from quota_scheduler.sources.word.word import Teller

AT = datetime(2026, 10, 2, 15, 6, 19, tzinfo=UTC)
TELLER = Teller("max-1", AT, "a door")
SOON, LATER = 1790964000, 1791200000
"""Epoch seconds within five hours of ``AT``, and within a week."""


def instant(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def report(window: str, used=None, resets=None, standing="", scope="", **more) -> Observation:
    """An observation; ``resets`` in epoch seconds."""
    values = {"provider": "anthropic", "account": "max-1", "observed_at": AT, "source": "a door", **more}
    return Observation(
        window=ProviderWindow(window),
        used_ratio=used,
        resets_at=None if resets is None else instant(resets),
        standing=Standing(standing),
        scope=scope,
        **values,
    )
