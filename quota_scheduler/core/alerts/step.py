"""Alerts: where each rule stands for each scope, and which notifications that calls for.

                 condition holds             held for ``hold``
      inactive ───────────────────▶ pending ───────────────────▶ firing ──┐ told: fired, then a repeat
         ▲  ▲                          │                          │    ◀──┘ every ``repeat``
         │  └──── it does not hold ────┘                          │
         │                                                        │ clear for ``keep_firing_for``, or a new window,
         │ forgotten after a while                                ▼ or not reported for ``gone_after``; told: resolved
         └───────────────────────────────────────────────────── resolved ──▶ pending, when the condition holds again

Invariants: nothing fires that was not pending for its time; a firing alert resolves once; an unknown value moves
nothing; of one ladder a receiver hears the highest rung; the same samples twice change nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from quota_scheduler.core.alerts.notices import notices
from quota_scheduler.core.alerts.rule import AlertRule, Fact, Facts, Op
from quota_scheduler.core.alerts.state import (
    AlertState,
    Cause,
    Key,
    Phase,
    Sample,
    Silence,
    StepResult,
)
from quota_scheduler.core.instants import SKEW, parse_instant

KEEP_RESOLVED = timedelta(days=1)
"""How long a resolved alert stays to be looked at; longer where it may not fire again before."""
KEEP_ONCE = timedelta(days=40)
"""How long a ``once`` alert is remembered: longer than raw events are kept (35 days), so no replay tells it again."""
FIRST_IMPORT = "first import"
"""Who acknowledges what a first import finds."""
SHORTEST_STEADIED = 10 * SKEW.total_seconds()
"""Windows shorter than this follow each other too closely to take two that begin at about the same time for one."""
MOVED = 0.005
"""A firing alert's stored value follows its reading in steps of half a percent, not with every tick."""


def step(
    rules: Sequence[AlertRule],
    samples: Iterable[Sample],
    states: Iterable[AlertState],
    now: datetime,
    silences: Sequence[Silence] = (),
) -> StepResult:
    """Move every alert by what is known at ``now``, and write out what is to be told.

    ``states`` are those of the last step, in any order; states of rules that no longer exist are dropped in silence.
    Samples of one reading have different scopes.
    """
    before = {state.key: state for state in states}
    by_reading: dict[str, dict[str, Sample]] = {}
    episodes: dict[str, set[str]] = {}
    for state in before.values():
        episodes.setdefault(state.scope, set()).add(state.episode)
    for sample in samples:
        by_reading.setdefault(sample.reading, {})[sample.scope] = _steady(sample, episodes.get(sample.scope, ()))
    after: dict[Key, AlertState] = {}
    for rule in rules:
        mine = [state for state in before.values() if state.rule == rule.id]
        after.update((state.key, state) for state in _advance_rule(rule, by_reading.get(rule.reading, {}), mine, now))
    transitions = notices(rules, before, after, silences, now)
    for key in {key for due in transitions for key in (due.key, *due.still)}:
        after[key] = replace(after[key], last_notified_at=now)
    return StepResult(
        states=tuple(after[key] for key in sorted(after)),
        changed=tuple(after[key] for key in sorted(after) if _differs(before.get(key), after[key])),
        dropped=tuple(sorted(before.keys() - after.keys())),
        transitions=tuple(transitions),
    )


def acknowledge_existing(
    rules: Sequence[AlertRule], samples: Iterable[Sample], states: Iterable[AlertState], now: datetime
) -> StepResult:
    """Acknowledge what is true already: it fires without its waiting time, and nobody hears of it, nor of its end.

    For the first readings after an import of history. A higher rung that is reached later is news.
    """
    result = step([replace(rule, hold=timedelta(0)) for rule in rules], samples, states, now)
    quiet = {state.key: _acknowledged(state, now) for state in result.states}
    return StepResult(
        states=tuple(quiet.values()),
        changed=tuple(quiet[state.key] for state in result.changed),
        dropped=result.dropped,
    )


def _acknowledged(state: AlertState, now: datetime) -> AlertState:
    if state.phase is not Phase.FIRING:
        return state
    return replace(state, last_notified_at=None, acknowledged_at=now, acknowledged_by=FIRST_IMPORT)


def firing(states: Iterable[AlertState]) -> tuple[tuple[str, str, int], ...]:
    """Tell how many alerts fire, as (rule, severity, count), for ``Readings.alerts_firing``."""
    counts = Counter((state.rule, state.severity.value) for state in states if state.phase is Phase.FIRING)
    return tuple((rule, severity, count) for (rule, severity), count in sorted(counts.items()))


def _steady(sample: Sample, episodes: Collection[str]) -> Sample:
    """A sample in the episode that its scope is in already, where only the stamps of the window jitter.

    The window of a limit that a provider reports on begins where the first of its reports says, and an earlier one may
    come later: that is no new window, and nobody is told again.
    """
    if not episodes or sample.episode in episodes or _figure(sample.facts, "window_seconds") < SHORTEST_STEADIED:
        return sample
    same = sorted(one for one in episodes if one and _is_near(one, sample.episode))
    return replace(sample, episode=same[0]) if same else sample


def _is_near(one: str, other: str) -> bool:
    try:
        return abs(parse_instant(one) - parse_instant(other)) <= SKEW
    except ValueError:  # an episode that is no window
        return False


def _advance_rule(
    rule: AlertRule, samples: Mapping[str, Sample], states: Sequence[AlertState], now: datetime
) -> list[AlertState]:
    """The next states of one rule: of every scope that is reported, and of those that no longer are."""
    current: dict[str, AlertState] = {}
    moved: list[AlertState | None] = []
    for state in states:
        sample = samples.get(state.scope)
        if sample is None:
            moved.append(_absent(rule, state, now))
        elif sample.episode != state.episode:
            moved.append(_superseded(rule, state, sample, now))
        else:
            current[state.scope] = state
    for scope, sample in samples.items():
        moved.append(_advance(rule, current.get(scope), sample, now))
    return [state for state in moved if state is not None]


def _advance(rule: AlertRule, state: AlertState | None, sample: Sample, now: datetime) -> AlertState | None:
    """Move one alert by a sample of its own episode; None is inactive."""
    if state is not None and state.cause is Cause.NEW_WINDOW and state.phase is Phase.RESOLVED and not rule.once:
        state = None  # its window goes on: the clock stood past the reset, and has been put right since
    if state is None or state.phase is Phase.RESOLVED:
        rearmed = _holds(rule, sample) and (state is None or _may_fire_again(rule, state, now))
        return _begin(rule, sample, now) if rearmed else _kept(rule, state, now)
    if _unknown(rule, sample):
        return replace(state, absent_since=None)
    if state.phase is Phase.PENDING:
        return _pending(rule, state, sample, now) if _holds(rule, sample) else None
    return _burn_on(rule, _seen(rule, state, sample), now, clear=_clears(rule, sample))


def _pending(rule: AlertRule, state: AlertState, sample: Sample, now: datetime) -> AlertState:
    """Move an alert that waits for its time, and where its rule asks for that, for the use to go on."""
    seen = _seen(rule, state, sample)
    if rule.goes_on and (now - state.since < rule.hold or not _goes_on(state.facts, sample.facts, now - state.since)):
        return replace(seen, facts=state.facts)  # what was used when it began is what growth is measured against
    return _ripe(rule, seen, now)


def _goes_on(began: Facts, present: Facts, passed: timedelta) -> bool:
    """Whether use has gone on since an alert began, faster than an even pace: one late report is no burn."""
    before, used, amount = (_figure(began, "used"), _figure(present, "used"), _figure(present, "amount"))
    length = _figure(present, "window_seconds")
    if not amount or not length:
        return True
    return (used - before) / amount > passed.total_seconds() / length


def _figure(facts: Facts, name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _may_fire_again(rule: AlertRule, state: AlertState, now: datetime) -> bool:
    """Whether what has resolved may fire again in its episode."""
    return not rule.once and (state.resolved_at is None or now - state.resolved_at >= rule.rearm)


def _begin(rule: AlertRule, sample: Sample, now: datetime) -> AlertState:
    state = AlertState(
        rule=rule.id,
        scope=sample.scope,
        episode=sample.episode,
        phase=Phase.PENDING,
        severity=rule.severity,
        since=now,
        value=sample.value or 0.0,
        facts=sample.facts,
    )
    return _ripe(rule, state, now)


def _ripe(rule: AlertRule, state: AlertState, now: datetime) -> AlertState:
    """Fire what has been pending for its time."""
    if now - state.since < rule.hold:
        return state
    return replace(state, phase=Phase.FIRING, fired_at=now)


def _burn_on(rule: AlertRule, state: AlertState, now: datetime, *, clear: bool) -> AlertState:
    """Keep a firing alert, or resolve it once it has been clear for long enough."""
    if not clear:
        return replace(state, clear_since=None)
    since = state.clear_since or now
    if now - since < rule.keep_firing_for:
        return replace(state, clear_since=since)
    return _resolve(replace(state, clear_since=since), Cause.CLEARED, now)


def _absent(rule: AlertRule, state: AlertState, now: datetime) -> AlertState | None:
    """Move an alert whose scope is not reported: silence of the data is no all-clear before its time is up."""
    if state.phase is Phase.RESOLVED:
        return _kept(rule, state, now)
    since = state.absent_since or now
    if now - since < rule.gone_after:
        return replace(state, absent_since=since)
    return _resolve(state, Cause.GONE, now) if state.phase is Phase.FIRING else None


def _superseded(rule: AlertRule, state: AlertState, sample: Sample, now: datetime) -> AlertState | None:
    """End the alert of a window that is over; what it counted no longer counts."""
    if state.phase is Phase.RESOLVED:
        return _kept(rule, state, now)
    if state.phase is Phase.PENDING:
        return None
    facts: dict[str, Fact] = {**state.facts, "next_ends_at": sample.facts.get("ends_at")}
    return _resolve(replace(state, facts=facts), Cause.NEW_WINDOW, now)


def _resolve(state: AlertState, cause: Cause, now: datetime) -> AlertState:
    return replace(state, phase=Phase.RESOLVED, resolved_at=now, cause=cause, absent_since=None)


def _kept(rule: AlertRule, state: AlertState | None, now: datetime) -> AlertState | None:
    """A resolved alert, until it has been looked at for long enough."""
    if state is None or state.resolved_at is None:
        return None
    kept = KEEP_ONCE if rule.once else max(KEEP_RESOLVED, rule.rearm)
    return state if now - state.resolved_at < kept else None


def _seen(rule: AlertRule, state: AlertState, sample: Sample) -> AlertState:
    """The state with what the sample says; its value follows in steps, so that a tick seldom writes."""
    value = sample.value or 0.0
    if abs(value - state.value) < MOVED * max(1.0, abs(state.value)):
        value = state.value
    return replace(state, value=value, facts=sample.facts, severity=rule.severity, absent_since=None)


def _unknown(rule: AlertRule, sample: Sample) -> bool:
    return sample.value is None or sample.size < rule.evidence


def _holds(rule: AlertRule, sample: Sample) -> bool:
    """Whether the condition is known to hold, above its floor."""
    if _unknown(rule, sample) or sample.value is None or sample.size < dict(rule.floor).get(sample.unit, 0.0):
        return False
    match rule.op:
        case Op.AT_LEAST:
            return sample.value >= _threshold(rule, sample)
        case Op.ABOVE:
            return sample.value > _threshold(rule, sample)
        case Op.BELOW:
            return sample.value < _threshold(rule, sample)


def _clears(rule: AlertRule, sample: Sample) -> bool:
    """Whether a known value lies beyond the clearing mark, on the good side."""
    value = sample.value or 0.0
    mark = _threshold(rule, sample) + rule.clear - rule.threshold
    return value >= mark if rule.op is Op.BELOW else value < mark


def _threshold(rule: AlertRule, sample: Sample) -> float:
    """The threshold, moved by the sample's own baseline where the rule asks for it."""
    base = sample.baseline
    if not rule.drop_share or base is None:
        return rule.threshold
    absolute = min(rule.threshold, base - rule.drop_points) if base >= rule.threshold else 0.0
    return max(rule.drop_share * base, absolute)


def _differs(before: AlertState | None, after: AlertState) -> bool:
    """Whether a state must be written: not for facts alone, which change with every tick."""
    return before is None or replace(before, facts=after.facts) != after
