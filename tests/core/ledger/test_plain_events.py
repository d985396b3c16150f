"""Plain events: what goes by columns is what came, and whatever shares an id with anything does not go by columns."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.ledger.plain_events import NOTHING, parted, touches, unknown
from quota_scheduler.core.usage import Extent, Usage
from tests.builders import HOUR, MICRO, MINUTE, MONDAY, a_usage_event

CALLS = st.lists(
    st.builds(
        lambda key, message, at, tokens, session, extent: a_usage_event(
            tokens, key=key, message=message, at=MONDAY + at * MINUTE + MICRO, session=session, run=session,
            origin="claude_code", extent=extent,
        ),
        st.integers(0, 9).map("req_{}".format),
        st.integers(0, 9).map("msg_{}".format),
        st.integers(-200, 5),
        st.integers(0, 9),
        st.sampled_from("ab"),
        st.sampled_from([Extent.WHOLE, Extent.PARTIAL]),
    ),
    max_size=8,
)  # fmt: skip


@given(CALLS)
def test_parted_loses_nothing_and_changes_nothing(events):
    plain, others = parted(events)
    plain = pickle.loads(pickle.dumps(plain))
    assert sorted([*plain.events(), *others], key=repr) == sorted(events, key=repr)
    assert not touches(others, plain.keys, plain.messages)
    assert {(e.session, e.at.replace(minute=0, second=0, microsecond=0)) for e in plain.hourly()} == {
        (e.session, e.at.replace(minute=0, second=0, microsecond=0)) for e in plain.events()
    }
    assert {at for e in plain.ends() for at in [e.at]} <= {e.at for e in plain.events()}


ONE = a_usage_event(key="req_1", message="msg_1", origin="claude_code")


@pytest.mark.parametrize(
    ("event", "is_plain"),
    [
        pytest.param(ONE, True, id="a call of a file with both ids"),
        pytest.param(a_usage_event(key="msg:m1", message="m1", origin="claude_code"), True, id="named by its message"),
        pytest.param(a_usage_event(key="req_1", origin="claude_code"), False, id="no message"),
        pytest.param(a_usage_event(key="m", message="m", origin="claude_code"), False, id="one id for both"),
        pytest.param(a_usage_event(key="r:m", message="m", origin="claude_code"), False, id="the second of a pair"),
        pytest.param(a_usage_event(key="r" * 201, message="m", origin="claude_code"), False, id="an endless id"),
        pytest.param(a_usage_event(key="r", message="m", origin="otlp/codex/logs"), False, id="a door without files"),
        pytest.param(a_usage_event(key="r", message="m", usage=Usage(cost_microusd=1)), False, id="its cost is told"),
        pytest.param(a_usage_event(10**11, key="r", message="m"), False, id="more tokens than any call has"),
        pytest.param(a_usage_event(key="r", message="m", extent=Extent.UNLISTED), False, id="no single call"),
    ],
)
def test_what_is_plain(event, is_plain):
    assert [len(part) for part in parted([event])] == ([1, 0] if is_plain else [0, 1])


@pytest.mark.parametrize(
    ("names", "left"),
    [
        pytest.param(set(), 1, id="nothing"),
        pytest.param({"req_1"}, 0, id="its key"),
        pytest.param({"msg_1"}, 0, id="its message"),
        pytest.param({"req_2"}, 1, id="something else"),
    ],
)
def test_what_the_ledger_knows_is_not_plain(names, left):
    plain, known = unknown(parted([ONE])[0], names)
    assert (len(plain), known) == (left, [ONE] if not left else [])


def test_the_ends_of_a_kind_are_its_earliest_and_its_newest_as_told():
    at = [MONDAY, MONDAY - HOUR, MONDAY + HOUR, MONDAY + HOUR]
    events = [a_usage_event(key=f"r{n}", message=f"m{n}", at=when, session="ab"[n == 2]) for n, when in enumerate(at)]
    ends = parted(events)[0].ends()
    assert [(e.session, e.at) for e in ends[2:]] == [("b", MONDAY + HOUR), ("a", MONDAY + HOUR)]
    assert (MONDAY - HOUR) in [e.at for e in ends[:2]]
    assert NOTHING.ends() == NOTHING.events() == NOTHING.hourly() == []
