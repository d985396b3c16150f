"""An alert is told once, whoever leads when it fires, is repeated, and ends."""

from datetime import timedelta

import pytest

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from tests.replicas.several import LIMITS, TTL, OneOfSeveral, Several, sent_by

TOLD = LIMITS + 'receivers: [{id: ops, url: "json://127.0.0.1:9"}]\n'


def subjects(*replicas: OneOfSeveral) -> list[tuple[bool, str]]:
    """What was sent about limits being exhausted: whether it is an all-clear, and by which alert."""
    return [(one.resolved, one.subject) for one in sent_by(*replicas) if "exhausted" in one.subject.lower()]


def fired(several: Several, *replicas: OneOfSeveral) -> None:
    """Let an alert fire: the whole limit is used."""
    several.pass_by(TTL, *replicas)
    several.use("a", 1000)
    several.pass_by(timedelta(minutes=1), *replicas)


def test_who_takes_over_repeats_nothing_and_says_when_it_is_over(several: Several):
    first, second = several.join(TOLD), several.join(TOLD)
    fired(several, first, second)
    news = subjects(first, second)
    several.pass_by(timedelta(minutes=1), second)
    assert second.leads
    assert (len(news), [resolved for resolved, _ in news]) == (1, [False])
    assert subjects(first, second) == news
    several.clock.advance(timedelta(days=1))
    several.pass_by(timedelta(minutes=2), second)
    assert [resolved for resolved, _ in subjects(second)] == [True]
    assert [resolved for resolved, _ in subjects(first)] == [False]


def test_what_was_owed_and_not_sent_is_sent_by_the_next(several: Several):
    first, second = several.join(TOLD), several.join(TOLD)
    first.deliver = lambda: None  # type: ignore[method-assign]
    fired(several, first, second)
    assert sent_by(first, second) == []
    several.pass_by(2 * TTL, second)
    assert [resolved for resolved, _ in subjects(second)] == [False]


def test_what_was_claimed_before_a_stop_is_not_sent_after_it(several: Several):
    """The sender is stopped between claim and send; the next one has sent it when it is let go on."""
    first, second = several.join(TOLD), several.join(TOLD)
    deliverer = first.service.parts.deliverer
    go_on = deliverer._must_lead

    def stopped() -> None:
        several.pass_by(2 * TTL, second)
        go_on()

    deliverer._must_lead = stopped
    several.pass_by(TTL, first, second)
    several.use("a", 1000)
    for _ in range(30):
        several.clock.advance(TTL / 3)
        if first.service.leading.leads:
            first.beat()
    assert subjects(first) == []
    assert [resolved for resolved, _ in subjects(second)] == [False]


@pytest.mark.parametrize(
    ("outcome", "times"),
    [
        pytest.param(DeliveryOutcome.DELIVERED, 1, id="a message that was taken is not sent again"),
        pytest.param(DeliveryOutcome.DEAD, 1, id="nor one that was given up"),
    ],
)
def test_what_became_of_a_message_is_known_to_the_next(several: Several, outcome, times):
    first, second = several.join(TOLD), several.join(TOLD)

    def answer(_: Message) -> Delivery:
        return Delivery(outcome)

    first.notifier.answer = second.notifier.answer = answer
    fired(several, first, second)
    several.pass_by(timedelta(minutes=2), second)
    assert len(subjects(first, second)) == times
