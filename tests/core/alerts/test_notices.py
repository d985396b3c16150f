"""Whether people hear of an alert now, and why."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.notices import Notice, NoticeReason, notice_of, notices
from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.state import AlertState, NoticeKind, Phase, Silence

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = AlertRule(
    id="high", reading="ratio", op=Op.AT_LEAST, threshold=0.8, clear=0.75, severity=Severity.WARNING,
    texts=RuleTexts("Usage above {threshold}", "{scope} is high", ("{scope} is high.",)), repeat=4 * HOUR,
)  # fmt: skip
FIRING = AlertState("high", "weekly", "w1", Phase.FIRING, Severity.WARNING, since=NOW - HOUR, value=0.9, fired_at=NOW)
TOLD = replace(FIRING, last_notified_at=NOW - HOUR)
RESOLVED = replace(TOLD, phase=Phase.RESOLVED, resolved_at=NOW)
EVERYTHING = Silence((), "ann", "maintenance", NOW - HOUR, NOW + HOUR)


@pytest.mark.parametrize(
    ("rule", "before", "state", "silences", "kind", "reason"),
    [
        pytest.param(RULE, None, FIRING, (), NoticeKind.FIRED, "news", id="it fires and nobody knows"),
        pytest.param(RULE, TOLD, TOLD, (), None, "told_already", id="an hour after the message nothing is new"),
        pytest.param(RULE, TOLD, replace(TOLD, last_notified_at=NOW - 4 * HOUR), (), NoticeKind.REPEAT, "repeat_due",
                     id="four hours after it, it is said again"),
        pytest.param(replace(RULE, repeat=timedelta(0)), TOLD, replace(TOLD, last_notified_at=NOW - 99 * HOUR), (),
                     None, "told_already", id="a rule that never repeats"),
        pytest.param(RULE, TOLD, RESOLVED, (), NoticeKind.RESOLVED, "over", id="who heard of it hears of its end"),
        pytest.param(RULE, TOLD, RESOLVED, (EVERYTHING,), NoticeKind.RESOLVED, "over", id="also under a silence"),
        pytest.param(RULE, RESOLVED, RESOLVED, (), None, "told_already", id="its end is told once"),
        pytest.param(RULE, FIRING, replace(RESOLVED, last_notified_at=None), (), None, "never_told",
                     id="an end that nobody heard the beginning of"),
        pytest.param(replace(RULE, once=True), TOLD, RESOLVED, (), None, "told_once", id="a rule told once has no end"),
        pytest.param(RULE, None, replace(FIRING, phase=Phase.PENDING), (), None, "not_firing", id="it is only pending"),
        pytest.param(RULE, None, FIRING, (EVERYTHING,), None, "silenced", id="silenced"),
        pytest.param(RULE, None, FIRING, (replace(EVERYTHING, ends_at=NOW),), NoticeKind.FIRED, "news",
                     id="the silence has just ended"),
        pytest.param(RULE, None, FIRING, (replace(EVERYTHING, matchers=(("scope", "monthly"),)),), NoticeKind.FIRED,
                     "news", id="another scope is silenced"),
        pytest.param(RULE, None, replace(FIRING, acknowledged_at=NOW), (), None, "acknowledged", id="acknowledged"),
        pytest.param(RULE, TOLD, replace(TOLD, last_notified_at=NOW - 5 * HOUR, acknowledged_at=NOW), (), None,
                     "acknowledged", id="acknowledged, so not repeated"),
        pytest.param(replace(RULE, tell_from=24 * HOUR), None, replace(FIRING, facts={"window_seconds": 18_000.0}), (),
                     None, "too_short", id="a session of five hours comes back soon"),
        pytest.param(replace(RULE, tell_from=5 * HOUR), None, replace(FIRING, facts={"window_seconds": 18_000.0}), (),
                     NoticeKind.FIRED, "news", id="a window just long enough"),
        pytest.param(replace(RULE, tell_from=24 * HOUR), None, FIRING, (), NoticeKind.FIRED, "news",
                     id="what has no window is told at any length"),
    ],
)  # fmt: skip
def test_notice_of(rule, before, state, silences, kind, reason):
    assert notice_of(rule, before, state, silences, NOW) == Notice(kind, NoticeReason(reason))


def test_notices_come_worst_first_and_a_rung_below_says_what_is_told_instead():
    worst = replace(RULE, id="exhausted", severity=Severity.CRITICAL)
    mild = replace(RULE, under=("exhausted",))
    states = [FIRING, replace(FIRING, rule="exhausted"), replace(FIRING, scope="monthly")]
    after = {state.key: state for state in states}
    due = notices([mild, worst], {}, after, (), NOW)
    assert [(notice.rule.id, notice.scope, [rule.id for rule in notice.above]) for notice in due] == [
        ("exhausted", "weekly", []),
        ("high", "monthly", []),
        ("high", "weekly", ["exhausted"]),
    ]
