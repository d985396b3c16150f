"""Readings that fill every metric of the snapshot: one window of each unit, one limit on leases, one of everything."""

from datetime import UTC, datetime, timedelta

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.efficiency.flag_effect import FlagReading
from quota_scheduler.core.forecast.forecast import Forecast, PastAccuracy
from quota_scheduler.core.forecast.track_record import HorizonReading, TrackReading
from quota_scheduler.core.readings.observed import Freshness, ObservedReading
from quota_scheduler.core.readings.readings import (
    Burn,
    ClassReading,
    Counter,
    HeldReading,
    LimitReading,
    QueueReading,
    Readings,
    SourceReading,
    Spending,
)
from quota_scheduler.core.readings.scheduling_quality import ClassQuality, QualityReading
from quota_scheduler.core.units import MICRO, Unit
from tests.builders import a_reading

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_forecast(now: datetime, used: int, rest: int) -> Forecast:
    hour = 3600.0
    return Forecast(
        now=now,
        starts_at=now - timedelta(hours=18),
        ends_at=now + timedelta(hours=6),
        used=used,
        certain=0,
        knots=((0.0, 0.0, 0.0, 0.0), (6 * hour, rest / 2, float(rest), rest * 1.5)),
        rate=rest / (6 * hour),
        level=float(rest),
        trend=None,
        observed_days=30.0,
        confidence=0.6,
        method="days",
        record=PastAccuracy(verified=30, coverage=0.8, error=0.125, brier=0.0625),
    )


def a_limit(limit: str = "team-daily/growth", *, now: datetime = NOW, **changes: object) -> LimitReading:
    values: dict[str, object] = {
        "limit": limit,
        "rule": limit.partition("/")[0],
        "value": limit.partition("/")[2],
        "provider": "anthropic",
        "scope": "team=growth",
        "unit": Unit.TOKENS,
        "period": "day",
        "zone": "UTC",
        "mode": "enforce",
        "amount": 1_000_000,
        "allowance": 900_000,
        "used": 600_000,
        "reserved": 100_000,
        "starts_at": now - timedelta(hours=18),
        "ends_at": now + timedelta(hours=6),
        "level": "throttled",
        "risk": "high",
        "optimization": "aggressive",
        "forecast": a_forecast(now, 600_000, 500_000),
        "burns": tuple(Burn(name, 2.0, 2.5) for name in ("fast_long", "fast_short", "slow_long", "slow_short")),
        "waiting": (ClassReading("low", 3, now - timedelta(minutes=40)), ClassReading("normal", 0, None)),
        "leases": 2,
        "used_today": 350_000,
        "usual_today": 250_000,
        "overshoot_bound": 1_500,
        "track": TrackReading(30, 0.8, 0.05, (HorizonReading("over_10", 30, 0.8, 0.125, 0.0625),)),
        "spending": some_spending(),
        "quality": some_quality(now),
    }
    return a_reading(**{**values, **changes})


def some_quality(now: datetime = NOW) -> QualityReading:
    classes = (ClassQuality("interactive", 0.0625, 0.25), ClassQuality("low", None, None))
    return QualityReading(30, now - timedelta(days=30), 0.125, 0.0, 0.75, 0.9375, classes)


def some_spending(factor: float = 1.0) -> Spending:
    return Spending(
        "72 % by workflow nightly-tests (claude-opus-5)",
        run_tokens=40_000.0,
        run_amount=40_000.0,
        cache_hits=(("1d", 0.875), ("7d", 0.9)),
        cache_baseline=0.95,
        unleased=int(80_000 * factor),
        overrun=int(1_500 * factor),
    )


def some_counters(factor: float = 1.0) -> tuple[Counter, ...]:
    limit = "team-daily/growth"
    return (
        Counter("quota_consumed_tokens_total", (limit, "anthropic", "claude-sonnet-5", "output"), 4_000 * factor),
        Counter("quota_consumed_tokens_total", (limit, "anthropic", "claude-sonnet-5", "cache_read"), 90_000 * factor),
        Counter("quota_consumed_usd_total", (limit, "anthropic", "claude-sonnet-5"), 12.5 * MICRO * factor),
        Counter("quota_recorded_tokens_total", ("anthropic", "claude-sonnet-5", "output"), 5_000 * factor),
        Counter("quota_recorded_usd_total", ("anthropic", "claude-sonnet-5"), 15 * MICRO * factor),
        Counter("quota_unlisted_tokens_total", ("anthropic", "claude-sonnet-5", "input"), 300 * factor),
        Counter("quota_unlisted_usd_total", ("anthropic", "claude-sonnet-5"), 2 * MICRO * factor),
        Counter("quota_partial_answers_total", ("claude_code",), 2 * factor),
        Counter("quota_left_out_tokens_total", ("otlp/claude_code/metrics",), 600 * factor),
        Counter("quota_backfilled_tokens_total", ("anthropic",), 7_000_000 * factor),
        Counter("quota_workflows_over_budget_total", ("testing",), 1 * factor),
        Counter("quota_tickets_deferred_total", (limit, "low"), 9 * factor),
        Counter("quota_tickets_throttled_total", (limit, "low"), 8 * factor),
        Counter("quota_tickets_rejected_total", (limit, "low"), 6 * factor),
        Counter("quota_tickets_woken_total", (limit, "low"), 7 * factor),
        Counter("quota_tickets_abandoned_total", (limit, "low"), 1 * factor),
        Counter("quota_leases_expired_total", (limit,), 2 * factor),
        Counter("quota_late_usage_tokens_total", ("anthropic",), 10 * factor),
        Counter("quota_unpriced_tokens_total", ("anthropic",), 20 * factor),
        Counter("quota_skewed_events_total", ("anthropic",), 3 * factor),
        Counter("quota_would_defer_total", (limit, "low"), 4 * factor),
    )


def some_queue(now: datetime = NOW) -> QueueReading:
    """Five wait: three for one limit, two of whom another holds as well, and two behind others."""
    hour, soon, limit = timedelta(hours=1), now + timedelta(minutes=1), "team-daily/growth"
    return QueueReading(
        (
            ClassReading("interactive", 1, now - timedelta(minutes=2)),
            ClassReading("high", 0, None),
            ClassReading("normal", 0, None),
            ClassReading("low", 4, now - hour),
        ),
        (("concurrency", 3), ("paced", 2)),
        (
            HeldReading(
                "runs", "concurrency", "interactive", 1, now - timedelta(minutes=2), now + timedelta(minutes=1)
            ),
            HeldReading("runs", "concurrency", "low", 2, now - hour, soon),
            HeldReading(limit, "no_headroom", "low", 2, now - hour, now + 6 * hour),
        ),
    )


def some_word(now: datetime = NOW) -> ObservedReading:
    return ObservedReading(
        about="anthropic/five_hour of max-1",
        freshness=Freshness.CACHED,
        why="Nobody has reported on it since 11:50.",
        ratio=0.6,
        observed_at=now - timedelta(minutes=10),
        heard_at=now - timedelta(minutes=10),
        source="statusline",
        points_per_usd=(1.5, 2.0, 2.5),
        learned_from=12,
        elsewhere=4.0,
    )


def some_readings(now: datetime = NOW, factor: float = 1.0) -> Readings:
    dollars = {"unit": Unit.USD, "amount": 10 * MICRO, "allowance": 10 * MICRO, "used": 2_500_000, "reserved": 0}
    plain = {
        "forecast": None,
        "burns": (),
        "waiting": (),
        "level": "open",
        "track": None,
        "spending": Spending(),
        "quality": None,
    }
    calls = {"unit": Unit.REQUESTS, "amount": 500, "allowance": 500, "used": 125, "reserved": 5}
    points = {"unit": Unit.PERCENT, "amount": 100 * MICRO, "allowance": 100 * MICRO, "used": 62 * MICRO, "reserved": 0}
    leases = {"unit": Unit.LEASES, "amount": 5, "allowance": 5, "used": 2, "reserved": 0}
    return Readings(
        at=now,
        limits=(
            a_limit(now=now, spending=some_spending(factor), parent="marketing"),
            a_limit("budget", now=now, **{**plain, **dollars}),
            a_limit("calls", now=now, **{**plain, **calls}),
            a_limit("max-session", now=now, **{**plain, **points}, observed=some_word(now)),
            a_limit("runs", now=now, **{**plain, **leases, "starts_at": None, "ends_at": None}),
        ),
        caches=(
            CacheReading("nightly-tests", "anthropic", 0.875, 0.95, 4_000_000),
            CacheReading("docs", "anthropic", 0.5, None, 1_000_000),
        ),
        flags=(FlagReading("batching", 3, (0.6, 0.7, 0.8), 0.95, 0.9), FlagReading("stable_prompts", 1)),
        concurrency=(("anthropic", 2, 5), ("openai", 1, None)),
        counters=some_counters(factor),
        sources=(SourceReading("claude_code", False, 1.5, 2),),
        last_usage=(("anthropic", now - timedelta(seconds=30)),),
        alerts_firing=(("QuotaUsageHigh", "warning", 1),),
        outbox_oldest_at=now - timedelta(minutes=2),
        queue=some_queue(now),
        breakers=(
            Breaker("anthropic", "max-1", now, now, now + timedelta(seconds=5)),
            Breaker("anthropic", "max-2", now, now, now, closed_at=now),
        ),
        loans=(
            Loan(1, "budget", "team-daily/content", "team-daily/growth", 2_500_000, 3 * MICRO, now, None),
            Loan(2, "gone", "team-daily/content", "team-daily/growth", MICRO, MICRO, now, None),
        ),
    )
