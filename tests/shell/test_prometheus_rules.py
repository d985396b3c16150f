"""The files for Prometheus and Alertmanager, checked by their own programs, and held to the service's rules."""

import subprocess
from collections.abc import Callable

import pytest
import yaml

from quota_scheduler.rules import load_rules
from quota_scheduler.shipped import data_dir

ALERTS = data_dir("alerts")
RULES = [
    rule
    for group in yaml.safe_load((ALERTS / "prometheus-rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
SHIPPED = {rule.id: rule for rule in load_rules()}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("promtool", ["check", "rules", "prometheus-rules.yml"], id="the rules load"),
        pytest.param("promtool", ["test", "rules", "prometheus-rules.test.yml"], id="they fire, and do not fire"),
        pytest.param("amtool", ["check-config", "alertmanager.yml"], id="the Alertmanager example loads"),
    ],
)
def test_their_own_programs_are_content(program: Callable[[str], str], name, arguments):
    done = subprocess.run([program(name), *arguments], cwd=ALERTS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "rule", "comparison"),
    [
        ("QuotaExhausted", "exhausted", ">= {:g}"),
        ("QuotaNearlyExhausted", "usage_nearly_exhausted", ">= {:g} <"),
        ("QuotaUsageHigh", "usage_high", ">= {:g} <"),
        ("QuotaForecastOverLimit", "forecast_over_limit", "> {:g}"),
    ],
)
def test_both_paths_use_the_same_marks(alert, rule, comparison):
    [found] = [entry for entry in RULES if entry["alert"] == alert]
    assert comparison.format(SHIPPED[rule].threshold) in found["expr"]
    assert found["labels"]["severity"] == SHIPPED[rule].severity.value
    assert found["annotations"]["runbook_url"] == SHIPPED[rule].runbook


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_is_complete_and_has_its_runbook(rule):
    assert rule["alert"].startswith("Quota")
    assert rule["annotations"].keys() >= {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    section = rule["annotations"]["runbook_url"].removeprefix("alerts/runbooks.md#")
    assert f"\n## {section}\n\n**Look at** " in (ALERTS / "runbooks.md").read_text(encoding="utf-8")


def test_trap_a_dead_exporter_is_no_all_clear_and_replicas_are_not_added_up():
    quota = [rule for rule in RULES if "quota_usage_ratio" in rule["expr"] or "quota_forecast" in rule["expr"]]
    assert [rule["alert"] for rule in quota if rule.get("keep_firing_for") != "10m"] == []
    assert [rule["alert"] for rule in quota if "max without (instance)" not in rule["expr"]] == []


def test_every_alert_has_a_test_that_fires_and_one_that_does_not():
    tests = yaml.safe_load((ALERTS / "prometheus-rules.test.yml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for fires in (True, False):
        named = {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires}
        missing = {rule["alert"] for rule in RULES} - named - ({"QuotaWatchdog"} if not fires else set())
        assert not missing
