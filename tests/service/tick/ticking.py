"""A store, a clock and the tick, without sources and without anybody to notify: usage goes in, readings come out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from quota_scheduler.core.cycle.requests import Answer, Request
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.readings import LimitReading, Readings
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service import cycle
from quota_scheduler.service.memory import Memory
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.record import record_usage
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.store import Store
from tests.builders import DAY, HOUR, MONDAY, a_usage_event
from tests.fakes import FixedClock


@dataclass
class House:
    """One database with its limits; ``restart`` forgets everything that is not in it."""

    path: Path
    limits: Sequence[Limit]
    clock: FixedClock = field(default_factory=lambda: FixedClock(MONDAY))
    high_usage_run: int = 10**12
    _keys: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.store = Store(self.path, clock=self.clock)
        self._assemble()

    def _assemble(self) -> None:
        with self.store.transaction() as tx:
            redefine(tx, self.limits)
        self.terms, self.memory = Terms(tuple(self.limits)), Memory()
        self.recompute = Recompute(
            self.store,
            self.limits,
            rules=(),
            targets=(),
            sources=lambda _: (),
            high_usage_run=self.high_usage_run,
            price=Prices().price,
        )

    def restart(self, limits: Sequence[Limit] | None = None) -> None:
        """Come up again on the same database, with other limits if given."""
        self.store.close()
        self.limits = limits or self.limits
        self.store = Store(self.path, clock=self.clock)
        self._assemble()

    def use(self, tokens: int, *, at: datetime | None = None, **labels: Any) -> None:
        """Record one call, now or at another time."""
        self.record([a_usage_event(tokens, key=f"u{next(self._keys)}", at=at or self.clock(), **labels)])

    def record(self, events: Iterable[UsageEvent]) -> None:
        """Record usage events."""
        with self.store.transaction() as tx:
            record_usage(tx, list(events), self.limits)

    def import_days(self, days: int, tokens: int, *, hour: int = 12, **labels: Any) -> None:
        """A past of so many days, each with the same usage at the same hour, up to yesterday."""
        midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        self.record(
            a_usage_event(tokens, key=f"u{next(self._keys)}", at=midnight - back * DAY + hour * HOUR, **labels)
            for back in range(days, 0, -1)
        )

    def ask(self, *requests: Request) -> Answer:
        """One cycle."""
        with self.store.transaction() as tx:
            return cycle.run_cycle(tx, requests, self.terms, self.memory)

    def tick(self, after: timedelta = timedelta(0)) -> Readings:
        """One tick, as the service does it, after the clock has moved on."""
        self.clock.advance(after)
        self.ask()
        readings = self.recompute.update()
        self.terms = replace(self.terms, outlooks=dict(self.recompute.outlooks))
        with self.store.transaction() as tx:
            return self.recompute.step(tx, readings)

    def until(self, at: datetime, every: timedelta) -> Readings:
        """Tick up to an instant, and at it."""
        while self.clock() + every < at:
            self.tick(every)
        return self.tick(at - self.clock())

    def limit(self, readings: Readings, name: str) -> LimitReading:
        """One limit's reading."""
        return next(each for each in readings.limits if each.limit == name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database holds."""
        with self.store.reading() as tx:
            return tx.rows(sql)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
