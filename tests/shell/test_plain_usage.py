"""Arrays of plain events: what is taken is what the bodies would have made of it, and odd ones are left to them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.api.plain_usage import plain_events
from quota_scheduler.api.usage import valid_events

PLAIN: dict[str, Any] = {"provider": "anthropic", "key": "a", "at": "2026-11-28T09:00:00Z"}
MOST: dict[str, Any] = {
    **PLAIN, "model": "claude-sonnet-5", "run": "r", "session": "s", "input": 1, "cache_read": 2, "cache_write_5m": 3,
    "cache_write_1h": 4, "output": 5, "requests": 0, "status": "completed", "prompt_version": "v", "class": "low",
    "message": "m", "sidechain": True, "origin": "gateway",
    "labels": {"account": "c", "team": "t", "project": "p", "workflow": "w", "task_type": "k", "agent": "g"},
}  # fmt: skip


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([PLAIN], id="only what is needed"),
        pytest.param([MOST, PLAIN], id="every usual word"),
        pytest.param([{**PLAIN, "provider": "Vertex_AI", "session": "s"}], id="a provider by another name, a session"),
        pytest.param([{**PLAIN, "at": "2026-11-28T09:00:00.25+00:00"}], id="parts of a second, and UTC as an offset"),
        pytest.param([{**PLAIN, "at": "2026-11-28T09:00:00.123456Z"}], id="microseconds"),
        pytest.param([{**PLAIN, "run": "", "labels": {}}], id="texts of nothing"),
        pytest.param([], id="nothing"),
    ],
)
def test_plain_events_are_what_their_bodies_say(events):
    assert (plain_events(json.dumps(events).encode(), most=1000), []) == valid_events(events)


ODD = [
    pytest.param({"key": " a"}, id="a key with a space before it"),
    pytest.param({"key": "ä"}, id="a letter beyond ASCII"),
    pytest.param({"key": 'a"b'}, id="an escape"),
    pytest.param({"key": ""}, id="an empty key"),
    pytest.param({"run": "r" * 201}, id="a run that is too long"),
    pytest.param({"labels": {"team": "t "}}, id="a team with a space behind it"),
    pytest.param({"labels": {"unknown": "t"}}, id="a label nobody knows"),
    pytest.param({"unknown": 1}, id="a word nobody knows"),
    pytest.param({"output": -1}, id="less than nothing"),
    pytest.param({"output": 10**11}, id="more tokens than there are"),
    pytest.param({"output": True}, id="a truth for a number"),
    pytest.param({"cost_usd": 1}, id="a cost of its own"),
    pytest.param({"flags": ["x"]}, id="flags"),
    pytest.param({"speed": "fast"}, id="a word about its price"),
    pytest.param({"class": "urgent"}, id="a class there is not"),
    pytest.param({"at": "2026-11-28 09:00:00Z"}, id="an instant with a space in it"),
    pytest.param({"at": "2026-11-28T09:00:00"}, id="an instant without a zone"),
    pytest.param({"at": "2026-11-28T09:00:00+02:00"}, id="an instant of another zone"),
    pytest.param({"at": "2026-11-28T09:00:00.1234567Z"}, id="less than a microsecond"),
    pytest.param({"at": "2026-13-28T09:00:00Z"}, id="a month there is not"),
    pytest.param({"at": "1999-12-31T23:59:59Z"}, id="an instant of another century"),
    pytest.param({"at": "2026-11-28T09:00:00Z+00:00"}, id="a zone said twice"),
    pytest.param({"at": "2026-11-28T09:00:00+00:00Z"}, id="a zone said twice, the other way round"),
    pytest.param({"at": 1795856400}, id="an instant as a number"),
]


@pytest.mark.parametrize("change", ODD)
def test_one_odd_event_leaves_the_whole_array_to_the_bodies(change):
    assert plain_events(json.dumps([MOST, {**PLAIN, **change}]).encode(), most=1000) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(PLAIN).encode(), id="one event by itself"),
        pytest.param(json.dumps([PLAIN] * 3, indent=1).encode(), id="more than one line"),
        pytest.param(json.dumps([PLAIN] * 6).encode(), id="more events than an array may hold"),
        pytest.param(b"[" + json.dumps(PLAIN).encode(), id="an array without an end"),
        pytest.param(b"", id="nothing at all"),
    ],
)
def test_other_bodies_are_not_plain(body):
    assert plain_events(body, most=5) is None


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
INSTANTS = st.one_of(
    st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    st.from_regex(r"\A20[0-9]{2}-1[0-9]-[0-3][0-9]T2[0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{1,8})?(Z|\+00:00|)\Z"),
)
EVENTS = st.fixed_dictionaries(
    {"provider": TEXTS, "key": TEXTS, "at": INSTANTS},
    optional={
        "run": TEXTS, "session": TEXTS, "class": st.sampled_from(["low", "high", "interactive", "none"]),
        "labels": st.dictionaries(st.sampled_from(["team", "agent", "account", "odd"]), TEXTS, max_size=3),
        "input": st.one_of(st.integers(-1, 10**10 + 1), st.floats(0, 5), st.booleans()), "sidechain": st.booleans(),
        "requests": st.one_of(st.none(), st.integers(0, 3)),
    },
)  # fmt: skip


@given(st.lists(EVENTS, max_size=4))
def test_what_is_taken_plainly_is_what_the_bodies_make_of_it(events):
    """Whatever is sent: nothing that a body would refuse or read otherwise is taken."""
    taken = plain_events(json.dumps(events).encode(), most=1000)
    assert taken is None or (taken, []) == valid_events(events)
