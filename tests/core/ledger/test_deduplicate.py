"""Counting once: which records of one response stand, and what a batch changes."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.deduplicate import (
    Change,
    Identity,
    count_once,
    merged,
    named,
    request_of,
    vendor_requests,
)
from quota_scheduler.core.usage import Extent, PriceTerms, Usage, UsageEvent

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def line(key="req1", message="m1", output=10, *, side=False, minute=0, provider="anthropic"):
    at = AT + timedelta(minutes=minute)
    return UsageEvent(key, at, Labels(provider), Usage(output=output, requests=1), message=message, sidechain=side)


class Histories:
    """A ledger in a dictionary, corrected by changes as the store is."""

    def __init__(self, *recorded):
        self.events = {event.identity: event for event in recorded}

    def record(self, *batch):
        requests = vendor_requests(batch)
        keys, messages = {event.identity for event in batch}, {event.message for event in batch if event.message}
        keys |= {(provider, request) for provider in ("anthropic", "bedrock", "openai") for request in requests}
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


# one call through several doors

FILE, EVENTS, SPANS, GATEWAY = "claude_code", "otlp/claude_code/logs", "otlp/genai/traces", "litellm"
SHOP = Labels("anthropic", "default", "claude-opus-5", team="-", project="shop")
PROXIED = Labels("bedrock", "max-1", "us.anthropic.claude-opus-5", team="growth")


def told(origin, *, request="req_1", message="msg_1", output=412, labels=SHOP, **more):
    """What a door tells of the call: a transcript both ids, an exported event the request, a gateway the message."""
    key = request or f"msg:{message}"
    return UsageEvent(key, AT, labels, Usage(output=output, requests=1), message=message, origin=origin, **more)


IN_FILE = told(FILE, run="s1", session="s1")
EXPORTED = told(EVENTS, message="", session="s1", labels=SHOP._replace(project="", team=""))
PASSED_ON = told(GATEWAY, request="", labels=PROXIED, session="s1")
SPAN = told(SPANS, labels=SHOP._replace(project=""))


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param(
            [IN_FILE, PASSED_ON],
            replace(IN_FILE, labels=SHOP._replace(account="max-1", team="growth")),
            id="a transcript and a gateway that calls the provider otherwise: what either leaves open, the other says",
        ),
        pytest.param([IN_FILE, EXPORTED], IN_FILE, id="a transcript and the event the client exported"),
        pytest.param([IN_FILE, SPAN], IN_FILE, id="a transcript and the span of an SDK"),
        pytest.param(
            [SPAN, PASSED_ON],
            replace(SPAN, session="s1", labels=SPAN.labels._replace(account="max-1", team="growth")),
            id="a span and a gateway",
        ),
        pytest.param(
            [SPAN, EXPORTED],
            replace(EXPORTED, message="msg_1", labels=EXPORTED.labels._replace(team="-")),
            id="a span and an event",
        ),
        pytest.param(
            [IN_FILE, EXPORTED, PASSED_ON, SPAN],
            replace(IN_FILE, labels=SHOP._replace(account="max-1", team="growth")),
            id="all of them",
        ),
        pytest.param(
            [replace(IN_FILE, extent=Extent.PARTIAL, usage=Usage(output=1, requests=1)), EXPORTED],
            IN_FILE,
            id="an interrupted answer that another door knows whole",
        ),
        pytest.param(
            [replace(IN_FILE, extent=Extent.PARTIAL), PASSED_ON],
            replace(IN_FILE, extent=Extent.PARTIAL, labels=SHOP._replace(account="max-1", team="growth")),
            id="a placeholder that another door repeats stays partial",
        ),
        pytest.param(
            [IN_FILE, told(SPANS, request="", output=413)],
            replace(IN_FILE, usage=Usage(output=413, requests=1)),
            id="the larger total counts, whoever tells it",
        ),
        pytest.param(
            [replace(IN_FILE, sidechain=True), PASSED_ON],
            replace(IN_FILE, sidechain=True, labels=SHOP._replace(account="max-1", team="growth")),
            id="a sub-agent's call stays one: a gateway knows no conversations",
        ),
        pytest.param(
            [
                told("codex", request="resp_1", message="resp_1", labels=Labels("openai", project="shop")),
                told(SPANS, request="", message="resp_1", labels=Labels("azure")),
            ],
            told("codex", request="resp_1", message="resp_1", labels=Labels("openai", project="shop")),
            id="a Responses id, whatever the provider is called",
        ),
    ],
)
def test_one_call_through_several_doors_counts_once(copies, expected):
    for order in permutations(copies):
        at_once, one_by_one = Histories(), Histories()
        at_once.record(*order)
        for event in order:
            one_by_one.record(event)
        assert list(at_once.events.values()) == list(one_by_one.events.values()) == [expected]


def test_two_records_that_a_third_links_become_one():
    book = Histories()
    book.record(EXPORTED, PASSED_ON)
    assert len(book.events) == 2
    changes = book.record(IN_FILE)
    assert sorted((bool(old), bool(new)) for old, new in changes) == [(True, False), (True, True)]
    assert len(book.events) == 1


def test_what_is_known_under_another_key_now_is_one_correction():
    book = Histories(PASSED_ON)
    ((old, new),) = book.record(IN_FILE)
    assert (old, new.key, new.labels.project) == (PASSED_ON, "req_1", "shop")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(told(FILE), told(FILE, request="req_2", message="msg_2"), id="other ids"),
        pytest.param(
            told(FILE, message="m1"), told(GATEWAY, request="", message="m1", labels=PROXIED), id="no vendor's"
        ),
        pytest.param(told(FILE), told(FILE, message="msg_2"), id="two messages of one request"),
        pytest.param(told("usage", request="1", message=""), told("usage", request="2", message=""), id="own keys"),
    ],
)
def test_different_calls_both_count(one, other):
    book = Histories()
    book.record(one, other)
    assert len(book.events) == 2


LONG = "resp_" + "x" * 424


@pytest.mark.parametrize(
    ("event", "key", "message"),
    [
        pytest.param(told("codex", request="resp_1", message=""), "resp_1", "resp_1", id="a key that is a response"),
        pytest.param(
            told(GATEWAY, request="chatcmpl-1", message=""), "chatcmpl-1", "chatcmpl-1", id="chat completions"
        ),
        pytest.param(told(GATEWAY, request="msg:msg_1", message=""), "msg:msg_1", "msg_1", id="behind msg:"),
        pytest.param(told(EVENTS, message=""), "req_1", "", id="a request is no response"),
        pytest.param(told("usage", request="job 7", message=""), "job 7", "", id="an own key is none"),
        pytest.param(IN_FILE, "req_1", "msg_1", id="what is named stays"),
    ],
)
def test_named(event, key, message):
    assert (named(event).key, named(event).message) == (key, message)


def test_endless_ids_are_hashed_and_not_cut():
    one, other = (named(told(GATEWAY, request=f"msg:{LONG}{end}", message=LONG + end)) for end in "ab")
    assert (one.key, one.message[:5], len(one.message)) == (f"msg:{one.message}", "resp_", 69)
    assert one.message != other.message
    assert (named(one), request_of(one)) == (one, "")


@st.composite
def calls_through_doors(draw):
    """A few calls, each told by some doors as each knows it, some more than once, some interrupted in the file."""
    copies = []
    for number in range(draw(st.integers(1, 4))):
        ids = {"request": f"req_{number}", "message": f"msg_{number}"}
        total, cut = draw(st.integers(2, 9)), draw(st.booleans())
        kinds = {
            FILE: told(FILE, **ids, output=1 if cut else total, session="s1", run="s1",
                       extent=Extent.PARTIAL if cut else Extent.WHOLE),
            EVENTS: told(EVENTS, request=ids["request"], message="", output=total, labels=SHOP._replace(project="")),
            GATEWAY: told(GATEWAY, request="", message=ids["message"], output=total, labels=PROXIED),
            SPANS: told(SPANS, **ids, output=total + draw(st.integers(0, 1)), labels=SHOP._replace(project="")),
        }  # fmt: skip
        copies += [kinds[door] for door in draw(st.lists(st.sampled_from([FILE, *kinds]), min_size=1, max_size=6))]
    return copies, draw(st.permutations(copies)), draw(st.integers(1, 6))


@given(calls_through_doors())
def test_the_ledger_is_the_same_in_whatever_order_doors_tell(history):
    copies, shuffled, size = history
    whole, parts = Histories(), Histories()
    whole.record(*copies)
    for start in range(0, len(shuffled), size):
        parts.record(*shuffled[start : start + size])
    assert parts.events == whole.events
    assert whole.record(*shuffled) == []


def test_merging_keeps_the_terms_of_whoever_counted():
    fast = replace(IN_FILE, terms=PriceTerms(speed="fast"))
    assert merged(EXPORTED, fast) is fast
    larger = replace(EXPORTED, usage=Usage(output=500, requests=1))
    assert merged(fast, larger).terms == larger.terms
