"""The tick: snapshot → readings → alert step.

load       everything the tick needs, in one read-only view         (no writer waits for it)
forecast   limits that changed, at most every thirty seconds each   service.tick.forecasts
analyse    caches, runs, who spends what; once a minute             service.tick.analysis
measure    one reading per limit                                    core.readings.measure
hold       who waits and what holds them, decided as of now         core.readings.holders
step       the alert states move by the new readings                core.alerts
save       readings, outlooks, tracks, states, owed notifications   one transaction
→ the readings, which metrics publish after the commit
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from quota_scheduler.core.admission.headroom import Headroom, Headrooms
from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.alerts import step as alert_engine
from quota_scheduler.core.alerts.routing import Target
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.instants import from_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.run_caps import is_over
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.throttle_queue import ThrottleQueue
from quota_scheduler.core.queue.waiting import WaitingByInstance
from quota_scheduler.core.readings import measure
from quota_scheduler.core.readings.cache_loss import PriceOf
from quota_scheduler.core.readings.consumption import Consumption, SetApart, Sets, Sums, unpriced_models
from quota_scheduler.core.readings.documents import as_published, level_state, limit_document, outlook_document
from quota_scheduler.core.readings.holders import QueueSnapshot, WaitingSums, queue_in, queue_reading
from quota_scheduler.core.readings.observed import NO_WORD, ObservedWord
from quota_scheduler.core.readings.readings import Counter, LimitReading, Readings, SourceReading, Spending
from quota_scheduler.core.readings.runs import labels_of
from quota_scheduler.core.readings.throttle_level import LevelState
from quota_scheduler.core.readings.throttle_level import step as level_step
from quota_scheduler.service.tick.analysis import Analysis, Large, analyse
from quota_scheduler.service.tick.forecasts import Forecasting
from quota_scheduler.service.tick.observed import Observing
from quota_scheduler.service.tick.quality import Quality
from quota_scheduler.store import (
    Store,
    Transaction,
    apart,
    breakers,
    counters,
    documents,
    facts,
    ledger,
    outbox,
    tickets,
    windows,
)
from quota_scheduler.store import alerts as alert_store
from quota_scheduler.store import loans as loan_store

ANALYSE_EVERY = timedelta(seconds=60)
"""Caches and runs change slowly; once a minute is soon enough for an alert with a lookback of a day."""
FIRST_PASS = "first_pass_at"
"""Remembered fact: when the installation had read its sources once; runs that ended before alarm nobody."""
ADOPTED = "alerts_adopted_at"
"""Remembered fact: when the first complete readings were taken as they are; alerts are told from then on."""


class Recompute:
    """Runs ticks. What it remembers between them can all be rebuilt from the database."""

    def __init__(
        self,
        store: Store,
        limits: Sequence[Limit],
        *,
        rules: Sequence[AlertRule],
        targets: Sequence[Target],
        sources: Callable[[datetime], tuple[SourceReading, ...]],
        high_usage_run: int,
        price: PriceOf,
        thresholds: Thresholds = DEFAULT,
        gets_further: Callable[[object], None] = lambda _: None,
    ) -> None:
        """``gets_further`` is told how far a long part of a tick is."""
        self.store, self.limits = store, tuple(limits)
        self.rules, self._targets, self._sources = tuple(rules), targets, sources
        self._high_usage_run, self._price, self._gets_further = high_usage_run, price, gets_further
        self.begin_anew(thresholds)

    def begin_anew(self, thresholds: Thresholds) -> None:
        """Remember nothing: the next tick reads it again, for another process may have ticked meanwhile."""
        self.forecasting = Forecasting(thresholds, self._gets_further)
        self.quality, self._observing = Quality(), Observing()
        self._levels: dict[str, LevelState] | None = None
        self._seen_limits: tuple[Limit, ...] = ()
        self._analysis = Analysis()
        self._written: dict[str, tuple[tuple[object, ...], str]] = {}
        self._kept: dict[str, tuple[Outlook, str]] = {}
        self._sets: dict[int, tuple[Labels, Priority]] = {}
        self._consumption: tuple[Histories, Consumption] | None = None

    @property
    def outlooks(self) -> dict[str, Outlook]:
        """What the admission test may know of each limit's future, as of the last tick."""
        return self.forecasting.outlooks

    def update(self, queue: QueueSnapshot | None = None) -> Readings:
        """Compute the readings of now, without the alerts.

        ``queue`` is what waits as whoever keeps the throttle queue knows it; without it every waiting ticket is read.
        """
        with self.store.reading() as tx:
            balances = windows.load(tx, self.limits, tickets=())
            instances = measure.every_instance(balances)
            for instance in instances:
                measure.begin(balances, instance, tx.now)
            if queue is None:
                queue = queue_in(ThrottleQueue(tickets.waiting(tx), balances.instances, share_label="team"))
            waiting_totals = queue.waiting
            self.forecasting.update(tx, balances, instances, measure.waiting_amounts(waiting_totals))
            self.quality.update(tx, balances)
            if self._analysis.at is None or abs(tx.now - self._analysis.at) >= ANALYSE_EVERY:
                self._analyse(tx, balances, instances)
            running = tickets.running_counts(tx)
            limits = self._limits(tx, balances, instances, waiting_totals, running)
            readings = self._readings(tx, limits, balances, running)
            sums, thresholds = WaitingSums(waiting_totals), self.forecasting.thresholds
            accounts = breakers.load(tx)
            headrooms = Headrooms(balances, self.outlooks, queue=sums, thresholds=thresholds, breakers=accounts)
            return replace(readings, queue=queue_reading(queue, headrooms, now=tx.now), breakers=tuple(accounts))

    def step(self, tx: Transaction, readings: Readings) -> Readings:
        """Move the alerts by these readings and save everything; returns the readings with what now fires."""
        alert_store.put_right(tx)
        before = alert_store.load_states(tx)
        if facts.fact(tx, ADOPTED) is None:
            result = alert_engine.acknowledge_existing(self.rules, samples(readings), before, tx.now)
            facts.remember(tx, ADOPTED, tx.now.isoformat())
        else:
            silences = alert_store.load_silences(tx, tx.now)
            result = alert_engine.step(self.rules, samples(readings), before, tx.now, silences)
        alert_store.save_step(tx, result, self._targets)
        self.forecasting.save(tx)
        self.quality.save(tx)
        documents.save_bodies(tx, "outlooks", self._outlook_texts())
        documents.save_bodies(tx, "readings", self._limit_texts(readings))
        return replace(
            readings, alerts_firing=alert_engine.firing(result.states), outbox_oldest_at=outbox.oldest_owed(tx)
        )

    def _outlook_texts(self) -> dict[str, str]:
        """Every outlook as it is stored; one that is what it was is not written out anew."""
        before_by_name, self._kept = self._kept, {}
        for name, outlook in self.outlooks.items():
            before = before_by_name.get(name)
            is_same = before is not None and before[0] is outlook
            self._kept[name] = (
                before if before and is_same else (outlook, documents.body_text(outlook_document(outlook)))
            )
        return {name: text for name, (_, text) in self._kept.items()}

    def _limit_texts(self, readings: Readings) -> dict[str, str]:
        """Every limit as it is stored; one that looks as it did is not written out anew."""
        published = ((reading.limit, as_published(reading), reading) for reading in readings.limits)
        before_by_name, self._written = self._written, {}
        for name, looks, reading in published:
            before = before_by_name.get(name)
            text = before[1] if before and before[0] == looks else documents.body_text(limit_document(reading))
            self._written[name] = looks, text
        return {name: text for name, (_, text) in self._written.items()}

    def _limits(
        self,
        tx: Transaction,
        balances: Balances,
        instances: Sequence[LimitInstance],
        waiting_totals: WaitingByInstance,
        running: Mapping[Labels, int],
    ) -> tuple[LimitReading, ...]:
        """One reading per limit instance; its throttle level goes on from where it stood, also over a restart."""
        before = self._levels if self._levels is not None else _stored_levels(tx)
        changed = self._changed_limits()
        overshoot, runs = windows.overshoot(tx, self.limits), measure.running_by_instance(running, balances)
        words = self._observing.words(tx, self.limits)
        headrooms = Headrooms(
            balances, self.outlooks, queue=WaitingSums(waiting_totals), thresholds=self.forecasting.thresholds
        )
        standing, days = loan_store.standing(tx), measure.DaysOfUse(tx.now)
        self._levels, readings = {}, []
        for instance in instances:
            name = instance.name
            headroom = Headroom(
                instance, balances.ruling(instance), self.outlooks.get(name), thresholds=self.forecasting.thresholds
            )
            queue_facts = measure.queue_facts(
                waiting_totals.get(name, {}), runs.get(name, 0), headroom, tx.now, overshoot=overshoot.get(name, 0)
            )
            level_facts = measure.level_facts(headrooms.with_loan(headroom), queue_facts, now=tx.now)
            level = level_step(before.get(name), level_facts, tx.now, corrected=instance.limit.id in changed)
            self._levels[name] = level
            limit_facts = self._limit_facts(
                balances,
                instance,
                word=words.get(instance.limit.id, NO_WORD),
                loans=tuple(loan for loan in standing if name in (loan.lender, loan.borrower)) if standing else (),
                loan=level_facts.loan,
                days=days,
            )
            readings.append(measure.read_limit(headroom, queue_facts, level, limit_facts, now=tx.now))
        return tuple(readings)

    def _changed_limits(self) -> set[str]:
        """The limits that were changed by hand since the last tick: their levels follow at once."""
        if self.limits is self._seen_limits:
            return set()
        before = {limit.id: replace(limit, rate=None) for limit in self._seen_limits}
        after = {limit.id: replace(limit, rate=None) for limit in self.limits}
        self._seen_limits = self.limits
        return {name for name, limit in after.items() if before.get(name, limit) != limit}

    def _limit_facts(
        self,
        balances: Balances,
        instance: LimitInstance,
        *,
        word: ObservedWord,
        loans: tuple[Loan, ...],
        loan: int,
        days: measure.DaysOfUse,
    ) -> measure.LimitFacts:
        name, history = instance.name, self.forecasting.book.of(instance.name)
        projected = self.forecasting.projected.get(name)
        used_today, usual_today = days.of(history, instance.limit.zone)
        return measure.LimitFacts(
            forecast=projected.as_of(balances.ruling(instance)) if projected else None,
            weighted_mean=projected.weighted_mean_of(balances.ruling(instance)) if projected else None,
            lately=history.lately(),
            track=self.forecasting.verification.reading(name),
            quality=self.quality.reading(name),
            spending=self._analysis.spending.get(name, Spending()),
            parent=measure.pool_of(balances, instance),
            used_today=used_today,
            usual_today=usual_today,
            word=word,
            loans=loans,
            loan=loan,
        )

    def _analyse(self, tx: Transaction, balances: Balances, instances: Sequence[LimitInstance]) -> None:
        first_pass = facts.fact(tx, FIRST_PASS)
        since = min(datetime.fromisoformat(first_pass), tx.now) if first_pass else None
        caps = [limit for limit in self.limits if limit.is_per_run]
        least = min([self._high_usage_run, *(limit.amount for limit in caps if limit.unit.value == "tokens")])

        large = Large(since, least, lambda run: is_over(run.usage, labels_of(run), caps))
        book, before = self.forecasting.book, self._analysis.past
        self._analysis = analyse(tx, balances, instances, book, large=large, price=self._price, before=before)

    def _readings(
        self, tx: Transaction, limits: tuple[LimitReading, ...], balances: Balances, running: dict[Labels, int]
    ) -> Readings:
        totals, newest, sets = self._totals(tx)
        return Readings(
            at=tx.now,
            limits=limits,
            caches=self._analysis.caches,
            runs=self._analysis.runs,
            flags=self._analysis.flags,
            concurrency=measure.concurrency(limits, running),
            counters=(*self._consumed(tx, totals, sets, balances), *counters.all_counters(tx)),
            sources=self._sources(tx.now),
            last_usage=tuple(sorted(newest.items())),
            loans=tuple(loan_store.standing(tx)),
            outbox_oldest_at=outbox.oldest_owed(tx),
            facts={
                "run_means": self._analysis.run_means,
                "unpriced_models": unpriced_models(totals, sets, self.limits),
                "causes": {
                    name: spending.cause for name, spending in self._analysis.spending.items() if spending.cause
                },
            },
        )

    def _totals(self, tx: Transaction) -> tuple[dict[int, Sums], dict[str, datetime], Sets]:
        """All usage ever by label set, when the newest of each provider was used, and what the sets stand for."""
        rows = ledger.set_totals(tx)
        if any(row[0] not in self._sets for row in rows):
            self._sets |= ledger.label_sets(tx, after=max(self._sets, default=0))
        newest: dict[str, int] = {}
        for number, *_, at in rows:
            provider = self._sets[number][0].provider
            newest[provider] = max(at, newest.get(provider, at))
        last = {provider: min(tx.now, from_micros(at)) for provider, at in newest.items()}
        return {row[0]: row[1:-1] for row in rows}, last, self._sets

    def _consumed(
        self, tx: Transaction, totals: Mapping[int, Sums], sets: Sets, balances: Balances
    ) -> Sequence[Counter]:
        """The counters of all usage; what limits it falls to is known as long as histories are."""
        book = self.forecasting.book
        if self._consumption is None or self._consumption[0] is not book:
            self._consumption = book, Consumption()
        late = {row[0]: row[1:] for row in ledger.backfilled(tx)}
        set_apart = [SetApart(*row) for row in apart.by_labels(tx)]
        return self._consumption[1].counters(
            totals, late, set_apart, sets=sets, bind=lambda labels: book.bind(labels, balances)
        )


def _stored_levels(tx: Transaction) -> dict[str, LevelState]:
    """The throttle levels as the last tick before a restart left them."""
    states = ((name, level_state(body)) for name, body in documents.load_bodies(tx, "readings").items())
    return {name: state for name, state in states if state}
