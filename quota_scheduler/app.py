"""The composition root: builds every object once from a Config, starts and stops them in order."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

import quota_scheduler
from quota_scheduler.alert_rules import load_rules
from quota_scheduler.auth import Tokens
from quota_scheduler.config import Config
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.waiting import WaitingByInstance, waiting_in
from quota_scheduler.core.readings.documents import read_outlook
from quota_scheduler.core.readings.readings import Readings, SourceReading
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.errors import ConfigError, StartError
from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.metrics import Metrics
from quota_scheduler.metrics.observer import Observer
from quota_scheduler.notify import AppriseNotifier, Receiver
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service import cycle
from quota_scheduler.service.apply_prices import priced_ticket, unpriced
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.queries.queue import expected_ends, plan_document
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.service.upkeep import learn
from quota_scheduler.sources import claude_code
from quota_scheduler.store import Store, Transaction, documents, tickets, utc_now
from quota_scheduler.waiters import Waiters
from quota_scheduler.writer import Writer

log = logging.getLogger(__name__)
RESTART = ("listen", "database", "sources", "receivers", "prices", "metrics_auth", "tick_seconds", "log_format")
"""What only a restart changes; everything else of a reloaded configuration takes effect at once."""
TASKS = ("tick", "read", "deliver", "learn", "ends", "prune")
DELIVER_SECONDS, ENDS_SECONDS, LEARN_SECONDS, PRUNE_SECONDS = 1.0, 10.0, 60.0, 3600.0


class Service:
    """Everything that runs in one process. ``start`` and ``stop`` may each be called once."""

    def __init__(
        self, config: Config, *, reread: Callable[[], Config] | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Build everything; ``reread`` loads the configuration anew for ``reload``."""
        if config.needs_tokens:
            raise StartError(
                f"listen: {config.listen} can be reached from outside and no token is configured: "
                "add tokens (see docs/reference/config.md), or listen on 127.0.0.1"
            )
        self.config, self.draining = config, False
        self.started = time.monotonic()
        self._reread = reread
        self._limits_expire_at: datetime | None = None
        self.store = Store(config.database, clock=clock)
        try:
            self._build()
        except BaseException:
            self.store.close()
            raise

    def _build(self) -> None:
        config = self.config
        self.notifier = AppriseNotifier([Receiver(r.id, r.url, r.min_severity, r.match) for r in config.receivers])
        self.metrics = Metrics(
            CollectorRegistry(), version=quota_scheduler.__version__, tasks=TASKS, targets=self.notifier.targets
        )
        self.store.timed = self.metrics.queried
        self.count = Observer(self.metrics, lambda: self.terms.limits, self.store.clock)
        self.prices = Prices(config.prices)
        self.tokens, self.waiters = Tokens(config.tokens), Waiters()
        self.learned = EstimateBasis()
        self.roots: list[Path] = []
        with self.store.transaction() as tx:
            found = operate.adopt(tx, config.limits)
            outlooks = {name: read_outlook(body) for name, body in documents.load_bodies(tx, "outlooks").items()}
            held = operate.held_because(tx)
        limits, self._limits_expire_at = found.limits, found.expire_at
        terms = Terms(
            limits,
            queue_policy(config),
            outlooks,
            hold=bool(held),
            models=config.models.fallback,
            reprice=self._with_model,
            thresholds=config.rules,
        )
        self.writer = Writer(self.store, terms, told=self._told)
        self.ingests = self._ingests()
        self._note_catching_up()
        self.recompute = Recompute(
            self.store,
            limits,
            rules=alert_rules(config),
            targets=self.notifier.receivers,
            sources=self._source_readings,
            high_usage_run=config.high_usage_run,
            thresholds=config.rules,
        )
        self.recompute.outlooks.update(outlooks)
        self.deliverer = Deliverer(self.store, self.notifier, self.notifier.targets, observe=self.count.attempted)
        self.readings = Readings(self.store.clock())
        self.jobs = Jobs(self._jobs(), self.metrics)

    def _ingests(self) -> list[Ingest]:
        own = self.config.sources.claude_code
        if not own.enabled:
            return []
        self.roots = claude_code.find_roots(self.config.variables, self.config.home, [str(root) for root in own.roots])
        label = claude_code.labeller(own.labels, account=own.account, home=self.config.home)
        scan = partial(claude_code.scan, self.roots, labeller=label)
        return [
            Ingest(
                claude_code.NAME,
                claude_code.PROVIDER,
                scan,
                store=self.store,
                do=self.writer.do,
                prices=self.prices,
                limits=lambda: self.terms.limits,
            )
        ]

    def _jobs(self) -> list[Job]:
        config = self.config
        reads = [Job("read", config.sources.claude_code.poll_seconds, self.read)] if self.ingests else []
        return [
            *reads,
            Job("tick", config.tick_seconds, self.tick),
            Job("deliver", DELIVER_SECONDS, self.deliverer.deliver),
            Job("learn", LEARN_SECONDS, self.learn),
            Job("ends", ENDS_SECONDS, self.learn_ends),
            Job("prune", PRUNE_SECONDS, self.prune),
        ]

    def start(self) -> None:
        """Begin to work: the writer first, then everything that writes."""
        self.writer.start()
        self.metrics.database_checked(up=True)
        self.metrics.leads(True)
        self.jobs.start()
        self.notifier.warm()

    def drain(self) -> None:
        """Take nothing new; answer who is parked."""
        self.draining = True
        self.waiters.release_all()

    def stop(self) -> None:
        """End in order: no new work, what runs to its end, what is queued to the disk."""
        self.draining = True
        for ingest in self.ingests:
            ingest.stop()
        self.jobs.stop()
        self.metrics.leads(False)
        self.deliverer.close(5.0)
        self.writer.stop()
        self.store.close()

    @property
    def terms(self) -> Terms:
        """What rules every cycle now: read it once for each thing you do."""
        return self.writer.terms

    @property
    def limits_by_id(self) -> dict[str, Limit]:
        """The limits as they hold now."""
        return {limit.id: limit for limit in self.terms.limits}

    def adopted(self, terms: Terms, adopted: operate.LimitsHold | str) -> Terms:
        """The terms after limits were changed, also for what waits; a sentence that says why not changes nothing."""
        if isinstance(adopted, str):
            return terms
        self._limits_expire_at, self.recompute.limits = adopted.expire_at, adopted.limits
        return replace(terms, limits=adopted.limits)

    def refresh_limits(self) -> None:
        """Let the limits of the file with the stored changes hold."""
        self.writer.do(lambda tx: operate.adopt(tx, self.config.limits), self.adopted).result()

    def reload(self) -> None:
        """Read the configuration again; an invalid one changes nothing and says so."""
        if self._reread is None:
            return
        try:
            fresh = self._reread()
            rules = alert_rules(fresh)
        except ConfigError as error:
            for problem in error.problems:
                log.error("config.rejected problem=%s", problem)
            return
        fixed = [name for name in RESTART if getattr(fresh, name) != getattr(self.config, name)]
        if fixed:
            log.warning("config.needs_restart keys=%s", ",".join(fixed))
        config = replace(fresh, **{name: getattr(self.config, name) for name in RESTART})

        def in_force(terms: Terms, adopted: operate.LimitsHold) -> Terms:
            self.config = config
            return replace(self.adopted(terms, adopted), policy=queue_policy(config), thresholds=config.rules)

        self.tokens, self.recompute.rules = Tokens(config.tokens), rules
        self.recompute.forecasting.thresholds = config.rules
        self.writer.do(lambda tx: operate.adopt(tx, config.limits), in_force).result()
        log.info("config.reloaded limits=%d", len(self.terms.limits))

    def read(self) -> None:
        """One pass over every source."""
        for ingest in self.ingests:
            ingest.poll()
            self._note_catching_up()

    def _note_catching_up(self) -> None:
        catching_up = frozenset(ingest.provider for ingest in self.ingests if ingest.progress.catching_up)
        self.writer.change_terms(
            lambda terms: terms if terms.catching_up == catching_up else replace(terms, catching_up=catching_up)
        )

    def tick(self) -> None:
        """Publish new readings, unless a first pass is still under way: then only how far it is."""
        if any(ingest.progress.catching_up for ingest in self.ingests):
            now = self.store.clock()
            self._publish(Readings(now, sources=self._source_readings(now)))
            return
        if self._limits_expire_at and self._limits_expire_at <= self.store.clock():
            self.refresh_limits()
        readings = self.recompute.look(self._read_queue())
        outlooks = dict(self.recompute.outlooks)
        self.writer.change_terms(lambda terms: replace(terms, outlooks=outlooks))
        self._publish(self.writer.do(lambda tx: self.recompute.step(tx, readings)).result())

    def _read_queue(self) -> WaitingByInstance:
        """What waits, from the queue that the writer keeps; a long one is put in order here, beside its work."""

        def look(tx: Transaction) -> tuple[WaitingByInstance, ThrottleQueue, list[Ticket], dict[str, int]]:
            remembered = self.writer.remembered(tx)
            return waiting_in(remembered.queue), remembered.queue, list(remembered.queue), dict(remembered.running)

        found: tuple[WaitingByInstance, ThrottleQueue, list[Ticket], dict[str, int]] = self.writer.do(look).result()
        waiting_totals, queue, waiting, running = found
        if queue.wants_places(now := self.store.clock()):
            queue.know_places(order(waiting, running, self.terms.policy, now=now), at=now)
        return waiting_totals

    def _publish(self, readings: Readings) -> None:
        self.readings = readings
        self.metrics.publish(readings)

    def learn(self) -> None:
        """Learn from finished work what the next may use."""
        with self.store.reading() as tx:
            self.learned = learn.learned(tx)

    def plan(self, items: Sequence[Ticket]) -> dict[str, Any]:
        """What a plan's items are expected to cost together, and which of them will fit."""
        with self.store.reading() as tx:
            terms = self.terms
            return plan_document(tx, items, terms.limits, terms.outlooks)

    def learn_ends(self) -> None:
        """Learn when the next running lease of each limit is expected to end, from how long leases take."""
        with self.store.reading() as tx:
            busy_until = expected_ends(tx, self.terms.limits)
        self.writer.change_terms(lambda terms: replace(terms, busy_until=busy_until))

    def _with_model(self, ticket: Ticket, model: str) -> Ticket:
        """The ticket as it would be with another model."""
        other = ticket._replace(labels=ticket.labels._replace(model=model), estimate=unpriced(ticket.estimate))
        return priced_ticket(other, self.store.clock(), self.prices)

    def prune(self) -> None:
        """Drop what is older than it is kept, a little at a time."""
        some = partial(learn.prune, raw=self.config.raw_retention, keys=self.config.key_retention)
        while self.writer.do(some).result():
            pass

    def labels_of(self, ticket: int) -> Labels | None:
        """A ticket's labels, None when there is no such ticket."""
        with self.store.reading() as tx:
            found = tickets.for_cycle(tx, ids=[ticket], keys=(), due=tx.now)
        return found[ticket].labels if ticket in found else None

    def not_ready(self) -> list[str]:
        """Why no work is taken, one sentence each."""
        problems = ["the service is stopping"] if self.draining else []
        try:
            with self.store.reading() as tx:
                tx.scalar("SELECT 1")
            self.metrics.database_checked(up=True)
        except Exception as error:
            self.metrics.database_checked(up=False)
            problems.append(f"the database does not answer: {error}")
        return problems

    def notes(self) -> list[str]:
        """What an operator should know although work is taken."""
        found = [f"{each.name} is catching up" for each in self.ingests if each.progress.catching_up]
        nobody = [] if self.config.receivers else ["no receiver is configured: alerts reach nobody"]
        found += self.notifier.problems(wait=False) + nobody
        return found + ([self.prices.problem] if self.prices.problem else [])

    def _source_readings(self, now: datetime) -> tuple[SourceReading, ...]:
        return tuple(ingest.source_reading(now) for ingest in self.ingests)

    def _told(self, done: cycle.CycleResult, seconds: float) -> None:
        """After a cycle's commit: wake who is parked, count what happened."""
        self.waiters.announce(done.changed)
        self.count.decided(done.decisions, seconds)
        self.count.closed(done.closed)


def queue_policy(config: Config) -> QueuePolicy:
    """How the queue is ordered and offered."""
    return QueuePolicy(config.aging_step, config.fair_share, config.claim_within, config.max_offers)


def alert_rules(config: Config) -> tuple[AlertRule, ...]:
    """The shipped rules with the configured changes. Raises ConfigError."""
    large = {"threshold": config.high_usage_run, **config.alerts.get("high_usage_run", {})}
    return load_rules({**config.alerts, "high_usage_run": large}, receivers=[r.id for r in config.receivers])
