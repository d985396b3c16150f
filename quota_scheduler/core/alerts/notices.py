"""Which notifications the alerts of a step call for: news, repeats that are due, ends; of one ladder the highest rung.

fires, nobody knows        ─► fired       told for the first time
fires, ``repeat`` is over  ─► repeat      unless somebody acknowledged it
resolved, somebody knows   ─► resolved    also under a silence: who heard of it hears of its end
anything else              ─► nothing     silenced, acknowledged, told already, or never told at all
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.alerts import wording as alert_text
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.alerts.state import AlertState, Key, NoticeKind, Phase, Silence, Transition


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
        kind = _due(by_id[state.rule], before.get(key), state, silences, now)
        if kind is not None:
            due[key] = kind
    return [_transition(by_id, after[key], due, after, now) for key in sorted(due, key=lambda k: _order(by_id, k))]


def _order(by_id: Mapping[str, AlertRule], key: Key) -> tuple[int, int, Key]:
    """Worst first, then the rungs of a ladder from above."""
    rule = by_id[key[0]]
    return -rule.severity.rank, len(rule.under), key


def _due(
    rule: AlertRule, before: AlertState | None, state: AlertState, silences: Sequence[Silence], now: datetime
) -> NoticeKind | None:
    """Which notification this state calls for at ``now``; None for none."""
    if state.phase is Phase.RESOLVED:
        over = before is not None and before.phase is Phase.FIRING and state.last_notified_at is not None
        return NoticeKind.RESOLVED if over and not rule.once else None
    if state.phase is not Phase.FIRING or any(silence.covers(state, now) for silence in silences):
        return None
    if _is_too_short(rule, state):
        return None
    if state.last_notified_at is None:
        return None if state.acknowledged_at else NoticeKind.FIRED
    wanted = rule.repeat and not state.acknowledged_at
    return NoticeKind.REPEAT if wanted and now - state.last_notified_at >= rule.repeat else None


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
