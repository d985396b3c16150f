"""Burn rate of a window: how fast it is being spent, against the pace that lasts to its reset.

    B = r · W / Q              1 = a whole window at this rate uses exactly Q
    R = r · (E - t) / (Q - U)  above 1 = runs out before the reset

r is consumption per second over a lookback. Spending everything is no error, running out early is: an alert needs R
above 1 *and* B above the factor of its class over a long and a short lookback. Classes and factors: "x of the limit in
w" is the factor x · W / w (Google SRE workbook, chapter 5, applied to windows of a limit).
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.readings.readings import Burn

LOOKBACKS = ("fast_long", "fast_short", "slow_long", "slow_short")
"""The four lookbacks of every class, in the order in which they are reported."""
SHORTEST = timedelta(hours=2)
"""Windows shorter than this have no burn rate: they are over before anybody could act on one."""
QUIET_RATIO = 0.05
"""First part of a window without a burn rate: a few calls right after a reset are not a trend."""
SETTLED_RATIO = 0.02
"""First part of a window without a cumulative burn."""
MOST = 1000.0
"""R grows without bound as the room vanishes; it is held here so that it stays a number for JSON and graphs."""

History = Sequence[tuple[datetime, float]]


class BurnClass(Struct, frozen=True):
    """Lookbacks for windows of about ``length``, in the order of ``LOOKBACKS``, and the factors that alert."""

    length: timedelta
    lookbacks: tuple[timedelta, timedelta, timedelta, timedelta]
    fast: float
    slow: float


def _class(hours: float, minutes: tuple[int, int, int, int], fast: float, slow: float) -> BurnClass:
    first, second, third, fourth = (timedelta(minutes=m) for m in minutes)
    return BurnClass(timedelta(hours=hours), (first, second, third, fourth), fast, slow)


CLASSES = (
    _class(30 * 24, (360, 30, 1440, 120), fast=6.0, slow=3.0),
    _class(7 * 24, (180, 15, 720, 60), fast=5.6, slow=2.8),
    _class(24, (30, 5, 120, 15), fast=7.2, slow=3.0),
    _class(5, (20, 5, 45, 10), fast=4.5, slow=3.0),
)
"""A month, a week, a day and a session: 6.0 over 6 h is 5 % of a month, 2.8 over 12 h is 20 % of a week."""


def burn_class(length: timedelta) -> BurnClass | None:
    """Return the class nearest to a window's length on a logarithmic scale; None for windows under two hours."""
    if length < SHORTEST:
        return None
    return min(CLASSES, key=lambda candidate: abs(math.log(length / candidate.length)))


def burns(history: History, window: Window, used: int, amount: int, now: datetime, step: timedelta) -> tuple[Burn, ...]:
    """Measure the burn over the four lookbacks of the window's class.

    ``history`` holds (start of a ``step``-long bucket, consumption) in ascending order; what lies at or after ``now``
    is not looked at, the bucket that contains ``now`` counts as filled up to it. A lookback is cut at the window's
    start, so that nothing of the window before is held against this one. A ``step`` longer than a lookback smooths it.

    Empty for a window under two hours, in its first 5 %, outside it, and for an amount of 0.
    """
    nearest = burn_class(window.length)
    elapsed = now - window.starts_at
    if nearest is None or amount <= 0 or not window.contains(now) or elapsed / window.length < QUIET_RATIO:
        return ()
    left, headroom = window.ends_at - now, amount - used
    lookbacks = [min(lookback, elapsed).total_seconds() for lookback in nearest.lookbacks]
    lately = _ages(history, max(lookbacks), now, step)
    return tuple(
        _burn(name, _per_second(lately, lookback), window, left, headroom, amount)
        for name, lookback in zip(LOOKBACKS, lookbacks, strict=True)
    )


def cumulative_burn(window: Window, used: int, amount: int, now: datetime) -> float | None:
    """Return usage so far over that of an even pace; None in the first 2 % of a window and for an amount of 0."""
    passed = (now - window.starts_at) / window.length
    return used / amount / passed if amount > 0 and passed >= SETTLED_RATIO else None


def _burn(name: str, rate: float, window: Window, left: timedelta, headroom: int, amount: int) -> Burn:
    to_come = rate * left.total_seconds()
    remaining = min(MOST, to_come / headroom) if headroom > 0 else (MOST if to_come > 0 else 0.0)
    return Burn(lookback=name, rate=rate * window.length.total_seconds() / amount, remaining=remaining)


def _ages(history: History, longest: float, now: datetime, step: timedelta) -> list[tuple[float, float, float]]:
    """Return how many seconds ago each bucket of the longest lookback began and ended, and its consumption."""
    lately, width = [], step.total_seconds()
    for at, amount in reversed(history):
        if at >= now:
            continue
        begun = (now - at).total_seconds()
        ended = max(begun - width, 0.0)
        if ended >= longest:
            break
        lately.append((begun, ended, amount))
    return lately


def _per_second(lately: Iterable[tuple[float, float, float]], lookback: float) -> float:
    """Consumption per second of the last ``lookback`` seconds; a bucket cut by either end counts in proportion."""
    shares = (
        amount * ((min(begun, lookback) - ended) / (begun - ended))
        for begun, ended, amount in lately
        if ended < lookback
    )
    return sum(shares) / lookback
