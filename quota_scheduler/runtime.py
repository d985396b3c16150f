"""What runs in one process: it starts, ticks, reads, reloads and ends in order. ``assemble`` builds it."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from quota_scheduler import behind
from quota_scheduler import tasks as every
from quota_scheduler.auth import RateLimits, Tokens
from quota_scheduler.config import Config
from quota_scheduler.config.reloading import reloaded
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.limits.changes import LimitsHold
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.readings.holders import QueueSnapshot, queue_in
from quota_scheduler.core.readings.other_hosts import ShippedSource
from quota_scheduler.core.readings.readings import Readings, SourceReading
from quota_scheduler.core.replicas.leadership import RENEWALS
from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.jobs import Job, Jobs
from quota_scheduler.parts import Derived, Parts
from quota_scheduler.replicas.documents import PublishedReadings, encode_readings, readings_shape
from quota_scheduler.replicas.kept_shown import KeptShown
from quota_scheduler.replicas.leading import LeadStep
from quota_scheduler.ruling import Ruling
from quota_scheduler.service.lookout import Lookout
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.queries.queue import expected_ends
from quota_scheduler.service.upkeep import learn
from quota_scheduler.service.upkeep.learn_rates import learn_rates
from quota_scheduler.store import Transaction, leadership
from quota_scheduler.store import shipped as shipped_store
from quota_scheduler.tasks import TASKS

log = logging.getLogger(__name__)
THE_FILE = "configuration"
"""Who the audit log names where a file was changed and read again."""
COLLECT_AFTER = (2_000, 2_000, 1)
"""New objects between looks for garbage that refers to itself, and such looks between those at everything.

A look holds every thread up, 1 us for each object that it meets: among 20,000 new ones 20 ms beside a tick over a
thousand limits, and no cheaper in all. Everything that stays is looked at for each 4 million new ones: 20 ms there.
"""
STOP_SECONDS = 5.0
"""How long messages under way may take when the service ends."""


class Service:
    """Everything that runs in one process. ``start`` and ``stop`` may each be called once."""

    def __init__(self, config: Config, parts: Parts, derived: Derived, *, limits_hold: LimitsHold) -> None:
        """``limits_hold`` are the limits that hold now, and how long."""
        self.config, self.parts, self.tokens = config, parts, derived.tokens
        self.store, self.writer, self.waiters = parts.store, parts.writer, parts.waiters
        self.health = parts.health
        self.lookout = Lookout(self.store, self.waiters, lambda: self.writer.seen)
        self.rates = RateLimits(config.rate_limit)
        self.tokens_changed: Callable[[], None] | None = None
        self._tokens_file = _stamp(config.tokens_file)
        self.draining = False
        self.moved, self.begun, self.estimate_basis = 0, 0.0, EstimateBasis()
        self.readings, self.has_readings = Readings(self.store.clock()), False
        self.ruling = Ruling(parts, limits_hold)
        self.leading, self.do_as_leader = parts.leading, parts.do_as_leader
        self._office = self.leading.epoch
        self._shown = KeptShown(parts.leading, parts.do_as_leader, parts.metrics)
        self._jobs = Jobs(self._tasks(), parts.metrics, leads=lambda: self.leads, traces=parts.traces)

    def _tasks(self) -> list[Job]:
        """What runs by itself, and how often; where, and why there, stands in ``tasks``."""
        timed: dict[str, tuple[float, Callable[[], object]]] = {
            "tick": (self.config.tick_seconds, self.tick),
            "deliver": (every.DELIVER_SECONDS, self.parts.deliverer.deliver),
            "comments": (every.COMMENT_SECONDS, self.parts.comments.deliver),
            "learn": (every.LEARN_SECONDS, self.learn),
            "ends": (every.ENDS_SECONDS, self.learn_ends),
            "rates": (every.RATES_SECONDS, self.learn_rates),
            "prune": (every.PRUNE_SECONDS, self.prune),
            "sessions": (every.SESSIONS_SECONDS, self.chain_sessions),
        }
        if self.parts.spool.is_kept:
            timed["spool"] = every.SPOOL_SECONDS, self.parts.spool.replay
        if self.parts.ingests:
            timed["read"] = self.config.sources.claude_code.poll_seconds, self.read
        if self.parts.bills:
            timed["bills"] = every.BILL_SECONDS, self.read_bills
        if self.config.tokens_file:
            timed["tokens"] = every.TOKENS_SECONDS, self.look_at_tokens
        if not self.leading.is_alone:
            timed |= {
                "lead": (self.config.leader_ttl / RENEWALS, self.lead),
                "follow": (every.FOLLOW_SECONDS, self.follow),
            }
        return [
            Job(name, seconds, work, steady=name == "prune", where=TASKS[name].where, is_first=name == "read")
            for name, (seconds, work) in timed.items()
        ]

    @property
    def leads(self) -> bool:
        """Whether this process does what must happen once, and has taken that over whole."""
        return self.leading.leads and self._office == self.leading.epoch

    def start(self) -> None:
        """Take work; what runs by itself begins with ``begin_tasks``, which is for whoever answers by then."""
        gc.freeze()  # what is built stays: looking through it again and again took a tenth of a first pass
        gc.set_threshold(*COLLECT_AFTER)
        self.health.expect(behind.TICK, self.config.tick_seconds)
        for ingest in self.parts.ingests:
            self.health.expect(behind.reading(ingest), self.config.sources.claude_code.poll_seconds)
        self.writer.start()
        if self.store.is_shared:
            self.lookout.start()
            self.store.listen(self.lookout.hint)
        self._shown.go_on()
        self.parts.metrics.database_checked(up=True)
        self.parts.metrics.leads(self.leads)
        if self.leading.is_alone:
            self.parts.metrics.replicas(agreeing=1, differing=0, differs=False)

    def begin_tasks(self, *warm: Callable[[], None]) -> None:
        """Let run what runs by itself, then ``warm``; in a thread of its own, so that answers come first."""
        self.begun = time.monotonic()
        loads = (self.parts.prices.warm, self.parts.notifier.warm, *warm)
        threading.Thread(target=self._jobs.start, args=(loads,), name="begin-tasks", daemon=True).start()

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
        self.parts.chaining.stop()
        self.parts.comments.close()
        self._jobs.stop()
        self.parts.metrics.leads(False)
        self.parts.deliverer.close(STOP_SECONDS)
        self.lookout.stop()
        self._resign()
        self.writer.stop()
        self.parts.spool.close()
        self.parts.traces.close()
        self.store.close()
        for ingest in self.parts.ingests:
            ingest.close()
        gc.unfreeze()

    def _resign(self) -> None:
        """Let another lead at once; a database that is away lets it do so a little later."""
        try:
            self.leading.resign()
        except Exception as error:
            log.warning("leader.not_resigned error=%s", error)

    def change_terms(self, **changes: Any) -> None:
        """Let other terms rule the cycles from the next one on."""
        self.writer.change_terms(lambda terms: replace(terms, **changes))

    def limits_changed(self, terms: Terms, hold: LimitsHold | str) -> Terms:
        """The same after an operator changed one: whoever looks sees it at once, not with the next tick."""
        self._jobs.run_soon("tick")
        return self.ruling.limits_in_force(terms, hold)

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
        config, waits_for_restart = reloaded(self.config, config)
        if waits_for_restart:
            log.warning("config.needs_restart keys=%s", ",".join(waits_for_restart))

        self.use_tokens(config, derived.tokens)
        if config.rate_limit != self.config.rate_limit:
            self.rates = RateLimits(config.rate_limit)
        if config.github != self.config.github:
            self.parts.comments.use(self.parts.commenter_of(config))
        self.parts.recompute.rules = derived.rules
        self.leading.has_own_rules(derived.decides)
        detail = {"limits": len(config.limits), "tokens": len(config.tokens)}
        self.writer.do(lambda tx: operate.write_down(tx, "config.reloaded", detail, who=THE_FILE)).result()
        if self.leads:
            self.ruling.rule()
        self.config = config
        self.ruling.keep_to_rules()

    # several replicas

    def lead(self) -> None:
        """Go on leading, take over where nobody leads, and say that this one is there."""
        now = self.store.clock()
        sources = tuple(one.source_reading(now) for one in self.parts.ingests if one.is_there)
        me = replace(self.leading.me, problem=self.parts.following.problem, sources=sources, is_starting=False)
        turn = self.leading.look(me)
        if turn is LeadStep.ENDED:
            log.warning("leader.ended now=%s epoch=%d", self.leading.standing.address, self.leading.standing.epoch)
        if self.leading.leads and not self.leads:
            self._take_over()
        self.ruling.keep_to_rules()
        metrics, (agreeing, differing) = self.parts.metrics, self.parts.following.counts()
        metrics.leads(self.leads)
        metrics.replicas(agreeing=agreeing, differing=differing, differs=bool(self.parts.following.problem))

    def _take_over(self) -> None:
        """Begin to lead: what another did meanwhile is read anew, and the rules of this configuration hold."""
        epoch = self.leading.epoch
        self.parts.recompute.begin_anew(self.leading.rules.thresholds)
        self.ruling.rule(starting=True)
        self.parts.deliverer.begin_anew()
        self._shown.go_on()
        self._office = epoch
        self.parts.metrics.took_over()
        log.warning("leader.took_over epoch=%d", epoch)
        self._jobs.run_soon("tick")

    def follow(self) -> None:
        """Show what the leader has computed since, and decide by its rules."""
        published = self.parts.following.news()
        if published is not None:
            self.change_terms(outlooks=published.outlooks)
            self._publish(published.readings, published.shown)
        self.ruling.keep_to_rules()
        self._read_queue()
        with self.store.reading() as tx:
            is_over = leadership.standing(tx).is_over(tx.now, self.leading.ttl)
        if is_over:
            self._jobs.run_soon("lead")
        else:
            self.health.done(behind.TICK)

    def read(self) -> None:
        """One pass over every source; what is new is shown at once."""
        is_new = False
        for ingest in self.parts.ingests:
            was_behind, recorded = ingest.progress.catching_up, ingest.poll()
            is_new |= bool(recorded.accepted or recorded.updated) or was_behind
            self.health.done(behind.reading(ingest))
            behind.wait(self.parts)
        if is_new:
            self._jobs.run_soon("tick")

    def chain_sessions(self) -> None:
        """Put sessions in their place where that is due."""
        if self.parts.chaining.go_on(leads=self.leads):
            self._jobs.run_soon("tick")
        behind.wait(self.parts)

    def read_bills(self) -> None:
        """Read what is due of providers' usage and cost reports."""
        for bill in self.parts.bills:
            bill.poll()

    def tick(self) -> None:
        """Publish new readings, unless a first pass is still under way: then only how far it is."""
        if behind.comes_first(self.parts):
            behind.note(self.parts, self.health)
            self._show_progress(self.store.clock())
            return
        if self.ruling.limits_hold.is_over(self.store.clock()):
            self.ruling.refresh_limits()
        self._hear_others()
        self.parts.unlisted.settle()
        self.parts.repricing.go_on()
        recompute = self.parts.recompute
        readings = recompute.update(self._read_queue())
        self.change_terms(outlooks=dict(recompute.outlooks))
        self._publish(self.do_as_leader(partial(self._step, readings=readings)).result())
        self._shown.keep()
        self.health.done(behind.TICK)

    def _step(self, tx: Transaction, *, readings: Readings) -> Readings:
        """Move the alerts and save everything; where there may be followers, for them too."""
        recompute = self.parts.recompute
        stepped = recompute.step(tx, readings)
        if not self.leading.is_alone:
            body = encode_readings(PublishedReadings(stepped, dict(recompute.outlooks), self.parts.metrics.shown()))
            leadership.publish(tx, leadership.READINGS, self.leading.epoch, shape=readings_shape(), body=body)
        return stepped

    def _hear_others(self) -> None:
        """Take in what other replicas have stored: changed limits, and what shippers said to them."""
        if not self.leading.is_alone:
            self.ruling.keep_to_rules()
            with self.store.reading() as tx:
                self.parts.shipped.begin_anew(shipped_store.load(tx))

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

    def _show_progress(self, now: datetime) -> None:
        """Show how far a first pass is, beside what was read last by whoever led."""
        if not self.has_readings and (published := self.parts.following.news()):
            self._publish(published.readings, published.shown)
        before = self.readings if self.has_readings else Readings(now)
        self.readings = replace(before, sources=self.parts.sources(now))
        self.parts.metrics.publish(self.readings)

    def _publish(self, readings: Readings, shown: Shown | None = None) -> None:
        self.readings, self.has_readings = readings, True
        self.parts.metrics.publish(readings, shown)

    def source_passes(self) -> tuple[SourceReading, ...]:
        """How far every source is: as of now, or as the leader saw it last."""
        if self.leading.is_alone or self.leads:
            return self.parts.sources(self.store.clock())
        return self.readings.sources

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
        if self.do_as_leader(lambda tx: learn_rates(tx, limits)).result():
            self.ruling.refresh_limits()

    def prune(self) -> None:
        """Drop what is older than it is kept, a little at a time."""
        some = partial(learn.prune, raw=self.config.raw_retention, keys=self.config.key_retention)
        while self.do_as_leader(some).result():
            pass
        self.parts.repricing.begin()  # reports of leases may have been settled at what was estimated when they came


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes with a file: which it is, when it was written, how long it is; None where there is none."""
    try:
        found = path.stat() if path else None
    except OSError:
        found = None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None
