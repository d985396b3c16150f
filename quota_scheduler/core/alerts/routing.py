"""Who is told: receivers and silences match what is known of an alert."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Protocol

from quota_scheduler.core.alerts.rule import AlertRule, Facts, Severity

Matchers = tuple[tuple[str, str], ...]
"""Names and shell patterns, alternatives with ``|``; all of them must fit, and none fit everything."""
MATCHABLE = (
    *("rule", "severity", "scope", "limit", "provider", "account", "model", "team", "project", "workflow"),
    *("task_type", "run", "source", "unit", "period", "mode"),
)
"""What a silence or a receiver may match: the alert's own names, and the labels that are known of its scope."""


def named(rule: str, severity: Severity, scope: str, facts: Facts) -> dict[str, str]:
    """Tell what is known of an alert by the names that matchers may use."""
    labels = {name: str(facts[name]) for name in MATCHABLE if facts.get(name) not in (None, "")}
    return {**labels, "rule": rule, "severity": severity.value, "scope": scope}


def fits(matchers: Matchers, names: Mapping[str, str]) -> bool:
    """Tell whether every matcher fits; a name that is not known counts as empty, which only ``*`` fits."""
    return all(_fits_one(names.get(name, ""), pattern) for name, pattern in matchers)


def _fits_one(value: str, pattern: str) -> bool:
    return any(fnmatchcase(value, part) for part in pattern.split("|"))


class Target(Protocol):
    """A receiver as routing sees it."""

    @property
    def id(self) -> str: ...
    @property
    def min_severity(self) -> Severity: ...
    @property
    def match(self) -> Matchers: ...


def wants(target: Target, rule: AlertRule, names: Mapping[str, str]) -> bool:
    """Tell whether a rule is routed to a receiver: by name where the rule names any, else by severity and labels."""
    if rule.receivers:
        return target.id in rule.receivers
    names_of_rule = {**names, "rule": rule.id, "severity": rule.severity.value}
    return rule.severity.rank >= target.min_severity.rank and fits(target.match, names_of_rule)
