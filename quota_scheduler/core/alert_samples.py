"""Samples: the readings of a tick as alert rules look at them, one value per scope.

    reading                 scope            episode          value                            size
    usage_ratio             limit instance   window start     used ÷ amount                    used
    forecast_ratio          limit instance   window start     expected at the reset ÷ amount   expected
    burn_fast, burn_slow    limit instance   window start     lower lookback's B ÷ its factor  used
    cache_hit_rate          workflow         -                hit rate, against its baseline   input-side tokens
    cache_hit_rate_alone    workflow         -                hit rate, without a baseline     input-side tokens
    run_tokens              run              run              tokens so far                    tokens
    run_over_cap            run              run              1 while it runs above its cap    tokens
    source_lag_seconds      source           -                seconds behind                   -
    unpriced_tokens         provider/model   -                tokens without a price           tokens

Limits in every mode but ``off`` are looked at, also those that only warn. Concurrency limits and run caps are not: all
leases in use is a good day, and runs have alerts of their own. What exists but is not known has the value None.
"""

from collections.abc import Iterator
from datetime import datetime

from quota_scheduler.core.alert_values import Fact, Facts, Sample
from quota_scheduler.core.burn import burn_class, cumulative_burn
from quota_scheduler.core.instants import iso
from quota_scheduler.core.readings import Burn, CacheReading, LimitReading, Readings, RunReading, SourceReading
from quota_scheduler.core.units import Unit
from quota_scheduler.core.windows import Window

BURN_FLOOR = 0.2
"""Usage below which no burn rate alarms (Google SRE workbook, chapter 5, applied to windows of a limit)."""


def samples(readings: Readings) -> tuple[Sample, ...]:
    """Everything that alert rules look at, in a stable order.

    ``readings.facts`` may hold ``causes`` (limit id → a sentence that names who spends it, for the message) and
    ``unpriced_models`` (``provider/model`` → tokens without a price).
    """
    return tuple(_samples(readings))


def _samples(readings: Readings) -> Iterator[Sample]:
    causes = readings.facts.get("causes", {})
    for limit in readings.limits:
        if limit.unit is not Unit.LEASES and limit.period != "run":
            yield from _limit(limit, causes.get(limit.limit, ""), readings.at)
    for cache in readings.caches:
        yield _cache(cache)
    for run in readings.runs:
        yield from _run(run)
    for source in readings.sources:
        yield _source(source)
    for model, tokens in sorted(readings.facts.get("unpriced_models", {}).items()):
        yield _unpriced(model, tokens)


def _limit(limit: LimitReading, cause: str, now: datetime) -> Iterator[Sample]:
    facts = _limit_facts(limit, cause, now)
    episode = iso(limit.starts_at) if limit.starts_at else ""
    fast, slow = _burn(limit)
    expected = _expected(limit)
    forecast = expected / limit.amount if expected is not None and limit.amount else None
    for reading, value, size in (
        ("usage_ratio", limit.usage_ratio if limit.amount else None, limit.used),
        ("forecast_ratio", forecast, expected or 0.0),
        ("burn_fast", fast, limit.used),
        ("burn_slow", slow, limit.used),
    ):
        yield Sample(reading, limit.limit, episode, value, float(size), limit.unit.value, facts=facts)


def _expected(limit: LimitReading) -> float | None:
    """Expected usage at the reset; None while there is too little history to name one."""
    return limit.forecast.expected if limit.forecast is not None and limit.forecast.sufficient else None


def _burn(limit: LimitReading) -> tuple[float | None, float | None]:
    """How far the fast and the slow burn lie above what alarms: 1 is just there, None is not known.

    The lower of the long and the short lookback's B, over the factor of the window's class; 0 when the limit lasts to
    its reset (R at most 1) or is barely used.
    """
    known = burn_class(limit.ends_at - limit.starts_at) if limit.starts_at and limit.ends_at else None
    by_name = {burn.lookback: burn for burn in limit.burns}
    if known is None:
        return None, None
    fast = _burn_value(by_name.get("fast_long"), by_name.get("fast_short"), known.fast, limit.usage_ratio)
    return fast, _burn_value(by_name.get("slow_long"), by_name.get("slow_short"), known.slow, limit.usage_ratio)


def _burn_value(long: Burn | None, short: Burn | None, factor: float, usage_ratio: float) -> float | None:
    if long is None or short is None:
        return None
    if long.remaining <= 1.0 or usage_ratio < BURN_FLOOR:
        return 0.0
    return min(long.rate, short.rate) / factor


def _limit_facts(limit: LimitReading, cause: str, now: datetime) -> Facts:
    facts: dict[str, Fact] = {
        "limit": limit.limit,
        "provider": limit.provider,
        "mode": limit.mode,
        "unit": limit.unit.value,
        "zone": limit.zone,
        "amount": limit.amount,
        "used": limit.used,
        "reserved": limit.reserved,
        "allowance": limit.allowance,
        "ends_at": iso(limit.ends_at) if limit.ends_at else None,
        "estimated": int(limit.estimated),
        "waiting": sum(group.waiting for group in limit.waiting),
        "cause": cause,
    }
    if limit.starts_at and limit.ends_at:
        facts["pace"] = cumulative_burn(Window(limit.starts_at, limit.ends_at), limit.used, limit.amount, now)
    if limit.forecast is not None and limit.forecast.sufficient:
        facts |= _outlook(limit)
    return facts


def _outlook(limit: LimitReading) -> dict[str, Fact]:
    """Where the window ends, and when it runs out if it does; nothing is searched for a limit that lasts."""
    forecast = limit.forecast
    if forecast is None:
        return {}
    facts: dict[str, Fact] = {"expected": forecast.expected, "low": forecast.low, "high": forecast.high}
    if forecast.high > limit.amount > limit.used:
        early, late = forecast.exhaustion_interval(limit.amount)
        middle = forecast.exhaustion(limit.amount)
        for name, at in (("out_early", early), ("out_at", middle), ("out_late", late)):
            facts[name] = iso(at) if at else None
    return facts


def _cache(cache: CacheReading) -> Sample:
    facts: dict[str, Fact] = {
        "workflow": cache.workflow,
        "provider": cache.provider,
        "hit_rate": cache.hit_rate,
        "baseline": cache.baseline,
        "input_tokens": cache.input_tokens,
        "changed": ", ".join(cache.changed),
    }
    reading = "cache_hit_rate_alone" if cache.baseline is None else "cache_hit_rate"
    size = float(cache.input_tokens)
    return Sample(reading, cache.workflow, "", cache.hit_rate, size, "tokens", cache.baseline, facts)


def _run(run: RunReading) -> Iterator[Sample]:
    facts: dict[str, Fact] = {
        "run": run.run,
        "workflow": run.workflow,
        "task_type": run.task_type,
        "team": run.team,
        "provider": run.provider,
        "tokens": run.tokens,
        "cost": run.cost_microusd,
        "hit_rate": run.cache_hit_rate,
        "started_at": iso(run.started_at),
        "last_at": iso(run.last_at),
        "finished": int(run.finished),
    }
    size = float(run.tokens)
    over = float(run.over_cap and not run.finished)
    yield Sample("run_tokens", run.run, run.run, size, size, "tokens", facts=facts)
    yield Sample("run_over_cap", run.run, run.run, over, size, "tokens", facts=facts)


def _source(source: SourceReading) -> Sample:
    facts: dict[str, Fact] = {"source": source.source, "lag_seconds": source.lag_seconds, "errors": source.errors}
    value = None if source.catching_up else source.lag_seconds
    return Sample("source_lag_seconds", source.source, "", value, facts=facts)


def _unpriced(model: str, tokens: float) -> Sample:
    facts: dict[str, Fact] = {"model": model, "tokens": tokens}
    return Sample("unpriced_tokens", model, "", float(tokens), float(tokens), "tokens", facts=facts)
