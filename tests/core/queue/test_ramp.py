"""The ramp after a reset: starts come one after another."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.queue.ramp import Ramps
from tests.builders import a_limit
from tests.core.queue.lines import POLICY, TODAY, waiting


@pytest.mark.parametrize(
    ("waiting", "ramp"),
    [(0, 0.0), (1, 0.0), (2, 0.05), (11, 0.5), (601, 30.0), (100_000, 30.0)],
)
def test_the_ramp_grows_with_what_waits_up_to_its_whole_length(waiting, ramp):
    assert POLICY.ramp_for(waiting) == timedelta(seconds=ramp)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200, unique=True))
def test_starts_on_a_ramp_come_one_after_another_and_all_of_them_on_it(numbers):
    balance = Balance(1, a_limit(), "", TODAY, ramp=timedelta(seconds=30))
    ramps, starts = Ramps(), []
    for left, number in reversed(list(enumerate(numbers))):
        ticket = waiting(number, minutes=60 * 24)
        starts.append(ramps.holds(ticket, balance, TODAY.starts_at))
        ramps.started(ticket, balance, TODAY.starts_at, left=left)
    assert starts[0] == TODAY.starts_at
    assert starts == sorted(starts)
    assert starts[-1] <= TODAY.starts_at + 1.5 * balance.ramp
    assert ramps.holds(waiting(1, minutes=60 * 24), balance, TODAY.starts_at + balance.ramp) is None
    assert ramps.holds(waiting(1, minutes=0), balance, TODAY.starts_at) is None


def test_a_session_that_nobody_has_used_yet_lets_them_go_one_after_another_too():
    reset = TODAY.starts_at
    balance = Balance(0, a_limit(), "", None, ramp=timedelta(seconds=1))
    ramps, first, second = Ramps(), waiting(1, minutes=60 * 24), waiting(2, minutes=60 * 24)
    assert ramps.holds(first, balance, reset) is None  # nothing says that it was reset
    ramps.reset(balance, reset)
    assert ramps.holds(first, balance, reset) == reset
    ramps.started(first, balance, reset, left=1)
    at = ramps.holds(second, balance, reset)
    assert at is not None
    assert timedelta(seconds=0.5) <= at - reset <= timedelta(seconds=1.5)
    assert ramps.holds(second, balance, reset + timedelta(seconds=1)) is None
