"""What silences cover, and whom a transition reaches."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.routing import Matchers
from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.state import AlertState, NoticeKind, Phase, Silence, Transition

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATE = AlertState(
    "high", "team-daily/growth", "w1", Phase.FIRING, Severity.WARNING, NOW, 0.9, {"team": "growth", "amount": 100}
)
RULE = AlertRule("high", "ratio", Op.AT_LEAST, 0.8, 0.75, Severity.WARNING, RuleTexts("s", "t", ("m",)))
WORSE = replace(RULE, id="exhausted", severity=Severity.CRITICAL)


@dataclass(frozen=True)
class Receiver:
    id: str
    min_severity: Severity = Severity.WARNING
    match: Matchers = ()


def test_a_state_is_named_by_what_matchers_may_use_and_nothing_else():
    assert STATE.key == ("high", "team-daily/growth", "w1")
    assert STATE.names == {"rule": "high", "severity": "warning", "scope": "team-daily/growth", "team": "growth"}


@pytest.mark.parametrize(
    ("matchers", "hours", "covers"),
    [
        pytest.param((), 0, True, id="without matchers everything, from its first instant"),
        pytest.param((), -1, False, id="not before it begins"),
        pytest.param((), 2, False, id="its end is not part of it"),
        pytest.param((("scope", "team-daily/*"),), 1, True, id="a pattern"),
        pytest.param((("team", "sales|growth"),), 1, True, id="one of several"),
        pytest.param((("team", "growth"), ("rule", "other")), 1, False, id="every matcher must fit"),
        pytest.param((("model", "claude-*"),), 1, False, id="a label that is not there fits no name"),
        pytest.param((("model", "*"),), 1, True, id="and fits anything"),
    ],
)
def test_covers(matchers, hours, covers):
    assert Silence(matchers, "ann", "", NOW, NOW + 2 * HOUR).covers(STATE, NOW + hours * HOUR) is covers


@pytest.mark.parametrize(
    ("above", "receiver", "reaches"),
    [
        pytest.param((), Receiver("ops"), True, id="whoever wants its severity"),
        pytest.param((), Receiver("boss", Severity.CRITICAL), False, id="not who wants only worse"),
        pytest.param((WORSE,), Receiver("ops"), False, id="not who hears the higher rung"),
        pytest.param((replace(WORSE, receivers=("boss",)),), Receiver("ops"), True,
                     id="who does not hear the higher rung hears this one"),
    ],
)  # fmt: skip
def test_reaches(above, receiver, reaches):
    due = Transition(NoticeKind.FIRED, RULE, "weekly", "w1", Severity.WARNING, "s", "b", above=above)
    assert due.reaches(receiver) is reaches
