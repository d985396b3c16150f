"""One report of a provider about one of its windows, whichever door it came through.

    status line, events of headless runs, limit lines, response headers, people ──normalised──► Observation | Throttle

Units differ from door to door (0-100 or 0-1, seconds or ISO instants); here a ratio is 0-1 and an instant has a zone.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct


class ProviderWindow(StrEnum):
    """The windows that providers report on."""

    FIVE_HOUR = "five_hour"
    WEEKLY = "weekly"
    WEEKLY_MODEL = "weekly_model"  # a week of one model or family: the scope names it
    MONTHLY_SPEND = "monthly_spend"


class Standing(StrEnum):
    """What the provider does with requests in that window."""

    UNKNOWN = ""
    ALLOWED = "allowed"
    WARNING = "allowed_warning"
    REJECTED = "rejected"


class Observation(Struct, frozen=True):
    """What a provider said about one window of one account at ``observed_at``.

    ``used_ratio`` is 0-1 of what the window allows, sometimes above; None where the report only says where the window
    stands or ends. ``resets_at`` None means that it did not say. ``scope`` tells windows of one kind apart: a model's
    family, or the provider's own id of the limit; empty for the general one. ``source`` is the door. ``overage`` says
    that work goes on in paid credits although the window is spent.
    """

    provider: str
    account: str
    window: ProviderWindow
    observed_at: datetime
    source: str
    used_ratio: float | None = None
    resets_at: datetime | None = None
    scope: str = ""
    standing: Standing = Standing.UNKNOWN
    overage: bool = False

    def __post_init__(self) -> None:
        if self.observed_at.tzinfo is None or (self.resets_at is not None and self.resets_at.tzinfo is None):
            raise ValueError(f"an observation of {self.provider}/{self.window} has a time without a zone")


class Throttle(Struct, frozen=True):
    """A provider that refused for a moment: a 429 or 529 that names no window. It says nothing about any quota.

    ``retry_after`` is how long it asked to be left alone, None where it did not say.
    """

    provider: str
    account: str
    observed_at: datetime
    source: str
    retry_after: timedelta | None = None
