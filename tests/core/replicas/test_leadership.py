"""Who may lead: a table of what stands, who asks, who else is there, and what comes of it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.core.replicas.leadership import Leadership, claimed
from quota_scheduler.core.replicas.replica import Replica
from tests.builders import MONDAY

TTL = timedelta(seconds=5)
A = Replica("a", "host-a", 1, "a:1", "1", "old", MONDAY, MONDAY)
B = Replica("b", "host-b", 2, "b:1", "1", "old", MONDAY, MONDAY)
B_NEW = replace(B, rules="new")
BEHIND = (SourceReading("claude_code", True, 60.0, 0),)
B_BEHIND = replace(B, sources=BEHIND)
C = Replica("c", "host-c", 3, "c:1", "1", "old", MONDAY, MONDAY)
BEHIND_TOO = replace(C, sources=BEHIND)
LED_BY_A = Leadership("a", 4, MONDAY + TTL, "a:1", "old")
OVER = replace(LED_BY_A, ends_at=MONDAY)
BY_B = Leadership("b", 5, MONDAY + TTL, "b:1", "old")


@pytest.mark.parametrize(
    ("standing", "who", "others", "after"),
    [
        pytest.param(Leadership(), A, [], Leadership("a", 1, MONDAY + TTL, "a:1"), id="the first leads"),
        pytest.param(
            replace(LED_BY_A, ends_at=MONDAY + TTL / 3), A, [B], LED_BY_A, id="who leads renews, in the same epoch"
        ),
        pytest.param(LED_BY_A, B, [A], None, id="nobody takes over from who leads"),
        pytest.param(OVER, B, [A], BY_B, id="who is silent is followed, in another epoch"),
        pytest.param(OVER, A, [B], LED_BY_A, id="who was silent goes on where nobody followed"),
        pytest.param(LED_BY_A.resigned(), B, [], BY_B, id="who has resigned is followed at once"),
        pytest.param(
            replace(LED_BY_A, ends_at=MONDAY + 3 * TTL), B, [A], BY_B, id="an end too far ahead is of a clock set back"
        ),
        pytest.param(OVER, B_NEW, [A, C], None, id="new rules wait while one with those in force is there"),
        pytest.param(
            OVER,
            B_NEW,
            [A, replace(C, seen_at=MONDAY - 3 * TTL)],
            BY_B,
            id="new rules come when the last with those in force is silent",
        ),
        pytest.param(OVER, B_NEW, [A], BY_B, id="and when it was the leader alone"),
        pytest.param(OVER, B_BEHIND, [A, C], None, id="who is catching up leaves it to one that is not"),
        pytest.param(OVER, replace(B, is_starting=True), [A, C], None, id="and who does not know yet whether it is"),
        pytest.param(OVER, B_BEHIND, [A, BEHIND_TOO], BY_B, id="unless all are"),
        pytest.param(OVER, B_BEHIND, [A, replace(C, seen_at=MONDAY - 3 * TTL)], BY_B, id="or the other is gone"),
        pytest.param(OVER, B_BEHIND, [A, replace(C, rules="new")], BY_B, id="or must not lead, for its rules"),
        pytest.param(
            replace(LED_BY_A, ends_at=MONDAY + TTL / 3),
            replace(A, sources=BEHIND),
            [C],
            LED_BY_A,
            id="who leads goes on, behind or not",
        ),
    ],
)
def test_who_may_lead(standing, who, others, after):
    assert claimed(standing, who, others, now=MONDAY, ttl=TTL) == after


@pytest.mark.parametrize(
    ("name", "epoch", "later", "holds"),
    [
        pytest.param("a", 4, timedelta(0), True, id="who leads may write"),
        pytest.param("a", 3, timedelta(0), False, id="nothing of an epoch before"),
        pytest.param("b", 4, timedelta(0), False, id="nobody else"),
        pytest.param("a", 4, TTL, False, id="nor who has not renewed in time"),
    ],
)
def test_who_may_write(name, epoch, later, holds):
    assert LED_BY_A.is_of(name, epoch, MONDAY + later) is holds
