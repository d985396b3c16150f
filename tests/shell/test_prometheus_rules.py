"""The files for Prometheus and Alertmanager: generated from the service's rules, checked by their own programs."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from alerts.build import cases, files, rules
from alerts.prometheus import ALERTS, BY_RULE, QUOTA, SERVICE, factor
from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.readings.burn import CLASSES
from quota_scheduler.data_files import data_dir
from quota_scheduler.metrics.table import FAMILIES

FOLDER = data_dir("alerts")
SHIPPED = {rule.id: rule for rule in load_rules()}
PARTS = 4
"""The unit tests are run in so many parts, side by side."""
REFERENCE = {
    "QuotaExhausted": ("", "critical"), "QuotaNearlyExhausted": ("2m", "critical"), "QuotaUsageHigh": ("2m", "warning"),
    "QuotaBurnFast": ("2m", "critical"), "QuotaBurnSlow": ("15m", "warning"),
    "QuotaForecastOverLimit": ("30m", "warning"), "QuotaReservationsOvercommitted": ("15m", "warning"),
    "QuotaReservationsLeaking": ("", "warning"), "QuotaCacheHitDropped": ("1h", "warning"),
    "QuotaWorkflowOverBudget": ("", "warning"), "QuotaDeferredStuck": ("15m", "warning"),
    "QuotaAdmissionRejecting": ("10m", "warning"), "QuotaAdmissionSlow": ("10m", "warning"),
    "QuotaUsageDataStale": ("15m", "warning"), "QuotaForecastMiscalibrated": ("6h", "info"),
    "QuotaSchedulerDown": ("2m", "critical"), "QuotaSchedulerSnapshotStale": ("", "critical"),
    "QuotaSchedulerNoLeader": ("2m", "critical"), "QuotaSchedulerManyLeaders": ("1m", "critical"),
    "QuotaSchedulerTaskFailing": ("5m", "warning"), "QuotaSchedulerTaskOverrunning": ("", "warning"),
    "QuotaSchedulerDatabaseDown": ("2m", "critical"), "QuotaNotificationsFailing": ("5m", "critical"),
    "QuotaNotificationBacklog": ("", "critical"), "QuotaWatchdog": ("", "none"),
}  # fmt: skip
"""Every alert that must ship, with how long it waits and how bad it is."""


@pytest.mark.parametrize("name", files())
def test_what_is_committed_is_what_is_generated(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == files()[name], "run `python -m alerts.build`"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("promtool", ["check", "rules", "prometheus-rules.yml"], id="the rules load"),
        pytest.param("amtool", ["check-config", "alertmanager.yml"], id="the Alertmanager example loads"),
    ],
)
def test_their_own_programs_are_content(program: Callable[[str], str], name, arguments):
    done = subprocess.run([program(name), *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", range(PARTS))
def test_they_fire_and_do_not_fire(program: Callable[[str], str], tmp_path: Path, part: int):
    every = cases()
    path = tmp_path / "part.yml"
    some = {**every, "rule_files": [str(FOLDER / "prometheus-rules.yml")], "tests": every["tests"][part::PARTS]}
    path.write_text(yaml.safe_dump(some))
    command = [program("promtool"), "test", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_that_fires_and_one_that_does_not():
    found = [case for test in cases()["tests"] for case in test["alert_rule_test"]]
    for fires in (True, False):
        named = {case["alertname"] for case in found if bool(case["exp_alerts"]) is fires}
        assert {alert.name for alert in ALERTS} - named == (set() if fires else {"QuotaWatchdog"})


def test_every_alert_of_the_reference_ships_with_its_patience_and_severity():
    assert {alert.name: (alert.hold, alert.severity) for alert in ALERTS if alert.name in REFERENCE} == REFERENCE


def test_every_rule_of_the_service_has_its_alert():
    assert set(BY_RULE) == set(SHIPPED)
    shared = {alert.rule: alert for alert in ALERTS if alert.rule}
    assert {name: alert.severity for name, alert in shared.items()} == {
        name: SHIPPED[name].severity.value for name in shared
    }


@pytest.mark.parametrize(
    ("alert", "rule", "comparison"),
    [
        ("QuotaExhausted", "exhausted", ">= {:g}"),
        ("QuotaNearlyExhausted", "usage_nearly_exhausted", ">= {:g} < 1"),
        ("QuotaUsageHigh", "usage_high", ">= {:g} < 0.95"),
        ("QuotaBurnFast", "burn_fast", "ratio > {:g}\n"),
        ("QuotaBurnSlow", "burn_slow", "ratio > {:g}\n"),
        ("QuotaForecastOverLimit", "forecast_over_limit", "> {:g}\n"),
        ("QuotaCacheHitDropped", "cache_drop", "< {:g}\n"),
        ("QuotaDeferredStuck", "deferred_too_long", " {:g} * limit:quota_window:seconds"),
        ("QuotaDeferredStuck", "deferred_without_cause", " > {:g}\n"),
        ("QuotaUsageDataStale", "source_stale", " > {:g}\n"),
    ],
)
def test_both_paths_use_the_same_marks(alert, rule, comparison):
    (found,) = (entry for group in written()["groups"] for entry in group["rules"] if entry.get("alert") == alert)
    assert comparison.format(SHIPPED[rule].threshold) in found["expr"] + "\n"


def written() -> dict:
    """The committed rule file."""
    return yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("known", CLASSES, ids=lambda known: f"{known.length}")
@pytest.mark.parametrize("speed", ["fast", "slow"])
def test_the_burn_factor_follows_the_length_of_the_window(known, speed):
    text = re.sub(r"limit:quota_window:seconds >= bool (\d+)", r"(L >= \1)", factor(speed))
    value = eval(text.replace("round(", "rounded("), {"L": known.length.total_seconds(), "rounded": lambda x, _: x})
    assert value == pytest.approx(getattr(known, speed))


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_every_alert_is_complete_and_has_its_runbook(alert):
    (entry,) = (e for group in rules()["groups"] for e in group["rules"] if e.get("alert") == alert.name)
    assert alert.name.startswith("Quota")
    assert set(entry["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert entry["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert re.search(r"[<>]=? |== ", entry["expr"]), "an alert compares"
    section = entry["annotations"]["runbook_url"].removeprefix("alerts/runbooks.md#")
    assert f"\n## {section}\n\n**Look at** " in (FOLDER / "runbooks.md").read_text(encoding="utf-8")
    assert "$labels.instance" not in str(entry["annotations"])


def test_there_is_no_runbook_without_an_alert():
    sections = re.findall(r"^## (\w+)$", (FOLDER / "runbooks.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted({alert.rule or alert.name for alert in ALERTS} | set(SHIPPED))


def test_every_metric_that_a_rule_names_is_exported():
    known = {family.name for family in FAMILIES} | {"up"}
    named = {
        name.removesuffix("_bucket")
        for group in written()["groups"]
        for entry in group["rules"]
        for name in re.findall(r"(?<![\w:])(quota_\w+|up)(?=[{)\[ ]|$)", entry["expr"])
    }
    assert named - known == set()


def test_trap_a_dead_exporter_is_no_all_clear_and_replicas_are_not_added_up():
    assert [alert.name for alert in QUOTA if alert.keep != "10m"] == []
    snapshots = [family.name for family in FAMILIES if not family.live]
    summed = re.compile(r"sum [^(]*\([^()]*\) \((?!max without \(instance\))")
    assert [a.name for a in QUOTA + SERVICE if any(s in a.expr for s in snapshots) and summed.search(a.expr)] == []


def test_of_one_limit_the_ladder_is_that_of_the_service():
    manager = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
    over = {
        (rule["source_matchers"][0].split('"')[1], name)
        for rule in manager["inhibit_rules"]
        for name in re.split(r"\W+", rule["target_matchers"][0].split('"')[1])
        if rule["source_matchers"][0].startswith("alertname=")
    }
    ladder = {
        (BY_RULE[upper], BY_RULE[rule.id])
        for rule in SHIPPED.values()
        for upper in rule.under
        if BY_RULE[upper] != BY_RULE[rule.id]
    }
    assert ladder <= over | {(lower, upper) for upper, lower in over}
    assert {pair for pair in over if pair[::-1] in over} == set(), "two that inhibit each other are both silent"
