"""Demand: what more important work will still ask for, as the forecast sees it and as it will be.

Demand, not usage: what was refused or given up counts like what ran. It does not depend on the policy, so one forecast
per window and hour serves every policy and factor.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import numpy as np
from msgspec import Struct, field

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.histories import UsageHistory
from quota_scheduler.core.forecast.outlook import Outlook, demand_span, outlook_of
from quota_scheduler.core.forecast.project import Projectable, project_many
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.simulate.state import SimState
from quota_scheduler.simulate.windows import Meter
from quota_scheduler.simulate.world import HOUR, Run, World

TOKENS = 10**6
"""Tokens of a mean day: the core counts in integers."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=1)
MOST_ENDS = 1_000
"""Ends of windows for which sums are kept."""


def instant(seconds: float) -> datetime:
    """Seconds since 1970 as an instant."""
    return EPOCH + timedelta(seconds=seconds)


class Future(Struct):
    """The runs of a world by class group, with running sums; ``longest`` is how long one takes at most, in seconds."""

    rows: list[tuple[list[float], list[float], list[Run]]]
    longest: float = 0.0
    _late: dict[tuple[int, float], tuple[int, list[float]]] = field(default_factory=dict)

    def usable(self, rank: int, now: float, end: float) -> float:
        """Tell what arrives after ``now`` in classes above ``rank`` and can be used before ``end``."""
        instants, sums, _ = self.rows[rank]
        first, late = self._late_sums(rank, end)
        i = bisect_left(instants, now + 1e-6)
        j = max(i, first)
        return sums[j] - sums[i] + (late[-1] - late[j - first] if j - first < len(late) else 0.0)

    def _late_sums(self, rank: int, end: float) -> tuple[int, list[float]]:
        """The first run that might not be done by ``end``, and running sums from it on of what can be used by then."""
        if (rank, end) not in self._late:
            if len(self._late) >= MOST_ENDS:
                self._late.clear()
            instants, _, runs = self.rows[rank]
            first, last = bisect_left(instants, end - self.longest), bisect_left(instants, end)
            usable = (min(run.size, run.rate * (end - run.at)) for run in runs[first:last])
            self._late[rank, end] = first, list(accumulate(usable, initial=0.0))
        return self._late[rank, end]


class Truth(Outlook, frozen=True):
    """An outlook that knows every run to come, for the clairvoyant."""

    runs: Future = field(default_factory=lambda: Future([]))

    def demand(self, priority: Priority, *, now: datetime, ends_at: datetime, pressing: bool = False) -> int:
        """Exactly what the classes above will ask for and could use before ``ends_at``."""
        del pressing  # what is known for sure is kept from everybody alike
        return int(TOKENS * self.runs.usable(priority.rank, now.timestamp(), ends_at.timestamp()))


class Demand(Struct):
    """What can be known of a world's demand."""

    world: World
    future: Future
    histories: tuple[Buckets, ...]
    since: datetime
    projected: dict[tuple[datetime, datetime], tuple[Forecast, ...]] = field(default_factory=dict)

    def truth(self, state: SimState, meter: Meter) -> Outlook:
        """Tell what will really come."""
        at = instant(state.now)
        return Truth(at, instant(meter.reset_after(state.now)), at - self.since, runs=self.future)

    def forecast(self, state: SimState, meter: Meter) -> Outlook:
        """Tell what the forecast of the core says, as of the last full hour: the outlook that the tick would make."""
        now = state.now // HOUR * HOUR
        start, end = (meter.starts_at, meter.ends_at) if meter.is_open else (now, now + meter.length)
        window = Window(instant(min(start, now)), instant(end))
        forecasts = self._projected(window, instant(now))
        return outlook_of(
            forecasts[0],
            (None, *forecasts[1:]),
            UsageHistory(),
            amount=int(TOKENS * meter.amount),
            previous="unknown",
            zone="UTC",
            now=instant(now),
        )

    def _projected(self, window: Window, now: datetime) -> tuple[Forecast, ...]:
        """The forecast of the window, and those of the demand above each class but people."""
        key = (window.ends_at, now)
        if key not in self.projected:
            widest, span = self.histories[-1], demand_span(window, now=now)
            asked = [Projectable(widest, window, since=self.since)]
            asked += [Projectable(history, span, since=self.since, like=widest) for history in self.histories]
            self.projected[key] = tuple(project_many(asked, now=now, step=STEP))
        return self.projected[key]


def demand_of(world: World) -> Demand:
    """Prepare the demand of a world: hourly, for the classes above high, above normal and above low."""
    histories = []
    for rank in range(1, len(CLASSES)):
        hours: dict[int, float] = {}
        for run in world.runs:
            if run.rank < rank:
                _spread(run, hours)
        starts = sorted(hours)
        histories.append(Buckets(np.array(starts) * HOUR, np.array([hours[hour] for hour in starts])))
    rows = []
    for rank in range(len(CLASSES)):
        runs = [run for run in world.runs if run.rank < rank]
        sums = [0.0, *np.cumsum([run.size for run in runs]).tolist()]
        rows.append(([run.at for run in runs], sums, runs))
    longest = max((run.size / run.rate for run in world.runs), default=0.0)
    return Demand(world, Future(rows, longest), tuple(histories), instant(world.start))


def _spread(run: Run, hours: dict[int, float]) -> None:
    """Count a run in the hours in which it would have used its tokens, had it started when it came."""
    end = run.at + run.size / run.rate
    for hour in range(int(run.at // HOUR), int(end // HOUR) + 1):
        seconds = min(end, (hour + 1) * HOUR) - max(run.at, hour * HOUR)
        hours[hour] = hours.get(hour, 0.0) + TOKENS * run.rate * max(0.0, seconds)
