"""Which notifications the alerts of a step call for: news, repeats that are due, ends; of one ladder the highest rung.

fires, nobody knows        ─► fired       told for the first time
fires, ``repeat`` is over  ─► repeat      unless somebody acknowledged it
resolved, somebody knows   ─► resolved    also under a silence: who heard of it hears of its end
anything else              ─► nothing, with the reason why nobody hears of it
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from quota_scheduler.core.alerts import wording as alert_text
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.alerts.state import AlertState, Key, NoticeKind, Phase, Silence, Transition


class NoticeReason(StrEnum):
    """Why people hear of an alert now, or why they do not."""

    NEWS = "news"
    REPEAT_DUE = "repeat_due"
    OVER = "over"
    NOT_FIRING = "not_firing"
    SILENCED = "silenced"
    TOO_SHORT = "too_short"
    ACKNOWLEDGED = "acknowledged"
    TOLD_ALREADY = "told_already"
    NEVER_TOLD = "never_told"
    TOLD_ONCE = "told_once"


class Notice(Struct, frozen=True):
    """What an alert calls for at one instant: a notification of this ``kind``, or none, and the ``reason``."""

    kind: NoticeKind | None
    reason: NoticeReason


def notices(
    rules: Sequence[AlertRule],
    before: Mapping[Key, AlertState],
    after: Mapping[Key, AlertState],
    silences: Sequence[Silence],
    now: datetime,
) -> list[Transition]:
    """Write out what is due; a rung below one that is told says so in ``above``, and routing decides by receiver."""
    by_id = {rule.id: rule for rule in rules}
    due: dict[Key, NoticeKind] = {}
    for key, state in after.items():
        notice = notice_of(by_id[state.rule], before.get(key), state, silences, now)
        if notice.kind is not None:
            due[key] = notice.kind
    return [_transition(by_id, after[key], due, after, now) for key in sorted(due, key=lambda k: _order(by_id, k))]


def notice_of(
    rule: AlertRule, before: AlertState | None, state: AlertState, silences: Sequence[Silence], now: datetime
) -> Notice:
    """Decide which notification a state calls for at ``now``, given what it was ``before`` the step, and say why.

    The first reason that applies is given: a silenced alert that is acknowledged too is silenced.
    """
    if state.phase is Phase.RESOLVED:
        return _end_of(rule, before, state)
    if state.phase is not Phase.FIRING:
        return Notice(None, NoticeReason.NOT_FIRING)
    if any(silence.covers(state, now) for silence in silences):
        return Notice(None, NoticeReason.SILENCED)
    if _is_too_short(rule, state):
        return Notice(None, NoticeReason.TOO_SHORT)
    if state.acknowledged_at:
        return Notice(None, NoticeReason.ACKNOWLEDGED)
    if state.last_notified_at is None:
        return Notice(NoticeKind.FIRED, NoticeReason.NEWS)
    if rule.repeat and now - state.last_notified_at >= rule.repeat:
        return Notice(NoticeKind.REPEAT, NoticeReason.REPEAT_DUE)
    return Notice(None, NoticeReason.TOLD_ALREADY)


def _end_of(rule: AlertRule, before: AlertState | None, state: AlertState) -> Notice:
    """Decide whether people hear of an end: those who heard of the alert do, once, in the step that resolved it."""
    if state.last_notified_at is None:
        return Notice(None, NoticeReason.NEVER_TOLD)
    if rule.once:
        return Notice(None, NoticeReason.TOLD_ONCE)
    if before is None or before.phase is not Phase.FIRING:
        return Notice(None, NoticeReason.TOLD_ALREADY)
    return Notice(NoticeKind.RESOLVED, NoticeReason.OVER)


def _order(by_id: Mapping[str, AlertRule], key: Key) -> tuple[int, int, Key]:
    """Worst first, then the rungs of a ladder from above."""
    rule = by_id[key[0]]
    return -rule.severity.rank, len(rule.under), key


def _is_too_short(rule: AlertRule, state: AlertState) -> bool:
    """Whether the window comes back so soon that nobody need be told; a scope without windows has no length."""
    seconds = dict(state.facts).get("window_seconds")
    return isinstance(seconds, int | float) and seconds < rule.tell_from.total_seconds()


def _transition(
    by_id: Mapping[str, AlertRule],
    state: AlertState,
    due: Mapping[Key, NoticeKind],
    after: Mapping[Key, AlertState],
    now: datetime,
) -> Transition:
    rule, kind = by_id[state.rule], due[state.key]
    rungs = [by_id[name] for name in rule.under if name in by_id]
    below = [other for other in by_id.values() if rule.id in other.under and kind is NoticeKind.RESOLVED]
    still = [other for other in below if _fires(after.get((other.id, state.scope, state.episode)))]
    subject, body = alert_text.write(rule, state, kind, now=now, still=still)
    return Transition(
        kind=kind,
        rule=rule,
        scope=state.scope,
        episode=state.episode,
        severity=rule.severity,
        subject=subject,
        body=body,
        above=tuple(upper for upper in rungs if _told_instead(by_id, upper, state, due, after, now)),
        still=tuple((other.id, state.scope, state.episode) for other in still),
        names=state.names,
    )


def _fires(state: AlertState | None) -> bool:
    return state is not None and state.phase is Phase.FIRING


def _told_instead(
    by_id: Mapping[str, AlertRule],
    upper: AlertRule,
    state: AlertState,
    due: Mapping[Key, NoticeKind],
    after: Mapping[Key, AlertState],
    now: datetime,
) -> bool:
    """Whether a higher rung is told in place of this alert; of two on one rung it is the one that fired first."""
    key = upper.id, state.scope, state.episode
    other = after.get(key)
    if not _is_notified(after, due, key) or other is None or state.rule not in upper.under:
        return _is_notified(after, due, key)
    return (other.fired_at or now, _order(by_id, key)) < (state.fired_at or now, _order(by_id, state.key))


def _is_notified(after: Mapping[Key, AlertState], due: Mapping[Key, NoticeKind], key: Key) -> bool:
    """Whether people hear, or have heard, of this alert: it is due now, or it fires and was told."""
    state = after.get(key)
    return key in due or (state is not None and _fires(state) and state.last_notified_at is not None)
