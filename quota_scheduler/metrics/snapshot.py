"""From readings to metric families: everything computed, at one instant, as numbers in base units.

Limits past ``FULL`` expose only usage ratio, state and window end, which keeps the exposition near 10,000 series.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from quota_scheduler.core.admission.breaker import BreakerPhase
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.efficiency.flag_effect import FlagReading
from quota_scheduler.core.efficiency.optimization import Optimization
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.risk import Risk
from quota_scheduler.core.forecast.track_record import TrackReading
from quota_scheduler.core.readings.observed import Freshness, ObservedReading
from quota_scheduler.core.readings.readings import Counter, HeldReading, LimitReading, QueueReading, Readings
from quota_scheduler.core.readings.scheduling_quality import QualityReading
from quota_scheduler.core.readings.throttle_level import ThrottleLevel
from quota_scheduler.core.replicas.shown import Shown
from quota_scheduler.core.units import MICRO, Unit, in_units
from quota_scheduler.metrics.caps import CLASSES, HOLDING, OTHER, REASONS, Cap, closed
from quota_scheduler.metrics.lines import Labels, Lines, Written, written
from quota_scheduler.metrics.table import BY_NAME, FAMILIES

FULL = 200
"""Limits that expose everything."""
WORKFLOWS = 50
"""Workflows with a cache gauge of their own: those with the most input; the others are one."""
FLAGS = 20
"""Optimization flags that are shown: those in force in the most workflows."""
LOANS = 100
"""Loans that are shown with who owes whom: the largest; what others owe is one sum for each pool."""
MODELS = 100
"""Values of each of provider, model and task_type that counters keep apart."""
KINDS_OF_UNIT = (Unit.TOKENS, Unit.USD, Unit.REQUESTS)


class Filling:
    """Families being filled. A metric that gets no sample does not appear."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}

    def add(self, name: str, labels: Labels, value: float) -> None:
        """Add one sample of a metric in the table; ``labels`` in its order."""
        samples = self._samples.get(name)
        if samples is None:
            samples = self._samples[name] = []
        samples.append((labels, value))

    def moment(self, name: str, labels: Labels, at: datetime | None) -> None:
        """Add an instant in seconds since 1970; nothing when there is none."""
        if at is not None:
            self.add(name, labels, at.timestamp())

    def one_of(self, name: str, limit: str, present: str, states: Iterable[str]) -> None:
        """Add 1 for the present state and 0 for the others."""
        for state in states:
            self.add(name, (limit, state), float(state == present))

    def done(self) -> dict[str, list[tuple[Labels, float]]]:
        """The samples of all families that have any, in the order of the table."""
        return {f.name: self._samples[f.name] for f in FAMILIES if f.name in self._samples}


class MetricsSnapshot:
    """Turns readings into families; remembers what counters have shown and which label values they keep apart."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, Labels], float] = {}
        self._standing: dict[tuple[str, Labels], float] = {}
        self._awaited: dict[tuple[str, Labels], float] = {}
        self._lines = Lines()
        self._kept: dict[tuple[str, Labels], Labels] = {}
        self._caps = {name: Cap(MODELS) for name in ("provider", "model", "task_type")}

    def shown(self) -> Shown:
        """What is remembered, for another process that is to show the same."""
        standing = tuple((name, labels, value) for (name, labels), value in sorted(self._standing.items()))
        return Shown(standing, tuple((name, cap.kept) for name, cap in self._caps.items()))

    def go_on_from(self, shown: Shown) -> None:
        """Remember what another process does, whose readings are shown from now on."""
        if any(self._caps[name].kept != values for name, values in shown.apart if name in self._caps):
            self._kept = {}
            for name, values in shown.apart:
                if name in self._caps:
                    self._caps[name].keep(values)
        for name, labels, value in shown.standing:  # readings without them may come first, while files are read
            self._awaited[name, labels] = max(value, self._awaited.get((name, labels), 0.0))

    def families(self, readings: Readings) -> Written:
        """All snapshot metrics. Raises ValueError for a counter that the table does not know."""
        out = Filling()
        for index, limit in enumerate(readings.limits):
            _limit(out, limit, full=index < FULL)
        _caches(out, readings.caches)
        if readings.queue is not None:
            _queue(out, readings.queue, [limit.limit for limit in readings.limits])
        _loans(out, readings)
        for flag in sorted(readings.flags, key=lambda flag: (-flag.workflows, flag.flag))[:FLAGS]:
            _flag(out, flag)
        self._counters(out, readings)
        self._providers(out, readings)
        for alert, severity, count in readings.alerts_firing:
            out.add("quota_alerts_firing", (alert, severity), count)
        for source in readings.sources:
            out.add("quota_source_lag_seconds", (source.source,), source.lag_seconds)
        out.moment("quota_notification_outbox_oldest_timestamp_seconds", (), readings.outbox_oldest_at)
        out.moment("quota_scheduler_snapshot_timestamp_seconds", (), readings.at)
        return written(out.done(), self._lines)

    def _providers(self, out: Filling, readings: Readings) -> None:
        """Gauges by provider: names come from clients, so those past the cap share ``other``."""
        cap = self._caps["provider"]
        in_use: dict[str, int] = defaultdict(int)
        for provider, leases, most in readings.concurrency:
            in_use[name := cap(provider)] += leases
            if most is not None and name == provider:
                out.add("quota_concurrency_limit", (name,), most)
        for name, leases in in_use.items():
            out.add("quota_concurrency_in_use", (name,), leases)
        refused: dict[str, int] = defaultdict(int)
        for breaker in readings.breakers:
            refused[cap(breaker.provider)] += int(breaker.phase(readings.at) is not BreakerPhase.CLOSED)
        for name, accounts in refused.items():
            out.add("quota_breaker_open", (name,), accounts)
        newest: dict[str, datetime] = {}
        for provider, at in readings.last_usage:
            newest[name] = max(at, newest.get(name := cap(provider), at))
        for name, at in newest.items():
            out.moment("quota_last_usage_timestamp_seconds", (name,), at)

    def _counters(self, out: Filling, readings: Readings) -> None:
        """Counters never fall: after a correction downwards they stand still until the true sum has passed them.

        The largest come first, so that a cap keeps them apart and pools the small ones.
        """
        full = {limit.limit for limit in readings.limits[:FULL]}
        errors = [Counter("quota_source_errors_total", (s.source,), float(s.errors)) for s in readings.sources]
        sums: dict[tuple[str, Labels], float] = defaultdict(float)
        before, self._kept = self._kept, {}
        for counter in sorted(
            (*readings.counters, *errors, *_per_limit(readings.limits)), key=lambda c: (c.name, -c.value, c.labels)
        ):
            key = counter.name, counter.labels
            labels = self._kept[key] = before.get(key) or self._capped(counter)
            if labels[0] in full or BY_NAME[counter.name].labels[0] != "limit":
                sums[counter.name, labels] += counter.value
        shown = {key: max(value, self._shown.get(key, 0.0), self._awaited.pop(key, 0.0)) for key, value in sums.items()}
        for (name, labels), value in sorted(shown.items()):
            out.add(name, labels, value / MICRO if "_usd_" in name else value)
        self._standing = {key: value for key, value in shown.items() if value > sums[key]} | self._awaited
        self._shown = shown

    def _capped(self, counter: Counter) -> Labels:
        family = BY_NAME.get(counter.name)
        if family is None or family.live or family.kind != "counter" or len(family.labels) != len(counter.labels):
            raise ValueError(f"counter {counter.name}{counter.labels} is not in the table of metrics")
        kept: dict[str, str] = {}
        for name, value in zip(family.labels, counter.labels, strict=True):
            if name == "model":  # of a provider: a hundred models of each of a hundred providers would be ten thousand
                pair = self._caps[name](f"{kept['provider']}/{value}" if value else "")
                kept[name] = OTHER if pair == OTHER else value
            else:
                kept[name] = self._caps[name](value) if name in self._caps else value
        return tuple(kept.values())


def _per_limit(limits: Iterable[LimitReading]) -> Iterable[Counter]:
    """Counters that a reading holds, and those that begin at 0 so that their first step shows."""
    for limit in limits:
        yield Counter("quota_leases_expired_total", (limit.limit,), 0)
        if limit.unit is Unit.TOKENS:
            yield Counter("quota_unleased_tokens_total", (limit.limit,), limit.spending.unleased)
            yield Counter("quota_overrun_tokens_total", (limit.limit,), limit.spending.overrun)
        for waiting in limit.queue.waiting:
            yield Counter("quota_tickets_woken_total", (limit.limit, waiting.priority), 0)
            yield Counter("quota_tickets_abandoned_total", (limit.limit, waiting.priority), 0)


def _limit(out: Filling, limit: LimitReading, *, full: bool) -> None:
    name = (limit.limit,)
    out.add("quota_usage_ratio", name, limit.usage_ratio)
    out.one_of("quota_state", limit.limit, limit.level, ThrottleLevel)
    out.moment("quota_window_end_timestamp_seconds", name, limit.balance.ends_at)
    if not full:
        return
    info = limit.provider, limit.scope, limit.period, limit.unit, limit.parent, limit.mode
    out.add("quota_info", (limit.limit, *info), 1)
    out.add("quota_committed_ratio", name, limit.balance.committed_ratio)
    out.moment("quota_window_start_timestamp_seconds", name, limit.balance.starts_at)
    _amounts(out, limit)
    out.one_of("quota_risk", limit.limit, limit.projection.risk, Risk)
    if limit.unit is not Unit.LEASES:  # advice looks at what is left, and a lease comes back by itself
        out.one_of("quota_optimization_level", limit.limit, limit.optimization, Optimization)
    for burn in limit.projection.burns:
        out.add("quota_burn_rate_ratio", (limit.limit, burn.lookback), burn.rate)
        out.add("quota_remaining_burn_ratio", (limit.limit, burn.lookback), burn.remaining)
    for waiting in limit.queue.waiting:
        out.add("quota_tickets_waiting", (limit.limit, waiting.priority), waiting.waiting)
        out.moment("quota_tickets_oldest_timestamp_seconds", (limit.limit, waiting.priority), waiting.oldest_at)
    if limit.projection.forecast is not None:
        _forecast(out, limit, limit.projection.forecast)
    if limit.projection.track is not None:
        _track(out, limit.limit, limit.projection.track)
    if limit.quality is not None:
        _quality(out, limit.limit, limit.quality)
    if limit.observed is not None:
        _observed(out, limit.limit, limit.observed)
    _spending(out, limit)


def _observed(out: Filling, name: str, observed: ObservedReading) -> None:
    """The provider's word, how far it can be gone by, and what was learned from it."""
    out.one_of("quota_observed_state", name, observed.freshness, Freshness)
    if observed.ratio is not None:
        out.add("quota_observed_ratio", (name,), observed.ratio)
        out.add("quota_observed_elsewhere_ratio", (name,), observed.elsewhere / 100)
    out.moment("quota_observed_timestamp_seconds", (name,), observed.observed_at)
    for estimate, points in zip(("low", "expected", "high"), observed.points_per_usd or (), strict=False):
        out.add("quota_observed_points_per_usd", (name, estimate), points)


def _queue(out: Filling, queue: QueueReading, limits: Sequence[str]) -> None:
    """Who waits; what limits past ``FULL`` hold is pooled."""
    names = dict.fromkeys(limits, OTHER) | {name: name for name in limits[:FULL]}
    for waits in queue.classes:
        out.add("quota_queue_waiting", (waits.priority,), waits.waiting)
        out.moment("quota_queue_oldest_timestamp_seconds", (waits.priority,), waits.oldest_at)
    for reason, count in (dict.fromkeys(HOLDING, 0) | dict(queue.reasons)).items():
        out.add("quota_queue_held", (closed(reason, REASONS),), count)
    pooled: dict[Labels, list[HeldReading]] = defaultdict(list)
    for reading in (held for held in queue.held if held.limit in names):
        pooled[names[reading.limit], closed(reading.reason, REASONS), closed(reading.priority, CLASSES)].append(reading)
    for labels, held in pooled.items():
        out.add("quota_tickets_held", labels, sum(reading.waiting for reading in held))
        out.moment("quota_tickets_held_oldest_timestamp_seconds", labels, min(reading.oldest_at for reading in held))
        out.moment("quota_tickets_held_until_timestamp_seconds", labels, min(reading.until for reading in held))


def _amounts(out: Filling, limit: LimitReading) -> None:
    name = (limit.limit,)
    out.add("quota_leases_active", name, limit.queue.leases)
    if limit.unit is Unit.LEASES:
        out.add("quota_leases_limit", name, limit.balance.amount)
    if limit.unit in KINDS_OF_UNIT:
        balance = limit.balance
        parts = {"limit": balance.amount, "used": balance.used, "reserved": balance.reserved}
        today = {"used_today": balance.used_today, "usual_today": balance.usual_today} if balance.ends_at else {}
        for part, amount in (parts | today).items():
            if amount is not None:
                out.add(f"quota_{part}_{limit.unit.value}", name, in_units(amount, limit.unit))
    if limit.unit is Unit.TOKENS:
        out.add("quota_overshoot_bound_tokens", name, limit.queue.overshoot_bound)
    if limit.balance.amount > 0:
        out.add("quota_headroom_ratio", name, limit.balance.headroom / limit.balance.amount)
        out.add("quota_allowance_ratio", name, limit.balance.allowance / limit.balance.amount)


def _forecast(out: Filling, limit: LimitReading, forecast: Forecast) -> None:
    name, amount = limit.limit, limit.balance.amount
    if amount > 0:
        for estimate in ("low", "expected", "high"):
            out.add("quota_forecast_usage_ratio", (name, estimate), getattr(forecast, estimate) / amount)
        out.add("quota_forecast_exceed_probability_ratio", (name,), forecast.p_exceed(amount))
        out.moment("quota_forecast_exhaustion_timestamp_seconds", (name,), limit.exhausts_at)


def _track(out: Filling, name: str, track: TrackReading) -> None:
    if track.coverage is not None:
        out.add("quota_forecast_coverage_ratio", (name,), track.coverage)
    for reading in track.horizons:
        if reading.error is not None:
            out.add("quota_forecast_error_ratio", (name, reading.horizon), reading.error)
        if reading.brier is not None:
            out.add("quota_forecast_brier_ratio", (name, reading.horizon), reading.brier)


def _quality(out: Filling, name: str, quality: QualityReading) -> None:
    out.add("quota_quality_windows", (name,), quality.windows)
    for part, value in (
        ("avoidable_harm", quality.avoidable_harm),
        ("lost", quality.lost),
        ("used", quality.utilisation),
        ("value", quality.value),
    ):
        if value is not None:
            out.add(f"quota_quality_{part}_ratio", (name,), value)
    for reading in quality.classes:
        if reading.denied is not None:
            out.add("quota_quality_denied_ratio", (name, reading.priority), reading.denied)
        if reading.stalls is not None:
            out.add("quota_quality_stalled_ratio", (name, reading.priority), reading.stalls)


def _spending(out: Filling, limit: LimitReading) -> None:
    if limit.runs_remaining is not None:
        out.add("quota_runs_remaining", (limit.limit,), limit.runs_remaining)
    if limit.spending.run_tokens is not None:
        out.add("quota_run_tokens_mean", (limit.limit,), limit.spending.run_tokens)
    for lookback, rate in limit.spending.cache_hits:
        out.add("quota_cache_hit_ratio", (limit.limit, lookback), rate)
    if limit.spending.cache_baseline is not None:
        out.add("quota_cache_hit_baseline_ratio", (limit.limit,), limit.spending.cache_baseline)


def _loans(out: Filling, readings: Readings) -> None:
    """Who owes whom, of the largest loans; pools past ``FULL`` show nothing of theirs."""
    amounts = {limit.limit: limit.balance.amount for limit in readings.limits[:FULL]}
    shares: dict[Labels, float] = {
        (loan.pool, loan.lender, loan.borrower): loan.amount / amounts[loan.pool]
        for loan in readings.loans
        if amounts.get(loan.pool, 0) > 0
    }
    pooled: dict[Labels, float] = defaultdict(float)
    for index, (labels, share) in enumerate(sorted(shares.items(), key=lambda item: (-item[1], item[0]))):
        pooled[labels if index < LOANS else (labels[0], OTHER, OTHER)] += share
    for labels, share in pooled.items():
        out.add("quota_owed_ratio", labels, share)


def _flag(out: Filling, flag: FlagReading) -> None:
    out.add("quota_optimization_flagged_workflows", (flag.flag,), flag.workflows)
    for estimate, ratio in zip(("low", "expected", "high"), flag.effect or (), strict=False):
        out.add("quota_optimization_effect_ratio", (flag.flag, estimate), ratio)
    for side, share in (("with", flag.success_with), ("without", flag.success_without)):
        if share is not None:
            out.add("quota_optimization_success_ratio", (flag.flag, side), share)


def _caches(out: Filling, caches: Sequence[CacheReading]) -> None:
    """One gauge for each of the largest workflows; providers of one workflow, and all the small ones, are pooled."""
    groups: dict[str, list[CacheReading]] = defaultdict(list)
    for cache in caches:
        groups[cache.workflow or OTHER].append(cache)
    by_size = sorted(groups, key=lambda name: (-sum(c.input_tokens for c in groups[name]), name))
    for name in by_size[WORKFLOWS:]:
        groups[OTHER] = groups.get(OTHER, []) + groups.pop(name) if name != OTHER else groups[OTHER]
    for name, group in sorted(groups.items()):
        _cache(out, name, group)


def _cache(out: Filling, name: str, group: Sequence[CacheReading]) -> None:
    weight = sum(cache.input_tokens for cache in group)
    if weight <= 0:
        return
    out.add("quota_workflow_cache_hit_ratio", (name,), sum(c.hit_rate * c.input_tokens for c in group) / weight)
    baselines = [(c.baseline, c.input_tokens) for c in group if c.baseline is not None]
    if name != OTHER and len(baselines) == len(group):
        out.add("quota_workflow_cache_baseline_ratio", (name,), sum(b * w for b, w in baselines) / weight)
