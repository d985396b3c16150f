"""From the outbox to receivers, with a notifier that remembers: what is sent, when again, and to whom all the same."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from quota_scheduler.core.alerts.retries import LONGEST_ASKED
from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.samples import samples
from quota_scheduler.core.alerts.state import NoticeKind, Transition
from quota_scheduler.core.alerts.step import step
from quota_scheduler.core.alerts.wording import LONGEST
from quota_scheduler.core.readings.readings import Readings
from quota_scheduler.notify.addresses import AppriseReceiver
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.digest import compose
from quota_scheduler.store import Store, alerts, outbox
from quota_scheduler.store.outbox import OwedMessage
from tests.core.alerts.test_samples import a_limit
from tests.fakes import FixedClock, RecordingNotifier
from tests.full_disk import full_disk

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECONDS = 20.0
"""Longest wait for threads; they take milliseconds."""
FAILED = Delivery(DeliveryOutcome.RETRY, "HTTP 500", "error")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Iterator[Store]:
    with Store(tmp_path / "quota.db", clock=clock) as store:
        yield store


def owe(store: Store, *targets: str, scope: str = "weekly", kind: NoticeKind = NoticeKind.FIRED) -> None:
    rule = AlertRule(
        id="high", reading="ratio", op=Op.ABOVE, threshold=0.8, clear=0.7, severity=Severity.WARNING,
        texts=RuleTexts("High", "", ("",)),
    )  # fmt: skip
    due = Transition(kind, rule, scope, "w1", rule.severity, f"{scope} {kind}", f"{scope} is high.\n[high · {scope}]")
    with store.transaction() as tx:
        outbox.owe(tx, [(target, due) for target in targets])


def states(store: Store) -> list[tuple[str, str, int]]:
    with store.reading() as tx:
        return tx.rows("SELECT target, state, attempts FROM outbox ORDER BY id")


def run(deliverer: Deliverer) -> None:
    deliverer.deliver()
    assert deliverer.join(SECONDS)


def test_what_is_owed_is_sent_once(store):
    notifier = RecordingNotifier()
    deliverer = Deliverer(store, notifier, ("ops",))
    owe(store, "ops")
    run(deliverer)
    run(deliverer)
    body = "weekly is high.\n[high · weekly]"
    assert notifier.sent == [Message("ops", Severity.WARNING, "weekly fired", body)]
    assert states(store) == [("ops", "delivered", 1)]


def test_news_and_all_clear_follow_each_other(store):
    notifier = RecordingNotifier()
    owe(store, "ops")
    owe(store, "ops", kind=NoticeKind.RESOLVED)
    run(Deliverer(store, notifier, ("ops",)))
    assert [(sent.subject, sent.resolved) for sent in notifier.sent] == [
        ("weekly fired", False),
        ("weekly resolved", True),
    ]


def test_trap_a_failing_receiver_keeps_its_message_and_only_it_is_tried_again(store, clock):
    notifier = RecordingNotifier(
        lambda message: FAILED if message.target == "ops" else Delivery(DeliveryOutcome.DELIVERED)
    )
    deliverer = Deliverer(store, notifier, ("ops", "boss"))
    owe(store, "ops", "boss")
    for seconds in (0, 29, 1, 60):
        clock.advance(timedelta(seconds=seconds))
        run(deliverer)
    assert (len(notifier.to("ops")), len(notifier.to("boss"))) == (3, 1)
    assert states(store) == [("ops", "owed", 3), ("boss", "delivered", 1)]


def test_trap_a_hanging_receiver_delays_nobody_else(store):
    hanging, began = threading.Event(), threading.Event()

    def answer(message: Message) -> Delivery:
        if message.target == "slow":
            began.set()
            assert hanging.wait(SECONDS)
        return Delivery(DeliveryOutcome.DELIVERED)

    notifier, delivered = RecordingNotifier(answer), threading.Event()
    deliverer = Deliverer(
        store, notifier, ("slow", "quick"), observe=lambda target, *_: delivered.set() if target == "quick" else None
    )
    owe(store, "slow", "quick")
    deliverer.deliver()
    assert began.wait(SECONDS)
    assert delivered.wait(SECONDS)
    delivered.clear()
    owe(store, "quick", scope="daily")
    while not delivered.is_set():
        deliverer.deliver()
        delivered.wait(0.01)
    assert (len(notifier.to("slow")), len(notifier.to("quick"))) == (1, 2), "nothing is sent twice meanwhile"
    hanging.set()
    assert deliverer.close(SECONDS)
    assert {state for _, state, _ in states(store)} == {"delivered"}


def test_a_receiver_that_refuses_for_good_does_not_hold_up_the_next_message(store):
    answers = iter([Delivery(DeliveryOutcome.DEAD, "gone"), Delivery(DeliveryOutcome.DELIVERED)])
    notifier = RecordingNotifier(lambda _: next(answers))
    owe(store, "ops")
    owe(store, "ops", kind=NoticeKind.RESOLVED)
    run(Deliverer(store, notifier, ("ops",)))
    assert states(store) == [("ops", "dead", 1), ("ops", "delivered", 1)]


def test_trap_a_killed_process_repeats_a_message_rather_than_losing_it(tmp_path, clock):
    with Store(tmp_path / "quota.db", clock=clock) as store:
        owe(store, "ops")
        with store.transaction() as tx:
            outbox.claim(tx, "ops", tx.now)
    notifier = RecordingNotifier()
    with Store(tmp_path / "quota.db", clock=clock) as store:
        run(Deliverer(store, notifier, ("ops",)))
        assert states(store) == [("ops", "delivered", 2)]
    assert [sent.body.splitlines()[-1] for sent in notifier.sent] == ["[high · weekly]"]


def test_a_defect_while_sending_is_a_failed_attempt_and_waits_like_one(store, clock, caplog):
    answers = [KeyError("a defect")]

    def answer(_: Message) -> Delivery:
        if answers:
            raise answers.pop()
        return Delivery(DeliveryOutcome.DELIVERED)

    deliverer = Deliverer(store, RecordingNotifier(answer), ("ops",))
    owe(store, "ops")
    run(deliverer)
    run(deliverer)
    assert states(store) == [("ops", "owed", 1)]
    clock.advance(timedelta(seconds=30))
    run(deliverer)
    assert states(store) == [("ops", "delivered", 2)]
    assert "notification.defect target=ops" in caplog.text


def test_a_database_that_fails_under_way_loses_nothing_and_is_one_sentence(store, caplog):
    notifier = RecordingNotifier()
    deliverer = Deliverer(store, notifier, ("ops",))
    owe(store, "ops")
    with full_disk(store, "UPDATE", "outbox", "new.state = 'delivered'"):
        run(deliverer)
    assert states(store) == [("ops", "sending", 1)]
    (said,) = [record for record in caplog.records if record.message.startswith("notification.interrupted")]
    sentence = "the disk is full or cannot be written (disk is full): make room; it is sent again then"
    assert (said.message, said.exc_info) == (f"notification.interrupted target=ops error={sentence}", None)
    run(deliverer)
    assert (states(store), len(notifier.sent)) == ([("ops", "delivered", 1)], 1), "the receiver has it already"


class Topics(RecordingNotifier):
    """A receiver whose address names some topics."""

    def __init__(self, count: int, answer=None) -> None:
        super().__init__(answer)
        self.count = count

    def parts(self, receiver: str) -> tuple[str, ...]:
        return tuple(f"{receiver}/{number}" for number in range(1, self.count + 1)) if self.count > 1 else (receiver,)


def test_what_is_owed_to_an_address_of_three_topics_is_a_row_for_each_and_only_the_refused_one_is_repeated(
    store, clock
):
    notifier = Topics(3, lambda message: FAILED if message.target == "ops/2" else Delivery(DeliveryOutcome.DELIVERED))
    seen: list[str] = []
    deliverer = Deliverer(store, notifier, ("ops",), observe=lambda target, *_: seen.append(target))
    owe(store, "ops")
    run(deliverer)
    clock.advance(timedelta(seconds=30))
    run(deliverer)
    assert states(store) == [("ops/1", "delivered", 1), ("ops/2", "owed", 2), ("ops/3", "delivered", 1)]
    assert (len(notifier.sent), set(seen)) == (4, {"ops"})


def test_a_topic_that_left_its_address_is_given_up_and_the_others_go_on(store):
    owe(store, "ops/1", "ops/2", "ops/3", "gone/1")
    run(Deliverer(store, Topics(2), ("ops",)))
    assert sorted(states(store)) == [
        ("gone/1", "dead", 0), ("ops/1", "delivered", 1), ("ops/2", "delivered", 1), ("ops/3", "dead", 0),
    ]  # fmt: skip


def test_an_answer_that_comes_late_settles_what_it_was_to(store, clock):
    lates = []

    class Slow(RecordingNotifier):
        def send(self, message, late=None):
            lates.append(late)
            return super().send(message, late)

    deliverer = Deliverer(store, Slow(lambda _: FAILED), ("ops",))
    owe(store, "ops")
    run(deliverer)
    lates[0](Delivery(DeliveryOutcome.DELIVERED, "JSON: HTTP 200"))
    clock.advance(timedelta(hours=1))
    run(deliverer)
    assert (states(store), len(lates)) == ([("ops", "delivered", 1)], 1)


JUMPS = [
    pytest.param(timedelta(minutes=-30), id="R3, B1: half an hour back"),
    pytest.param(timedelta(hours=8), id="R3: eight hours ahead"),
    pytest.param(timedelta(days=5), id="R1: five days ahead"),
]


def test_B1_a_retry_is_made_after_its_wait_though_the_wall_clock_stepped_back(store, clock):
    seconds = 0.0
    notifier = RecordingNotifier(lambda _: FAILED)
    deliverer = Deliverer(store, notifier, ("ops",), monotonic=lambda: seconds)
    owe(store, "ops")
    run(deliverer)
    clock.advance(timedelta(minutes=-30))
    run(deliverer)
    assert states(store) == [("ops", "owed", 1)], "not before its time"
    seconds = 31.0
    run(deliverer)
    assert states(store) == [("ops", "owed", 2)]


@pytest.mark.parametrize("jump", JUMPS[1:])
def test_a_wait_that_began_while_the_clock_was_ahead_is_no_longer_for_it(store, clock, jump):
    seconds = 0.0
    deliverer = Deliverer(store, RecordingNotifier(lambda _: FAILED), ("ops",), monotonic=lambda: seconds)
    owe(store, "ops")
    clock.advance(jump)
    run(deliverer)
    clock.advance(-jump)
    run(deliverer)
    assert states(store) == [("ops", "owed", 1)], "nor shorter"
    seconds = 31.0
    run(deliverer)
    assert states(store) == [("ops", "owed", 2)]


@pytest.mark.parametrize("jump", JUMPS)
def test_a_restart_after_a_jump_waits_no_longer_than_a_receiver_may_ask_for(store, clock, jump):
    owe(store, "ops")
    clock.advance(jump)
    run(Deliverer(store, RecordingNotifier(lambda _: FAILED), ("ops",)))
    clock.advance(-jump)
    clock.advance(LONGEST_ASKED)
    run(Deliverer(store, RecordingNotifier(), ("ops",)))
    assert states(store) == [("ops", "delivered", 2)]


def test_a_day_that_the_clock_was_ahead_gives_nothing_up(store, clock):
    owe(store, "ops")
    clock.advance(timedelta(days=5))
    run(Deliverer(store, RecordingNotifier(lambda _: FAILED), ("ops",)))
    assert states(store) == [("ops", "owed", 1)]


def test_a_database_that_refuses_is_told_once_when_it_begins_and_once_when_it_ends(store, caplog):
    caplog.set_level("INFO")
    deliverer = Deliverer(store, RecordingNotifier(), ("ops",))
    owe(store, "ops")
    with full_disk(store, "UPDATE", "outbox"):
        for _ in range(3):
            run(deliverer)
    problem = deliverer.problem
    run(deliverer)
    said = [line.getMessage().split()[0] for line in caplog.records]
    assert said == ["notification.interrupted", "notification.delivered", "notification.goes_on"]
    assert (problem.startswith("the disk is full"), deliverer.problem) == (True, "")


def test_a_target_that_cannot_even_be_looked_up_delays_nobody_else(store):
    class Broken(RecordingNotifier):
        def parts(self, receiver: str) -> tuple[str, ...]:
            if receiver == "a-bad":
                raise RecursionError("too deep")
            return (receiver,)

    owe(store, "a-bad", "ops")
    run(Deliverer(store, Broken(), ("a-bad", "ops")))
    assert states(store) == [("a-bad", "owed", 0), ("ops", "delivered", 1)]


def test_receivers_that_are_no_longer_configured_are_given_up_at_start(store):
    owe(store, "gone", "ops")
    run(Deliverer(store, RecordingNotifier(), ("ops",)))
    assert states(store) == [("gone", "dead", 0), ("ops", "delivered", 1)]


def test_nothing_new_begins_while_closing(store):
    deliverer = Deliverer(store, RecordingNotifier(), ("ops",))
    assert deliverer.close(SECONDS)
    owe(store, "ops")
    run(deliverer)
    assert states(store) == [("ops", "owed", 0)]


def test_each_attempt_is_observed(store):
    seen: list[tuple[str, Delivery]] = []
    deliverer = Deliverer(
        store,
        RecordingNotifier(lambda _: FAILED),
        ("ops",),
        observe=lambda target, result, _: seen.append((target, result)),
    )
    owe(store, "ops")
    run(deliverer)
    assert seen == [("ops", FAILED)]


def test_a_week_of_a_limit_as_its_receivers_hear_it_with_a_restart_between_all_ticks(tmp_path, clock):
    rules, receivers = load_rules(), (AppriseReceiver("ops", ""), AppriseReceiver("boss", "", Severity.CRITICAL))
    notifier = RecordingNotifier()
    for used in (500, 810, 820, 960, 970, 1_010, 1_020, None, 100):
        starts = NOW if used is None or used == 100 else NOW - timedelta(days=7)
        weekly = a_limit(used=(used or 0) * 1_000, starts_at=starts, ends_at=starts + timedelta(days=7))
        with Store(tmp_path / "quota.db", clock=clock) as store:
            with store.transaction() as tx:
                readings = Readings(at=tx.now, limits=(weekly,))
                result = step(
                    rules, samples(readings), alerts.load_states(tx), tx.now, alerts.load_silences(tx, tx.now)
                )
                alerts.save_step(tx, result, receivers)
            run(Deliverer(store, notifier, ("ops", "boss")))
        clock.advance(timedelta(minutes=1))
    assert [sent.subject for sent in notifier.to("ops")] == [
        "max-weekly: 82 % used",
        "max-weekly: 97 % used, 30k tokens left",
        "max-weekly is exhausted: 1.01M tokens of 1M tokens used",
        "Resolved: Limit exhausted: max-weekly",
    ]
    assert [sent.subject for sent in notifier.to("boss")] == [sent.subject for sent in notifier.to("ops")[1:]]
    assert "The window of max-weekly ended at 102 % of 1M tokens" in notifier.sent[-1].body


def a_row(
    number: int, severity: Severity = Severity.WARNING, kind: NoticeKind = NoticeKind.FIRED, words: int = 5
) -> OwedMessage:
    body = "It is high. " * words + f"\n[high · l{number}]"
    return OwedMessage(number, "ops", "high", f"l{number}", "", kind, severity, f"l{number} is high", body, NOW, 1)


@pytest.mark.parametrize(
    ("group", "subject", "severity"),
    [
        pytest.param([a_row(1)], "l1 is high", Severity.WARNING, id="one alone"),
        pytest.param([a_row(1), a_row(2, Severity.CRITICAL)], "2 alerts (1 critical, 1 warning): l2 is high",
                     Severity.CRITICAL, id="several, worst first"),
        pytest.param([a_row(1, kind=NoticeKind.RESOLVED), a_row(2, kind=NoticeKind.RESOLVED)],
                     "2 alerts resolved: l1 is high", Severity.WARNING, id="several resolved"),
    ],
)  # fmt: skip
def test_one_message_of_many_alerts(group, subject, severity):
    message = compose(group)
    assert (message.subject, message.severity) == (subject, severity)
    assert all(row.body in message.body for row in group)


def test_what_is_too_long_is_given_by_subject_and_what_does_not_fit_is_counted():
    few, many = compose([a_row(n, words=50) for n in range(3)]), compose([a_row(n, words=50) for n in range(60)])
    assert few.body == "\n".join(f"l{n} is high\n[high · l{n}]" for n in range(3))
    assert len(many.body) <= LONGEST
    shown = many.body.count("[high")
    assert shown > 20
    assert many.body.endswith(f"And {60 - shown} more ({60 - shown} high); see the list of alerts.")
