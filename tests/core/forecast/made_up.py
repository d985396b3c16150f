"""Made-up hourly histories of every kind: young and old, busy and idle, with weekdays, bursts and hours yet to come."""

from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np

from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.project import Projectable
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.limits.schedule import Calendar, Every, Schedule, Session, Window

NOW = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEDULES: tuple[Schedule, ...] = (
    Session(5 * HOUR), Calendar(Every.DAY, "Europe/Berlin"), Calendar(Every.WEEK), Calendar(Every.MONTH, day=1),
)  # fmt: skip


def a_history(generator: Random, *, now: datetime = NOW) -> Buckets:
    """Some hours of up to 130 days."""
    days = generator.choice([0, 1, 3, 8, 20, 60, 119, 130])
    busy, scale = generator.choice([0.05, 0.2, 0.6, 1.0]), 10 ** generator.uniform(0, 7)
    weekdays = [generator.choice([1, 1, 1, 0.01, 3]) for _ in range(7)]
    first, last = (now - days * DAY).timestamp() // 3_600, now.timestamp() // 3_600 + generator.choice([0, 0, 2])
    hours = [hour * 3_600 for hour in range(int(first), int(last) + 1) if generator.random() < busy]
    usage = [scale * generator.lognormvariate(0, 1) * weekdays[int(hour // 86_400) % 7] for hour in hours]
    return Buckets(np.array(hours, dtype=np.float64), np.array(usage, dtype=np.float64))


def a_window(generator: Random, *, now: datetime = NOW) -> Window:
    """One of a session, a day, a week or a month; some have ended, some have yet to begin."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    begins, length = generator.choice(
        [(-generator.randrange(5) * HOUR, 5 * HOUR), (-11 * HOUR, DAY), (-11 * HOUR, 25 * HOUR), (-3 * DAY, 7 * DAY),
         (-22 * DAY, 30 * DAY), (HOUR, 5 * HOUR), (-5 * HOUR, 5 * HOUR), (timedelta(minutes=25), 30 * DAY)]
    )  # fmt: skip
    return Window(hour + begins, hour + begins + length)


def some_windows(generator: Random, count: int) -> list[Projectable]:
    """Windows to forecast; some share a history, some are like another one."""
    asked: list[Projectable] = []
    for _ in range(count):
        history = generator.choice(asked).history if asked and generator.random() < 0.3 else a_history(generator)
        halves = generator.uniform(-1, 1), generator.uniform(-1, 1)
        asked.append(
            Projectable(
                history,
                a_window(generator),
                certain=generator.choice([0, 0, 10_000, 10_000_000]),
                calibration=generator.choice([None, Calibration(*halves)]),
                used=generator.choice([None, generator.uniform(0, 1e6)]),
                rate_cap=generator.choice([None, None, 100.0]),
                since=generator.choice([None, NOW - 5 * DAY, NOW - 50 * DAY]),
                like=generator.choice(asked).history if asked and generator.random() < 0.2 else None,
            )
        )
    return asked
