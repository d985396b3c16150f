"""Claude Code transcripts: where they are looked for, what a line says, and reading what is new once."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.labels import LabelRule, Labels
from quota_scheduler.core.ledger.deduplicate import count_once
from quota_scheduler.core.ledger.source_batch import FileState
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.sources.claude_code import NAME, find_roots, labeller, scan, session_of
from quota_scheduler.sources.tail import Tail, changed_files
from quota_scheduler.sources.transcript import read_lines, telling_lines, usage_lines
from quota_scheduler.store import Store
from quota_scheduler.store import sources as states
from tests.corpus import TORN, write

HOME = Path("/home/ada")
LABELS = Labels("anthropic", "default", "claude-opus-5", project="app", workflow="app")


class Reader:
    """Passes over a folder, with what a store would remember between them."""

    def __init__(self, root, **knobs):
        self.root, self.knobs = root, knobs
        self.known, self.ledger, self.batches = {}, {}, []

    def read(self):
        self.batches = []
        for batch in scan([self.root], self.known, labeller=labeller(), **self.knobs):
            self.batches.append(batch)
            self.record(batch)
        assert [batch.last for batch in self.batches] == [False] * (len(self.batches) - 1) + [True]
        return self

    def record(self, batch):
        by_message = {}
        for event in self.ledger.values():
            by_message.setdefault(event.message, []).append(event)
        for old, new in count_once(batch.events, self.ledger, by_message):
            if old:
                del self.ledger[old.identity]
            if new:
                self.ledger[new.identity] = new
        self.known |= {state.path: state for state in batch.files}

    @property
    def totals(self):
        days = {}
        for event in self.ledger.values():
            total = days.setdefault((event.at.date().isoformat(), event.labels.model), [0] * 6)
            for i, tokens in enumerate((*event.usage.kinds, 1)):
                total[i] += tokens
        return days

    @property
    def read_bytes(self):
        return self.batches[-1].done_bytes

    @property
    def errors(self):
        return sum(batch.errors for batch in self.batches)


def record(name="m1", output=5, **over):
    usage = {"input_tokens": 1, "output_tokens": output}
    line = {
        "type": "assistant",
        "timestamp": "2026-10-02T09:15:07.412Z",
        "requestId": f"req-{name}",
        "sessionId": "s1",
        "cwd": "/srv/app",
        "message": {"id": name, "model": "claude-opus-5", "usage": usage},
    }
    return json.dumps(line | over).encode() + b"\n"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knobs", [{}, {"max_events": 5}, {"max_bytes": 1}], ids=["whole", "few events", "few bytes"])
def test_totals_are_exact_and_reading_again_changes_nothing(tmp_path, seed, knobs):
    corpus = write(tmp_path, seed=seed)
    reader = Reader(tmp_path / "projects", **knobs).read()
    assert (reader.totals, reader.errors) == (dict(corpus.by_day), corpus.garbled)
    before = dict(reader.ledger)
    assert (reader.read().ledger, reader.read_bytes) == (before, 0)
    reader.known = {}
    assert reader.read().ledger == before


def test_a_pass_that_stops_anywhere_goes_on_from_its_stored_states(tmp_path):
    corpus = write(tmp_path, seed=5)
    reader, root = Reader(tmp_path / "projects"), tmp_path / "projects"
    for _ in range(500):
        batch = next(iter(scan([root], reader.known, labeller=labeller(), max_events=1)))
        reader.record(batch)
        if batch.last:
            break
    assert reader.totals == dict(corpus.by_day)


def usage(**counts):
    return {"id": "m1", "model": "claude-opus-5", "usage": counts}


MIRRORED = {
    "timestamp": "2026-10-02T09:15:07Z",
    "requestId": "req-m1",
    "message": usage(input_tokens=1, output_tokens=5),
}
FIVE = Usage(input=1, output=5, requests=1)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(record(), FIVE, id="an assistant record"),
        pytest.param(record().replace(b'": ', b'" :\t'), FIVE, id="spaces around colons"),
        pytest.param(record(message=usage(output_tokens=7)), Usage(output=7, requests=1), id="absent kinds are 0"),
        pytest.param(
            record(message=usage(input_tokens=None, output_tokens=7, speed=None)),
            Usage(output=7, requests=1),
            id="null kinds are 0",
        ),
        pytest.param(
            record(message=usage(cache_creation_input_tokens=9)),
            Usage(cache_write_5m=9, requests=1),
            id="a flat cache write",
        ),
        pytest.param(
            record(message=usage(cache_creation_input_tokens=9, cache_creation={"ephemeral_1h_input_tokens": 4})),
            Usage(cache_write_5m=5, cache_write_1h=4, requests=1),
            id="what its parts leave of the flat number was written for 5 minutes",
        ),
        pytest.param(
            record(message=usage(cache_creation_input_tokens=0, cache_creation={"ephemeral_1h_input_tokens": 4})),
            Usage(cache_write_1h=4, requests=1),
            id="a flat number of 0 beside its parts says nothing",
        ),
        pytest.param(
            record(
                message=usage(
                    cache_creation_input_tokens=321,
                    cache_creation={"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
                )
            ),
            Usage(cache_write_5m=321, requests=1),
            id="parts of 0 that the client made up beside a flat number that a server sent alone",
        ),
        pytest.param(
            record(message=usage(output_tokens=5, iterations=[{"type": "message", "output_tokens": 5}])),
            Usage(output=5, requests=1),
            id="iterations repeat the total",
        ),
        pytest.param(
            record(
                message=usage(
                    output_tokens=5, iterations=[{"type": "compaction", "input_tokens": 70, "output_tokens": 2}]
                )
            ),
            Usage(input=70, output=7, requests=1),
            id="a compaction comes on top",
        ),
        pytest.param(
            record(type="progress", message=None, data={"type": "agent_progress", "message": MIRRORED}),
            FIVE,
            id="a mirrored sub-agent response",
        ),
        pytest.param(
            record(type="progress", message="running", data={"type": "bash", "message": "x"}),
            None,
            id="other progress has no usage",
        ),
        pytest.param(
            record(type="user", message={"role": "user"}, toolUseResult={"usage": {"input_tokens": 9}}),
            None,
            id="a tool's own usage is not ours",
        ),
        pytest.param(record(type="user", message="text"), None, id="a user record of unknown shape is no error"),
        pytest.param(
            record(message={"model": "<synthetic>", "usage": {"input_tokens": 0}}),
            None,
            id="zeros of a record the client made up",
        ),
        pytest.param(record(isApiErrorMessage=True, message=usage(output_tokens=0)), None, id="zeros of a failed call"),
        pytest.param(record(timestamp="2026-10-02T11:15:07.412+02:00"), FIVE, id="a time with an offset"),
        pytest.param(record(slug="\\ud83d\\ude00 \ud83d", x="\\\\"), FIVE, id="half a character elsewhere in the line"),
        pytest.param(record(timestamp="2026-10-02T09:15:07"), "bad", id="a time without a zone cannot be placed"),
        pytest.param(record(timestamp=None), "bad", id="no time"),
        pytest.param(record(message=usage(output_tokens=-1)), "bad", id="negative tokens"),
        pytest.param(record(message=usage(output_tokens=1.5)), "bad", id="a fraction of a token"),
        pytest.param(record(message=usage(output_tokens=10**12 + 1)), "bad", id="more tokens than any call has"),
        pytest.param(record(requestId="r" * 201), "bad", id="an absurdly long id"),
        pytest.param(TORN + record(), "bad", id="a torn line runs into the next one"),
        pytest.param(b'{"usage":' + b"[" * 100_000, "bad", id="nothing but brackets"),
    ],
)
def test_a_line(line, expected):
    found = read_lines([line], session="file", labeller=labeller())
    usages = [event.usage for event in found.events]
    assert (
        (usages, found.errors) == ([], 1)
        if expected == "bad"
        else (usages, found.errors) == ([expected] if expected else [], 0)
    )


def test_a_whole_event():
    line = record(isSidechain=True, timestamp="2026-10-02T11:15:07.412+02:00")
    at = datetime(2026, 10, 2, 9, 15, 7, 412_000, UTC)
    known = {"run": "s1", "session": "s1", "message": "m1", "origin": "claude_code"}
    event = UsageEvent("req-m1", at, LABELS, FIVE, sidechain=True, **known)
    assert read_lines([line], session="file", labeller=labeller()).events == [event]


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({}, "req-m1"),
        ({"requestId": None}, "msg:m1"),
        ({"requestId": "", "message": {"usage": {"output_tokens": 1}}, "uuid": "u7"}, "line:u7"),
    ],
)
def test_key(over, key):
    (event,) = read_lines([record(**over)], session="file", labeller=labeller()).events
    assert event.key == key


def test_growing_lines_of_one_response_become_one_event():
    lines = [record(output=3), record(output=3), record(output=412), record(output=9), record("m2", output=1)]
    assert [event.usage.output for event in read_lines(lines, session="", labeller=labeller()).events] == [412, 1]


@pytest.mark.parametrize(
    ("rules", "labels", "priority"),
    [
        pytest.param([], LABELS, Priority.INTERACTIVE, id="without a rule the folder names project and workflow"),
        pytest.param(
            [({"cwd": "/srv/**"}, {"team": "growth"}, None)],
            LABELS._replace(team="growth"),
            Priority.INTERACTIVE,
            id="a rule sets a team",
        ),
        pytest.param(
            [({"cwd": "~/x/**"}, {"team": "a"}, None), ({"branch": "nightly*"}, {"team": "b"}, Priority.LOW)],
            LABELS._replace(team="b"),
            Priority.LOW,
            id="first match wins, and may set the class",
        ),
        pytest.param(
            [({"cwd": "~/**"}, {"team": "home"}, None)],
            LABELS._replace(team="home"),
            Priority.INTERACTIVE,
            id="a tilde is the home folder",
        ),
    ],
)
def test_labels(rules, labels, priority):
    made = [LabelRule(tuple(when.items()), tuple(then.items()), cls) for when, then, cls in rules]
    (event,) = read_lines(
        [record(gitBranch="nightly-1")], session="", labeller=labeller(made, home=Path("/srv"))
    ).events
    assert (event.labels, event.priority) == (labels, priority)


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("/p/-srv-app/5e0f.jsonl", "5e0f"),
        ("/p/-srv-app/5e0f/subagents/agent-1.jsonl", "5e0f"),
        ("/p/-srv-app/5e0f/subagents/workflows/run/agent-1.jsonl", "5e0f"),
    ],
)
def test_session_of_a_file(path, session):
    assert session_of(path) == session


@pytest.mark.parametrize(
    ("environ", "configured", "roots"),
    [
        pytest.param(
            {}, [], ["/home/ada/.config/claude/projects", "/home/ada/.claude/projects"], id="both default places"
        ),
        pytest.param(
            {"XDG_CONFIG_HOME": "/etc/xdg"},
            [],
            ["/etc/xdg/claude/projects", "/home/ada/.claude/projects"],
            id="a moved config home",
        ),
        pytest.param(
            {"CLAUDE_CONFIG_DIR": "/a, ~/b,,/c/projects,/a"},
            [],
            ["/a/projects", "/home/ada/b/projects", "/c/projects"],
            id="a list instead, of either folder",
        ),
        pytest.param({"CLAUDE_CONFIG_DIR": "/a"}, ["/c/projects"], ["/c/projects"], id="configured roots win"),
        pytest.param(
            {"CLAUDE_CONFIG_DIR": " "},
            [],
            ["/home/ada/.config/claude/projects", "/home/ada/.claude/projects"],
            id="an empty list is none",
        ),
    ],
)
def test_find_roots(environ, configured, roots):
    assert find_roots(environ, HOME, configured) == [Path(root) for root in roots]


def test_a_configured_root_may_be_any_folder_of_transcripts(tmp_path):
    assert find_roots({}, HOME, [str(tmp_path)]) == [tmp_path]
    (tmp_path / "projects").mkdir()
    assert find_roots({}, HOME, [str(tmp_path)]) == [tmp_path / "projects"]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "p" / "s1.jsonl"
    path.parent.mkdir()
    path.write_bytes(record("m1") + record("m2"))
    return path


def messages(reader):
    return sorted(event.message for event in reader.ledger.values())


def test_only_new_bytes_are_read(log, tmp_path):
    reader = Reader(tmp_path).read()
    with log.open("ab") as file:
        file.write(record("m3"))
    assert (messages(reader.read()), reader.read_bytes) == (["m1", "m2", "m3"], len(record("m3")))


def test_a_line_that_is_not_finished_waits(log, tmp_path):
    whole = record("m3")
    with log.open("ab") as file:
        file.write(whole[:40])
    reader = Reader(tmp_path).read()
    assert (messages(reader), reader.errors) == (["m1", "m2"], 0)
    with log.open("ab") as file:
        file.write(whole[40:])
    assert (messages(reader.read()), reader.read_bytes) == (["m1", "m2", "m3"], len(whole))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda log, text: log.write_bytes(text), id="cut short and written anew"),
        pytest.param(
            lambda log, text: (log.with_suffix(".new").write_bytes(text), os.replace(log.with_suffix(".new"), log)),
            id="replaced by another file",
        ),
        pytest.param(
            lambda log, text: log.write_bytes(text + b"x" * 5000 + b"\n"), id="written over and longer than before"
        ),
    ],
)
def test_a_file_that_was_replaced_is_read_from_its_start(log, tmp_path, change):
    reader = Reader(tmp_path).read()
    change(log, record("m9"))
    assert messages(reader.read()) == ["m1", "m2", "m9"]


def test_a_file_that_vanished_is_forgotten_and_not_an_error(log, tmp_path):
    reader = Reader(tmp_path).read()
    log.unlink()
    assert (reader.read().batches[-1].gone, reader.errors, messages(reader)) == ((str(log),), 0, ["m1", "m2"])


def test_a_file_that_cannot_be_read_is_named_and_tried_again(log, tmp_path):
    bad = log.with_name("bad.jsonl")
    bad.symlink_to(bad)
    reader = Reader(tmp_path).read()
    assert (messages(reader), reader.errors) == (["m1", "m2"], 0)
    assert reader.batches[-1].unreadable == (f"{bad}: Too many levels of symbolic links",)
    bad.unlink()
    bad.write_bytes(record("m3"))
    assert (messages(reader.read()), reader.errors) == (["m1", "m2", "m3"], 0)


def test_linked_folders_that_lead_in_a_circle_are_read_once(log, tmp_path):
    (log.parent / "again").symlink_to(tmp_path)
    assert messages(Reader(tmp_path).read()) == ["m1", "m2"]


def test_a_root_that_does_not_exist_yet_is_empty(tmp_path):
    assert [(b.events, b.errors, b.last) for b in scan([tmp_path / "later"], {}, labeller=labeller())] == [
        ((), 0, True)
    ]


def test_a_line_longer_than_a_chunk_is_read_whole_and_one_past_the_bound_is_skipped(log, tmp_path):
    log.write_bytes(record("m1", slug="x" * 5000) + b"y" * 90_000 + b"\n" + record("m2"))
    (todo,) = changed_files([tmp_path], {}, suffix=".jsonl").todo
    tail = Tail(todo, longest_line=16_384)
    texts = [bytes(text[:end]) for text, end in tail.chunks(bytearray(1024))]
    assert texts == [record("m1", slug="x" * 5000), record("m2")]
    assert (tail.skipped, tail.state) == (1, replace(todo, offset=todo.size))


@pytest.mark.usefixtures("log")
def test_a_file_left_in_the_middle_is_read_on_though_it_has_not_changed(tmp_path):
    (todo,) = changed_files([tmp_path], {}, suffix=".jsonl").todo
    tail = Tail(todo)
    next(tail.chunks(bytearray(300)))
    middle = len(record("m1"))
    assert tail.state == FileState(todo.path, todo.inode, size=middle, mtime_ns=0, offset=middle)
    assert changed_files([tmp_path], {todo.path: tail.state}, suffix=".jsonl").todo == [replace(todo, offset=middle)]


@pytest.mark.parametrize(
    ("line", "may_carry"),
    [
        pytest.param(b'{"cwd":"/a","type":"user","x":{"usage":{}}}\n', False, id="a user line is passed over"),
        pytest.param(b'{"by":{"type":"user"},"type":"assistant","usage":1}\n', True, id="an inner user is not"),
        pytest.param(b'{"cwd":"/a{b","type":"user","x":{"usage":{}}}\n', True, id="nor a line that leaves a doubt"),
        pytest.param(b'{"type":"assistant","message":{"usage"\t: {}}}\n', True, id="whatever stands before the colon"),
        pytest.param(b'{"type":"assistant","text":"\\"usage\\":{}"}\n', False, id="quoted usage is no usage"),
        pytest.param(b"\n", False, id="an empty line"),
    ],
)
def test_lines_worth_decoding(line, may_carry):
    text = bytearray(line * 2 + b"rest")
    assert [bytes(found) for found in usage_lines(text, telling_lines(text, 2 * len(line)))] == [line[:-1]] * (
        2 * may_carry
    )


def test_states_survive_in_the_store(tmp_path):
    one, two = FileState("/a.jsonl", 2**62, 10, 5, 10), FileState("/b.jsonl", 2, 0, 0, 0)
    with Store(tmp_path / "quota.db") as store:
        with store.transaction() as tx:
            states.save(tx, NAME, [one, two])
            states.save(tx, NAME, [FileState("/b.jsonl", 3, 7, 9, 7)])
            states.save(tx, "other", [two])
            states.forget(tx, NAME, ["/a.jsonl"])
        with store.reading() as tx:
            assert states.load(tx, NAME) == {"/b.jsonl": FileState("/b.jsonl", 3, 7, 9, 7)}


def test_B4_one_bad_root_ends_neither_the_start_nor_the_others(log, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    roots = find_roots({}, HOME, [str(tmp_path / "loop"), str(log.parent)])
    (batch,) = scan(roots, {}, labeller=labeller())
    assert len(batch.events) == 2


class Defect:
    """Labels all sessions but one."""

    def __init__(self) -> None:
        self.label = labeller()

    def of(self, _path, _roots):
        return self

    def __call__(self, cwd, model, branch, session):
        if branch == "defect":
            raise RecursionError("too deep")
        return self.label(cwd, model, branch, session)


def test_R5_a_line_that_raises_whatever_it_is_keeps_no_other_from_being_read(tmp_path):
    good, bad = record("m1"), record("m2", gitBranch="defect")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(good + bad + record("m3"))
    (batch,) = scan([tmp_path], {}, labeller=Defect())
    assert [event.message for event in batch.events] == ["m1", "m3"]
    assert (batch.errors, batch.garbled) == (1, (f"{path}, byte {len(good)}",))


def test_a_file_that_is_gone_before_it_is_read_is_no_error_and_keeps_no_other_from_being_read(log, tmp_path):
    later = tmp_path / "later.jsonl"
    later.write_bytes(record("m3"))
    os.utime(later, (2**31, 2**31))
    batches = scan([tmp_path], {}, labeller=labeller(), max_events=1)
    first = next(batches)
    later.unlink()
    others = list(batches)
    assert [event.message for event in first.events] == ["m1", "m2"]
    assert log.exists()
    assert (others[-1].last, others[-1].unreadable) == (True, ())
