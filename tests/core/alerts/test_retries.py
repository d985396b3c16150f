"""When a message that did not arrive is tried again, and when it is given up."""

from datetime import timedelta

import pytest

from quota_scheduler.core.alerts.retries import GIVE_UP_ATTEMPTS, LONGEST_ASKED, is_too_old, may_be_tried, wait
from tests.builders import DAY, HOUR, MINUTE, MONDAY, SECOND

NONE = timedelta(0)


@pytest.mark.parametrize(
    ("attempts", "asked", "waits"),
    [
        pytest.param(1, NONE, 30 * SECOND, id="the first failure"),
        pytest.param(2, NONE, MINUTE, id="twice as long"),
        pytest.param(6, NONE, 16 * MINUTE, id="and so on"),
        pytest.param(7, NONE, 30 * MINUTE, id="up to half an hour"),
        pytest.param(999, NONE, 30 * MINUTE, id="however often"),
        pytest.param(1, 10 * MINUTE, 10 * MINUTE, id="a receiver asks for longer"),
        pytest.param(7, MINUTE, 30 * MINUTE, id="or for less than we would wait"),
        pytest.param(1, DAY, HOUR, id="at most an hour"),
    ],
)
def test_how_long_to_wait(attempts, asked, waits):
    assert wait(attempts, asked=asked) == waits


@pytest.mark.parametrize(
    ("left", "may"),
    [
        pytest.param(NONE, True, id="the wait is over"),
        pytest.param(SECOND, False, id="it is not"),
        pytest.param(LONGEST_ASKED, False, id="the longest there is"),
        pytest.param(LONGEST_ASKED + SECOND, True, id="longer than any: a clock that was wrong wrote it"),
    ],
)
def test_when_it_may_be_tried(left, may):
    assert may_be_tried(left) is may


@pytest.mark.parametrize(
    ("age", "attempts", "old"),
    [
        pytest.param(DAY, GIVE_UP_ATTEMPTS, True, id="a day, and tried often enough"),
        pytest.param(DAY - SECOND, GIVE_UP_ATTEMPTS, False, id="not a day yet"),
        pytest.param(9 * DAY, GIVE_UP_ATTEMPTS - 1, False, id="a clock that stood ahead gives nothing up"),
        pytest.param(-DAY, GIVE_UP_ATTEMPTS, True, id="written a day ahead"),
    ],
)
def test_when_it_is_given_up(age, attempts, old):
    assert is_too_old(MONDAY - age, attempts, now=MONDAY) is old
