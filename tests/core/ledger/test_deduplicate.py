"""Counting once: which records of one response stand, and what a batch changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import Change, Identity, count_once
from quota_scheduler.core.usage import Usage, UsageEvent

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def line(key="req1", message="m1", output=10, *, side=False, minute=0, provider="anthropic"):
    at = AT + timedelta(minutes=minute)
    return UsageEvent(key, at, Labels(provider), Usage(output=output, requests=1), message=message, sidechain=side)


class Histories:
    """A ledger in a dictionary, corrected by changes as the store is."""

    def __init__(self, *recorded):
        self.events = {event.identity: event for event in recorded}

    def record(self, *batch):
        keys, messages = {event.identity for event in batch}, {event.message for event in batch if event.message}
        by_message = {m: [e for e in self.events.values() if e.message == m] for m in messages}
        changes = count_once(batch, {k: e for k, e in self.events.items() if k in keys}, by_message)
        touched: list[Identity] = [(change.new or change.old).identity for change in changes]
        assert len(touched) == len(set(touched)), "one change per identity"
        for old, new in changes:
            if old is not None:
                assert self.events.pop(old.identity) == old
            if new is not None:
                assert new.identity not in self.events
                self.events[new.identity] = new
        return changes


SMALL, LARGE = line(output=3), line(output=412, minute=1)
PARENT = line("req1", "m1", 20)
REPLAY = line("req2", "m1", 900, side=True)


@pytest.mark.parametrize(
    ("recorded", "batch", "changes"),
    [
        pytest.param([], [SMALL], [Change(None, SMALL)], id="a new response is recorded"),
        pytest.param([SMALL], [SMALL], [], id="the same line again changes nothing"),
        pytest.param([SMALL], [LARGE], [Change(SMALL, LARGE)], id="a grown line replaces the smaller one"),
        pytest.param([LARGE], [SMALL], [], id="a smaller line does not replace the grown one"),
        pytest.param([], [SMALL, LARGE, SMALL], [Change(None, LARGE)], id="growth inside a batch is one change"),
        pytest.param(
            [SMALL], [LARGE, LARGE], [Change(SMALL, LARGE)], id="growth inside a batch retracts what was recorded"
        ),
        pytest.param([PARENT], [REPLAY], [], id="a side-chain copy under another request id does not count"),
        pytest.param(
            [REPLAY],
            [PARENT],
            [Change(None, PARENT), Change(REPLAY, None)],
            id="it is retracted when the parent comes later",
        ),
        pytest.param([], [REPLAY, PARENT], [Change(None, PARENT)], id="inside a batch it never appears"),
        pytest.param(
            [PARENT],
            [line("req2", "m1", 5)],
            [Change(None, line("req2", "m1", 5))],
            id="two requests without a side-chain mark are two responses",
        ),
        pytest.param(
            [line("req2", "m1", 5, side=True)],
            [REPLAY],
            [Change(line("req2", "m1", 5, side=True), REPLAY)],
            id="a side-chain response grows like any other",
        ),
        pytest.param(
            [PARENT],
            [line("req1", "m2", 7)],
            [Change(None, line("req1:m2", "m2", 7))],
            id="two messages under one request id both count",
        ),
        pytest.param(
            [PARENT, line("req1:m2", "m2", 7)],
            [line("req1", "m2", 9)],
            [Change(line("req1:m2", "m2", 7), line("req1:m2", "m2", 9))],
            id="the second of them grows under its own key",
        ),
        pytest.param(
            [PARENT, line("req1:m2", "m2", 7)], [line("req1", "m2", 7), PARENT], [], id="replaying both changes nothing"
        ),
        pytest.param(
            [line("req1", "", 20)],
            [PARENT],
            [Change(line("req1", "", 20), PARENT)],
            id="what came without a message id learns it",
        ),
        pytest.param(
            [line("req1", "", 50)],
            [PARENT],
            [Change(line("req1", "", 50), line("req1", "m1", 50))],
            id="also when its total stands",
        ),
        pytest.param(
            [line("msg:m1", "m1", 8)],
            [line("msg:m1", "m1", 9)],
            [Change(line("msg:m1", "m1", 8), line("msg:m1", "m1", 9))],
            id="without a request id the message id is the key",
        ),
        pytest.param(
            [line(side=True)],
            [line()],
            [Change(line(side=True), line())],
            id="on a tie the main conversation's line stands",
        ),
        pytest.param(
            [line(minute=5)],
            [line(minute=2)],
            [Change(line(minute=5), line(minute=2))],
            id="on a tie the earlier line stands",
        ),
        pytest.param(
            [PARENT],
            [replace(PARENT, labels=Labels("other"))],
            [Change(None, replace(PARENT, labels=Labels("other")))],
            id="another provider's key is another event",
        ),
    ],
)
def test_count_once(recorded, batch, changes):
    assert Histories(*recorded).record(*batch) == changes


def test_a_response_known_from_both_sides_belongs_to_the_main_conversation():
    book = Histories(line(output=30, side=True))
    book.record(line(output=10))
    book.record(REPLAY)
    assert list(book.events.values()) == [line(output=30)]


requests = st.sampled_from(["req1", "req2", "req3"])
messages = st.sampled_from(["m1", "m2"])
marks = st.booleans()


@st.composite
def histories(draw):
    """Lines of a few responses, each wholly main or wholly side-chain, in any order and any batches."""
    sides = draw(st.fixed_dictionaries({(r, m): marks for r in ("req1", "req2", "req3") for m in ("m1", "m2")}))
    made = st.builds(
        lambda r, m, n, t: line(r, m, n, side=sides[r, m], minute=t),
        requests,
        messages,
        st.integers(1, 5),
        st.integers(0, 3),
    )
    lines = draw(st.lists(made, max_size=12))
    return lines, draw(st.permutations(lines)), draw(st.integers(1, 12))


def counted(book):
    return sorted((e.message, e.usage, e.at) for e in book.events.values())


@given(histories())
def test_what_counts_does_not_depend_on_order_or_batches(history):
    lines, shuffled, size = history
    whole, parts = Histories(), Histories()
    whole.record(*lines)
    for start in range(0, len(shuffled), size):
        parts.record(*shuffled[start : start + size])
    assert counted(parts) == counted(whole)
    assert whole.record(*shuffled) == []
