"""What runs in one process: it starts, ticks, reads, reloads and ends in order. ``assemble`` builds it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from quota_scheduler.auth import Tokens
from quota_scheduler.config import Config
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.readings.holders import QueueSnapshot, queue_in
from quota_scheduler.core.readings.readings import Readings, SourceReading
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.metrics import Metrics
from quota_scheduler.notify import AppriseNotifier
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service import cycle
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.queries.queue import expected_ends
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.service.upkeep import learn
from quota_scheduler.store import Store, Transaction
from quota_scheduler.waiters import Waiters
from quota_scheduler.writer import Writer

log = logging.getLogger(__name__)
RESTART = ("listen", "database", "sources", "receivers", "prices", "metrics_auth", "tick_seconds", "log_format")
"""What only a restart changes; everything else of a reloaded configuration takes effect at once."""
DELIVER_SECONDS = 1.0
ENDS_SECONDS = 10.0
LEARN_SECONDS = 60.0
PRUNE_SECONDS = 3600.0
STOP_SECONDS = 5.0
"""How long messages under way may take when the service ends."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of, each built once."""

    store: Store
    writer: Writer
    waiters: Waiters
    metrics: Metrics
    prices: Prices
    notifier: AppriseNotifier
    deliverer: Deliverer
    ingests: tuple[Ingest, ...]
    roots: tuple[Path, ...]
    recompute: Recompute


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from a configuration alone, and is worked out anew when it is read again."""

    tokens: Tokens
    policy: QueuePolicy
    rules: tuple[AlertRule, ...]


class Service:
    """Everything that runs in one process. ``start`` and ``stop`` may each be called once."""

    def __init__(self, config: Config, parts: Parts, derived: Derived, *, limits_expire_at: datetime | None) -> None:
        """``limits_expire_at`` is when the next run-time change of a limit expires."""
        self.config, self.parts, self.tokens = config, parts, derived.tokens
        self.store, self.writer, self.waiters = parts.store, parts.writer, parts.waiters
        self.draining = False
        self.estimate_basis = EstimateBasis()
        self.readings = Readings(self.store.clock())
        self._limits_expire_at = limits_expire_at
        self._jobs = Jobs(self._tasks(), parts.metrics)

    def _tasks(self) -> list[Job]:
        read = Job("read", self.config.sources.claude_code.poll_seconds, self.read)
        return [
            *([read] if self.parts.ingests else []),
            Job("tick", self.config.tick_seconds, self.tick),
            Job("deliver", DELIVER_SECONDS, self.parts.deliverer.deliver),
            Job("learn", LEARN_SECONDS, self.learn),
            Job("ends", ENDS_SECONDS, self.learn_ends),
            Job("prune", PRUNE_SECONDS, self.prune),
        ]

    def start(self) -> None:
        """Begin to work: the writer first, then everything that writes."""
        self.writer.start()
        self.parts.metrics.database_checked(up=True)
        self.parts.metrics.leads(True)
        self._jobs.start()
        self.parts.notifier.warm()

    def drain(self) -> None:
        """Take nothing new; answer who is parked."""
        self.draining = True
        self.waiters.release_all()

    def stop(self) -> None:
        """End in order: no new work, what runs to its end, what is queued to the disk."""
        self.draining = True
        for ingest in self.parts.ingests:
            ingest.stop()
        self._jobs.stop()
        self.parts.metrics.leads(False)
        self.parts.deliverer.close(STOP_SECONDS)
        self.writer.stop()
        self.store.close()

    def change_terms(self, *, forget: bool = False, **changes: Any) -> None:
        """Let other terms rule the cycles from the next one on; ``forget`` what was remembered under the old ones."""
        for name, value in changes.items():
            setattr(self.writer.terms, name, value)
        if forget:
            self.writer.terms.forget()

    def set_limits(self, limits: tuple[Limit, ...], *, expire_at: datetime | None = None) -> None:
        """Let other limits hold from the next cycle on, also for what waits already."""
        self._limits_expire_at = expire_at
        self.parts.recompute.limits = limits
        self.change_terms(forget=True, limits=limits)

    def apply_config(self, config: Config, derived: Derived) -> None:
        """Let a configuration that was read again rule, but for what only a restart changes."""
        fixed = [name for name in RESTART if getattr(config, name) != getattr(self.config, name)]
        if fixed:
            log.warning("config.needs_restart keys=%s", ",".join(fixed))
        self.config = replace(config, **{name: getattr(self.config, name) for name in RESTART})
        self.tokens = derived.tokens
        recompute = self.parts.recompute
        recompute.rules, recompute.forecasting.thresholds = derived.rules, config.rules
        self.change_terms(policy=derived.policy, thresholds=config.rules)
        self._refresh_limits()

    def _refresh_limits(self) -> None:
        """Let the limits of the file with the stored changes hold."""
        hold: operate.LimitsHold = self.writer.do(lambda tx: operate.adopt(tx, self.config.limits)).result()
        self.set_limits(hold.limits, expire_at=hold.expire_at)

    def read(self) -> None:
        """One pass over every source."""
        for ingest in self.parts.ingests:
            ingest.poll()
            behind = frozenset(source.provider for source in self.parts.ingests if source.progress.catching_up)
            self.change_terms(catching_up=behind)

    def tick(self) -> None:
        """Publish new readings, unless a first pass is still under way: then only how far it is."""
        if any(ingest.progress.catching_up for ingest in self.parts.ingests):
            now = self.store.clock()
            self._publish(Readings(now, sources=source_readings(self.parts.ingests, now)))
            return
        if self._limits_expire_at and self._limits_expire_at <= self.store.clock():
            self._refresh_limits()
        recompute = self.parts.recompute
        readings = recompute.look(self._read_queue())
        self.change_terms(outlooks=dict(recompute.outlooks))
        self._publish(self.writer.do(lambda tx: recompute.step(tx, readings)).result())

    def _read_queue(self) -> QueueSnapshot:
        """What waits, from the queue that the writer keeps; a long one is put in order here, beside its work."""
        terms = self.writer.terms

        def look(tx: Transaction) -> tuple[QueueSnapshot, ThrottleQueue, list[Ticket], dict[str, int]]:
            memory = cycle.remembered(tx, terms)
            return queue_in(memory.queue, hold=terms.hold), memory.queue, list(memory.queue), dict(memory.running)

        snapshot: QueueSnapshot
        snapshot, queue, waiting, running = self.writer.do(look).result()
        if queue.wants_places(now := self.store.clock()):
            queue.know_places(order(waiting, running, terms.policy, now=now), at=now)
        return snapshot

    def _publish(self, readings: Readings) -> None:
        self.readings = readings
        self.parts.metrics.publish(readings)

    def learn(self) -> None:
        """Learn from finished work what the next may use."""
        with self.store.reading() as tx:
            self.estimate_basis = learn.learned(tx)

    def learn_ends(self) -> None:
        """Learn when the next running lease of each limit is expected to end, from how long leases take."""
        with self.store.reading() as tx:
            self.change_terms(busy_until=expected_ends(tx, self.writer.terms.limits))

    def prune(self) -> None:
        """Drop what is older than it is kept, a little at a time."""
        some = partial(learn.prune, raw=self.config.raw_retention, keys=self.config.key_retention)
        while self.writer.do(some).result():
            pass


def source_readings(ingests: Sequence[Ingest], now: datetime) -> tuple[SourceReading, ...]:
    """How far every source is."""
    return tuple(ingest.source_reading(now) for ingest in ingests)
