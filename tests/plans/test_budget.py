"""The weekly check of a plan: which week, how much of it, and the sentence when it is enough."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.plans.budget import (
    Week,
    as_row,
    chosen,
    cycle_began,
    fresh,
    next_cycle,
    room,
    tightest_week,
    unread,
    why_stop,
)
from quota_scheduler.plans.plan import PlanBudget

FRIDAY = datetime(2026, 11, 27, 12, tzinfo=UTC)


AT = "Stopping: weekly quota usage at {} % (configured max: {} %)"


def used(amount: float, unit: str = "usd") -> Week:
    return Week("weekly", unit, amount, 100.0, None)


@pytest.mark.parametrize(
    ("week", "budget", "says"),
    [
        pytest.param(used(91), PlanBudget(90), AT.format(91, 90), id="past it"),
        pytest.param(used(92), PlanBudget(), AT.format(92, 90), id="default"),
        pytest.param(used(90), PlanBudget(90), AT.format(90, 90), id="at it"),
        pytest.param(used(89.9), PlanBudget(90), "", id="below it"),
        pytest.param(used(95, "percent"), PlanBudget(95.5), "", id="a window in percent"),
        pytest.param(None, PlanBudget(1), "", id="no week is known"),
        pytest.param(
            used(90.5), PlanBudget(reserved_budget_usd=10),
            "Stopping: weekly quota has $9.50 left (configured reserve: $10.00)", id="into the reserve",
        ),
        pytest.param(used(89), PlanBudget(reserved_budget_usd=10), "", id="a reserve in place of a share"),
        pytest.param(
            used(86), PlanBudget(max_quota_percent=85, reserved_budget_usd=10),
            AT.format(86, 85), id="both, the share is met first",
        ),
    ],
)  # fmt: skip
def test_when_a_plan_stops(week, budget, says):
    assert why_stop(week, budget) == says


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        pytest.param(PlanBudget(), 40, id="90 percent of it by default"),
        pytest.param(PlanBudget(max_quota_percent=60), 10, id="a share"),
        pytest.param(PlanBudget(reserved_budget_usd=30), 20, id="a reserve"),
        pytest.param(PlanBudget(max_quota_percent=60, reserved_budget_usd=30), 10, id="the smaller of both"),
        pytest.param(PlanBudget(max_quota_percent=20), -30, id="passed already"),
    ],
)
def test_what_a_plan_may_still_use(budget, left):
    assert room(used(50), budget) == left


def test_an_option_rules_before_a_variable_and_that_before_the_file():
    file = PlanBudget(max_quota_percent=90, quota_ceiling_usd=100, billing_cycle_start=0, limit="weekly")
    assert chosen(file, PlanBudget(80, 50), PlanBudget(70, billing_cycle_start=3)) == PlanBudget(
        70, 50, 3, None, "weekly"
    )


@pytest.mark.parametrize(
    ("weekday", "zone", "began"),
    [
        pytest.param(0, "UTC", "2026-11-23T00:00:00+00:00", id="Monday"),
        pytest.param(4, "UTC", "2026-11-27T00:00:00+00:00", id="today"),
        pytest.param(5, "UTC", "2026-11-21T00:00:00+00:00", id="tomorrow: nearly a week ago"),
        pytest.param(0, "America/New_York", "2026-11-23T00:00:00-05:00", id="in its zone"),
    ],
)
def test_where_a_billing_week_began(weekday, zone, began):
    assert cycle_began(FRIDAY, weekday, zone).isoformat() == began


def test_a_week_with_a_change_of_the_clock_ends_at_midnight():
    began_at = cycle_began(datetime(2026, 10, 24, tzinfo=UTC), 0, "Europe/Berlin")
    assert [began_at.isoformat(), next_cycle(began_at).isoformat()] == [
        "2026-10-19T00:00:00+02:00",
        "2026-10-26T00:00:00+01:00",
    ]


def row(limit: str, used: float, **changes):
    week = {"starts_at": "2026-11-23T00:00:00+00:00", "ends_at": "2026-11-30T00:00:00+00:00"}
    return {"limit": limit, "rule": limit.partition("/")[0], "unit": "usd", "used": used, "amount": 100.0,
            "period": "week", "provider": "anthropic", **week} | changes  # fmt: skip


MONTH = {"period": "month", "starts_at": "2026-11-01T00:00:00+00:00", "ends_at": "2026-12-01T00:00:00+00:00"}
ROWS = [
    row("weekly", 50),
    row("team/docs", 60),
    row("codex", 99, provider="openai"),
    row("monthly", 98, **MONTH),
    row("at-once", 100, unit="leases"),
]


@pytest.mark.parametrize(
    ("provider", "name", "limit"),
    [
        pytest.param("anthropic", "", "team/docs", id="the weekly limit that is used most"),
        pytest.param("openai", "", "codex", id="of its own provider"),
        pytest.param("anthropic", "weekly", "weekly", id="the one named"),
        pytest.param("anthropic", "monthly", "monthly", id="a named one need not be weekly"),
        pytest.param("google", "", None, id="none"),
    ],
)
def test_which_week_is_meant(provider, name, limit):
    week = tightest_week(ROWS, provider, name)
    assert (week.name if week else None) == limit


def test_open_windows_are_newer_than_readings():
    window = row("weekly", 70) | {"open": True}
    closed, percent = row("team/docs", 1) | {"open": False}, row("codex", 1, unit="percent") | {"open": True}
    assert [limit["used"] for limit in fresh(ROWS[:3], [window, closed, percent])] == [70, 60, 99]


@pytest.mark.parametrize(
    ("match", "provider", "of"),
    [
        pytest.param({"provider": ["openai", "anthropic"]}, "anthropic", "anthropic", id="one of its providers"),
        pytest.param({"provider": ["openai"]}, "anthropic", "openai", id="another's"),
        pytest.param({"team": ["docs"]}, "anthropic", "", id="of any provider"),
    ],
)
def test_a_limit_that_was_first_used_since_the_last_tick_counts(match, provider, of):
    new = {name: value for name, value in row("team/new", 95).items() if name not in ("rule", "period", "provider")}
    (window,) = unread(ROWS, [new | {"open": True}, new | {"open": False}, row("weekly", 1) | {"open": True}])
    made = as_row(window, {"id": "team", "match": match}, provider)
    assert (made["provider"], made["rule"]) == (of, "team")
    week = tightest_week([*ROWS, made], provider, "")
    assert (week.name if week else None) == ("team/docs" if of == "openai" else "team/new")
