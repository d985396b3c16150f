"""Rules as data: what ships, what the config may change, and every mistake with its way out."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.api import ROUTES
from quota_scheduler.cli import VERBS
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.data_files import data_dir
from quota_scheduler.errors import ConfigError, StartError

SHIPPED = {rule.id: rule for rule in load_rules()}
ROOT = Path(__file__).parents[2]
MINIMAL = {
    "id": "high", "reading": "usage_ratio", "op": ">=", "threshold": 0.8, "clear": 0.7, "for": "1m",
    "severity": "warning", "summary": "High", "title": "{limit}", "message": ["{limit} is high."],
}  # fmt: skip


def test_the_shipped_numbers():
    shown = {
        rule.id: (rule.threshold, rule.clear, rule.hold.total_seconds(), rule.severity.value)
        for rule in SHIPPED.values()
    }
    assert shown == {
        "exhausted": (1.0, 0.98, 0, "critical"),
        "usage_nearly_exhausted": (0.95, 0.93, 30, "critical"),
        "usage_high": (0.8, 0.75, 30, "warning"),
        "burn_fast": (1.0, 0.9, 120, "critical"),
        "burn_slow": (1.0, 0.9, 900, "warning"),
        "forecast_over_limit": (1.0, 0.9, 1800, "warning"),
        "expiring_unused": (0.1, 0.05, 1800, "warning"),
        "deferred_without_cause": (1800, 60, 900, "warning"),
        "deferred_too_long": (2, 1, 900, "warning"),
        "cache_drop": (0.9, 0.92, 3600, "warning"),
        "cache_low": (0.9, 0.92, 86_400, "info"),
        "run_over_cap": (1, 1, 0, "critical"),
        "high_usage_run": (3_000_000, 3_000_000, 0, "warning"),
        "source_stale": (900, 300, 900, "warning"),
        "unpriced_usage": (0, 0, 300, "warning"),
        "provider_refuses": (900, 60, 0, "warning"),
        "used_elsewhere": (3, 1, 0, "warning"),
        "provider_changed": (0, 0, 0, "info"),
        "provider_silent": (3600, 600, 0, "warning"),
    }


def test_trap_usage_alerts_have_a_floor():
    ladder = [rule for rule in SHIPPED.values() if rule.reading.endswith("_ratio") or rule.reading.startswith("burn_")]
    assert {rule.id: dict(rule.floor) for rule in ladder} == {
        rule.id: {"tokens": 1_000, "usd": 500_000, "requests": 5} for rule in ladder
    }


def changed(**change: object):
    return {rule.id: rule for rule in load_rules({"usage_high": change})}["usage_high"]


def test_the_config_may_change_one_rule():
    rule = changed(**{"threshold": "70%", "for": "5m", "severity": "critical", "receivers": ["ops"], "repeat": "never",
                      "floor": {"usd": 5}})  # fmt: skip
    assert (rule.threshold, rule.clear, rule.hold, rule.severity, rule.receivers, rule.repeat) == (
        0.7, 0.65, timedelta(minutes=5), Severity.CRITICAL, ("ops",), timedelta(0),
    )  # fmt: skip
    assert dict(rule.floor) == {"tokens": 1_000, "usd": 5_000_000, "requests": 5}


@pytest.mark.parametrize("never", [0, "0s", "never", timedelta(0)])
def test_a_length_of_nothing_is_allowed(never):
    rule = changed(**{"for": never, "keep_firing_for": never})
    assert (rule.hold, rule.keep_firing_for) == (timedelta(0), timedelta(0))


def test_a_rule_may_be_switched_off():
    assert {rule.id for rule in load_rules({"burn_fast": {"enabled": False}})} == SHIPPED.keys() - {"burn_fast"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"usage_hihg": {}}, "alerts.rules.usage_hihg: there is no such rule; the rules are burn_fast",
                     id="unknown rule"),
        pytest.param({"usage_high": {"treshold": 0.7}}, "alerts.rules.usage_high.treshold: there is no such key",
                     id="unknown key"),
        pytest.param({"usage_high": {"for": "soon"}}, "alerts.rules.usage_high.for: 'soon' is not a length of time",
                     id="not a length of time"),
        pytest.param({"usage_high": {"threshold": 80}}, "alerts.rules.usage_high.threshold: 80 is no ratio; write 0.8",
                     id="a percentage for a ratio"),
        pytest.param({"usage_high": {"clear": 0.9}}, "alerts.rules.usage_high.clear: 0.9 must lie at or below",
                     id="a mark above its threshold"),
        pytest.param({"cache_low": {"clear": 0.8}}, "alerts.rules.cache_low.clear: 0.8 must lie at or above",
                     id="a mark below a lower threshold"),
        pytest.param({"usage_high": {"severity": "bad"}},
                     "alerts.rules.usage_high.severity: write one of info, warning, critical (given: 'bad')",
                     id="unknown severity"),
        pytest.param({"usage_high": {"receivers": ["opps"]}},
                     "alerts.rules.usage_high.receivers: there is no receiver 'opps'; configured are: ops",
                     id="unknown receiver"),
        pytest.param({"usage_high": {"floor": {"eur": 1}}}, "alerts.rules.usage_high.floor: 'eur' is not a valid Unit",
                     id="unknown unit"),
        pytest.param({"usage_high": {"floor": 5}}, "alerts.rules.usage_high.floor: write one amount by unit",
                     id="a floor without a unit"),
    ],
)  # fmt: skip
def test_a_wrong_change(changes, problem):
    with pytest.raises(ConfigError) as raised:
        load_rules(changes, receivers=("ops",))
    [told] = raised.value.problems
    assert told.startswith(problem)


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigError) as raised:
        load_rules({"nothing": {}, "usage_high": {"for": "x", "treshold": 1}, "exhausted": {"clear": 2}})
    assert len(raised.value.problems) == 4


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"reading": "mood"}, "rules.yaml: high.reading: 'mood' is not known", id="unknown reading"),
        pytest.param(
            {"message": ["{mood}"]}, "rules.yaml: high: {mood} is not known for usage_ratio", id="unknown name"
        ),
        pytest.param({"under": ["low"]}, "rules.yaml: high.under: there is no rule 'low'", id="unknown rung"),
        pytest.param({"under": ["high"]}, "rules.yaml: high.under: a rule cannot be under itself", id="its own rung"),
        pytest.param({"mood": 1}, "rules.yaml: high.mood: there is no such key", id="unknown key"),
        pytest.param({"message": None}, "rules.yaml: high.message: write a list of texts", id="no message"),
        pytest.param({"message": []}, "rules.yaml: high.message: write one line at least", id="an empty message"),
        pytest.param({"id": "High"}, "rules.yaml: High.id: write small letters", id="an id in capitals"),
        pytest.param({"drop_share": 1}, "rules.yaml: high.drop_share: write a share", id="all of it for a share"),
        pytest.param({"once": "no"}, "rules.yaml: high.once: write true or false", id="a text for a truth"),
    ],
)
def test_a_wrong_rule_file(tmp_path, change, problem):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [{**MINIMAL, **change}]}))
    with pytest.raises(ConfigError) as raised:
        load_rules(path=path)
    assert raised.value.problems[0].startswith(problem)


def test_everything_that_a_rule_must_say_and_does_not_is_named(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [{"id": "high", "op": ">="}]}))
    with pytest.raises(ConfigError) as raised:
        load_rules(path=path)
    missing = ("reading", "threshold", "clear", "for", "severity", "summary", "title", "message")
    assert raised.value.problems == [f"rules.yaml: high.{name}: is missing" for name in missing]


@pytest.mark.parametrize("text", ["", "rules: 3", "- 1", "a: [", "rules: [7]"])
def test_a_file_that_holds_no_rules(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"rules\.yaml"):
        load_rules(path=path)


def test_the_same_rule_twice(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [MINIMAL, MINIMAL]}))
    with pytest.raises(ConfigError, match="high: is there twice"):
        load_rules(path=path)


def test_shipped_data_is_found_and_what_is_missing_is_named():
    assert (data_dir("alerts") / "rules.yaml").is_file()
    with pytest.raises(StartError, match="the folder 'horses' is missing"):
        data_dir("horses")


@pytest.mark.parametrize("rule", SHIPPED.values(), ids=SHIPPED)
def test_every_rule_is_documented_with_its_numbers_and_has_a_runbook(rule):
    table = (ROOT / "docs/reference/alerts.md").read_text(encoding="utf-8")
    rules = table.split("What the readings are")[0]
    [row] = [line for line in rules.splitlines() if line.startswith(f"| `{rule.id}` |")]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1:] == [
        f"`{rule.reading}` {rule.op.value} {rule.threshold:g}", f"{rule.clear:g}", short(rule.hold),
        short(rule.keep_firing_for), short(rule.repeat) if rule.repeat else "never", rule.severity.value,
    ]  # fmt: skip
    runbook = (
        (data_dir("alerts") / "runbooks.md").read_text(encoding="utf-8").split(f"## {rule.id}\n")[1].split("\n## ")[0]
    )
    assert runbook.lstrip().startswith("**Look at**")


def test_M14_what_a_runbook_tells_to_run_is_a_verb():
    runbooks = (data_dir("alerts") / "runbooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`quota-scheduler ([a-z]+)", runbooks))
    assert told
    assert told <= VERBS.keys()


def test_M14_what_a_runbook_tells_to_ask_is_a_path():
    runbooks = (data_dir("alerts") / "runbooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(GET|POST|PATCH|DELETE) (/v1/[a-z/]+[a-z])[`/?]", runbooks))
    assert told
    assert told <= {(method, path.split("/{")[0]) for method, path, *_ in ROUTES}


def test_M15_the_burn_that_pages_is_one_that_goes_on():
    assert [rule.id for rule in SHIPPED.values() if rule.goes_on] == ["burn_fast"]


def short(length: timedelta) -> str:
    """A length as the rule file writes it."""
    seconds = int(length.total_seconds())
    for name, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"
