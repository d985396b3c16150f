"""What runs in one process: it starts, ticks, reads, reloads and ends in order. ``assemble`` builds it."""

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from quota_scheduler.auth import RateLimits, Tokens
from quota_scheduler.bills.reader import BillReader
from quota_scheduler.config import Config
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.limits.changes import LimitsHold
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.readings.holders import QueueSnapshot, queue_in
from quota_scheduler.core.readings.other_hosts import ShippedSource, shipped_readings
from quota_scheduler.core.readings.readings import Readings, SourceReading
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.health import Health
from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.metrics import Metrics
from quota_scheduler.notify.notifier import AppriseNotifier
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.comments import CommentDesk, Commenter
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.service.intake import Intake
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld
from quota_scheduler.service.queries.queue import expected_ends
from quota_scheduler.service.receive import ShippedSources
from quota_scheduler.service.reprice import Repricing
from quota_scheduler.service.settle_unlisted import UnlistedUsage
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.service.upkeep import learn
from quota_scheduler.service.upkeep.learn_rates import learn_rates
from quota_scheduler.sources.headless_runs import HeadlessDoor
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.store import Store, Transaction
from quota_scheduler.waiters import Waiters
from quota_scheduler.writer import Writer

log = logging.getLogger(__name__)
RESTART = (
    "listen",
    "database",
    "sources",
    "bills",
    "otlp",
    "litellm",
    "receivers",
    "metrics_auth",
    "tick_seconds",
    "log_format",
    "trusted_proxies",
    "tls",
)
"""What only a restart changes; everything else of a reloaded configuration takes effect at once."""
TICK = "the tick"
THE_FILE = "configuration"
"""Who the audit log names where a file was changed and read again."""
DELIVER_SECONDS = 1.0
COMMENT_SECONDS = 1.0
ENDS_SECONDS = 10.0
LEARN_SECONDS = 60.0
RATES_SECONDS = 5.0
"""A first rate lets more start at once than a fixed part for each lease: it is worth looking often."""
PRUNE_SECONDS = 3600.0
BILL_SECONDS = 15.0
"""How often is looked whether a provider's report is due."""
TOKENS_SECONDS = 2.0
"""How often is looked whether the tokens file has changed: a token that was taken away ends that soon."""
STOP_SECONDS = 5.0
"""How long messages under way may take when the service ends."""


@dataclass(frozen=True, slots=True)
class Doors:
    """What reads the bodies that others push."""

    otlp: OtlpDoor
    litellm: LitellmDoor
    headless: HeadlessDoor


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of, each built once."""

    store: Store
    writer: Writer
    waiters: Waiters
    metrics: Metrics
    health: Health
    prices: Prices
    notifier: AppriseNotifier
    deliverer: Deliverer
    ingests: tuple[Ingest, ...]
    recompute: Recompute
    repricing: Repricing
    shipped: ShippedSources
    bills: tuple[BillReader, ...]
    sources: Callable[[datetime], tuple[SourceReading, ...]]
    unlisted: UnlistedUsage
    doors: Doors
    intake: Intake
    comments: CommentDesk
    commenter_of: Callable[[Config], Commenter | None]


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from a configuration alone, and is worked out anew when it is read again."""

    tokens: Tokens
    policy: QueuePolicy
    rules: tuple[AlertRule, ...]


class Service:
    """Everything that runs in one process. ``start`` and ``stop`` may each be called once."""

    def __init__(self, config: Config, parts: Parts, derived: Derived, *, limits_hold: LimitsHold) -> None:
        """``limits_hold`` are the limits that hold now, and how long."""
        self.config, self.parts, self.tokens = config, parts, derived.tokens
        self.store, self.writer, self.waiters = parts.store, parts.writer, parts.waiters
        self.health = parts.health
        self.rates = RateLimits(config.rate_limit)
        self.tokens_changed: Callable[[], None] | None = None
        self._tokens_file = _stamp(config.tokens_file)
        self.draining = False
        self.held: EverythingHeld | None = None
        self.moved = 0
        self.estimate_basis = EstimateBasis()
        self.readings = Readings(self.store.clock())
        self._limits_hold = limits_hold
        self._jobs = Jobs(self._tasks(), parts.metrics)

    def _tasks(self) -> list[Job]:
        read = Job("read", self.config.sources.claude_code.poll_seconds, self.read)
        return [
            *([read] if self.parts.ingests else []),
            *([Job("bills", BILL_SECONDS, self.read_bills)] if self.parts.bills else []),
            Job("tick", self.config.tick_seconds, self.tick),
            Job("deliver", DELIVER_SECONDS, self.parts.deliverer.deliver),
            Job("comments", COMMENT_SECONDS, self.parts.comments.deliver),
            Job("learn", LEARN_SECONDS, self.learn),
            Job("ends", ENDS_SECONDS, self.learn_ends),
            Job("rates", RATES_SECONDS, self.learn_rates),
            Job("prune", PRUNE_SECONDS, self.prune, steady=True),
            *([Job("tokens", TOKENS_SECONDS, self.look_at_tokens)] if self.config.tokens_file else []),
        ]

    def start(self) -> None:
        """Begin to work: the writer first, then everything that writes."""
        gc.freeze()  # what is built stays: looking through it again and again took a tenth of a first pass
        self.health.expect(TICK, self.config.tick_seconds)
        for ingest in self.parts.ingests:
            self.health.expect(_reading(ingest), self.config.sources.claude_code.poll_seconds)
        self.writer.start()
        self.parts.prices.warm()
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
        for bill in self.parts.bills:
            bill.stop()
        self.parts.comments.close()
        self._jobs.stop()
        self.parts.metrics.leads(False)
        self.parts.deliverer.close(STOP_SECONDS)
        self.writer.stop()
        self.store.close()
        for ingest in self.parts.ingests:
            ingest.close()
        gc.unfreeze()

    def change_terms(self, **changes: Any) -> None:
        """Let other terms rule the cycles from the next one on."""
        self.writer.change_terms(lambda terms: replace(terms, **changes))

    def hold_in_force(self, terms: Terms, held: EverythingHeld | None) -> Terms:
        """The terms after everything was held, or let go on."""
        self.held = held
        self.parts.metrics.everything_held(on=held is not None)
        return replace(terms, hold=held is not None)

    def limits_in_force(self, terms: Terms, hold: LimitsHold | str) -> Terms:
        """The terms after limits were changed, also for what waits; a sentence that says why not changes nothing."""
        if isinstance(hold, str):
            return terms
        self._limits_hold, self.parts.recompute.limits = hold, hold.limits
        return replace(terms, limits=hold.limits)

    def limits_changed(self, terms: Terms, hold: LimitsHold | str) -> Terms:
        """The same after an operator changed one: whoever looks sees it at once, not with the next tick."""
        self._jobs.run_soon("tick")
        return self.limits_in_force(terms, hold)

    def other_hosts(self, terms: Terms, sources: Sequence[ShippedSource], now: datetime) -> Terms:
        """The same terms; what shippers said of their sources is shown from now on."""
        self.parts.shipped.take(sources, now)
        return terms

    def look_at_tokens(self) -> None:
        """Read the tokens again where their file has changed."""
        stamp = _stamp(self.config.tokens_file)
        if stamp != self._tokens_file and self.tokens_changed is not None:
            self._tokens_file = stamp
            self.tokens_changed()

    def use_tokens(self, config: Config, tokens: Tokens) -> None:
        """Let other tokens open the door from now on; who came and who went is written down."""
        before, after = self.tokens.names, tokens.names
        if tokens == self.tokens:
            return
        self.tokens, self.config = tokens, replace(self.config, tokens=config.tokens)
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        detail = {"names": names, "tokens": sum(after.values())}
        self.writer.do(lambda tx: operate.write_down(tx, "tokens.changed", detail, who=THE_FILE)).result()

    def apply_config(self, config: Config, derived: Derived) -> None:
        """Let a configuration that was read again rule, but for what only a restart changes."""
        fixed = [name for name in RESTART if getattr(config, name) != getattr(self.config, name)]
        if fixed:
            log.warning("config.needs_restart keys=%s", ",".join(fixed))
        config = replace(config, **{name: getattr(self.config, name) for name in RESTART})

        def in_force(terms: Terms, hold: LimitsHold) -> Terms:
            self.config = config
            return replace(self.limits_in_force(terms, hold), policy=derived.policy, thresholds=config.rules)

        self.use_tokens(config, derived.tokens)
        if config.rate_limit != self.config.rate_limit:
            self.rates = RateLimits(config.rate_limit)
        if config.github != self.config.github:
            self.parts.comments.use(self.parts.commenter_of(config))
        recompute = self.parts.recompute
        recompute.rules, recompute.forecasting.thresholds = derived.rules, config.rules
        self.parts.prices.state(config.prices)
        self.parts.repricing.begin()
        detail = {"limits": len(config.limits), "tokens": len(config.tokens)}

        def apply(tx: Transaction) -> LimitsHold:
            operate.write_down(tx, "config.reloaded", detail, who=THE_FILE)
            return operate.apply_limits(tx, config.limits)

        self.writer.do(apply, then=in_force).result()

    def _refresh_limits(self) -> None:
        """Let the limits of the file with the stored changes hold."""
        self.writer.do(lambda tx: operate.apply_limits(tx, self.config.limits), then=self.limits_in_force).result()

    def read(self) -> None:
        """One pass over every source; what is new is shown at once."""
        is_new = False
        for ingest in self.parts.ingests:
            recorded = ingest.poll()
            is_new |= bool(recorded.accepted or recorded.updated)
            self.health.done(_reading(ingest))
            behind = frozenset(source.provider for source in self.parts.ingests if source.progress.catching_up)
            self.writer.change_terms(
                lambda terms, behind=behind: (
                    terms if terms.catching_up == behind else replace(terms, catching_up=behind)
                )  # type: ignore[misc]
            )
        if is_new:
            self._jobs.run_soon("tick")

    def read_bills(self) -> None:
        """Read what is due of providers' usage and cost reports."""
        for bill in self.parts.bills:
            bill.poll()

    def tick(self) -> None:
        """Publish new readings, unless a first pass is still under way: then only how far it is."""
        if any(ingest.progress.catching_up for ingest in self.parts.ingests):
            self._note_progress()
            now = self.store.clock()
            self._publish(Readings(now, sources=self.parts.sources(now)))
            return
        if self._limits_hold.is_over(self.store.clock()):
            self._refresh_limits()
        self.parts.unlisted.settle()
        self.parts.repricing.go_on()
        recompute = self.parts.recompute
        readings = recompute.update(self._read_queue())
        self.change_terms(outlooks=dict(recompute.outlooks))
        self._publish(self.writer.do(lambda tx: recompute.step(tx, readings)).result())
        self.health.done(TICK)

    def _note_progress(self) -> None:
        """A first pass takes its time: it works as long as it gets further."""
        self.health.done(TICK)
        for ingest in self.parts.ingests:
            if ingest.progress.catching_up:
                self.health.further(_reading(ingest), (ingest.progress.files, ingest.progress.done_bytes))

    def _read_queue(self) -> QueueSnapshot:
        """What waits, from the queue that the writer keeps; a long one is put in order here, beside its work."""
        terms = self.writer.terms

        def read(tx: Transaction) -> tuple[QueueSnapshot, ThrottleQueue, list[Ticket], dict[str, int]]:
            remembered = self.writer.remembered(tx)
            queue = remembered.queue
            return queue_in(queue, hold=self.writer.terms.hold), queue, list(queue), dict(remembered.running)

        snapshot: QueueSnapshot
        snapshot, queue, waiting, running = self.writer.do(read).result()
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

    def learn_rates(self) -> None:
        """Learn what a percent point costs; where decisions would differ, the limits are made anew with it."""
        limits = self.writer.terms.limits
        if not any(limit.unit is Unit.PERCENT for limit in limits):
            return
        if self.writer.do(lambda tx: learn_rates(tx, limits)).result():
            self._refresh_limits()

    def prune(self) -> None:
        """Drop what is older than it is kept, a little at a time."""
        some = partial(learn.prune, raw=self.config.raw_retention, keys=self.config.key_retention)
        while self.writer.do(some).result():
            pass
        self.parts.repricing.begin()  # reports of leases may have been settled at what was estimated when they came


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes with a file: which it is, when it was written, how long it is; None where there is none."""
    try:
        found = path.stat() if path else None
    except OSError:
        found = None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None


def _reading(ingest: Ingest) -> str:
    """What the pass over a source is called where it does not work."""
    return f"reading {ingest.name}"


def source_readings(
    ingests: Sequence[Ingest], shipped: ShippedSources, bills: Sequence[BillReader], now: datetime
) -> tuple[SourceReading, ...]:
    """How far every source is of which anything was found: here, on hosts that ship, and at providers."""
    here = [ingest.source_reading(now) for ingest in ingests if ingest.is_there]
    return (*here, *shipped_readings(shipped.all(), now), *(bill.source_reading(now) for bill in bills))
