"""Totals that sessions state of themselves: when they hold, what belongs to them, and what a garbled one does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quota_scheduler.core.ledger.unlisted import Inheritance
from quota_scheduler.core.usage import Extent, Usage
from quota_scheduler.sources.claude_code import labeller, scan

START = datetime(2026, 11, 27, 10, tzinfo=UTC)
MODEL = "claude-opus-5-5"


def second(number):
    return START + timedelta(seconds=number)


def stamp(number):
    return second(number).isoformat().replace("+00:00", "Z")


def call(number, *, fresh=100, out=10, session="A", **over):
    usage = {"input_tokens": fresh, "output_tokens": out}
    message = {"id": f"msg_{number}", "model": MODEL, "stop_reason": "end_turn", "usage": usage}
    message |= over.pop("message", {})
    line = {"type": "assistant", "sessionId": session, "requestId": f"req_{number}", "timestamp": stamp(number)}
    return json.dumps(line | {"version": "2.1.332", "message": message} | over)


def prompt(number):
    return json.dumps({"type": "queue-operation", "operation": "enqueue", "timestamp": stamp(number)})


def total(fresh, out, *, session="A", **over):
    figures = {"inputTokens": fresh, "outputTokens": out, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    line = {"type": "cost-state", "sessionId": session, "startTime": START.timestamp() * 1000}
    return json.dumps(line | {"modelUsage": {MODEL: figures | over}})


UNTIMED = json.dumps({"type": "mode", "mode": "default"})


def write(root, name, *lines):
    path = root / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read(root, states=None, **knobs):
    return list(scan([root], states or {}, labeller=labeller(), **knobs))


def told(batches):
    """What totals say, by session and time: figures, searches, and until when they may be of."""
    totals = {(one.session, one.place): one for batch in batches for one in batch.totals}
    ends = [mark for batch in batches for mark in batch.going_on]
    return {
        (one.session, one.at): (
            [(s.labels.model, s.usage, s.web_searches) for s in one.stated],
            one.until or min((m.at for m in ends if m.session == one.session and m.place > one.place), default=None),
        )
        for one in totals.values()
    }


SESSION = (prompt(0), call(1), UNTIMED, total(100, 10), UNTIMED, prompt(5), call(6), total(300, 25), total(300, 25))
SAID = {
    ("A", second(1)): ([(MODEL, Usage(100, output=10), 0)], second(5)),
    ("A", second(6)): ([(MODEL, Usage(300, output=25), 0)], None),
}


def test_a_total_holds_from_the_line_before_it_to_the_line_after_it(tmp_path):
    write(tmp_path, "A", *SESSION)
    assert told(read(tmp_path)) == SAID


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_it_says_the_same_however_its_file_is_cut_into_passes(tmp_path, at_once):
    states, batches = {}, []
    for length in range(at_once, len(SESSION) + at_once, at_once):
        write(tmp_path, "A", *SESSION[:length])
        some = read(tmp_path, states)
        states |= {state.path: state for batch in some for state in batch.files}
        batches += some
    assert told(batches) == SAID


@pytest.mark.parametrize(
    ("figures", "usage", "searches"),
    [
        pytest.param({"cacheReadInputTokens": 7}, Usage(5, 7, output=3), 0, id="what came from the cache"),
        pytest.param({"cacheCreationInputTokens": 9}, Usage(5, 0, 9, output=3), 0, id="cache writes without a split"),
        pytest.param(
            {
                "cacheCreationInputTokens": 9,
                "cacheCreationEphemeral5mInputTokens": 2,
                "cacheCreationEphemeral1hInputTokens": 7,
            },
            Usage(5, 0, 2, 7, 3),
            0,
            id="cache writes by lifetime",
        ),
        pytest.param({"webSearchRequests": 4, "costUSD": 0.1}, Usage(5, output=3), 4, id="web searches"),
    ],
)
def test_figures_of_a_total(tmp_path, figures, usage, searches):
    write(tmp_path, "A", call(1), total(5, 3, **figures))
    assert told(read(tmp_path)) == {("A", second(1)): ([(MODEL, usage, searches)], None)}


def test_without_any_line_that_has_a_time_the_session_s_beginning_counts(tmp_path):
    write(tmp_path, "A", UNTIMED, total(5, 3))
    assert list(told(read(tmp_path))) == [("A", START)]


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        pytest.param(total(5, 3).replace('"inputTokens": 5', '"inputTokens": -5'), 1, id="a negative figure"),
        pytest.param(total(5, 3)[:-9], 1, id="a torn line in the middle"),
        pytest.param(total(5, 3).replace(": 5", ": 1e400"), 1, id="a figure that is no number"),
        pytest.param(total(10**11, 3), 1, id="more than was ever used"),
        pytest.param(json.dumps({"type": "user", "subtype": "cost-state"}), 0, id="a line that only speaks of one"),
        pytest.param(json.dumps({"type": "cost-state", "sessionId": "A"}), 0, id="one without figures"),
    ],
)
def test_a_garbled_total_is_counted_and_changes_no_other(tmp_path, line, errors):
    write(tmp_path, "A", call(1), line, call(2), total(300, 25))
    batches = read(tmp_path)
    assert sum(batch.errors for batch in batches) == errors
    assert told(batches) == {("A", second(2)): ([(MODEL, Usage(300, output=25), 0)], None)}
    assert [event.key for batch in batches for event in batch.events] == ["req_1", "req_2"]


def test_what_a_sub_agent_s_file_says_ends_no_total_of_its_session(tmp_path):
    write(tmp_path, "A", *SESSION)
    agent = write(tmp_path / "A" / "subagents", "agent-1", call(3))
    batches = read(tmp_path)
    states = {state.path: state for batch in batches for state in batch.files}
    agent.write_text(agent.read_text() + call(8) + "\n")
    assert told(batches + read(tmp_path, states)) == SAID


def test_a_fork_names_the_last_call_it_has_copied_of_each_ancestor(tmp_path):
    copies = [call(n, session="C", requestSessionId=of) for n, of in ((1, "A"), (2, "A"), (3, "B"))]
    write(tmp_path, "C", prompt(8), *copies, call(9, session="C"))
    (batch,) = read(tmp_path)
    assert set(batch.inherited) == {Inheritance("C", "A", second(2)), Inheritance("C", "B", second(3))}
    assert [event.session for event in batch.events] == ["A", "A", "B", "C"]


def interrupted(out=1, **over):
    usage = {"input_tokens": 100, "output_tokens": out}
    return call(1, message={"stop_reason": None, "usage": usage}, **over)


@pytest.mark.parametrize(
    ("lines", "extent", "output"),
    [
        pytest.param([interrupted()], Extent.PARTIAL, 1, id="interrupted: no reason to stop, a placeholder"),
        pytest.param([interrupted(12)], Extent.PARTIAL, 12, id="no reason to stop is enough since 2.1.97"),
        pytest.param([call(1)], Extent.WHOLE, 10, id="it says why it stopped"),
        pytest.param([interrupted(), call(1)], Extent.WHOLE, 10, id="the larger line of a response counts"),
        pytest.param([interrupted(10), call(1)], Extent.WHOLE, 10, id="of two alike the one that is whole"),
        pytest.param([interrupted(version="2.1.38")], Extent.WHOLE, 1, id="2.1.38 never said why"),
        pytest.param([interrupted(version="2.1.96")], Extent.WHOLE, 1, id="nor did 2.1.96"),
        pytest.param([interrupted(version=None)], Extent.PARTIAL, 1, id="of no version, with a placeholder"),
        pytest.param([interrupted(12, version=None)], Extent.WHOLE, 12, id="of no version, with more than one"),
        pytest.param(
            [call(1).replace('"stop_reason": "end_turn", ', "")], Extent.WHOLE, 10, id="lines without the key at all"
        ),
    ],
)
def test_an_interrupted_answer_is_known_as_partial(tmp_path, lines, extent, output):
    write(tmp_path, "A", *lines)
    (event,) = [event for batch in read(tmp_path) for event in batch.events]
    assert (event.extent, event.usage.output) == (extent, output)


def test_the_folder_of_the_session_labels_its_total(tmp_path):
    write(tmp_path, "A", call(1, cwd="/srv/shop"), total(5, 3))
    (batch,) = read(tmp_path)
    assert batch.totals[0].stated[0].labels == batch.events[0].labels
    assert Path(batch.files[0].path).stem == "A"
