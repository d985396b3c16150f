"""Names and prices at the edge: tickets without a model, price terms of events, prices that come later."""

from datetime import timedelta

import pytest

from quota_scheduler.assemble import reload
from quota_scheduler.config import load
from tests.shell.edge import event, start, ticket

LIMITS = """
limits:
  - {id: opus, match: {provider: Anthropic, model: claude-opus-4-6}, amount: 1000, window: day, holdback: 0}
  - {id: month, unit: usd, amount: 100, window: month, holdback: 0}
"""
PRICES = "prices: {claude-nova-9: {input: 1, output: 5}}\n"
NOVA = {"model": "claude-nova-9", "input": 100_000}


@pytest.fixture
def edge(tmp_path):
    edge = start(tmp_path, LIMITS)
    yield edge
    edge.service.stop()


def used(edge, limit):
    edge.service.tick()
    return next(one for one in edge.get("/v1/limits")["limits"] if one["limit"] == limit)["used"]


def unpriced_alert(edge):
    for _ in range(3):
        edge.clock.advance(timedelta(minutes=4))
        edge.service.tick()
    return [alert["phase"] for alert in edge.get("/v1/alerts")["alerts"] if alert["rule"] == "unpriced_usage"]


def test_B2_a_ticket_that_names_no_model_waits_for_the_full_one_and_is_told_why(edge):
    edge.post("/v1/usage", [event("e1", 1000, provider="anthropic", model="us.anthropic.claude-opus-4-6-v1:0")])
    body = edge.post("/v1/preflight", ticket("t", 500))
    assert (body["verdict"], body["message"].partition("It names no model")[2]) == (
        "defer",
        ", so it is bound by the limit opus, which is about models it could call: name the model it will call.",
    )
    assert edge.post("/v1/preflight", ticket("t", 500, model="claude-haiku-4-5"))["verdict"] == "admit"


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        pytest.param({}, 0.75, id="B7: plain"),
        pytest.param({"speed": "fast"}, 1.5, id="B7: fast"),
        pytest.param({"inference_geo": "us"}, 0.825, id="B7: kept in the US"),
        pytest.param({"service_tier": "batch"}, 0.375, id="B7: batch"),
        pytest.param({"web_searches": 50}, 1.25, id="B8: web searches"),
        pytest.param({"speed": "fast", "cost_usd": 0.2}, 0.2, id="a cost that is named stays"),
        pytest.param({"cost_usd": 0.0000004}, 0.0, id="B10: below what is shown"),
    ],
)
def test_an_event_says_what_its_price_depends_on(edge, said, usd):
    edge.post("/v1/usage", [event("e1", 10_000, model="claude-opus-5", input=100_000, **said)])
    assert used(edge, "month") == usd


def test_B6_a_price_corrects_the_charge_by_a_reload_and_ends_the_alert(edge, tmp_path):
    edge.post("/v1/usage", [event("e1", 10_000, **NOVA)])
    estimated = used(edge, "month")
    firing = unpriced_alert(edge)
    (tmp_path / "quota.yaml").write_text(f"database: sqlite:///quota.db\n{LIMITS}{PRICES}")
    reload(edge.service, lambda: load(tmp_path / "quota.yaml", {"HOME": str(tmp_path)}))
    assert (estimated > 1, firing, used(edge, "month"), unpriced_alert(edge)) == (True, ["firing"], 0.15, ["resolved"])


def test_B6_a_price_corrects_the_charge_by_a_restart(edge, tmp_path):
    edge.post("/v1/usage", [event("e1", 10_000, **NOVA), event("e2", 10_000, cost_usd=0.5, **NOVA)])
    edge.service.stop()
    again = start(tmp_path, LIMITS + PRICES, clock=edge.clock)
    assert used(again, "month") == 0.65
    again.service.stop()
    edge.service = start(tmp_path, LIMITS, clock=edge.clock).service


def test_M13_no_price_is_missed_where_nothing_counts_dollars_or_no_model_is_named(tmp_path):
    edge = start(tmp_path)
    edge.post("/v1/usage", [event("e1", 10_000, **NOVA)])
    assert unpriced_alert(edge) == []
    edge.service.stop()


@pytest.mark.parametrize(
    ("tokens", "model"), [pytest.param(5, "claude-nova-9", id="a trifle"), pytest.param(50_000, "", id="no model")]
)
def test_M13_a_trifle_and_work_without_a_model_alarm_nobody(edge, tokens, model):
    edge.post("/v1/usage", [event("e1", tokens, model=model)])
    assert [state for state in unpriced_alert(edge) if state in ("pending", "firing")] == []
