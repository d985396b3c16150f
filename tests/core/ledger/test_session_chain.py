"""A chain of sessions taken use by use is the one that all uses at once give, however often it goes back an hour."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.ledger.session_chain import Grounds, SessionChain, hour_of, spans_of
from quota_scheduler.core.limits.schedule import Window
from tests.builders import DAY, HOUR, MINUTE, MONDAY

LENGTH = 5 * HOUR


def taken(uses, grounds, chain=None):
    """What a chain comes to that is told of uses, each minutes after the beginning and an amount."""
    chain = chain or SessionChain(LENGTH, grounds)
    for minutes, amount in sorted(uses):
        chain.take(MONDAY + minutes * MINUTE, amount)
    chain.end()
    return {
        ((span.starts_at - MONDAY) / MINUTE, (span.ends_at - MONDAY) / MINUTE): used
        for span, used in spans_of(chain.sessions).items()
    }


def opened(*minutes, cut=None):
    """What leases have opened, and where the chain begins anew."""
    return Grounds(
        None if cut is None else MONDAY + cut * MINUTE, tuple(sorted(MONDAY + after * MINUTE for after in minutes))
    )


@pytest.mark.parametrize(
    ("uses", "grounds", "sessions"),
    [
        pytest.param([], opened(), {}, id="nothing used opens nothing"),
        pytest.param([(10, 3), (309, 4), (310, 5)], opened(), {(10, 310): 7, (310, 610): 5}, id="one ends, one begins"),
        pytest.param([(10, 3)], opened(0), {(0, 300): 3}, id="a lease had opened it"),
        pytest.param([(10, 3)], opened(10, 20), {(10, 310): 3}, id="a lease inside opens nothing"),
        pytest.param([(10, 3)], opened(400), {(10, 310): 3, (400, 700): 0}, id="a lease opened one after the last use"),
        pytest.param(
            [(10, 3), (90, 4)], opened(cut=60), {(90, 390): 4}, id="what lies before the cut is no part of it"
        ),
        pytest.param([(10, 0)], opened(), {(10, 310): 0}, id="a use of nothing opens one: who asks leaves it out"),
    ],
)
def test_sessions(uses, grounds, sessions):
    assert taken(uses, grounds) == sessions


USES = st.lists(st.tuples(st.integers(0, 3 * 24 * 60), st.integers(1, 9)), max_size=30)
OPENINGS = st.lists(st.integers(0, 3 * 24 * 60), max_size=4)


@given(USES, USES, OPENINGS, st.integers(0, 3 * 24))
def test_back_by_hours_and_on_with_other_uses_is_what_those_give_alone(before, after, openings, hour):
    grounds = opened(*openings)
    same = [use for use in before if use[0] < hour * 60]
    chain = SessionChain(LENGTH, grounds)
    taken(before, grounds, chain)
    chain.rewind(MONDAY + hour * HOUR)
    now = [use for use in after if use[0] >= hour * 60]
    assert taken(now, grounds, chain) == taken([*same, *now], grounds)


@pytest.mark.parametrize(
    ("before", "after", "anew_from"),
    [
        pytest.param(opened(60), opened(60), None, id="nothing differs"),
        pytest.param(opened(60), opened(60, 400), MONDAY + 400 * MINUTE, id="a lease has opened another"),
        pytest.param(opened(60, 400), opened(400), MONDAY + 60 * MINUTE, id="one that a lease opened is gone"),
        pytest.param(opened(60), opened(60, cut=90), MONDAY - 8 * DAY, id="it begins elsewhere: all of it"),
    ],
)
def test_other_grounds(before, after, anew_from):
    chain = SessionChain(LENGTH, before)
    assert (chain.stand_on(after, MONDAY - 8 * DAY), chain.grounds) == (anew_from, after)


def test_an_hour_begins_in_utc_whatever_zone_an_instant_names():
    assert hour_of(MONDAY + timedelta(minutes=59, seconds=59)) == MONDAY
    assert Window(MONDAY, MONDAY + HOUR).contains(hour_of(MONDAY + HOUR - MINUTE))
