"""Who is told of alerts, and what is changed about the alert rules that ship."""

from __future__ import annotations

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.nodes import Listing
from quota_scheduler.config.scalars import (
    amount,
    level,
    not_among,
    one_of,
    one_of_names,
    secret_url,
    slug,
    span_or_zero,
    text,
    yes_or_no,
)
from quota_scheduler.config.tree import Receiver
from quota_scheduler.core.alerts.routing import MATCHABLE, Matchers
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.core.units import Unit, in_units


def read_receivers(top: Fields) -> tuple[Receiver, ...]:
    """Every receiver of the list, ids unique."""
    read: dict[str, Receiver] = {}
    for fields_ in top.each("receivers"):
        with fields_ as one:
            receiver = Receiver(
                id=one.require("id", slug, "", "name it, as in `id: ops`"),
                url=one.require(
                    "url", secret_url, "", "write an Apprise address, as in `url: ${SLACK_URL}`", secret=True
                ),
                min_severity=one.read("min_severity", one_of(Severity), Severity.INFO),
                match=_match(one),
            )
            if receiver.id and receiver.id in read:
                one.complain("id", f"{receiver.id!r} is the id of an earlier receiver: give each its own")
            read[receiver.id] = receiver
    return tuple(read.values())


def _match(fields_: Fields) -> Matchers:
    """What a receiver is told about: names and patterns, several of a name as alternatives."""
    read = []
    for name, node in sorted(fields_.entries("match").items()):
        if name not in MATCHABLE:
            fields_.problems.add(node, f"the name {not_among(name, MATCHABLE)}")
        elif values := fields_.all_of(node, text):
            read.append((name, "|".join(values)))
        elif isinstance(node, Listing):
            fields_.problems.add(node, "fits nothing: name a value or remove it")
    return tuple(read)


def read_alert_rules(top: Fields, receivers: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """What is changed about alert rules, by rule: the keys that are given. Which rules there are is not known here."""
    read = {}
    with top.section("alerts") as alerts:
        for rule, node in sorted(alerts.entries("rules").items()):
            with alerts.inside(node) as one:
                given: dict[str, object] = {
                    "enabled": one.read("enabled", yes_or_no, None),
                    "threshold": one.read("threshold", level, None),
                    "clear": one.read("clear", level, None),
                    "for": one.read("for", span_or_zero, None),
                    "keep_firing_for": one.read("keep_firing_for", span_or_zero, None),
                    "rearm": one.read("rearm", span_or_zero, None),
                    "tell_from": one.read("tell_from", span_or_zero, None),
                    "repeat": one.read("repeat", span_or_zero, None),
                    "floor": _floor(one) or None,
                    "evidence": one.read("evidence", level, None),
                    "severity": one.read("severity", one_of(Severity), None),
                    "receivers": list(one.several("receivers", one_of_names(receivers)))
                    if one.has("receivers")
                    else None,
                    "runbook": one.read("runbook", text, None),
                }
                one.know("receivers")
            read[rule] = {key: value for key, value in given.items() if value is not None}
    return read


def _floor(rule: Fields) -> dict[str, int | float]:
    with rule.section("floor") as floor:
        given = {unit: floor.read(unit.value, amount(unit), None) for unit in Unit}
    return {unit.value: in_units(size, unit) for unit, size in given.items() if size is not None}
