"""One window as a provider's reports, taken together, describe it: see ``judging`` for how."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, field


class WindowChange(StrEnum):
    """What a provider may do to a window against its own announcement."""

    EARLY_RESET = "early_reset"  # it began anew before the reset that had been told
    MOVED_RESET = "moved_reset"  # the same window ends at another time
    LOWERED = "lowered"  # less of it is used than was told: more was allowed, or something taken back


class Noticed(NamedTuple):
    """A change that two reports bear out; ``at`` is when the first of them was made.

    ``before`` and ``after`` are instants for a reset, ratios (0-1) for usage.
    """

    change: WindowChange
    at: datetime
    before: datetime | float
    after: datetime | float


class Mark(NamedTuple):
    """When a window was first told to be used that far (0-1)."""

    at: datetime
    ratio: float


class ReportedWindow(Struct, frozen=True):
    """What the reports about one window come to.

    ``ratio`` (0-1, sometimes above) is how much of it is used as of ``observed_at``, None where only its standing was
    told; it was told first at ``first_at``. ``heard_at`` is the newest report of any kind, ``reports`` how many there
    were. ``resets_at`` is None where nobody said, then ``ends_at`` is what its length makes it. ``exhausted``: the
    provider refuses until the reset; ``overage``: it lets work go on for money. ``follows`` is the reset that had been
    announced for the window before it, where it came early. ``marks`` are how it grew.
    """

    began_at: datetime
    ends_at: datetime
    resets_at: datetime | None
    observed_at: datetime
    first_at: datetime
    heard_at: datetime
    source: str
    ratio: float | None = None
    reports: int = 1
    exhausted: bool = False
    overage: bool = False
    follows: datetime | None = None
    marks: tuple[Mark, ...] = ()
    notices: tuple[Noticed, ...] = field(default=())
