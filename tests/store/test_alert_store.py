"""Alert states, silences and the outbox, on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.retries import GIVE_UP_ATTEMPTS, may_be_tried
from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.state import (
    AlertState,
    Cause,
    NoticeKind,
    Phase,
    Sample,
    Silence,
    StepResult,
    Transition,
)
from quota_scheduler.core.alerts.step import step
from quota_scheduler.notify.addresses import AppriseReceiver
from quota_scheduler.store import Store, Transaction, alerts, outbox
from quota_scheduler.store.outbox import OutboxState
from tests.fakes import FixedClock

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULE = AlertRule(
    id="high", reading="ratio", op=Op.AT_LEAST, threshold=0.8, clear=0.75, severity=Severity.WARNING,
    texts=RuleTexts("Usage above {threshold}", "{scope} is high", ("{scope} is high.",)),
)  # fmt: skip
OPS, BOSS = AppriseReceiver("ops", "json://localhost"), AppriseReceiver("boss", "json://localhost", Severity.CRITICAL)
FULL = AlertState(
    rule="high", scope="weekly", episode="w1", phase=Phase.RESOLVED, severity=Severity.CRITICAL, since=NOW, value=0.9,
    facts={"limit": "weekly", "amount": 10, "pace": 1.5, "expected": None}, fired_at=NOW, resolved_at=NOW + MINUTE,
    cause=Cause.NEW_WINDOW, clear_since=NOW, absent_since=NOW + MINUTE, last_notified_at=NOW, acknowledged_at=NOW,
    acknowledged_by="ana",
)  # fmt: skip
PENDING = AlertState("high", "daily", "", Phase.PENDING, Severity.INFO, NOW, 0.0)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Iterator[Store]:
    with Store(tmp_path / "quota.db", clock=clock) as store:
        yield store


def a_transition(scope: str = "weekly", kind: NoticeKind = NoticeKind.FIRED, rule: AlertRule = RULE) -> Transition:
    return Transition(kind, rule, scope, "w1", rule.severity, f"{scope} {kind}", f"{scope} is high.")


def owe(store: Store, target: str = "ops", *due: Transition) -> None:
    with store.transaction() as tx:
        outbox.owe(tx, [(target, transition) for transition in due])


def tick(store: Store, *values: float, rules: tuple[AlertRule, ...] = (RULE,)) -> int:
    """The alert part of a tick, as the recompute journey runs it."""
    with store.transaction() as tx:
        states = alerts.load_states(tx)
        samples = tuple(Sample("ratio", f"limit-{i}", "w1", value) for i, value in enumerate(values))
        result = step(rules, samples, states, tx.now, alerts.load_silences(tx, tx.now))
        return alerts.save_step(tx, result, (OPS, BOSS))


def rows(store: Store) -> list[tuple[object, ...]]:
    with store.reading() as tx:
        return tx.rows("SELECT target, scope, kind, state FROM outbox ORDER BY id")


def test_states_come_back_as_they_were_saved(store):
    with store.transaction() as tx:
        alerts.save_step(tx, StepResult(changed=(PENDING, FULL)), ())
    with store.reading() as tx:
        assert alerts.load_states(tx) == (PENDING, FULL)


def test_states_are_replaced_and_dropped_by_key(store):
    moved = replace(FULL, phase=Phase.FIRING, value=0.95, cause=None)
    with store.transaction() as tx:
        alerts.save_step(tx, StepResult(changed=(PENDING, FULL)), ())
        alerts.save_step(tx, StepResult(changed=(moved,), dropped=(PENDING.key,)), ())
        assert alerts.load_states(tx) == (moved,)


def test_trap_one_notification_per_condition_not_per_tick_replica_or_restart(tmp_path, clock):
    for _ in range(3):
        with Store(tmp_path / "quota.db", clock=clock) as store:
            tick(store, 0.9)
            tick(store, 0.9)
            clock.advance(MINUTE)
            assert rows(store) == [("ops", "limit-0", "fired", "owed")]


def test_pending_survives_a_restart(tmp_path, clock):
    patient = (replace(RULE, hold=2 * MINUTE),)
    for owed in (0, 0, 1, 0):
        with Store(tmp_path / "quota.db", clock=clock) as store:
            assert tick(store, 0.9, rules=patient) == owed
        clock.advance(MINUTE)


def test_a_tick_that_fails_leaves_neither_state_nor_notification(store):
    def fail_late() -> None:
        with store.transaction() as tx:
            result = step((RULE,), (Sample("ratio", "weekly", "w1", 0.9),), (), tx.now)
            alerts.save_step(tx, result, (OPS,))
            raise RuntimeError("the readings could not be stored")

    with pytest.raises(RuntimeError, match="could not be stored"):
        fail_late()
    with store.reading() as tx:
        assert (alerts.load_states(tx), rows(store)) == ((), [])


def test_one_row_for_each_target_that_wants_it(store):
    tick(store, 0.9, 0.1, rules=(replace(RULE, severity=Severity.CRITICAL),))
    tick(store, 0.9, 0.9)
    assert rows(store) == [
        ("ops", "limit-0", "fired", "owed"),
        ("boss", "limit-0", "fired", "owed"),
        ("ops", "limit-1", "fired", "owed"),
    ]


def claimed(store: Store, target: str = "ops") -> list[str]:
    with store.transaction() as tx:
        return [row.subject for row in outbox.claim(tx, target, tx.now)]


@pytest.mark.parametrize(
    ("due", "groups"),
    [
        pytest.param([("a", NoticeKind.FIRED), ("b", NoticeKind.REPEAT)], [["a fired", "b repeat"]],
                     id="one tick is one message"),
        pytest.param([("a", NoticeKind.RESOLVED), ("b", NoticeKind.FIRED)], [["a resolved"], ["b fired"]],
                     id="news and all-clears are two"),
        pytest.param([("a", NoticeKind.FIRED), ("a", NoticeKind.RESOLVED), ("b", NoticeKind.FIRED)],
                     [["a fired"], ["a resolved"], ["b fired"]], id="in the order in which it happened"),
        pytest.param([], [], id="nothing is owed"),
    ],
)  # fmt: skip
def test_claims(store, due, groups):
    owe(store, "ops", *(a_transition(scope, kind) for scope, kind in due))
    for group in groups:
        with store.transaction() as tx:
            taken = outbox.claim(tx, "ops", tx.now)
            assert [row.subject for row in taken] == group
            outbox.delivered(tx, taken)
    assert claimed(store) == []


def due_in(tx: Transaction) -> tuple[str, ...]:
    """The targets whose oldest open notification may be tried now."""
    return tuple(target for target, wait_left in outbox.open_targets(tx, tx.now).items() if may_be_tried(wait_left))


def test_what_is_left_in_sending_is_claimed_again(store):
    owe(store, "ops", a_transition())
    assert claimed(store) == ["weekly fired"]
    with store.transaction() as tx:
        assert due_in(tx) == ("ops",)
        assert [row.attempts for row in outbox.claim(tx, "ops", tx.now)] == [2]


def fail(store: Store, wait: timedelta = timedelta(0)) -> None:
    with store.transaction() as tx:
        outbox.failed(tx, outbox.claim(tx, "ops", tx.now), "HTTP 500", wait)


def due(store: Store) -> tuple[str, ...]:
    with store.reading() as tx:
        return due_in(tx)


def test_a_failed_target_is_tried_again_after_its_wait_and_newer_news_wait_with_it(store, clock):
    owe(store, "ops", a_transition("a"))
    fail(store)
    owe(store, "ops", a_transition("b"))
    owe(store, "boss", a_transition("a"))
    assert (due(store), claimed(store)) == (("boss",), [])
    clock.advance(timedelta(seconds=30))
    assert (due(store), claimed(store)) == (("boss", "ops"), ["a fired", "b fired"])


def test_a_receiver_may_ask_for_a_longer_wait(store, clock):
    owe(store, "ops", a_transition())
    fail(store, 5 * MINUTE)
    clock.advance(4 * MINUTE)
    assert due(store) == ()
    clock.advance(MINUTE)
    assert due(store) == ("ops",)


def test_after_a_day_it_is_given_up_and_the_rest_goes_on(store, clock):
    owe(store, "ops", a_transition("old"))
    with store.transaction() as tx:
        tx.execute("UPDATE outbox SET attempts = ?", (GIVE_UP_ATTEMPTS - 1,))
    clock.advance(timedelta(hours=24))
    owe(store, "ops", a_transition("new"))
    fail(store)
    assert rows(store) == [("ops", "old", "fired", "dead"), ("ops", "new", "fired", "owed")]
    with store.reading() as tx:
        assert tx.scalar("SELECT detail FROM outbox WHERE state = 'dead'") == "given up after 24 h: HTTP 500"


def test_what_is_owed_to_a_receiver_that_is_no_longer_configured_is_given_up(store):
    owe(store, "ops", a_transition())
    owe(store, "gone", a_transition(), a_transition("daily"))
    with store.transaction() as tx:
        assert outbox.forget_targets(tx, ("ops",)) == 2
        assert outbox.counts(tx) == {("gone", OutboxState.DEAD): 2, ("ops", OutboxState.OWED): 1}


def test_the_oldest_owed_counts_until_it_is_settled(store, clock):
    owe(store, "ops", a_transition())
    clock.advance(MINUTE)
    owe(store, "boss", a_transition())
    with store.transaction() as tx:
        assert outbox.oldest_owed(tx) == NOW
        group = outbox.claim(tx, "ops", tx.now)
        assert outbox.oldest_owed(tx) == NOW
        outbox.delivered(tx, group)
        assert outbox.oldest_owed(tx) == NOW + MINUTE
        outbox.dead(tx, outbox.claim(tx, "boss", tx.now), "no")
        assert outbox.oldest_owed(tx) is None


def test_settled_notifications_are_pruned_and_open_ones_kept(store):
    owe(store, "ops", a_transition("a"))
    with store.transaction() as tx:
        outbox.delivered(tx, outbox.claim(tx, "ops", tx.now))
    owe(store, "ops", a_transition("b"))
    with store.transaction() as tx:
        assert (alerts.prune(tx, NOW), alerts.prune(tx, NOW + MINUTE)) == (0, 1)
    assert rows(store) == [("ops", "b", "fired", "owed")]


def test_silences_last_until_they_end(store):
    silence = Silence((("scope", "team-*"), ("severity", "warning")), "ana", "known", NOW, NOW + 2 * MINUTE)
    with store.transaction() as tx:
        kept = replace(silence, id=alerts.add_silence(tx, silence))
        ended = alerts.add_silence(tx, silence)
        assert (alerts.end_silence(tx, ended), alerts.end_silence(tx, ended), alerts.end_silence(tx, 99)) == (
            True, False, False,
        )  # fmt: skip
        assert alerts.load_silences(tx, NOW) == (kept,)
        assert alerts.load_silences(tx, NOW + 2 * MINUTE) == ()
        assert alerts.prune(tx, NOW + MINUTE) == 1


def test_R3_a_silence_made_while_the_clock_was_ahead_begins_at_once_and_lasts_its_length(store, clock):
    now, ahead = clock.at, clock.at + HOUR
    clock.at = ahead
    with store.transaction() as tx:
        alerts.add_silence(tx, Silence((), "ana", "at once", ahead, ahead + MINUTE))
        alerts.add_silence(tx, Silence((), "ana", "planned", ahead + DAY, ahead + 2 * DAY))
    clock.at = now
    for _ in range(2):  # put right once, whatever how often it is looked at
        with store.transaction() as tx:
            alerts.put_right(tx)
            spans = [(silence.starts_at, silence.ends_at) for silence in alerts.load_silences(tx, tx.now)]
        assert spans == [(now, now + MINUTE), (now + DAY, now + 2 * DAY)]


def test_R5_a_silence_that_cannot_be_read_ends_no_other(store):
    silence = Silence((("scope", "x"),), "ana", "", NOW, NOW + MINUTE)
    with store.transaction() as tx:
        alerts.add_silence(tx, silence)
        tx.execute("UPDATE silences SET matchers = 'no JSON'")
        kept = replace(silence, id=alerts.add_silence(tx, silence))
        assert alerts.load_silences(tx, NOW) == (kept,)


def test_a_silenced_alert_is_told_when_the_silence_ends(store, clock):
    with store.transaction() as tx:
        alerts.add_silence(tx, Silence((), "ana", "", NOW, NOW + MINUTE))
    assert tick(store, 0.9) == 0
    clock.advance(MINUTE)
    assert (tick(store, 0.9), tick(store, 0.9)) == (1, 0)


def test_only_a_firing_alert_is_acknowledged(store):
    tick(store, 0.9)
    with store.transaction() as tx:
        [(number, _)] = alerts.load_alerts(tx)
        assert (alerts.acknowledge(tx, number, "ana"), alerts.acknowledge(tx, number + 1, "ana")) == (True, False)
        [(_, state)] = alerts.load_alerts(tx)
        assert (state.acknowledged_at, state.acknowledged_by) == (NOW, "ana")
    tick(store, 0.1)
    with store.transaction() as tx:
        assert alerts.acknowledge(tx, number, "ben") is False
