"""What alert rules look at: one table per reading."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.alert_samples import samples
from quota_scheduler.core.alert_text import WORDS
from quota_scheduler.core.forecast_value import Forecast
from quota_scheduler.core.readings import (
    Burn,
    CacheReading,
    LimitReading,
    Readings,
    RunReading,
    SourceReading,
)
from quota_scheduler.core.units import Unit

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
STARTS, ENDS = NOW - timedelta(days=2), NOW + timedelta(days=5)
WEEK = "2026-11-23T08:00:00Z"


def a_limit(**changes: object) -> LimitReading:
    reading = LimitReading(
        limit="max-weekly", rule="max-weekly", value="", provider="anthropic", scope="account=max-1", unit=Unit.TOKENS,
        period="week", zone="Europe/Berlin", mode="enforce", amount=1_000_000, allowance=900_000, used=820_000,
        reserved=50_000, starts_at=STARTS, ends_at=ENDS,
    )  # fmt: skip
    return replace(reading, **changes)


def a_forecast(expected: float, *, days: float = 30.0) -> Forecast:
    rest, seconds = expected - 820_000, (ENDS - NOW).total_seconds()
    return Forecast(
        now=NOW, starts_at=STARTS, ends_at=ENDS, used=820_000.0, known=0.0,
        knots=((0.0, 0.0, 0.0, 0.0), (seconds, rest / 2, rest, rest * 2)), rate=1.0, level=1.0, trend=None,
        observed_days=days, confidence=0.5, method="days",
    )  # fmt: skip


def values(**parts: object) -> dict[tuple[str, str], float | None]:
    return {(found.reading, found.scope): found.value for found in samples(Readings(at=NOW, **parts))}


def burns(rate: float, remaining: float) -> tuple[Burn, ...]:
    return tuple(Burn(name, rate, remaining) for name in ("fast_long", "fast_short", "slow_long", "slow_short"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {"usage_ratio": 0.82, "forecast_ratio": None, "burn_fast": None, "burn_slow": None},
                     id="usage is known, the rest is not"),
        pytest.param({"mode": "warn"}, {"usage_ratio": 0.82}, id="limits that only warn are looked at too"),
        pytest.param({"amount": 0}, {"usage_ratio": None}, id="a limit of nothing has no ratio"),
        pytest.param({"forecast": a_forecast(1_200_000)}, {"forecast_ratio": 1.2}, id="the expected value counts"),
        pytest.param({"forecast": a_forecast(1_200_000, days=6.9)}, {"forecast_ratio": None},
                     id="under seven days nothing is forecast"),
        pytest.param({"burns": burns(5.6, 1.5)}, {"burn_fast": 1.0, "burn_slow": 2.0}, id="a week's factors"),
        pytest.param({"burns": burns(9.0, 1.0)}, {"burn_fast": 0.0, "burn_slow": 0.0}, id="fast, but it lasts"),
        pytest.param({"burns": burns(9.0, 2.0), "used": 190_000}, {"burn_fast": 0.0, "burn_slow": 0.0},
                     id="fast, but under 20 % used"),
        pytest.param({"burns": (Burn("fast_long", 9, 2), Burn("fast_short", 2.8, 2))}, {"burn_fast": 0.5},
                     id="the short lookback must agree"),
        pytest.param({"burns": burns(9.0, 2.0), "ends_at": STARTS + timedelta(hours=1)}, {"burn_fast": None},
                     id="no burn under two hours"),
    ],
)  # fmt: skip
def test_a_limit(changes, expected):
    found = values(limits=(a_limit(**changes),))
    assert {name: found[name, "max-weekly"] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    "changes",
    [pytest.param({"unit": Unit.LEASES}, id="all leases in use is a good day"),
     pytest.param({"period": "run", "starts_at": None}, id="runs have alerts of their own")],
)  # fmt: skip
def test_limits_without_usage_alerts(changes):
    assert values(limits=(a_limit(**changes),)) == {}


def test_the_window_is_the_episode_and_the_use_is_the_size():
    usage, *_ = samples(Readings(at=NOW, limits=(a_limit(),)))
    assert (usage.episode, usage.size, usage.unit) == (WEEK, 820_000.0, "tokens")


def test_a_workflow_with_and_without_a_baseline():
    with_baseline = CacheReading("nightly", "anthropic", hit_rate=0.6, baseline=0.95, input_tokens=2_000_000)
    alone = replace(with_baseline, workflow="new", baseline=None)
    found = samples(Readings(at=NOW, caches=(with_baseline, alone)))
    assert [(s.reading, s.scope, s.value, s.baseline, s.size) for s in found] == [
        ("cache_hit_rate", "nightly", 0.6, 0.95, 2_000_000.0),
        ("cache_hit_rate_alone", "new", 0.6, None, 2_000_000.0),
    ]


def a_run(**changes: object) -> RunReading:
    run = RunReading(
        run="nightly-42", workflow="nightly", task_type="testing", team="growth", provider="anthropic",
        tokens=6_000_000, cost_microusd=12_500_000, cache_hit_rate=0.9, started_at=STARTS, last_at=NOW, finished=False,
    )  # fmt: skip
    return replace(run, **changes)


@pytest.mark.parametrize(
    ("changes", "over"),
    [
        pytest.param({"over_cap": True}, 1.0, id="over its cap while it runs"),
        pytest.param({"over_cap": True, "finished": True}, 0.0, id="over its cap, and over"),
        pytest.param({}, 0.0, id="within its cap"),
    ],
)
def test_a_run(changes, over):
    found = values(runs=(a_run(**changes),))
    assert found == {("run_tokens", "nightly-42"): 6_000_000.0, ("run_over_cap", "nightly-42"): over}


def test_a_source_that_catches_up_is_not_judged():
    sources = (SourceReading("claude_code", True, 9_000.0, 0), SourceReading("codex", False, 30.0, 2))
    assert values(sources=sources) == {
        ("source_lag_seconds", "claude_code"): None,
        ("source_lag_seconds", "codex"): 30.0,
    }


def test_models_without_a_price():
    found = values(facts={"unpriced_models": {"anthropic/claude-new": 120_000}})
    assert found == {("unpriced_tokens", "anthropic/claude-new"): 120_000.0}


def test_every_reading_has_its_words():
    everything = Readings(
        at=NOW,
        limits=(a_limit(),),
        caches=(CacheReading("a", "p", 0.5, 0.9, 1), CacheReading("b", "p", 0.5, None, 1)),
        runs=(a_run(),),
        sources=(SourceReading("s", False, 1.0, 0),),
        facts={"unpriced_models": {"p/m": 1}},
    )
    assert {found.reading for found in samples(everything)} == set(WORDS)
