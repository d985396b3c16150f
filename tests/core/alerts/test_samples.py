"""What alert rules look at: one table per reading."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.alerts.wording import WORDS
from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.instants import iso
from quota_scheduler.core.readings.readings import Burn, ClassReading, LimitReading, Readings, RunReading, SourceReading
from quota_scheduler.core.units import Unit
from tests.builders import MINUTE, a_reading
from tests.shell.sample import some_word

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
STARTS, ENDS = NOW - timedelta(days=2), NOW + timedelta(days=5)
WEEK = "2026-11-23T08:00:00Z"


def a_limit(**changes: object) -> LimitReading:
    reading = a_reading(
        limit="max-weekly", rule="max-weekly", value="", provider="anthropic", scope="account=max-1", unit=Unit.TOKENS,
        period="week", zone="Europe/Berlin", mode="enforce", amount=1_000_000, allowance=900_000, used=820_000,
        reserved=50_000, starts_at=STARTS, ends_at=ENDS,
    )  # fmt: skip
    return a_reading(reading, **changes)


def a_forecast(expected: float, *, days: float = 30.0) -> Forecast:
    rest, seconds = expected - 820_000, (ENDS - NOW).total_seconds()
    return Forecast(
        now=NOW, starts_at=STARTS, ends_at=ENDS, used=820_000.0, certain=0.0,
        knots=((0.0, 0.0, 0.0, 0.0), (seconds, rest / 2, rest, rest * 2)), rate=1.0, level=1.0, trend=None,
        observed_days=days, confidence=0.5, method="days",
    )  # fmt: skip


def an_ending_limit(**changes: object) -> LimitReading:
    """A week's last day: half of it is used, automation's allowance is spent, and two tickets wait."""
    ends = NOW + timedelta(days=1)
    forecast = replace(
        a_forecast(0), starts_at=ends - timedelta(days=7), ends_at=ends, used=500_000.0,
        knots=((0.0, 0.0, 0.0, 0.0), (86_400.0, 20_000, 50_000, 90_000)),
    )  # fmt: skip
    limit = a_limit(
        used=500_000, reserved=50_000, allowance=550_000, starts_at=ends - timedelta(days=7), ends_at=ends,
        level="paused", waiting=(ClassReading("low", 2, NOW - timedelta(hours=3)),), forecast=forecast,
    )  # fmt: skip
    return a_reading(limit, **changes)


ENDING = an_ending_limit().projection.forecast


def waits(since: datetime, **changes: object) -> LimitReading:
    """A limit for which a ticket has waited since an instant."""
    return a_limit(used=100_000, waiting=(ClassReading("low", 1, since),), **changes)


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
        pytest.param({"used": 1_200_000, "loan": 500_000}, {"usage_ratio": 0.8},
                     id="a borrower may use what is lent, too"),
        pytest.param({"loan": 200_000, "forecast": a_forecast(1_200_000)}, {"forecast_ratio": 1.0},
                     id="and is forecast against all of it"),
        pytest.param({"amount": 0}, {"usage_ratio": None}, id="a limit of nothing has no ratio"),
        pytest.param({"forecast": a_forecast(1_200_000)}, {"forecast_ratio": 1.2}, id="the expected value counts"),
        pytest.param({"forecast": a_forecast(1_200_000, days=6.9)}, {"forecast_ratio": None},
                     id="under seven days nothing is forecast"),
        pytest.param({"burns": burns(5.6, 1.5)}, {"burn_fast": 1.0, "burn_slow": 2.0}, id="a week's factors"),
        pytest.param({"burns": burns(9.0, 1.0)}, {"burn_fast": 0.0, "burn_slow": 0.0}, id="fast, but it lasts"),
        pytest.param({"burns": burns(9.0, 2.0), "used": 190_000}, {"burn_fast": 0.0, "burn_slow": 0.0},
                     id="fast, but under 20 % used"),
        pytest.param({"burns": burns(9.0, 2.0), "used": 210_000, "loan": 100_000}, {"burn_fast": 0.0, "burn_slow": 0.0},
                     id="under 20 % of what is lent, too"),
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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 0.45, id="what is neither used nor reserved nor expected"),
        pytest.param({"forecast": replace(ENDING, knots=((0.0,) * 4, (86_400.0, 0.1, 3e5, 4e5)))},
                     0.2, id="people may still come"),
        pytest.param({"level": "throttled"}, 0.45, id="held back by pacing"),
        pytest.param({"level": "open"}, 0.0, id="not where nothing is held back"),
        pytest.param({"level": "exhausted"}, 0.0, id="not where nothing is left"),
        pytest.param({"waiting": ()}, 0.0, id="not where nobody waits"),
        pytest.param({"ends_at": NOW + timedelta(days=3)}, 0.0, id="not while there is time to use it"),
        pytest.param({"starts_at": NOW - timedelta(hours=20)}, 0.0, id="the last part counts, not the last day"),
        pytest.param({"starts_at": NOW - timedelta(hours=4), "ends_at": NOW + timedelta(minutes=30)}, 0.0,
                     id="a session comes back within hours"),
        pytest.param({"mode": "warn"}, None, id="a limit that only warns holds nobody"),
        pytest.param({"forecast": None}, None, id="unknown without a forecast"),
    ],
)  # fmt: skip
def test_quota_that_expires_unused(changes, expected):
    found = values(limits=(an_ending_limit(**changes),))["unused_ratio", "max-weekly"]
    assert found == (None if expected is None else pytest.approx(expected))


def test_what_waits_is_not_counted_as_use_to_come():
    forecast = ENDING
    hopeful = replace(forecast, certain=350_000.0, knots=((0.0,) * 4, (86_400.0, 320_000, 350_000, 400_000)))
    found = values(limits=(an_ending_limit(forecast=hopeful),))
    assert found["unused_ratio", "max-weekly"] == pytest.approx(0.45)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("limits", "windows", "seconds"),
    [
        pytest.param([waits(NOW - 84 * HOUR, level="paused", level_since=STARTS)], 0.5, 0.0,
                     id="half a window of a limit that holds it"),
        pytest.param([waits(NOW - HOUR, level="open", level_since=NOW - 2 * HOUR)], 0.0, 3600.0,
                     id="an hour in which nothing holds it"),
        pytest.param([waits(NOW - HOUR, level="open", level_since=NOW - HOUR / 2)], 0.0, 1800.0,
                     id="the limit has been open for half of it"),
        pytest.param([waits(NOW - HOUR, level_since=STARTS), a_limit(limit="day", level="throttled")], 0.0, 0.0,
                     id="another limit may hold it"),
        pytest.param([waits(NOW - HOUR, level_since=STARTS), a_limit(limit="day", level="paused", mode="warn")], 0.0,
                     3600.0, id="but not one that only warns"),
        pytest.param([waits(NOW - HOUR, level_since=STARTS), a_limit(unit=Unit.LEASES, amount=2, leases=2)], 0.0, 0.0,
                     id="all leases may be in use"),
        pytest.param([waits(NOW - HOUR, level_since=STARTS, mode="warn")], 0.0, 0.0, id="a limit that only warns"),
        pytest.param([a_limit(level_since=STARTS)], 0.0, 0.0, id="nothing waits"),
    ],
)  # fmt: skip
def test_how_long_work_waits(limits, windows, seconds):
    found = values(limits=tuple(limits))
    assert (found["wait_windows", "max-weekly"], found["wait_seconds", "max-weekly"]) == (windows, seconds)


TOMORROW = NOW + (ENDS - NOW) / 2


@pytest.mark.parametrize(
    ("used", "loan", "at_this_rate", "by_the_forecast"),
    [
        pytest.param(820_000, 0, True, True, id="it will run out"),
        pytest.param(1_000_000, 0, False, False, id="it has run out"),
        pytest.param(1_000_000, 500_000, True, True, id="a borrower has not: what is lent is left"),
        pytest.param(1_500_000, 500_000, False, False, id="that is used, too"),
        pytest.param(820_000, 900_000, True, False, id="what is lent lasts by the forecast"),
    ],
)
def test_when_a_limit_runs_out_is_of_what_it_may_borrow_too(used, loan, at_this_rate, by_the_forecast):
    """At twice the rate that lasts it runs out half-way to the reset, whatever it is that is left."""
    forecast = replace(a_forecast(1_600_000), used=float(used), knots=((0.0,) * 4, (432_000.0, 3e5, 6e5, 8.5e5)))
    limit = a_limit(used=used, loan=loan, burns=burns(9.0, 2.0), forecast=forecast)
    facts = samples(Readings(at=NOW, limits=(limit,)))[0].facts
    assert facts.get("out_fast") == (iso(TOMORROW) if at_this_rate else None)
    assert facts.get("out_at") == (iso(forecast.exhaustion(1_000_000 + loan)) if by_the_forecast else None)


def test_labels_of_a_limit_are_facts_that_matchers_see():
    usage, *_ = samples(Readings(at=NOW, limits=(a_limit(labels=(("account", "max-1"), ("team", "growth"))),)))
    assert {"account": "max-1", "team": "growth", "period": "week"}.items() <= usage.facts.items()


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


def a_breaker(**changes) -> Breaker:
    """Open for the last twenty minutes, and for a minute more."""
    return replace(Breaker("anthropic", "max-1", NOW - 20 * MINUTE, NOW, NOW + MINUTE, refusals=7), **changes)


@pytest.mark.parametrize(
    ("breaker", "seconds"),
    [
        pytest.param(a_breaker(), 1200.0, id="open: since it first refused"),
        pytest.param(a_breaker(until=NOW, probe=7), 1200.0, id="while a ticket tries"),
        pytest.param(a_breaker(until=NOW), 0.0, id="not while the pause is over and nobody wants to start"),
        pytest.param(a_breaker(closed_at=NOW), 0.0, id="not when it answers again"),
    ],
)
def test_a_provider_that_refuses_is_told_by_account(breaker, seconds):
    assert values(breakers=(breaker,)) == {("refused_seconds", "anthropic/max-1"): seconds}


def test_every_reading_has_its_words():
    everything = Readings(
        at=NOW,
        limits=(replace(a_limit(), observed=some_word(NOW)),),
        caches=(CacheReading("a", "p", 0.5, 0.9, 1), CacheReading("b", "p", 0.5, None, 1)),
        runs=(a_run(),),
        sources=(SourceReading("s", False, 1.0, 0),),
        breakers=(a_breaker(),),
        facts={"unpriced_models": {"p/m": 1}},
    )
    assert {found.reading for found in samples(everything)} == set(WORDS)
