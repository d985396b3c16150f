"""Samples: the readings of a tick as alert rules look at them, one value per scope.

    reading                 scope            episode          value                            size
    usage_ratio             limit instance   window start     used ÷ (amount + what is lent)   used
    forecast_ratio          limit instance   window start     expected ÷ (amount + what is lent) expected
    burn_fast, burn_slow    limit instance   window start     lower lookback's B ÷ its factor  used
    unused_ratio            limit instance   window start     share that will expire unused    used
    wait_windows            limit instance   -                oldest wait ÷ window length      waiting tickets
    wait_seconds            limit instance   -                wait although nothing holds back waiting tickets
    cache_hit_rate          workflow         -                hit rate, against its baseline   input-side tokens
    cache_hit_rate_alone    workflow         -                hit rate, without a baseline     input-side tokens
    run_tokens              run              run              tokens so far                    tokens
    run_over_cap            run              run              1 while it runs above its cap    tokens
    source_lag_seconds      source           -                seconds behind                   -
    unpriced_tokens         provider/model   -                tokens without a price           tokens
    refused_seconds         provider/account -                since its provider first refused refusals in a row

Burns, and when a limit runs out, are of its amount and what it may borrow on top. Limits in every mode but ``off`` are
looked at, also those that only warn. Concurrency limits and run caps are not: all leases in use is a good day, and runs
have alerts of their own. What exists but is not known has the value None.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from quota_scheduler.core.admission.breaker import Breaker, BreakerPhase
from quota_scheduler.core.alerts.observed_samples import observed_samples
from quota_scheduler.core.alerts.rule import Fact, Facts, LateFacts
from quota_scheduler.core.alerts.state import Sample
from quota_scheduler.core.alerts.work_samples import cache_sample, run_samples
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.readings.burn import LOOKBACKS, burn_class, cumulative_burn
from quota_scheduler.core.readings.in_time import by_name, pace
from quota_scheduler.core.readings.readings import Burn, LimitReading, Readings, SourceReading
from quota_scheduler.core.units import Unit

BURN_FLOOR = 0.2
"""Usage below which no burn rate alarms (Google SRE workbook, chapter 5, applied to windows of a limit)."""

LAST_PART = 0.2
"""Last part of a window in which quota may be said to expire unused: before it, there is time to use it."""
SHORTEST_UNUSED = timedelta(days=1)
"""Windows from which on quota that expires unused is worth a message; a session's comes back within hours."""
LATEST = 366 * 86_400.0
"""Seconds beyond which it does not matter when a limit would run out: a year, longer than any window."""
HOLDING = ("throttled", "paused")
"""Levels at which a limit makes tickets wait though something of it is left."""


def samples(readings: Readings) -> tuple[Sample, ...]:
    """Return everything that alert rules look at, in a stable order.

    ``readings.facts`` may hold ``causes`` (limit id → a sentence that names who spends it, for the message) and
    ``unpriced_models`` (``provider/model`` → tokens without a price).
    """
    return tuple(_samples(readings))


def _samples(readings: Readings) -> Iterator[Sample]:
    causes = readings.facts.get("causes", {})
    nothing_holds = all(_is_free(limit) for limit in readings.limits)
    for limit in readings.limits:
        if limit.unit is not Unit.LEASES and limit.period != "run":
            facts = LateFacts(partial(_limit_facts, limit, causes.get(limit.limit, ""), readings.at))
            yield from _limit(limit, facts, readings.at)
            yield from _waits(limit, facts, readings.at, nothing_holds=nothing_holds)
            yield from observed_samples(limit, facts, readings.at)
    limits = by_name(readings.limits)
    for cache in readings.caches:
        yield cache_sample(cache, limits, readings.at)
    for run in readings.runs:
        yield from run_samples(run, limits, readings.at)
    for source in readings.sources:
        yield _source(source)
    for model, tokens in sorted(readings.facts.get("unpriced_models", {}).items()):
        yield _unpriced(model, tokens)
    for breaker in readings.breakers:
        yield _refused(breaker, readings.at)


def _limit(limit: LimitReading, facts: Facts, now: datetime) -> Iterator[Sample]:
    episode = iso(limit.balance.starts_at) if limit.balance.starts_at else ""
    fast, slow = _burn(limit)
    expected = _expected(limit)
    usable = limit.balance.usable
    forecast = expected / usable if expected is not None and usable else None
    for reading, value, size in (
        ("usage_ratio", limit.balance.used / usable if usable else None, limit.balance.used),
        ("forecast_ratio", forecast, expected or 0.0),
        ("burn_fast", fast, limit.balance.used),
        ("burn_slow", slow, limit.balance.used),
        ("unused_ratio", _unused(limit, now), limit.balance.used),
    ):
        yield Sample(reading, limit.limit, episode, value, float(size), limit.unit.value, facts=facts)


def _is_free(limit: LimitReading) -> bool:
    """Whether a limit makes nobody wait: it is open, or only warns; one on leases has a lease left."""
    if limit.unit is Unit.LEASES:
        return limit.queue.leases < limit.balance.amount
    return limit.level == "open" or limit.mode != "enforce"


def _waits(limit: LimitReading, facts: Facts, now: datetime, *, nothing_holds: bool) -> Iterator[Sample]:
    """How long the oldest ticket has waited: in windows where this limit holds it, in seconds where no limit does."""
    oldest = min((group.oldest_at for group in limit.queue.waiting if group.oldest_at), default=None)
    waited = now - oldest if oldest else timedelta(0)
    windows = 0.0
    if limit.balance.starts_at and limit.balance.ends_at and not _is_free(limit):
        windows = waited / (limit.balance.ends_at - limit.balance.starts_at)
    since = now - limit.level_since if limit.level_since else timedelta(0)
    for_nothing = min(waited, since) if nothing_holds and limit.mode == "enforce" else timedelta(0)
    size = float(sum(group.waiting for group in limit.queue.waiting))
    waits = LateFacts(lambda: {**facts, "waited_seconds": waited.total_seconds()})
    yield Sample("wait_windows", limit.limit, "", windows, size, facts=waits)
    yield Sample("wait_seconds", limit.limit, "", for_nothing.total_seconds(), size, facts=waits)


def _unused(limit: LimitReading, now: datetime) -> float | None:
    """The share of a window that nobody will use while work waits for it; 0 while there is time, None if not known.

    What waits is counted as usage to come by a forecast, as far as it fits: here it is what goes without.
    """
    forecast, starts, ends = limit.projection.forecast, limit.balance.starts_at, limit.balance.ends_at
    if starts is None or ends is None or limit.balance.amount <= 0 or limit.mode != "enforce":
        return None
    late = (ends - now) / (ends - starts) <= LAST_PART and ends - starts >= SHORTEST_UNUSED
    if not late or limit.level not in HOLDING or not any(group.waiting for group in limit.queue.waiting):
        return 0.0
    if forecast is None:
        return None
    waiting = max(0.0, forecast.certain - limit.balance.reserved)
    return max(
        0.0,
        1.0
        - max(float(limit.balance.used + limit.balance.reserved), forecast.expected - waiting) / limit.balance.amount,
    )


def _expected(limit: LimitReading) -> float | None:
    """Expected usage at the reset; None while there is too little history to name one."""
    return (
        limit.projection.forecast.expected
        if limit.projection.forecast is not None and limit.projection.forecast.sufficient
        else None
    )


def _burn(limit: LimitReading) -> tuple[float | None, float | None]:
    """How far the fast and the slow burn lie above what alarms: 1 is just there, None is not known.

    The lower of the long and the short lookback's B, over the factor of the window's class; 0 when the limit lasts to
    its reset (R at most 1) or is barely used.
    """
    nearest = (
        burn_class(limit.balance.ends_at - limit.balance.starts_at)
        if limit.balance.starts_at and limit.balance.ends_at
        else None
    )
    by_name = {burn.lookback: burn for burn in limit.projection.burns}
    if nearest is None:
        return None, None
    used = limit.balance.used / limit.balance.usable if limit.balance.usable else 1.0
    fast = _burn_value(by_name.get("fast_long"), by_name.get("fast_short"), nearest.fast, used)
    return fast, _burn_value(by_name.get("slow_long"), by_name.get("slow_short"), nearest.slow, used)


def _burn_value(long: Burn | None, short: Burn | None, factor: float, usage_ratio: float) -> float | None:
    if long is None or short is None:
        return None
    if long.remaining <= 1.0 or usage_ratio < BURN_FLOOR:
        return 0.0
    return min(long.rate, short.rate) / factor


def _limit_facts(limit: LimitReading, cause: str, now: datetime) -> Facts:
    facts: dict[str, Fact] = {
        **dict(limit.labels),
        "limit": limit.limit,
        "provider": limit.provider,
        "period": limit.period,
        "mode": limit.mode,
        "unit": limit.unit.value,
        "zone": limit.zone,
        "amount": limit.balance.usable,
        "loan": limit.balance.loan,
        "used": limit.balance.used,
        "reserved": limit.balance.reserved,
        "allowance": limit.balance.allowance,
        "ends_at": iso(limit.balance.ends_at) if limit.balance.ends_at else None,
        "estimated": int(limit.balance.estimated),
        "waiting": sum(group.waiting for group in limit.queue.waiting),
        "cause": cause,
    }
    if limit.balance.starts_at and limit.balance.ends_at:
        facts["window_seconds"] = (limit.balance.ends_at - limit.balance.starts_at).total_seconds()
        facts["pace"] = cumulative_burn(
            Window(limit.balance.starts_at, limit.balance.ends_at), limit.balance.used, limit.balance.usable, now
        )
        facts["unused"] = _unused(limit, now)
        facts |= _at_this_rate(limit, limit.balance.ends_at, now)
        facts["out_pace"] = _at_this_pace(limit, now)
    if limit.projection.forecast is not None and limit.projection.forecast.sufficient:
        facts |= _outlook(limit)
    return facts


def _at_this_rate(limit: LimitReading, ends_at: datetime, now: datetime) -> dict[str, Fact]:
    """When it runs out at the rate of the long lookbacks, as far as that is before the reset, and how long they are."""
    nearest = burn_class(ends_at - limit.balance.starts_at) if limit.balance.starts_at else None
    facts: dict[str, Fact] = {}
    for burn in limit.projection.burns if nearest else ():
        if (
            nearest
            and burn.lookback.endswith("_long")
            and burn.remaining > 1.0
            and limit.balance.used < limit.balance.usable
        ):
            speed = burn.lookback.removesuffix("_long")
            facts[f"out_{speed}"] = iso(now + (ends_at - now) / burn.remaining)
            facts[f"lookback_{speed}"] = nearest.lookbacks[LOOKBACKS.index(burn.lookback)].total_seconds()
    return facts


def _at_this_pace(limit: LimitReading, now: datetime) -> str | None:
    """When it runs out at its own pace, also where that is after the reset; None without a pace or anything left."""
    left, rate = limit.balance.usable - limit.balance.used, pace(limit, now)
    return iso(now + timedelta(seconds=min(left / rate, LATEST))) if rate and left > 0 else None


def _outlook(limit: LimitReading) -> dict[str, Fact]:
    """Where the window ends, and when it runs out if it does; nothing is searched for a limit that lasts."""
    forecast = limit.projection.forecast
    if forecast is None:
        return {}
    facts: dict[str, Fact] = {"expected": forecast.expected, "low": forecast.low, "high": forecast.high}
    usable = limit.balance.usable
    if forecast.high > usable > limit.balance.used:
        early, late = forecast.exhaustion_interval(usable)
        middle = forecast.exhaustion(usable)
        for name, at in (("out_early", early), ("out_at", middle), ("out_late", late)):
            facts[name] = iso(at) if at else None
    return facts


def _source(source: SourceReading) -> Sample:
    facts: dict[str, Fact] = {"source": source.source, "lag_seconds": source.lag_seconds, "errors": source.errors}
    value = None if source.catching_up else source.lag_seconds
    return Sample("source_lag_seconds", source.source, "", value, facts=facts)


def _unpriced(model: str, tokens: float) -> Sample:
    facts: dict[str, Fact] = {"model": model, "tokens": tokens}
    return Sample("unpriced_tokens", model, "", float(tokens), float(tokens), "tokens", facts=facts)


def _refused(breaker: Breaker, now: datetime) -> Sample:
    """How long a provider has refused an account; 0 where the pause is over and nobody has wanted to start since."""
    keeps_waiting = breaker.phase(now) is BreakerPhase.OPEN or bool(breaker.probe)
    seconds = max(0.0, (now - breaker.opened_at).total_seconds()) if keeps_waiting else 0.0
    facts: dict[str, Fact] = {
        "provider": breaker.provider,
        "account": breaker.account,
        "refusals": breaker.refusals,
        "refused_seconds": seconds,
    }
    scope = f"{breaker.provider}/{breaker.account}"
    return Sample("refused_seconds", scope, "", seconds, float(breaker.refusals), facts=facts)
