"""The forecast as the API answers it: the founding documents' endpoint, a limit with its fan, what to believe."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import START, Edge, event, start

LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: usd, amount: 10, window: day}
  - {id: monthly, match: {provider: anthropic}, unit: tokens, amount: 30k, window: month}
  - {id: at-once, match: {provider: anthropic}, unit: leases, amount: 5}
"""
SEED_FIELDS = {
    "current_month_tokens", "days_elapsed", "days_remaining", "daily_avg_tokens", "projected_total", "quota_limit",
    "risk_level", "risk_explanation", "will_exceed_by", "confidence", "recommendations", "recent_usage_days", "trend",
    "recent_usage", "timestamp",
}  # fmt: skip
"""What the founding document's two functions return; its ``error`` is a risk of ``unknown`` here."""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    found = start(tmp_path, LIMITS)
    yield found
    found.service.stop()


def a_past(edge: Edge, days: int, tokens: int) -> None:
    """The same usage at noon of each of so many days, and a little this morning."""
    noon = START.replace(hour=12)
    past = [
        event(f"d{n}", tokens, run=f"r{n}", at=(noon - timedelta(days=n)).isoformat(), labels={"workflow": "nightly"})
        for n in range(days, 0, -1)
    ]
    edge.post("/v1/usage", past)
    edge.post("/v1/usage", event("now", 10))
    edge.service.tick()


def test_every_field_of_the_founding_document_is_there_and_true(edge: Edge) -> None:
    a_past(edge, 40, 500)
    found = edge.get("/api/quota/forecast")
    assert found.keys() >= SEED_FIELDS
    names = ("limit", "unit", "month", "current_month_tokens", "quota_limit", "trend")
    assert {name: found[name] for name in names} == {
        "limit": "monthly",
        "unit": "tokens",
        "month": "2026-11",
        "current_month_tokens": 21 * 500 + 10,
        "quota_limit": 30_000,
        "trend": "stable",
    }  # fmt: skip
    assert found["days_elapsed"] + found["days_remaining"] == 30
    assert 400 < found["daily_avg_tokens"] < 600
    assert found["projected_low"] <= found["projected_total"] <= found["projected_high"]
    assert found["will_exceed_by"] == 0
    assert 0 < found["confidence"] < 1
    assert found["recent_usage"][:2] == [
        {"date": "2026-11-22", "total_tokens": 10, "workflow_count": 0},
        {"date": "2026-11-21", "total_tokens": 500, "workflow_count": 1},
    ]
    assert (len(found["recent_usage"]), found["recent_usage_days"]) == (7, 7)
    assert found["timestamp"] == "2026-11-22T09:00:00Z"
    assert len(found["explained"]) == 5
    assert found["track_record"] is None, "no whole month lies behind yet"


@pytest.mark.parametrize(
    ("tokens", "risk", "first"),
    [
        pytest.param(500, "low", "Carry on as usual.", id="low"),
        pytest.param(760, "medium", "Look at usage daily.", id="medium"),
        pytest.param(2_000, "critical", "Expected to pass the limit by ", id="critical"),
    ],
)
def test_recommendations_follow_the_risk_and_are_true(edge: Edge, tokens: int, risk: str, first: str) -> None:
    a_past(edge, 40, tokens)
    found = edge.get("/api/quota/forecast")
    assert found["risk_level"] == risk
    assert found["recommendations"][0].startswith(first)
    if risk == "critical":
        assert found["will_exceed_by"] == found["projected_total"] - 30_000 > 0
        assert "Look at the largest share first: 100 % by workflow nightly." in found["recommendations"]


def test_under_seven_days_no_confidence_and_no_risk_is_named(edge: Edge) -> None:
    a_past(edge, 3, 500)
    found = edge.get("/api/quota/forecast")
    assert {name: found[name] for name in ("risk_level", "confidence", "trend", "recommendations")} == {
        "risk_level": "unknown",
        "confidence": None,
        "trend": "unknown",
        "recommendations": ["Wait for seven days of history before relying on the projection."],
    }
    assert found["risk_explanation"] == "No risk is named with 2.9 days of history: seven are needed."


def test_another_limit_is_answered_in_its_own_unit(edge: Edge) -> None:
    edge.post("/v1/usage", event("paid", 10, cost_usd=2.5))
    edge.service.tick()
    found = edge.get("/api/quota/forecast?limit=daily")
    assert (found["unit"], found["quota_limit"], found["current_month_tokens"]) == ("usd", 10.0, 2.5)


def fan_of(found: dict[str, Any]) -> list[list[float]]:
    return [each["quantiles"] for each in found["forecast"]["fan"]]


def test_a_limits_forecast_has_its_fan_and_its_track_record(edge: Edge) -> None:
    a_past(edge, 60, 500)
    found = edge.get("/v1/limits/monthly/forecast")
    fan = fan_of(found)
    assert fan[0] == [21 * 500 + 10] * 5
    assert all(row == sorted(row) for row in fan)
    assert all(column == sorted(column) for column in map(list, zip(*fan, strict=True)))
    assert found["forecast"]["fan"][-1]["at"] == "2026-12-01T00:00:00Z"
    course = [point["used"] for point in found["forecast"]["course"]]
    assert (course[0], course[-1], len(course)) == (500, 21 * 500 + 10, 22)
    track = found["forecast"]["track_record"]
    assert (track["judged"], len(track["by_horizon"])) == (5, 5)
    assert edge.get("/api/quota/forecast?limit=monthly")["track_record"] == track


def test_what_has_no_windows_has_no_forecast(edge: Edge) -> None:
    edge.service.tick()
    assert edge.ask("GET", "/v1/limits/at-once/forecast").title == "no_forecast"


def test_gauges_show_how_far_forecasts_can_be_believed(edge: Edge) -> None:
    past = [
        event(f"d{n}", 100, run=f"r{n}", cache_read=300, cost_usd=1, at=(START - timedelta(days=n)).isoformat())
        for n in range(20, 0, -1)
    ]
    edge.post("/v1/usage", past)
    edge.service.tick()
    text = edge.ask("GET", "/metrics").body
    for series in (
        'quota_forecast_coverage_ratio{limit="daily"}',
        'quota_forecast_error_ratio{horizon="over_75",limit="daily"}',
        'quota_forecast_brier_ratio{horizon="over_0",limit="daily"}',
        'quota_run_tokens_mean{limit="daily"} 400.0',
        'quota_runs_remaining{limit="daily"} 10.0',
        'quota_cache_hit_ratio{limit="daily",lookback="7d"} 1.0',
    ):
        assert series in text
