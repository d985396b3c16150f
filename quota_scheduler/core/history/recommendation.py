"""What a team's day should be given: the amount that nine of ten of its days would have kept to."""

import math
from collections.abc import Sequence

from msgspec import Struct

SHARE = 0.9
"""P90: design, section 4."""
DAYS = 30
"""Days that are looked at."""


class Recommendation(Struct, frozen=True):
    """``amount`` in the unit of what was used; ``days`` of them, idle ones too, are what it rests on."""

    amount: float
    days: int


def recommended(used: Sequence[float]) -> Recommendation | None:
    """The smallest amount that 90 % of the days kept to; None without a day. Idle days are days (0)."""
    if not used:
        return None
    return Recommendation(sorted(used)[math.ceil(SHARE * len(used)) - 1], len(used))
