"""Limits as people write them, and the two variables that enforce the default ones."""

from datetime import time, timedelta
from pathlib import Path

import pytest
import yaml

from quota_scheduler.config import Config, load
from quota_scheduler.config.writing import written_limit
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import AtLimit, Holdback, Limit, Mode, Policy
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session, Unwindowed
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.units import Unit
from quota_scheduler.errors import ConfigError

HOME = {"HOME": "/home/ann"}
DAY = Calendar(Every.DAY)
WEEK = Calendar(Every.WEEK)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str, environ: dict[str, str] | None = None) -> Config:
    path = Path("given.yaml")
    path.write_text(text, encoding="utf-8")
    return load(path, HOME | (environ or {}))


def tokens(amount: int, schedule=DAY, **parts) -> Limit:
    return Limit("a", Unit.TOKENS, amount, schedule, **parts)


def usd(amount: int, schedule=WEEK, **parts) -> Limit:
    return Limit("a", Unit.USD, amount * 1_000_000, schedule, **parts)


def percent(amount, account, window, *, provider="anthropic", scope="", length=timedelta(hours=5), match=None) -> Limit:
    return Limit(
        "a",
        Unit.PERCENT,
        amount * 1_000_000,
        Session(length),
        match=match_of(match or {"account": account, "provider": provider}),
        observed=ReportKey(provider, account, window, scope),
    )


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        pytest.param("amount: 5, window: day", tokens(5), id="tokens are the default unit"),
        pytest.param("amount: 0, window: day", tokens(0), id="nothing at all may be allowed"),
        pytest.param("amount: 2.5M tokens, window: day", tokens(2_500_000), id="the amount may name its unit"),
        pytest.param("amount: $10, window: week", usd(10), id="a dollar sign is a unit"),
        pytest.param("unit: requests, amount: 1k, window: day", Limit("a", Unit.REQUESTS, 1000, DAY), id="requests"),
        pytest.param("unit: leases, amount: 5", Limit("a", Unit.LEASES, 5, Unwindowed()), id="leases have no window"),
        pytest.param(
            "amount: 5, window: run", tokens(5, PerRun(), per="run"), id="a run window caps each run without saying per"
        ),
        pytest.param(
            "amount: 90, unit: percent, observed: claude/five_hour, match: {account: max-1}, window: {session: 5h}",
            percent(90, "max-1", ProviderWindow.FIVE_HOUR),
            id="percent of what a provider reports",
        ),
        pytest.param(
            "amount: 100%, observed: claude/weekly, match: {account: max-1}",
            percent(100, "max-1", ProviderWindow.WEEKLY, length=timedelta(days=7)),
            id="a percent sign is a unit, and the provider's window is the one that is meant",
        ),
        pytest.param(
            "amount: 100%, observed: claude/weekly_model/Opus, match: {account: max-1}",
            percent(
                100,
                "max-1",
                ProviderWindow.WEEKLY_MODEL,
                scope="opus",
                length=timedelta(days=7),
                match={"account": "max-1", "provider": "anthropic", "model": "*opus*"},
            ),
            id="a week of one family of models binds only those",
        ),
        pytest.param(
            "amount: 100%, observed: codex/five_hour",
            percent(100, "default", ProviderWindow.FIVE_HOUR, provider="openai", match={"provider": "openai"}),
            id="without an account it is the default one's",
        ),
        pytest.param(
            "amount: 50, unit: usd, observed: anthropic/monthly_spend",
            usd(
                50,
                Calendar(Every.MONTH, day=1),
                match=match_of({"provider": "anthropic"}),
                observed=ReportKey("anthropic", "default", ProviderWindow.MONTHLY_SPEND),
            ),
            id="a report may rule the window of what we count ourselves",
        ),
        pytest.param("amount: 5, window: {session: 5h}", tokens(5, Session(timedelta(hours=5))), id="a session"),
        pytest.param("amount: 5, window: month", tokens(5, Calendar(Every.MONTH, day=1)), id="a month from the first"),
        pytest.param(
            "amount: 5, window: {every: week, starts: sunday 10:30, timezone: Asia/Tokyo}",
            tokens(5, Calendar(Every.WEEK, "Asia/Tokyo", 6, time(10, 30)), zone="Asia/Tokyo"),
            id="a week with a start and a zone of its own",
        ),
        pytest.param(
            "amount: 5, window: {every: day, starts: 10:30}",
            tokens(5, Calendar(Every.DAY, clock=time(10, 30))),
            id="half past ten is a time, not a number to base sixty",
        ),
        pytest.param(
            "amount: 5, window: day, match: {team: [x, y], provider: p}, per: workflow, values: [v, w], "
            "max_instances: 7",
            tokens(
                5,
                match=match_of({"provider": "p", "team": ["x", "y"]}),
                per="workflow",
                values=("v", "w"),
                max_instances=7,
            ),
            id="match and per",
        ),
        pytest.param(
            "unit: usd, amount: 10, per: team, overrides: {sales: 25, growth: $5.50}, window: week",
            usd(10, per="team", overrides=(("growth", 5_500_000), ("sales", 25_000_000))),
            id="overrides in the unit of the limit",
        ),
        pytest.param(
            "amount: 5, window: day, warn_at: 75%, at_limit: go_on",
            tokens(5, warn_at=(("", 750),), at_limit=(("", AtLimit.GO_ON),)),
            id="thresholds of trackers",
        ),
        pytest.param(
            "amount: 5, window: day, per: team, warn_at: {default: 80%, sales: 90%}, at_limit: {sales: block}",
            tokens(5, per="team", warn_at=(("", 800), ("sales", 900)), at_limit=(("sales", AtLimit.BLOCK),)),
            id="thresholds of trackers by team",
        ),
        pytest.param("amount: 5, window: day, mode: off", tokens(5, mode=Mode.OFF), id="off is a word"),
        pytest.param(
            "amount: 5, window: day, policy: fixed-thresholds",
            tokens(5, policy=Policy.FIXED_THRESHOLDS),
            id="fixed thresholds",
        ),
        pytest.param(
            "amount: 5, window: day, policy: seed",
            tokens(5, policy=Policy.FIXED_THRESHOLDS),
            id="fixed thresholds as they were spelled at first",
        ),
        pytest.param(
            "amount: 9, window: day, weights: {cache_read: 0.1, cache_write: 2, cache_write_1h: 3}",
            tokens(9, weights=(1000, 100, 2000, 3000, 1000)),
            id="a weight for both cache writes gives way to one for either",
        ),
        pytest.param(
            "amount: 9, window: day, weights: uncached", tokens(9, weights=(1000, 0, 1000, 1000, 1000)), id="preset"
        ),
        pytest.param("amount: 9, window: day, holdback: 12.5%", tokens(9, holdback=Holdback(125)), id="a share kept"),
        pytest.param(
            "amount: 9, window: day, holdback: 4", tokens(9, holdback=Holdback(amount=4)), id="an amount kept"
        ),
        pytest.param("amount: 9, window: day, holdback: 0", tokens(9, holdback=Holdback(amount=0)), id="nothing kept"),
        pytest.param(
            "unit: usd, amount: 9, window: week, holdback: 1.50",
            usd(9, holdback=Holdback(amount=1_500_000)),
            id="dollars kept",
        ),
        pytest.param(
            "amount: 9, window: day, max_quota_percent: 90",
            tokens(9, holdback=Holdback(100)),
            id="seeds: at most 90 % leaves 10 %",
        ),
        pytest.param(
            "quota_ceiling_usd: 100.00, max_quota_percent: 90%, billing_cycle_start: friday",
            usd(100, Calendar(Every.WEEK, day=4), holdback=Holdback(100)),
            id="seeds: a weekly budget in their words",
        ),
        pytest.param(
            "quota_ceiling_usd: 100, reserved_budget_usd: 5, window: {every: month}, billing_cycle_start: 15",
            usd(100, Calendar(Every.MONTH, day=15), holdback=Holdback(amount=5_000_000)),
            id="seeds: a month from the day of the bill",
        ),
    ],
)
def test_limit(written, limit):
    assert loaded(f"limits: [{{id: a, {written}}}]").limits == (limit,)


def test_windows_are_in_the_zone_of_the_configuration():
    config = loaded("{timezone: Europe/Berlin, limits: [{id: a, amount: 5, window: day}]}")
    assert config.limits == (tokens(5, Calendar(Every.DAY, "Europe/Berlin"), zone="Europe/Berlin"),)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        pytest.param("limits:", ["anthropic-monthly", "run-cap"], id="nothing written: the defaults"),
        pytest.param("limits: []", [], id="an empty list: no limits"),
        pytest.param("limits: [{id: a, amount: 5, window: day}]", ["a"], id="limits replace the defaults"),
    ],
)
def test_limits_replace_the_defaults(text, ids):
    assert [limit.id for limit in loaded(text).limits] == ids


MONTHLY, CAP = {"ANTHROPIC_QUOTA_LIMIT": "100_000_000"}, {"MAX_TOKENS_PER_WORKFLOW": "2M"}


@pytest.mark.parametrize(
    ("text", "environ", "limits"),
    [
        pytest.param(
            "",
            MONTHLY,
            [("anthropic-monthly", 100_000_000, Mode.ENFORCE), ("run-cap", 5_000_000, Mode.WARN)],
            id="one chosen, the other still only warns",
        ),
        pytest.param(
            "",
            MONTHLY | CAP,
            [("anthropic-monthly", 100_000_000, Mode.ENFORCE), ("run-cap", 2_000_000, Mode.ENFORCE)],
            id="both chosen",
        ),
        pytest.param(
            "limits: [{id: run-cap, amount: 9, window: run, mode: warn}]",
            CAP,
            [("run-cap", 2_000_000, Mode.ENFORCE)],
            id="the variable wins over the file",
        ),
        pytest.param(
            "limits: [{id: a, amount: 9, window: day}]",
            CAP,
            [("a", 9, Mode.ENFORCE), ("run-cap", 2_000_000, Mode.ENFORCE)],
            id="a chosen default stands beside the file's limits",
        ),
        pytest.param("limits: []", {"MAX_TOKENS_PER_WORKFLOW": ""}, [], id="an empty variable chooses nothing"),
    ],
)
def test_variables_enforce_the_default_limits(text, environ, limits):
    assert [(limit.id, limit.amount, limit.mode) for limit in loaded(text, environ).limits] == limits


def test_a_variable_in_tokens_does_not_fit_a_limit_in_dollars():
    with pytest.raises(ConfigError) as caught:
        loaded("limits: [{id: run-cap, unit: usd, amount: 9, window: run}]", CAP)
    assert caught.value.problems == [
        "MAX_TOKENS_PER_WORKFLOW: the limit run-cap counts usd, not tokens: unset the variable"
    ]


@pytest.mark.parametrize(
    "observed", ["claude/five_hour", "claude/weekly_model/opus", "codex/weekly", "anthropic/monthly_spend"]
)
def test_a_limit_that_a_provider_reports_on_is_written_as_it_can_be_read(observed: str) -> None:
    (limit,) = loaded(f"limits: [{{id: a, amount: 90%, observed: {observed}, match: {{account: max-1}}}}]").limits
    (again,) = loaded(yaml.safe_dump({"limits": [written_limit(limit)]})).limits
    assert again == limit
