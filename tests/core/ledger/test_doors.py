"""Which door counts where calls cannot be matched."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.ledger.doors import DoorRank, Telling, asked, choices, door_of, is_ruled_out, tellers_of, told
from quota_scheduler.core.usage import Extent
from tests.builders import HOUR, MONDAY, a_usage_event


def use(origin, key="k", *, message="", at=MONDAY, **labels):
    return a_usage_event(7, key=key, at=at, origin=origin, message=message, **({"account": "max-1"} | labels))


FILE = use("claude_code", "req_1", message="msg_1")
EVENT = use("otlp/claude_code/logs", "req_1")
GATEWAY = use("litellm", "msg:msg_1", message="msg_1", agent="claude-code")
METRIC = use("otlp/claude_code/metrics", "point 1")
CODEX, CODEX_EVENT = use("codex", "codex:resp_1"), use("otlp/codex/logs", "codex:otlp:1")
TURN = use("otlp/codex/traces", "codex:otlp:2")
GEMINI, GEMINI_EVENT = use("gemini", "gemini:m1"), use("otlp/gemini/logs", "gemini:otlp:1")
OPENCODE, OPENCODE_SPAN = use("opencode", "opencode:x/1/2"), use("otlp/opencode/traces", "c", message="chatcmpl-1")
QWEN, QWEN_EVENT = use("qwen", "qwen:r1"), use("otlp/qwen/logs", "qwen:r1")
SPAN = use("otlp/claude_code/traces", "msg:msg_2", message="msg_2")


@pytest.mark.parametrize(
    ("event", "beside", "expected"),
    [
        pytest.param(FILE, EVENT, False, id="a file beside events that name requests: matched"),
        pytest.param(EVENT, FILE, False, id="and the other way round"),
        pytest.param(GATEWAY, FILE, False, id="a gateway beside a file: matched by the message"),
        pytest.param(GATEWAY, EVENT, True, id="a gateway beside events that name only requests"),
        pytest.param(GATEWAY, SPAN, False, id="a gateway beside spans that name responses"),
        pytest.param(CODEX, CODEX_EVENT, False, id="files of Codex beside its events: they see runs that fail"),
        pytest.param(CODEX_EVENT, CODEX, True, id="its events name nothing, and do not count"),
        pytest.param(TURN, CODEX_EVENT, True, id="sums of turns beside events"),
        pytest.param(TURN, CODEX, True, id="sums of turns beside files"),
        pytest.param(GEMINI, GEMINI_EVENT, True, id="files of Gemini CLI beside its events, which see its router"),
        pytest.param(GEMINI_EVENT, GEMINI, False, id="its events count"),
        pytest.param(
            replace(OPENCODE_SPAN, session="S"),
            replace(OPENCODE, session="S"),
            True,
            id="spans of opencode name answers that its files do not name",
        ),
        pytest.param(OPENCODE, OPENCODE_SPAN, False, id="its files count"),
        pytest.param(QWEN, QWEN_EVENT, False, id="files of qwen-code beside its events: matched"),
        pytest.param(QWEN_EVENT, QWEN, False, id="and its events beside files"),
        pytest.param(
            replace(CODEX_EVENT, session="E"),
            replace(CODEX, session="S"),
            False,
            id="a session of Codex that no file tells of, beside files of others",
        ),
        pytest.param(
            replace(CODEX_EVENT, session="S"), replace(CODEX, session="S"), True, id="a session that files tell of"
        ),
        pytest.param(
            replace(CODEX_EVENT, session="T"),
            replace(CODEX, session="S", thread="T"),
            True,
            id="a sub-agent, whose events call its thread the session",
        ),
        pytest.param(
            replace(GEMINI, session="S"),
            replace(GEMINI_EVENT, session="E"),
            False,
            id="a session of Gemini CLI that exports nothing, beside events of others",
        ),
        pytest.param(
            METRIC, replace(METRIC, origin="otlp/claude_code/logs", session="S"), True, id="all above metrics"
        ),
        pytest.param(
            use("litellm", "chatcmpl-1", agent="codex"),
            replace(CODEX_EVENT, session="S"),
            True,
            id="a gateway beside events that name their session",
        ),
        pytest.param(METRIC, FILE, True, id="metrics beside files"),
        pytest.param(METRIC, EVENT, True, id="metrics beside events"),
        pytest.param(METRIC, GATEWAY, True, id="metrics beside a gateway"),
        pytest.param(METRIC, METRIC, False, id="metrics alone"),
        pytest.param(METRIC, replace(EVENT, at=MONDAY + HOUR), True, id="events an hour later"),
        pytest.param(METRIC, replace(EVENT, at=MONDAY + 2 * HOUR), False, id="events two hours later: another time"),
        pytest.param(METRIC, use("otlp/codex/logs", "x"), False, id="another agent"),
        pytest.param(METRIC, use("otlp/claude_code/logs@build-1", "x"), False, id="another host"),
        pytest.param(METRIC, use("otlp/claude_code/logs", "x", account="b"), False, id="another account"),
        pytest.param(
            replace(GATEWAY, labels=EVENT.labels._replace(agent=""), session="S"),
            replace(EVENT, session="S"),
            True,
            id="a gateway that knows the session and not the agent",
        ),
        pytest.param(
            replace(METRIC, session="S"),
            use("claude_code@build-1", "req_2", account="b", session="S"),
            True,
            id="a session on another host and account is the same session",
        ),
        pytest.param(METRIC, use("", "job 7"), False, id="what a runner reports"),
        pytest.param(METRIC, replace(FILE, extent=Extent.UNLISTED), False, id="what is derived"),
    ],
)
def test_what_is_ruled_out(event, beside, expected):
    assert is_ruled_out(event, told([beside])) is expected
    assert (not told([beside]).isdisjoint(asked(told([event])))) is expected


@pytest.mark.parametrize(
    ("origin", "door"),
    [
        ("claude_code", DoorRank.FILES),
        ("codex@build-1", DoorRank.FILES),
        ("", DoorRank.FILES),
        ("otlp/claude_code/logs", DoorRank.EVENTS),
        ("otlp/genai/traces@build-1", DoorRank.EVENTS),
        ("otlp/codex/metrics@build-1", DoorRank.METRICS),
        ("litellm", DoorRank.GATEWAY),
    ],
)
def test_door_of(origin, door):
    assert door_of(origin) is door


def test_agents_have_one_name():
    (teller,) = tellers_of(use("otlp/codex-tui/logs", "x"))
    assert teller == ("max-1", "codex", "", "", Telling.LESSER)


@given(st.lists(st.tuples(st.sampled_from([FILE, EVENT, GATEWAY, METRIC, GEMINI, GEMINI_EVENT]), st.integers(0, 5))))
def test_no_hour_that_any_door_tells_of_is_far_from_one_that_counts(spread):
    """At the edges, where one door takes over from another, up to two hours of the lesser one are left out."""
    events = [replace(event, at=MONDAY + timedelta(hours=hour)) for event, hour in spread]
    counting = [event for event in events if not is_ruled_out(event, told(events))]
    assert all(any(abs(other.at - event.at) <= 2 * HOUR for other in counting) for event in events)


@pytest.mark.parametrize(
    ("events", "instead"),
    [
        pytest.param([METRIC], {"metrics": ()}, id="metrics alone count"),
        pytest.param([METRIC, FILE], {"files": (), "metrics": ("files",)}, id="files count in their place"),
        pytest.param([METRIC, replace(FILE, at=MONDAY - 3 * HOUR)], {"files": (), "metrics": ()}, id="files of before"),
        pytest.param([GEMINI, GEMINI_EVENT], {"events without ids": (), "files": ("events without ids",)}, id="events"),
        pytest.param(
            [CODEX, CODEX_EVENT],
            {"files": (), "events without ids that see less than files": ("files",)},
            id="files that see more",
        ),
        pytest.param(
            [replace(CODEX, session="S"), replace(CODEX_EVENT, session="E")],
            {"files": (), "events session by session": ()},
            id="events session by session",
        ),
    ],
)
def test_which_door_counts_at_present(events, instead):
    seen = choices([(teller, hour) for teller, hour in told(events) if not teller.session])
    assert {one.teller.telling: one.instead for one in seen} == instead
