"""The alert engine, as tables of sequences: each row is what was known minute by minute, and what people were told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.state import AlertState, Cause, NoticeKind, Phase, Sample, Silence, StepResult
from quota_scheduler.core.alerts.step import acknowledge_existing, firing, step

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ABSENT = "absent"
"""The scope is not reported at all, unlike None: reported, but its value is not known."""


def a_rule(**changes: object) -> AlertRule:
    rule = AlertRule(
        id="high", reading="ratio", op=Op.AT_LEAST, threshold=0.8, clear=0.75, severity=Severity.WARNING,
        texts=RuleTexts("Usage above {threshold}", "{scope} is high", ("{scope} is high.",)),
    )  # fmt: skip
    return replace(rule, **changes)


class Ledger:
    """Steps of one minute each, and what was told when."""

    def __init__(self, *rules: AlertRule, silences: tuple[Silence, ...] = ()) -> None:
        self.rules = rules
        self.silences = silences
        self.states: tuple[AlertState, ...] = ()
        self.told: list[tuple[int, str, NoticeKind]] = []
        self.results: list[StepResult] = []
        self.minute = 0

    def see(self, *values: object, episode: str = "w1", scope: str = "weekly", **fields: object) -> "Ledger":
        for value in values:
            sample = Sample("ratio", scope, episode, None if value is ABSENT else value, size=100.0, unit="tokens")
            self.step(() if value is ABSENT else (replace(sample, **fields),))
        return self

    def step(self, samples: tuple[Sample, ...]) -> None:
        now = START + self.minute * MINUTE
        result = step(self.rules, samples, self.states, now, self.silences)
        again = step(self.rules, samples, result.states, now, self.silences)
        assert (again.changed, again.dropped, again.transitions) == ((), (), ()), (
            "the same samples twice change nothing"
        )
        self.states = result.states
        self.results.append(result)
        self.told += [(self.minute, due.rule.id, due.kind) for due in result.transitions if not due.above]
        self.minute += 1


@pytest.mark.parametrize(
    ("changes", "values", "told"),
    [
        pytest.param({}, [0.79, 0.8, 0.9], [(1, "fired")], id="fires at the threshold, once"),
        pytest.param({"hold": 2 * MINUTE}, [0.9, 0.9, 0.9], [(2, "fired")], id="fires after its time"),
        pytest.param({"hold": 2 * MINUTE}, [0.9, 0.9, 0.7, 0.9, 0.9], [], id="a gap starts the time anew"),
        pytest.param({"hold": 2 * MINUTE}, [0.9, 0.79, 0.9, 0.9], [], id="pending needs the threshold, not the mark"),
        pytest.param({"hold": 2 * MINUTE}, [0.9, None, 0.9], [(2, "fired")], id="a hole in the data is no gap"),
        pytest.param({}, [0.9, 0.76, 0.81, 0.75, 0.8], [(0, "fired")], id="does not flap between mark and threshold"),
        pytest.param({}, [0.9, 0.74], [(0, "fired"), (1, "resolved")], id="resolves below the mark"),
        pytest.param({}, [0.9, 0.7, 0.7, 0.6], [(0, "fired"), (1, "resolved")], id="says so once"),
        pytest.param(
            {}, [0.9, 0.7, 0.9, 0.7], [(0, "fired"), (1, "resolved"), (2, "fired"), (3, "resolved")],
            id="trap: arms itself again",
        ),
        pytest.param(
            {"keep_firing_for": 2 * MINUTE}, [0.9, 0.7, 0.9, 0.7, 0.7, 0.7], [(0, "fired"), (5, "resolved")],
            id="keeps firing until it has been clear for long enough",
        ),
        pytest.param(
            {"keep_firing_for": 2 * MINUTE}, [0.9, 0.7, None, None, 0.7], [(0, "fired"), (4, "resolved")],
            id="resolves on knowledge, not on silence",
        ),
        pytest.param(
            {"repeat": 2 * MINUTE}, [0.9, 0.9, 0.9, 0.9, 0.9], [(0, "fired"), (2, "repeat"), (4, "repeat")],
            id="repeats while it fires",
        ),
        pytest.param(
            {"repeat": 2 * MINUTE}, [0.9, None, None, 0.7], [(0, "fired"), (2, "repeat"), (3, "resolved")],
            id="trap: a dead exporter is no all-clear: unknown values keep it firing",
        ),
        pytest.param({"gone_after": 0 * MINUTE}, [0.9, ABSENT], [(0, "fired"), (1, "resolved")],
                     id="a removed limit resolves"),
        pytest.param(
            {"gone_after": 3 * MINUTE}, [0.9, ABSENT, ABSENT, 0.9, ABSENT, ABSENT, ABSENT, ABSENT],
            [(0, "fired"), (7, "resolved")], id="trap: a scope that comes back in time was never gone",
        ),
        pytest.param({"hold": 2 * MINUTE}, [0.9, ABSENT, 0.9, 0.9], [], id="what is gone is not pending"),
        pytest.param({"floor": (("tokens", 101.0),)}, [0.99], [], id="trap: below its floor it is noise"),
        pytest.param({"floor": (("usd", 101.0),)}, [0.99], [(0, "fired")], id="a floor is by unit"),
        pytest.param({"evidence": 101.0}, [0.99], [], id="trap: too little traffic is not judged"),
        pytest.param({"once": True}, [0.9, 0.7, 0.9], [(0, "fired")], id="once is once, and has no end"),
        pytest.param({"op": Op.ABOVE}, [0.8, 0.81], [(1, "fired")], id="above is above"),
        pytest.param({"op": Op.BELOW, "clear": 0.85}, [0.8, 0.79, 0.84, 0.85], [(1, "fired"), (3, "resolved")],
                     id="below, and up again"),
    ],
)  # fmt: skip
def test_a_sequence_of_values(changes, values, told):
    assert Ledger(a_rule(**changes)).see(*values).told == [(minute, "high", NoticeKind(kind)) for minute, kind in told]


def test_trap_one_alert_per_window_and_a_new_window_ends_the_old_ones():
    ledger = Ledger(a_rule()).see(0.9, 0.95).see(0.0, 0.5, 0.85, episode="w2").see(0.1, episode="w3")
    assert ledger.told == [
        (0, "high", NoticeKind.FIRED),
        (2, "high", NoticeKind.RESOLVED),
        (4, "high", NoticeKind.FIRED),
        (5, "high", NoticeKind.RESOLVED),
    ]
    assert [(state.episode, state.phase, state.cause) for state in ledger.states] == [
        ("w1", Phase.RESOLVED, Cause.NEW_WINDOW),
        ("w2", Phase.RESOLVED, Cause.NEW_WINDOW),
    ]


@pytest.mark.parametrize(
    ("begins", "length", "told"),
    [
        pytest.param("2026-11-23T08:00:00.530Z", 18_000, 1, id="a stamp that jitters"),
        pytest.param("2026-11-23T08:01:30Z", 18_000, 1, id="by a minute and a half"),
        pytest.param("2026-11-23T09:00:00Z", 18_000, 2, id="a window of its own"),
        pytest.param("2026-11-23T08:00:04Z", 4, 2, id="one of those that last seconds"),
    ],
)
def test_a_window_whose_stamps_jitter_is_told_once(begins, length, told):
    facts = {"window_seconds": float(length)}
    ledger = (
        Ledger(a_rule()).see(0.9, episode="2026-11-23T08:00:00Z", facts=facts).see(0.95, episode=begins, facts=facts)
    )
    assert [kind for _, _, kind in ledger.told].count(NoticeKind.FIRED) == told


def test_a_new_window_is_over_even_where_its_value_is_not_known():
    ledger = Ledger(a_rule(keep_firing_for=60 * MINUTE)).see(0.9).see(None, episode="w2")
    assert ledger.told == [(0, "high", NoticeKind.FIRED), (1, "high", NoticeKind.RESOLVED)]


def test_trap_scopes_are_told_apart():
    ledger = Ledger(a_rule())
    both = tuple(Sample("ratio", f"team-daily/{team}", "w1", 0.9) for team in ("growth", "sales"))
    ledger.step(both)
    assert [due.scope for due in ledger.results[0].transitions] == ["team-daily/growth", "team-daily/sales"]


def test_states_of_a_rule_that_is_gone_are_dropped_in_silence():
    ledger = Ledger(a_rule()).see(0.9)
    ledger.rules = ()
    assert ledger.see(0.9).told == [(0, "high", NoticeKind.FIRED)]
    assert (ledger.states, ledger.results[1].dropped) == ((), (("high", "weekly", "w1"),))


def test_resolved_alerts_are_forgotten_after_a_day_and_once_alerts_after_forty():
    for once, days in ((False, 1), (True, 40)):
        ledger = Ledger(a_rule(once=once)).see(0.9, 0.1)
        ledger.minute += days * 1440 - 2
        assert ledger.see(0.1).states != ()
        assert ledger.see(0.1).states == ()


HIGH = a_rule()
NEARLY = a_rule(id="nearly", threshold=0.95, clear=0.93, severity=Severity.CRITICAL, under=("exhausted",))
EXHAUSTED = a_rule(id="exhausted", threshold=1.0, clear=0.98, severity=Severity.CRITICAL)
LADDER = (replace(HIGH, under=("nearly", "exhausted"), repeat=2 * MINUTE), NEARLY, EXHAUSTED)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param([0.8, 0.95, 1.0], [(0, "high", "fired"), (1, "nearly", "fired"), (2, "exhausted", "fired")],
                     id="each rung as it is reached"),
        pytest.param([1.2], [(0, "exhausted", "fired")], id="only the highest of several at once"),
        pytest.param([0.96] * 6, [(0, "nearly", "fired")], id="a lower rung is not repeated while a higher one fires"),
        pytest.param([1.2, 0.97, 0.97], [(0, "exhausted", "fired"), (1, "exhausted", "resolved")],
                     id="a step down is one message"),
        pytest.param([0.8, 1.2, 0.5], [(0, "high", "fired"), (1, "exhausted", "fired"), (2, "exhausted", "resolved")],
                     id="all over at once is one message"),
        pytest.param([0.96, 0.8, 0.8, 0.8],
                     [(0, "nearly", "fired"), (1, "nearly", "resolved"), (3, "high", "repeat")],
                     id="what goes on firing below repeats again"),
    ],
)  # fmt: skip
def test_one_ladder_per_limit(values, told):
    assert Ledger(*LADDER).see(*values).told == [(minute, rule, NoticeKind(kind)) for minute, rule, kind in told]


SLOW, SOON = (replace(HIGH, id=name, under=(other,)) for name, other in (("slow", "soon"), ("soon", "slow")))


def test_rules_under_each_other_are_one_rung():
    assert Ledger(SLOW, SOON).see(0.9).told == [(0, "slow", NoticeKind.FIRED)], "both at once: one is told"
    later = Ledger(replace(SLOW, hold=2 * MINUTE), SOON).see(0.9, 0.9, 0.9)
    assert later.told == [(0, "soon", NoticeKind.FIRED)], "the second says nothing new"
    again = Ledger(replace(SLOW, hold=MINUTE, repeat=3 * MINUTE), replace(SOON, repeat=3 * MINUTE)).see(*[0.9] * 4, 0.1)
    assert again.told == [
        (0, "soon", NoticeKind.FIRED),
        (3, "soon", NoticeKind.REPEAT),
        (4, "soon", NoticeKind.RESOLVED),
    ]


def test_what_is_over_may_fire_again_in_its_window_only_after_a_while():
    ledger = Ledger(a_rule(rearm=3 * MINUTE)).see(0.9, 0.7, 0.9, 0.9, 0.9, 0.9)
    assert ledger.told == [
        (0, "high", NoticeKind.FIRED),
        (1, "high", NoticeKind.RESOLVED),
        (4, "high", NoticeKind.FIRED),
    ]
    fresh = Ledger(a_rule(rearm=60 * MINUTE)).see(0.9, 0.7).see(0.9, episode="w2")
    assert fresh.told[-1] == (2, "high", NoticeKind.FIRED), "a new window is a new alert"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param({"window_seconds": 3600.0}, [], id="a short window fires and nobody is told"),
        pytest.param(
            {"window_seconds": 7200.0},
            [(0, "high", NoticeKind.FIRED), (1, "high", NoticeKind.RESOLVED)],
            id="a longer one",
        ),
        pytest.param({}, [(0, "high", NoticeKind.FIRED), (1, "high", NoticeKind.RESOLVED)], id="what has no window"),
    ],
)
def test_windows_too_short_to_tell_of(facts, told):
    ledger = Ledger(a_rule(tell_from=timedelta(hours=2))).see(0.9, 0.1, facts=facts)
    assert ledger.told == told
    assert [state.phase for state in ledger.states] == [Phase.RESOLVED]


def test_a_rung_that_is_not_told_keeps_nobody_from_hearing_of_one_below():
    upper = replace(EXHAUSTED, tell_from=timedelta(hours=2))
    ledger = Ledger(HIGH, replace(NEARLY, under=()), upper).see(1.0, facts={"window_seconds": 60.0})
    assert (0, upper.id, NoticeKind.FIRED) not in ledger.told
    assert ledger.told


def test_a_step_down_says_what_still_fires():
    body = Ledger(*LADDER).see(0.96, 0.9).results[1].transitions[0].body
    assert body == "It is over after 1 min.\nStill firing: Usage above 80 %.\n[nearly · weekly · w1]"


class Receiver:
    def __init__(self, id: str, min_severity: Severity, **match: str) -> None:
        self.id, self.min_severity, self.match = id, min_severity, tuple(match.items())


@pytest.mark.parametrize(
    ("rule", "above", "receiver", "told"),
    [
        pytest.param(HIGH, (), Receiver("ops", Severity.WARNING), True, id="by severity"),
        pytest.param(HIGH, (), Receiver("ops", Severity.CRITICAL), False, id="not what is too mild"),
        pytest.param(replace(HIGH, receivers=("boss",)), (), Receiver("boss", Severity.CRITICAL), True, id="by name"),
        pytest.param(replace(HIGH, receivers=("boss",)), (), Receiver("ops", Severity.INFO), False, id="names only"),
        pytest.param(HIGH, (NEARLY,), Receiver("ops", Severity.INFO), False, id="the higher rung instead"),
        pytest.param(HIGH, (), Receiver("growth", Severity.INFO, team="growth|sales"), True, id="by label, one of two"),
        pytest.param(HIGH, (), Receiver("sales", Severity.INFO, team="sales"), False, id="not with another label"),
        pytest.param(HIGH, (), Receiver("ops", Severity.INFO, rule="hi*", severity="warning"), True, id="by pattern"),
        pytest.param(HIGH, (), Receiver("ops", Severity.INFO, model="claude-*"), False, id="not without that label"),
        pytest.param(HIGH, (NEARLY,), Receiver("ops", Severity.INFO, rule="high"), True,
                     id="a higher rung that it does not match hides nothing"),
        pytest.param(HIGH, (replace(NEARLY, receivers=("boss",)),), Receiver("ops", Severity.INFO), True,
                     id="a higher rung that goes elsewhere hides nothing"),
    ],
)  # fmt: skip
def test_who_is_told(rule, above, receiver, told):
    due = Ledger(replace(rule, threshold=0.5, clear=0.5)).see(0.6, facts={"team": "growth"})
    due = due.results[0].transitions[0]
    assert replace(due, above=above).reaches(receiver) is told


def a_silence(*matchers: tuple[str, str], minutes: int = 3) -> Silence:
    return Silence(matchers, "ana", "known", START, START + minutes * MINUTE)


@pytest.mark.parametrize(
    ("silence", "values", "told"),
    [
        pytest.param(a_silence(("scope", "week*")), [0.9] * 5, [(3, "fired")], id="told when the silence ends"),
        pytest.param(a_silence(("scope", "week*")), [0.9, 0.9, 0.7, 0.7], [], id="over before it ends: nobody knew"),
        pytest.param(a_silence(("scope", "month*")), [0.9], [(0, "fired")], id="does not match"),
        pytest.param(a_silence(("scope", "weekly"), ("severity", "critical")), [0.9], [(0, "fired")],
                     id="every matcher must fit"),
        pytest.param(a_silence(("rule", "high"), ("severity", "warning")), [0.9], [], id="by rule and severity"),
        pytest.param(a_silence(("team", "growth")), [0.9], [], id="by a fact"),
        pytest.param(a_silence(("model", "*opus*")), [0.9], [(0, "fired")], id="an unknown fact matches nothing"),
        pytest.param(a_silence(), [0.9], [], id="everything"),
    ],
)  # fmt: skip
def test_silences(silence, values, told):
    ledger = Ledger(a_rule(), silences=(silence,)).see(*values, facts={"team": "growth"})
    assert [(minute, kind) for minute, _, kind in ledger.told] == [(minute, NoticeKind(kind)) for minute, kind in told]


def test_the_end_of_an_alert_is_told_through_a_silence_to_those_who_heard_its_beginning():
    late = Silence((), "ana", "", START + MINUTE, START + 9 * MINUTE)
    assert Ledger(a_rule(repeat=MINUTE), silences=(late,)).see(0.9, 0.9, 0.9, 0.7).told == [
        (0, "high", NoticeKind.FIRED),
        (3, "high", NoticeKind.RESOLVED),
    ]


def test_an_acknowledged_alert_does_not_repeat_but_resolves():
    ledger = Ledger(a_rule(repeat=MINUTE)).see(0.9)
    ledger.states = tuple(replace(s, acknowledged_at=START, acknowledged_by="ana") for s in ledger.states)
    assert ledger.see(0.9, 0.9, 0.7).told == [(0, "high", NoticeKind.FIRED), (3, "high", NoticeKind.RESOLVED)]


@pytest.mark.parametrize(
    ("baseline", "rate", "fires"),
    [
        pytest.param(0.96, 0.89, True, id="below 90 % and 3 points down from a usual 90 % and more"),
        pytest.param(0.96, 0.91, False, id="5 points down, but above 90 %"),
        pytest.param(0.915, 0.89, False, id="below 90 %, but not 3 points down"),
        pytest.param(0.8, 0.7, False, id="never was at 90 %, and 70 % of the baseline is less"),
        pytest.param(0.8, 0.55, True, id="under 70 % of the baseline"),
        pytest.param(0.1, 0.08, False, id="a low baseline, hardly lower"),
    ],
)
def test_trap_a_cache_drop_needs_an_absolute_and_a_relative_drop(baseline, rate, fires):
    rule = a_rule(op=Op.BELOW, threshold=0.9, clear=0.92, drop_share=0.7, drop_points=0.03)
    told = Ledger(rule).see(rate, baseline=baseline).told
    assert told == ([(0, "high", NoticeKind.FIRED)] if fires else [])


def test_a_cache_drop_clears_two_points_above_where_it_fired():
    rule = a_rule(op=Op.BELOW, threshold=0.9, clear=0.92, drop_share=0.7, drop_points=0.03)
    ledger = Ledger(rule).see(0.5, 0.57, 0.59, baseline=0.8)
    assert ledger.told == [(0, "high", NoticeKind.FIRED), (2, "high", NoticeKind.RESOLVED)]


def test_a_firing_alert_that_hardly_moves_is_not_written_with_every_tick():
    ledger = Ledger(a_rule()).see(0.9, 0.901, 0.902, 0.91)
    assert [len(result.changed) for result in ledger.results] == [1, 0, 0, 1]


def test_what_a_first_import_finds_is_known_and_not_told_and_its_next_rung_is():
    ledger = Ledger(*LADDER)
    found = acknowledge_existing(
        [replace(rule, hold=MINUTE) for rule in LADDER], (Sample("ratio", "weekly", "w1", 0.9),), (), START
    )
    assert (firing(found.states), found.transitions) == ((("high", "warning", 1),), ())
    ledger.states = found.changed
    ledger.minute = 1
    assert ledger.see(0.9, 0.9, 0.9, 0.96, 0.1).told == [
        (4, "nearly", NoticeKind.FIRED),
        (5, "nearly", NoticeKind.RESOLVED),
    ]


def test_firing_counts_by_rule_and_severity():
    ledger = Ledger(*LADDER).see(0.96)
    assert firing(ledger.states) == (("high", "warning", 1), ("nearly", "critical", 1))


SEQUENCE = st.lists(
    st.tuples(st.sampled_from([0.0, 0.74, 0.77, 0.8, 0.96, 1.1, None, ABSENT]), st.sampled_from(["w1", "w2"])),
    max_size=40,
)


@given(
    sequence=SEQUENCE,
    hold=st.integers(0, 4),
    keep=st.integers(0, 3),
    gone=st.integers(0, 3),
    repeat=st.integers(0, 3),
    once=st.booleans(),
)
def test_whatever_happens_it_is_pending_for_its_time_and_resolves_once(sequence, hold, keep, gone, repeat, once):
    spans = {"hold": hold, "keep_firing_for": keep, "gone_after": gone, "repeat": repeat}
    rule = a_rule(once=once, **{name: minutes * MINUTE for name, minutes in spans.items()})
    ledger = Ledger(rule)
    open_alerts: dict[str, int] = {}
    for value, episode in sequence:
        ledger.see(value, episode=episode)
        for due in ledger.results[-1].transitions:
            match due.kind:
                case NoticeKind.FIRED:
                    held = _held(sequence[: ledger.minute], episode)
                    assert due.episode not in open_alerts, "fired twice without an end"
                    assert held >= hold, "fired without having been pending for its time"
                    open_alerts[due.episode] = ledger.minute
                case NoticeKind.REPEAT:
                    assert due.episode in open_alerts, "repeated what does not fire"
                    assert repeat, "repeated what never repeats"
                case NoticeKind.RESOLVED:
                    assert not once
                    del open_alerts[due.episode]  # KeyError: resolved twice, or what nobody heard of
    firing_now = {state.episode for state in ledger.states if state.phase is Phase.FIRING}
    assert firing_now <= open_alerts.keys()
    assert once or firing_now == open_alerts.keys()


def _held(sequence, episode):
    """Minutes for which the condition has not been known not to hold, in this episode, up to the last entry."""
    held = -1
    for value, seen in reversed(sequence):
        if value is not ABSENT and (seen != episode or (value is not None and value < 0.8)):
            break
        held += 1
    return held


def with_used(used: int) -> dict[str, object]:
    return {"facts": {"used": used, "amount": 2_500, "window_seconds": 86_400.0}}


@pytest.mark.parametrize(
    ("used", "told"),
    [
        pytest.param([500] * 6, [], id="M15: a daily bulk report pages nobody"),
        pytest.param([500, 500, 501, 502, 503, 503], [], id="nor with a little use beside it"),
        pytest.param([500, 520, 540, 560], [(2, "fired")], id="a run that loops does, after its time"),
        pytest.param([500, 500, 500, 500, 600], [(4, "fired")], id="and one whose reports come every few minutes"),
    ],
)
def test_a_burn_goes_on(used, told):
    ledger = Ledger(a_rule(hold=2 * MINUTE, goes_on=True))
    for amount in used:
        ledger.see(0.9, **with_used(amount))
    assert [(minute, kind.value) for minute, _, kind in ledger.told] == told


def test_M15_four_limits_with_one_cause_page_nobody():
    ledger = Ledger(a_rule(hold=2 * MINUTE, goes_on=True))
    for _ in range(5):
        ledger.step(tuple(Sample("ratio", f"team-{n}", "w1", 0.9, 100.0, "tokens", **with_used(500)) for n in range(4)))
    assert ledger.told == []
