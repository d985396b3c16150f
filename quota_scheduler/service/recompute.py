"""The tick: snapshot → readings → alert step.

look       everything the tick needs, in one read-only view         (no writer waits for it)
forecast   limits that changed, at most every thirty seconds each   core.forecast
measure    one reading per limit, cache, run, source                core.measure, core.efficiency
step       the alert states move by the new readings                core.alerts
save       readings, outlooks, states and owed notifications        one transaction
→ the readings, which metrics publish after the commit
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from quota_scheduler.core import alerts as alert_engine
from quota_scheduler.core import measure
from quota_scheduler.core.alert_samples import samples
from quota_scheduler.core.alert_values import AlertRule, Target
from quota_scheduler.core.board import Binding, Board
from quota_scheduler.core.efficiency import DayUsage, RunSummary, cache_hit_rate, cache_readings
from quota_scheduler.core.forecast import Forecast, project_many
from quota_scheduler.core.forecast_baselines import seed
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.level import LevelState
from quota_scheduler.core.level import step as level_step
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.published import limit_document, outlook_document
from quota_scheduler.core.readings import CacheReading, Counter, LimitReading, Readings, RunReading, SourceReading
from quota_scheduler.core.rooms import Room
from quota_scheduler.core.usage import KINDS, Usage
from quota_scheduler.store import Store, Transaction, counters, ledger, outbox, tickets, windows
from quota_scheduler.store import alerts as alert_store

HISTORY = timedelta(days=120)
"""How much history forecasts look at (reference figures are for 120 days)."""
FORECAST_EVERY = timedelta(seconds=30)
ANALYSE_EVERY = timedelta(seconds=60)
"""Caches and runs change slowly; once a minute is soon enough for an alert with a lookback of a day."""
LOOKBACK = timedelta(hours=24)
BASELINE = timedelta(days=15)
FIRST_PASS = "first_pass_at"
"""Remembered fact: when the installation had read its sources once; runs that ended before alarm nobody."""
ADOPTED = "alerts_adopted_at"
"""Remembered fact: when the first complete readings were taken as they are; alerts are told from then on."""
IDLE = timedelta(minutes=30)
"""A run without a status counts as ended when nothing came from it for so long."""


@dataclass(slots=True)
class Analysis:
    """What is computed once a minute."""

    at: datetime | None = None
    caches: tuple[CacheReading, ...] = ()
    runs: tuple[RunReading, ...] = ()
    run_means: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Projected:
    """The last forecast of a limit instance, and what it was computed from."""

    at: datetime
    used: int
    starts_at: datetime
    forecast: Forecast
    seed: int
    above: tuple[Forecast | None, ...]
    history: measure.Histories | None


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
    ) -> None:
        self.store, self.limits = store, tuple(limits)
        self.rules, self._targets, self._sources = tuple(rules), targets, sources
        self._high_usage_run = high_usage_run
        self._projected: dict[str, Projected] = {}
        self._levels: dict[str, LevelState] = {}
        self._analysis = Analysis()
        self.outlooks: dict[str, Outlook] = {}

    def look(self) -> Readings:
        """Compute the readings of now, without the alerts."""
        with self.store.reading() as tx:
            board = windows.load(tx, self.limits)
            bindings = measure.every_instance(board)
            for binding in bindings:
                measure.begin(board, binding, tx.now)
            self._forecast(tx, board, bindings)
            own = measure.queued(tickets.open_tickets(tx), board, self.outlooks, now=tx.now)
            limits = tuple(self._read(board, b, own.get(b.instance, measure.NOTHING_QUEUED), tx.now) for b in bindings)
            self._analyse(tx)
            return self._readings(tx, limits, board)

    def step(self, tx: Transaction, readings: Readings) -> Readings:
        """Move the alerts by these readings and save everything; returns the readings with what now fires."""
        before = alert_store.load_states(tx)
        if counters.fact(tx, ADOPTED) is None:
            result = alert_engine.adopt(self.rules, samples(readings), before, tx.now)
            counters.remember(tx, ADOPTED, tx.now.isoformat())
        else:
            silences = alert_store.load_silences(tx, tx.now)
            result = alert_engine.step(self.rules, samples(readings), before, tx.now, silences)
        alert_store.save_step(tx, result, self._targets)
        counters.save_bodies(tx, "outlooks", {name: outlook_document(each) for name, each in self.outlooks.items()})
        counters.save_bodies(tx, "readings", {reading.limit: limit_document(reading) for reading in readings.limits})
        return replace(
            readings, alerts_firing=alert_engine.firing(result.states), outbox_oldest_at=outbox.oldest_owed(tx)
        )

    def _forecast(self, tx: Transaction, board: Board, bindings: Sequence[Binding]) -> None:
        stale = [b for b in bindings if self._is_stale(board, b, tx.now)]
        if stale:
            known = ledger.label_sets(tx)
            hours = [(at, *known[ids], usage) for at, ids, usage in ledger.hours(tx, tx.now - HISTORY)]
            found = measure.histories(hours, board)
            first = hours[0][0] if hours else None
            for binding in stale:
                self._project(board, binding, found.get(binding.instance), tx.now, first)
        names = {binding.instance for binding in bindings}
        for memory in (self._projected, self.outlooks, self._levels):
            for gone in memory.keys() - names:
                del memory[gone]

    def _is_stale(self, board: Board, binding: Binding, now: datetime) -> bool:
        tally, before = board.current(binding), self._projected.get(binding.instance)
        if tally.window is None or not binding.limit.is_windowed:
            return False
        if before is None or before.starts_at != tally.window.starts_at:
            return True
        fresh = now - before.at < min(FORECAST_EVERY, tally.window.length / 120)
        return not fresh and (before.used != tally.spent or now - before.at >= 10 * FORECAST_EVERY)

    def _project(
        self, board: Board, binding: Binding, history: measure.Histories | None, now: datetime, first: datetime | None
    ) -> None:
        tally = board.current(binding)
        window = tally.window
        assert window is not None
        past = history or measure.Histories([], ([], [], [], []))
        series = [past.all, *(own for own in past.above if own)]
        found = project_many(
            series,
            [window] * len(series),
            now=now,
            step=measure.HOUR,
            known=[tally.reserved] + [0] * (len(series) - 1),
            used=[tally.spent] + [None] * (len(series) - 1),
            since=[first] * len(series),
        )
        others = iter(found[1:])
        above = tuple(next(others) if own else None for own in past.above)
        projection = round(seed(past.all, now, window.starts_at, window.ends_at))
        self._projected[binding.instance] = Projected(
            now, tally.spent, window.starts_at, found[0], projection, above, history
        )
        previous = self.outlooks[binding.instance].risk if binding.instance in self.outlooks else "unknown"
        self.outlooks[binding.instance] = measure.outlook(
            found[0], above, history, amount=tally.amount, previous=previous, now=now
        )

    def _read(self, board: Board, binding: Binding, own: measure.Queued, now: datetime) -> LimitReading:
        room = Room(binding, board.current(binding), self.outlooks.get(binding.instance))
        known = self._projected.get(binding.instance)
        level = level_step(self._levels.get(binding.instance), measure.level_facts(room, own, now=now), now)
        self._levels[binding.instance] = level
        overshoot = sum(
            held.overrun
            for row in board.reservations.values()
            for held in row
            if held.open and held.instance == binding.instance
        )
        return measure.read_limit(
            room,
            own,
            level,
            known.forecast if known else None,
            known.seed if known else None,
            known.history if known else None,
            overshoot=overshoot,
            now=now,
        )

    def _analyse(self, tx: Transaction) -> None:
        if self._analysis.at and tx.now - self._analysis.at < ANALYSE_EVERY:
            return
        known = ledger.label_sets(tx)
        rows = [(at, *known[ids], usage) for at, ids, usage in ledger.hours(tx, tx.now - BASELINE - LOOKBACK)]
        recent_runs = ledger.runs_since(tx, tx.now - BASELINE - LOOKBACK)
        since = tx.now - LOOKBACK
        self._analysis = Analysis(
            tx.now,
            cache_readings(_days(rows, before=since), recent_runs, lookback=_days(rows, since=since), since=since),
            self._runs(tx, recent_runs),
            _means(recent_runs, tx.now),
        )

    def _runs(self, tx: Transaction, recent: Sequence[RunSummary]) -> tuple[RunReading, ...]:
        """Runs large enough to be looked at, among those that ended after the installation's first pass."""
        first_pass = counters.fact(tx, FIRST_PASS)
        if first_pass is None:
            return ()
        since = datetime.fromisoformat(first_pass)
        caps = [limit for limit in self.limits if limit.is_per_run]
        least = min([self._high_usage_run, *(limit.amount for limit in caps if limit.unit.value == "tokens")])
        found = []
        for run in recent:
            if run.last_at >= since and run.usage.tokens >= least:
                labels = Labels(
                    run.provider, model=run.model, team=run.team, workflow=run.workflow, task_type=run.task_type
                )
                over = any(cap.selects(labels) and cap.charge(run.usage) > cap.amount for cap in caps)
                found.append(_run_reading(run, over, tx.now))
        return tuple(found)

    def _readings(self, tx: Transaction, limits: tuple[LimitReading, ...], board: Board) -> Readings:
        totals = ledger.totals(tx)
        newest: dict[str, datetime] = {}
        for labels, _, _, at in totals:
            newest[labels.provider] = max(at, newest.get(labels.provider, at))
        return Readings(
            at=tx.now,
            limits=limits,
            caches=self._analysis.caches,
            runs=self._analysis.runs,
            counters=(*_consumed(totals, board), *counters.all_counters(tx)),
            sources=self._sources(tx.now),
            last_usage=tuple(sorted(newest.items())),
            outbox_oldest_at=outbox.oldest_owed(tx),
            facts={"run_means": self._analysis.run_means, "unpriced_models": _unpriced(totals)},
        )


def _days(
    rows: Sequence[tuple[datetime, Labels, Priority, Usage]],
    *,
    since: datetime | None = None,
    before: datetime | None = None,
) -> list[DayUsage]:
    return [
        DayUsage(labels.workflow, at.date(), usage, labels.provider)
        for at, labels, _, usage in rows
        if (since is None or at >= since) and (before is None or at < before)
    ]


def _run_reading(run: RunSummary, over_cap: bool, now: datetime) -> RunReading:
    return RunReading(
        run=run.run,
        workflow=run.workflow,
        task_type=run.task_type,
        team=run.team,
        provider=run.provider,
        tokens=run.usage.tokens,
        cost_microusd=run.usage.cost_microusd,
        cache_hit_rate=cache_hit_rate(run.usage) or 0.0,
        started_at=run.started_at,
        last_at=run.last_at,
        finished=bool(run.status) or now - run.last_at > IDLE,
        over_cap=over_cap,
    )


def _means(runs: Sequence[RunSummary], now: datetime) -> dict[str, float]:
    """Mean tokens per run over the last 7 days, by provider."""
    sums: dict[str, list[int]] = {}
    for run in runs:
        if run.last_at >= now - timedelta(days=7):
            sums.setdefault(run.provider, []).append(run.usage.tokens)
    return {provider: sum(own) / len(own) for provider, own in sorted(sums.items())}


def _consumed(totals: Sequence[tuple[Labels, Priority, Usage, datetime]], board: Board) -> list[Counter]:
    """Tokens and cost over all windows, by limit, provider and model."""
    sums: dict[tuple[str, str, str], Usage] = {}
    for labels, _, usage, _ in totals:
        for binding in board.bindings(labels):
            slot = (binding.instance, labels.provider, labels.model)
            sums[slot] = sums.get(slot, Usage()).plus(usage)
    found = []
    for slot, usage in sorted(sums.items()):
        found += [
            Counter("quota_consumed_tokens_total", (*slot, kind), value)
            for kind, value in zip(KINDS, usage.kinds, strict=True)
        ]
        found.append(Counter("quota_consumed_usd_total", slot, usage.cost_microusd))
    return found


def _unpriced(totals: Sequence[tuple[Labels, Priority, Usage, datetime]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for labels, _, usage, _ in totals:
        if usage.unpriced_tokens > 0:
            name = f"{labels.provider}/{labels.model or 'unknown'}"
            found[name] = found.get(name, 0) + usage.unpriced_tokens
    return found
