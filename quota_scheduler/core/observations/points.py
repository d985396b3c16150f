"""Percent points: what usage takes out of a quota whose size nobody publishes.

Providers say how many percent of a window are used and not what a percent is. What it costs at list price was found to
follow it best of what a record tells: weights by model and kind of token are not published, and prices are a fair guess
at them (docs/explanation/observed-limits.md has the figures).
"""

from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.units import MICRO

POINT = MICRO
"""One percent point in the base of its unit."""
WHOLE = 100 * POINT
"""All that the provider allows."""
UNLEARNED = 5 * POINT
"""What a lease reserves while nobody knows what it will take (design, section 2)."""


class Rate(Struct, frozen=True):
    """How many millionths of a percent point a dollar of usage takes, at list price; ``low`` to ``high`` are an 80 %
    interval. ``spans`` is how many pieces of windows it was learned from, up to ``learned_at``.
    """

    low: int
    middle: int
    high: int
    spans: int
    learned_at: datetime

    def is_near(self, other: "Rate | None") -> bool:
        """Whether decisions would hardly differ: no end moved by more than a tenth."""
        if other is None:
            return False
        ends = ((self.low, other.low), (self.middle, other.middle), (self.high, other.high))
        return all(abs(one - two) * 10 <= max(one, two) for one, two in ends)
