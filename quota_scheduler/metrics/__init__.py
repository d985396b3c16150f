"""Metrics: what Prometheus scrapes. One collector over the last published readings, and what this process counts.

``Metrics`` is built once, by the composition root. Journeys tell it what happened; the API serves ``exposition``.
"""

import time
from collections.abc import Callable, Iterable
from itertools import count
from platform import python_version
from threading import Lock
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.metrics.caps import (
    CLASSES,
    DECISIONS,
    FAILURES,
    FIRST_REASONS,
    OPERATIONS,
    OUTCOMES,
    REASONS,
    SKIPS,
    SPOOLED,
    Cap,
    closed,
)
from quota_scheduler.metrics.exposition import (
    EOF,
    Format,
    MetricFamilies,
    Page,
    Published,
    encode,
    format_for,
    gzipped,
    joined,
    wants_gzip,
)
from quota_scheduler.metrics.snapshot import FULL, MODELS, MetricsSnapshot
from quota_scheduler.metrics.table import BUCKETS, BY_NAME

EARLY = 20
"""Limits that decisions may name before readings show them: label values come from clients."""
EARLY_PUBLISHES = 2
"""Readings that may lack a limit that a decision has named already: those under way then, and the next."""


class Metrics:
    """All metrics of one process, on a registry that is passed in.

    ``tasks``, ``targets`` are the known values of these labels, which start at 0; others count as ``other``. ``clock``
    gives seconds since 1970. With ``process`` the client's own process_* and python_* metrics are included.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        version: str = "",
        revision: str = "",
        tasks: Iterable[str] = (),
        targets: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        process: bool = True,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._snapshot = MetricsSnapshot()
        self._published = Published()
        self._publishing = Lock()
        self._live = CollectorRegistry()
        self._versions = count()
        self._version = next(self._versions)
        self._decided = (-1, Page(MetricFamilies(())))
        self._wanted: set[Format] = set()
        self._tasks, self._targets = tuple(tasks), tuple(targets)
        self._limits: frozenset[str] = frozenset()
        self._early: dict[str, int] = {}
        self._task_types = Cap(MODELS)
        self._instruments()
        self._start_at_zero(version, revision)
        if process:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._live)
        for part in (self._published, self._decisions, self._live):
            registry.register(part)

    def _instruments(self) -> None:
        self._decisions = Counter(*_declared("quota_admission_decisions_total"), registry=None)
        self._decision_seconds = self._histogram("quota_admission_duration_seconds")
        self._waits = self._histogram("quota_tickets_wait_seconds")
        self._run_tokens = self._histogram("quota_workflow_tokens")
        self._estimates = self._histogram("quota_estimate_error_ratio")
        self._notifications = self._counter("quota_notifications_total")
        self._notification_failures = self._counter("quota_notification_failures_total")
        self._notification_seconds = self._histogram("quota_notification_duration_seconds")
        self._task_runs = self._counter("quota_scheduler_task_runs_total")
        self._task_failures = self._counter("quota_scheduler_task_failures_total")
        self._task_skips = self._counter("quota_scheduler_task_skipped_total")
        self._task_seconds = self._histogram("quota_scheduler_task_duration_seconds")
        self._task_success = self._gauge("quota_scheduler_task_last_success_timestamp_seconds")
        self._database_up = self._gauge("quota_scheduler_database_up")
        self._held = self._gauge("quota_scheduler_held")
        self._writes_refused = self._counter("quota_scheduler_writes_refused_total")
        self._failed_answers = self._counter("quota_scheduler_failed_answers_total")
        self._slowed = self._counter("quota_scheduler_slowed_requests_total")
        self._leader = self._gauge("quota_scheduler_leader")
        self._spool_bytes = self._gauge("quota_scheduler_spool_bytes")
        self._spool_oldest = self._gauge("quota_scheduler_spool_oldest_timestamp_seconds")
        self._spooled = self._counter("quota_scheduler_spooled_total")
        self._takeovers = self._counter("quota_scheduler_takeovers_total")
        self._replicas = self._gauge("quota_scheduler_replicas")
        self._rules_differ = self._gauge("quota_scheduler_rules_differ")
        self._query_seconds = self._histogram("quota_scheduler_database_query_duration_seconds")
        self._build = self._gauge("quota_scheduler_build_info")

    def _counter(self, name: str) -> Counter:
        return Counter(*_declared(name), registry=self._live)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(*_declared(name), registry=self._live)

    def _histogram(self, name: str) -> Histogram:
        return Histogram(*_declared(name), registry=self._live, buckets=BUCKETS[name])

    def _start_at_zero(self, version: str, revision: str) -> None:
        self._build.labels(version, revision, python_version()).set(1)
        self._decided_in = {decision: self._decision_seconds.labels(decision).observe for decision in DECISIONS}
        for priority in Priority:
            self._waits.labels(priority)
        self._queried = {operation: self._query_seconds.labels(operation).observe for operation in OPERATIONS}
        for outcome in SPOOLED:
            self._spooled.labels(outcome)
        for task in self._tasks:
            self._task_runs.labels(task)
            self._task_failures.labels(task)
            self._task_seconds.labels(task)
            for reason in SKIPS:
                self._task_skips.labels(task, reason)
        for target in self._targets:
            self._notifications.labels(target)
            self._notification_seconds.labels(target)
            for reason in FAILURES:
                self._notification_failures.labels(target, reason)

    def shown(self) -> Shown:
        """What was shown up to now, so that another process goes on from it."""
        with self._publishing:
            return self._snapshot.shown()

    def go_on_from(self, shown: Shown) -> None:
        """Let no counter be less than another process has shown it, and the same values be ``other``."""
        with self._publishing:
            self._snapshot.go_on_from(shown)

    def publish(self, readings: Readings, shown: Shown | None = None) -> None:
        """Serve these readings from now on, and no older ones; with ``shown`` as the process that computed them does.

        Amounts, counters of money too, are in the base of their unit (micro-dollars). A counter that fell is held at
        what it showed. Encodes what scrapes have asked for before; call it off the event loop. Raises ValueError for a
        counter that is not in the table; the last page then stays, and shows its age.
        """
        with self._publishing:
            if shown is not None:
                self._snapshot.go_on_from(shown)
            page = Page(self._snapshot.families(readings))
            for form in tuple(self._wanted):
                page.part(form)
            self._follow(frozenset(limit.limit for limit in readings.limits[:FULL]))
            self._published.page = page

    def _follow(self, limits: frozenset[str]) -> None:
        """Count decisions for these limits; those of a removed limit disappear with it."""
        early = {name: seen + 1 for name, seen in self._early.items() if name not in limits}
        self._early = {name: seen for name, seen in early.items() if seen < EARLY_PUBLISHES}
        gone, new, self._limits = (
            (self._limits | early.keys()) - limits - self._early.keys(),
            limits - self._limits,
            limits,
        )
        for limit in gone:
            self._decisions.remove_by_labels({"limit": limit})
        for limit in sorted(new):
            for decision, reason in FIRST_REASONS:
                self._decisions.labels(limit, decision, reason)
        self._version = next(self._versions)

    def exposition(self, accept: str = "", accept_encoding: str = "") -> tuple[bytes, dict[str, str]]:
        """The body and headers of one scrape, for the request headers ``Accept`` and ``Accept-Encoding``.

        Costs what the live metrics cost; only the first scrape in a format also encodes the snapshot.
        """
        form = format_for(accept)
        self._wanted.add(form)
        parts = self._published.page.part(form), self._decision_page().part(form)
        live = encode(MetricFamilies(tuple(self._live.collect())), form) + (EOF if form is Format.OPENMETRICS else b"")
        headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
        if not wants_gzip(accept_encoding):
            return joined(parts, live), headers
        return gzipped(parts, live), headers | {"Content-Encoding": "gzip"}

    def _decision_page(self) -> Page:
        """The decisions as of now, encoded again only when there was one: with many limits they are many series."""
        version, (seen, page) = self._version, self._decided
        if version != seen:
            page = Page(MetricFamilies(tuple(self._decisions.collect())))
            self._decided = version, page
        return page

    def decided(self, limit: str, decision: str, reason: str, seconds: float, count: int = 1) -> None:
        """Tickets got their verdict together. ``limit`` is the first binding one, empty when none binds."""
        decision = closed(decision, DECISIONS)
        self._decisions.labels(self._name_of(limit), decision, closed(reason, REASONS)).inc(count)
        self._version = next(self._versions)
        observe = self._decided_in.get(decision) or self._decision_seconds.labels(decision).observe
        for _ in range(count):
            observe(seconds)

    def _name_of(self, limit: str) -> str:
        """The limit as it may be exposed: also one that no tick has shown yet, as long as there is room."""
        with self._publishing:
            if limit and limit not in self._limits and len(self._early) < EARLY and len(self._limits) < FULL:
                self._early.setdefault(limit, 0)
            return limit if limit in self._early else closed(limit, self._limits)

    def started(self, priority: str, waited_seconds: float) -> None:
        """A ticket that had been deferred started."""
        self._waits.labels(closed(priority, CLASSES)).observe(waited_seconds)

    def run_finished(self, task_type: str, outcome: str, tokens: int) -> None:
        """A run ended, having used so many tokens."""
        self._run_tokens.labels(self._task_types(task_type), closed(outcome, OUTCOMES)).observe(tokens)

    def estimated(self, task_type: str, estimated: int, actual: int) -> None:
        """A run whose tokens had been estimated ended; an estimate of 0 teaches nothing."""
        if estimated > 0:
            self._estimates.labels(self._task_types(task_type)).observe(actual / estimated)

    def notified(self, target: str, seconds: float) -> None:
        """A notification was delivered."""
        self._attempted(target, seconds)

    def notification_failed(self, target: str, reason: str, seconds: float | None = None) -> None:
        """An attempt to deliver failed; it counts as an attempt too."""
        self._attempted(target, seconds)
        self._notification_failures.labels(closed(target, self._targets), closed(reason, FAILURES)).inc()

    def _attempted(self, target: str, seconds: float | None) -> None:
        target = closed(target, self._targets)
        self._notifications.labels(target).inc()
        if seconds is not None:
            self._notification_seconds.labels(target).observe(seconds)

    def task_ran(self, task: str, seconds: float) -> None:
        """A scheduled task ran to its end."""
        self._ran(task, seconds)
        self._task_success.labels(closed(task, self._tasks)).set(self._clock())

    def task_failed(self, task: str, seconds: float | None = None) -> None:
        """A scheduled task ended with an error; it counts as a run too."""
        self._ran(task, seconds)
        self._task_failures.labels(closed(task, self._tasks)).inc()

    def _ran(self, task: str, seconds: float | None) -> None:
        task = closed(task, self._tasks)
        self._task_runs.labels(task).inc()
        if seconds is not None:
            self._task_seconds.labels(task).observe(seconds)

    def task_skipped(self, task: str, reason: str) -> None:
        """A scheduled run did not happen."""
        self._task_skips.labels(closed(task, self._tasks), closed(reason, SKIPS)).inc()

    def database_checked(self, *, up: bool) -> None:
        """The database was asked whether it is there."""
        self._database_up.set(up)

    def write_refused(self) -> None:
        """The database did not take a transaction."""
        self._writes_refused.inc()

    def answer_failed(self) -> None:
        """An answer over HTTP had a status of 5xx."""
        self._failed_answers.inc()

    def request_slowed(self) -> None:
        """A token asked too often."""
        self._slowed.inc()

    def everything_held(self, *, on: bool) -> None:
        """An operator holds everything, or lets it go on."""
        self._held.set(on)

    def queried(self, operation: str, seconds: float) -> None:
        """The database answered."""
        observe = self._queried.get(operation)  # to find the series again costs as much as to count in it
        (observe or self._query_seconds.labels(closed(operation, OPERATIONS)).observe)(seconds)

    def leads(self, leads: bool) -> None:
        """Whether this process runs the ticks: the one that holds the right to write a SQLite file."""
        self._leader.set(leads)

    def spool(self, *, size: int, oldest_at: float) -> None:
        """How much usage lies in the spool, and since when, in seconds since 1970; 0 where nothing does."""
        self._spool_bytes.set(size)
        self._spool_oldest.set(oldest_at)

    def spooled(self, outcome: str) -> None:
        """What became of a body of usage while the database was away."""
        self._spooled.labels(closed(outcome, SPOOLED)).inc()

    def took_over(self) -> None:
        """This process began to lead where another had led before."""
        self._takeovers.inc()

    def replicas(self, *, agreeing: int, differing: int, differs: bool) -> None:
        """How many replicas there are on the database, and whether this one decides by other rules than its own."""
        self._replicas.labels("agrees").set(agreeing)
        self._replicas.labels("differs").set(differing)
        self._rules_differ.set(differs)


def _declared(name: str) -> tuple[str, str, tuple[str, ...]]:
    family: Any = BY_NAME[name]
    return family.name, family.documentation, family.labels
