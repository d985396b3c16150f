"""Rules as data: severities in order, and every template in reach of a check."""

import pytest

from quota_scheduler.core.alerts.rule import SEVERITIES, LateFacts, RuleTexts, Severity


def test_severities_rank_from_mild_to_bad():
    assert [severity.rank for severity in SEVERITIES] == [0, 1, 2]
    assert sorted(Severity, key=lambda severity: severity.rank) == ["info", "warning", "critical"]


@pytest.mark.parametrize(
    ("texts", "templates"),
    [
        pytest.param(RuleTexts("s", "t", ("a", "b")), ("s", "t", "a", "b"), id="the usual end has no template"),
        pytest.param(RuleTexts("s", "t", ("a",), ("r",), ("g",)), ("s", "t", "a", "r", "g"), id="ends of its own"),
    ],
)
def test_templates(texts, templates):
    assert texts.templates == templates


def test_facts_are_put_together_once_and_only_when_somebody_looks():
    looks = []
    facts = LateFacts(lambda: looks.append("look") or {"limit": "day", "used": 3})
    assert looks == []
    assert (facts == {"limit": "day", "used": 3}, facts.get("amount"), {**facts, "used": 4}, len(facts)) == (
        True, None, {"limit": "day", "used": 4}, 2,
    )  # fmt: skip
    assert looks == ["look"]
