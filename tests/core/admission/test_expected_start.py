"""Expected starts: by the line ahead, the windows to come, and what runs."""

from datetime import timedelta

import pytest

from quota_scheduler.core.admission.decide import Blocker, Defer
from quota_scheduler.core.admission.expected_start import ExpectedStart, expected_start, starts_by_limit
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.schedule import Window, window_at
from quota_scheduler.core.tickets.ticket import Reason
from tests.builders import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_ticket,
    some_balances,
)

TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)
RUN = 40 * MINUTE


def starts(limit, needs, *, reason=Reason.NO_HEADROOM, freed=None, **counters):
    """When each of a line starts, in order."""
    row = Balance(1, limit, "", window_at(limit.schedule, MONDAY), **counters)
    headrooms = Headrooms(some_balances(limit, rows=[row]), {})
    line = [a_ticket(amount, number=n) for n, amount in enumerate(needs, 1)]
    soon = MONDAY + timedelta(seconds=60)
    verdict = Defer(soon, reason, (Blocker(limit.id, reason, soon),))
    busy = {limit.id: freed} if freed else {}
    return [
        expected_start(
            verdict,
            starts_by_limit(ticket, verdict, headrooms, busy_until=busy, ahead=lambda one, _: line[: line.index(one)]),
        )
        for ticket in line
    ]


@pytest.mark.parametrize(
    ("needs", "given", "days"),
    [
        pytest.param((90, 90, 90, 90), {"used": 100}, (0, 1, 2, 3), id="M6: four of a day each start on four days"),
        pytest.param((50, 50, 50), {"used": 100}, (0, 0, 1), id="two a day"),
        pytest.param((90, 10, 20), {"used": 100}, (0, 0, 1), id="nobody before who stands ahead"),
        pytest.param((90, 10), {"used": 50, "reserved": 40}, (0, 0), id="what fits behind a larger one, with it"),
    ],
)  # fmt: skip
def test_windows_of_a_line(needs, given, days):
    expected = [start.expected for start in starts(a_limit(), needs, **given)]
    assert expected == [MIDNIGHT + day * DAY for day in days]


def test_M6_the_low_end_is_the_reset_and_the_high_end_what_running_work_may_take():
    assert starts(a_limit(), (90, 90), used=0, reserved=90, freed=MONDAY + HOUR) == [
        ExpectedStart(MONDAY, MONDAY + HOUR, MIDNIGHT),
        ExpectedStart(MIDNIGHT, MIDNIGHT, MIDNIGHT + DAY),
    ]


@pytest.mark.parametrize(
    ("amount", "freed", "after"),
    [
        pytest.param(1, MONDAY + HOUR, [HOUR, HOUR + RUN, HOUR + 2 * RUN], id="M6: one run after another"),
        pytest.param(2, MONDAY + HOUR, [HOUR, HOUR + RUN / 2, HOUR + RUN], id="two at once, twice as fast"),
        pytest.param(1, None, [RUN, 2 * RUN, 3 * RUN], id="a lease that has just begun takes a usual run"),
    ],
)
def test_turns_of_a_lease(amount, freed, after):
    line = starts(a_concurrency_limit(amount), (1, 1, 1), reason=Reason.CONCURRENCY, freed=freed, reserved=amount)
    assert [start.expected - MONDAY for start in line] == after
    assert all(start.low <= start.expected <= start.high for start in line)


def test_M6_of_eight_behind_one_lease_no_two_start_at_the_same_instant():
    line = starts(a_concurrency_limit(), (1,) * 8, reason=Reason.CONCURRENCY, reserved=1)
    assert len({start.expected for start in line}) == 8


def test_what_ends_by_itself_is_no_matter_of_windows():
    soon = MONDAY + MINUTE
    assert starts(a_limit(), (1,), reason=Reason.CATCHING_UP) == [ExpectedStart(soon, soon, soon)]


def test_M3_nobody_knows_when_a_person_lets_go():
    assert expected_start(Defer(MONDAY, Reason.HELD, ()), {}) is None


def test_windows_far_ahead_follow_at_their_length():
    far = starts(a_limit(), (100,) * 100, used=100)[-1]
    assert far.expected == MIDNIGHT + 99 * DAY


def test_what_is_kept_for_others_alone_comes_free_before_the_reset():
    """Nobody runs, the window has room: 40 are kept where 10 are expected, 30 are free; a third of the day helps."""
    limit = a_limit()
    row = Balance(1, limit, "", window_at(limit.schedule, MONDAY), used=10)
    knots = (10, 40, 40, 40, 40, 40)
    outlook = Outlook(MONDAY, MIDNIGHT, 30 * DAY, ((), knots, knots, knots))
    headrooms = Headrooms(some_balances(limit, rows=[row]), {limit.id: outlook})
    verdict = Defer(MIDNIGHT, Reason.PACED, (Blocker(limit.id, Reason.PACED, MIDNIGHT),))
    start = expected_start(verdict, starts_by_limit(a_ticket(60), verdict, headrooms, busy_until={}))
    hours = [(at - MONDAY) / HOUR for at in (start.low, start.expected, start.high)]
    assert hours == pytest.approx([2.5, 5, 15], abs=0.2)  # amounts are whole
