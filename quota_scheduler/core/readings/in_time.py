"""What an amount is in time: for how long a limit would have lasted on it, at the limit's own pace.

pace        to come by the forecast ÷ time to the reset      with seven observed days and anything to come
            else used ÷ time since the window began          from 2 % of the window on, with anything used
            else not known
in time     amount ÷ pace

The limit named is the one in which the amount is the largest part, of those whose window is as long as the time in
which it was taken: a day's loss says nothing of a session of five hours. What is not known is None, never 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.readings.burn import SETTLED_RATIO
from quota_scheduler.core.readings.readings import LimitReading
from quota_scheduler.core.units import Unit

Charges = tuple[tuple[str, int], ...]
"""What was taken out of each limit instance, in the base of its unit."""


class TimeTaken(Struct, frozen=True):
    """``amount`` taken out of a ``limit``, as a ``share`` of all it has, and as ``lasting`` at its pace.

    ``amount`` is in the base of the limit's unit, 0 where the limit does not count what was lost. ``lasting`` is None
    while the limit has no pace.
    """

    limit: LimitReading
    amount: int
    lasting: timedelta | None

    @property
    def share(self) -> float:
        """Of the limit's amount."""
        return self.amount / self.limit.balance.amount


def pace(limit: LimitReading, now: datetime) -> float | None:
    """Return how fast a limit is used, in the base of its unit a second; None where nothing says."""
    balance, forecast = limit.balance, limit.projection.forecast
    if forecast is not None and forecast.sufficient and forecast.ends_at > now:
        to_come = forecast.expected - forecast.used
        if to_come > 0:
            return to_come / (forecast.ends_at - now).total_seconds()
    if balance.starts_at is None or balance.ends_at is None or balance.used <= 0:
        return None
    passed = now - balance.starts_at
    settled = passed >= SETTLED_RATIO * (balance.ends_at - balance.starts_at) and passed > timedelta(0)
    return balance.used / passed.total_seconds() if settled else None


def time_taken(
    charges: Iterable[tuple[str, int]], limits: Mapping[str, LimitReading], *, over: timedelta, now: datetime
) -> TimeTaken | None:
    """Tell what ``charges``, taken ``over`` some time, are of the limit that they weigh most in; None without one."""
    concerned = [
        (charge / limits[name].balance.amount, name, charge)
        for name, charge in charges
        if name in limits and _lasts(limits[name], over)
    ]
    if not concerned:
        return None
    _, name, charge = max(concerned, key=lambda part: (part[0], part[1]))
    limit, amount = limits[name], max(0, charge)
    if not amount:
        return TimeTaken(limit, 0, None)
    rate = pace(limit, now)
    return TimeTaken(limit, amount, timedelta(seconds=min(amount / rate, _LONGEST)) if rate else None)


_LONGEST = 10 * 366 * 86_400.0
"""Seconds beyond which no length is told apart: ten years, far beyond any window."""


def by_name(limits: Sequence[LimitReading]) -> dict[str, LimitReading]:
    """Limit readings by the name of their instance."""
    return {limit.limit: limit for limit in limits}


def _lasts(limit: LimitReading, over: timedelta) -> bool:
    balance = limit.balance
    if balance.starts_at is None or balance.ends_at is None or balance.amount <= 0 or limit.unit is Unit.LEASES:
        return False
    return balance.ends_at - balance.starts_at >= over
