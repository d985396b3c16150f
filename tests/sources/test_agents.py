"""Readers of agents' files: what the real programs wrote is counted to the token, in whatever pieces it comes.

``tests/data/agents`` holds lines that the programs really wrote when their models were stand-ins whose answers are
known (``expected.json``), reduced to what carries usage or context.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.sources import codex, copilot, gemini, opencode, pi, qwen
from quota_scheduler.sources.agent_files import AgentFiles
from quota_scheduler.sources.calls import labeller

DATA = Path(__file__).parents[1] / "data" / "agents"
TRUTH = json.loads((DATA / "expected.json").read_text())
LABEL = labeller(account="team", agent="an agent")
AGENTS = {
    "codex": lambda home: AgentFiles(
        "codex", [home / "sessions", home / "archived_sessions"], codex.CodexReader, LABEL
    ),
    "codex_by_turns": lambda home: AgentFiles("codex", [home / "sessions"], codex.CodexReader, LABEL),
    "codex_mixed": lambda home: AgentFiles("codex", [home / "sessions"], codex.CodexReader, LABEL),
    "gemini": lambda home: AgentFiles("gemini", [home / "tmp"], gemini.Folders(home).open, LABEL),
    "qwen": lambda home: AgentFiles("qwen", [home / "projects"], qwen.QwenReader, LABEL),
    "pi": lambda home: AgentFiles("pi", [home / "sessions"], pi.PiReader, LABEL),
    "copilot": lambda home: AgentFiles("copilot", [home / "session-state"], copilot.CopilotReader, LABEL),
}


class Ledger:
    """Counts each key once, the larger total winning, and keeps how far files have been read."""

    def __init__(self) -> None:
        self.events: dict[tuple[str, str], UsageEvent] = {}
        self.files, self.errors, self.unreadable = {}, 0, []

    def take(self, batches) -> None:
        list(self.takes(batches))

    def takes(self, batches):
        for batch in batches:
            for event in batch.events:
                known = self.events.get(event.identity)
                if known is None or event.usage.tokens > known.usage.tokens:
                    self.events[event.identity] = event
            self.files.update((state.path, state) for state in batch.files)
            for path in batch.gone:
                self.files.pop(path)
            self.errors += batch.errors
            self.unreadable += batch.unreadable
            yield batch

    def by_model(self) -> dict[str, dict[str, int]]:
        return by_model(self.events.values())


def by_model(events: Iterable[UsageEvent]) -> dict[str, dict[str, int]]:
    """The sums that ``expected.json`` names; reasoning is part of the output."""
    names = ("responses", "uncached", "cached", "cache_write", "output")
    sums: dict[str, dict[str, int]] = {}
    for event in events:
        usage, sum_ = event.usage, sums.setdefault(event.labels.model, dict.fromkeys(names, 0))
        writes = usage.cache_write_5m + usage.cache_write_1h
        for name, amount in zip(names, (1, usage.input, usage.cache_read, writes, usage.output), strict=True):
            sum_[name] += amount
    return sums


def truth(program: str) -> dict[str, dict[str, int]]:
    return {
        model: {name: amount for name, amount in sums.items() if name != "reasoning"}
        for model, sums in TRUTH[program].items()
    }


@pytest.fixture(params=AGENTS)
def program(request):
    return request.param


def test_what_a_program_really_wrote_is_counted_to_the_token(program, tmp_path):
    home = shutil.copytree(DATA / program, tmp_path / "home")
    ledger = Ledger()
    ledger.take(AGENTS[program](home).scan(ledger.files))
    assert (ledger.by_model(), ledger.errors) == (truth(program), 0)


@pytest.mark.parametrize("restarts", [pytest.param(False, id="in one run"), pytest.param(True, id="restarting")])
def test_it_may_come_line_by_line(program, restarts, tmp_path):
    """Each pass sees one more line of each file, the line after it torn in the middle."""
    home, ledger = tmp_path / "home", Ledger()
    for other in DATA.joinpath(program).rglob("*.json"):
        target = home / other.relative_to(DATA / program)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(other, target)
    lines = {path: path.read_bytes().splitlines(keepends=True) for path in DATA.joinpath(program).rglob("*.jsonl")}
    agent = AGENTS[program](home)
    for count in range(1, max(map(len, lines.values())) + 1):
        for path, whole in lines.items():
            target = home / path.relative_to(DATA / program)
            target.parent.mkdir(parents=True, exist_ok=True)
            torn = whole[count][: len(whole[count]) // 2] if count < len(whole) else b""
            target.write_bytes(b"".join(whole[:count]) + torn)
        if restarts:
            agent = AGENTS[program](home)
        ledger.take(agent.scan(ledger.files))
    assert (ledger.by_model(), ledger.errors) == (truth(program), 0)


def test_a_second_pass_over_the_same_files_reads_nothing(program, tmp_path):
    home, ledger = shutil.copytree(DATA / program, tmp_path / "home"), Ledger()
    agent = AGENTS[program](home)
    ledger.take(agent.scan(ledger.files))
    (batch,) = agent.scan(ledger.files)
    assert (batch.events, batch.files, batch.errors, batch.gone) == ((), (), 0, ())


GARBLED = [
    pytest.param(
        b'{"token_usage_record" "sessionId" "tokens" "usage" session.usage_record qwen-code.api_response', id="cut"
    ),
    pytest.param(
        b"\x00" * 500 + b'"usage" "tokens" token_count api_response session.usage_record', id="zeros of a crash"
    ),
    pytest.param(
        b'{"type":"token_usage_record","tokens":{"input":-5},"usage":-5,"x":"api_response session.usage_record"}',
        id="a number that cannot be",
    ),
]


@pytest.mark.parametrize("garbled", GARBLED)
def test_a_garbled_line_changes_nothing_that_the_others_say(program, garbled, tmp_path):
    home, ledger = shutil.copytree(DATA / program, tmp_path / "home"), Ledger()
    for path in home.rglob("*.jsonl"):
        whole = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([whole[0], garbled + b"\n", *whole[1:]]))
    ledger.take(AGENTS[program](home).scan(ledger.files))
    assert ledger.by_model() == truth(program)


def test_what_was_read_and_could_not_be_stored_is_read_again(program, tmp_path):
    """A full disk: the pass is read to its end and forgotten, half-way and at the end."""
    home, ledger = tmp_path / "home", Ledger()
    shutil.copytree(DATA / program, home)
    whole = {path: path.read_bytes() for path in home.rglob("*.jsonl")}
    agent = AGENTS[program](home)
    for share in (0.4, 0.7, 1):
        for path, text in whole.items():
            path.write_bytes(text[: int(len(text) * share)])
        for _lost in agent.scan(ledger.files):
            pass
        ledger.take(agent.scan(ledger.files))
    assert (ledger.by_model(), ledger.errors) == (truth(program), 0)


@pytest.mark.parametrize("torn", [b'{"type":"user","text":"cut', b'x":1}', b"\x00" * 40], ids=["head", "tail", "zeros"])
def test_a_torn_line_is_counted_once_with_its_place(torn, program, tmp_path):
    """Whatever it was part of: also where it names nothing that carries usage, and where it is read again."""
    home, ledger = shutil.copytree(DATA / program, tmp_path / "home"), Ledger()
    path = max(home.rglob("*.jsonl"), key=lambda path: path.stat().st_size)
    first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, torn + b"\n", *others[:-1]]))
    garbled = [place for batch in ledger.takes(AGENTS[program](home).scan({})) for place in batch.garbled]
    path.write_bytes(b"".join([first, torn + b"\n", *others]))
    ledger.take(AGENTS[program](home).scan(ledger.files))  # after a restart
    assert (ledger.by_model(), ledger.errors) == (truth(program), 1)
    assert garbled == [f"{path}, byte {len(first)}"]


def test_a_copied_home_counts_once(program, tmp_path):
    """A backup beside the real folder, or a folder mounted twice, holds the same calls."""
    home, ledger = tmp_path / "home", Ledger()
    shutil.copytree(DATA / program, home)
    ledger.take(AGENTS[program](home).scan(ledger.files))
    shutil.copytree(DATA / program, tmp_path / "backup")
    ledger.take(AGENTS[program](tmp_path / "backup").scan({}))
    assert ledger.by_model() == truth(program)


def test_what_was_deleted_stays_counted_and_is_forgotten(program, tmp_path):
    home, ledger = shutil.copytree(DATA / program, tmp_path / "home"), Ledger()
    agent = AGENTS[program](home)
    ledger.take(agent.scan(ledger.files))
    for path in home.rglob("*.jsonl"):
        path.unlink()
    ledger.take(agent.scan(ledger.files))
    assert (ledger.by_model(), ledger.files) == (truth(program), {})


@pytest.mark.parametrize(
    ("program", "labels"),
    [
        pytest.param("codex", ("rig", "team", "app", "an agent"), id="codex names the provider of its configuration"),
        pytest.param("gemini", ("google", "team", "app", "an agent"), id="gemini has a list of its projects"),
        pytest.param("qwen", ("qwen", "team", "app", "an agent"), id="qwen names the folder in every line"),
        pytest.param("pi", ("rig", "team", "app", "an agent"), id="pi names it in the first line"),
        pytest.param("copilot", ("openai", "team", "app", "an agent"), id="copilot names it when a session starts"),
    ],
)
def test_whose_usage_it_is(program, labels, tmp_path):
    home, ledger = shutil.copytree(DATA / program, tmp_path / "home"), Ledger()
    ledger.take(AGENTS[program](home).scan(ledger.files))
    seen = {(e.labels.provider, e.labels.account, e.labels.project, e.labels.agent) for e in ledger.events.values()}
    assert labels in seen
    assert all(event.session and event.run == event.session for event in ledger.events.values())


class OpenCode:
    """A database as opencode keeps it: one table of messages, in WAL mode, open while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = wal")
        self._database.execute(
            "CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, time_created INTEGER NOT NULL, "
            "time_updated INTEGER NOT NULL, data TEXT NOT NULL)"
        )

    def put(self, row: dict[str, object], data: str | bytes | None = None) -> None:
        values = (row["id"], row["session_id"], row["time_created"], row["time_updated"])
        self._database.execute(
            "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?)",
            (*values, json.dumps(row["data"]) if data is None else data),
        )
        self._database.commit()


MESSAGES = [json.loads(line) for line in (DATA / "opencode" / "messages.jsonl").read_text().splitlines()]


@pytest.fixture
def database(tmp_path):
    return OpenCode(tmp_path / "opencode" / "opencode.db")


def test_opencode_is_counted_to_the_token_while_it_writes(database):
    ledger = Ledger()
    for row in sorted(MESSAGES, key=lambda row: row["time_updated"]):
        database.put(row)
        ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert (ledger.by_model(), ledger.errors) == (truth("opencode"), 0)


def test_an_answer_that_is_still_being_written_counts_once_it_is_complete(database):
    ledger, row = Ledger(), next(row for row in MESSAGES if row["data"].get("tokens"))
    begun = {**row["data"], "time": {"created": row["data"]["time"]["created"]}}
    database.put({**row, "time_updated": row["time_updated"] - 5, "data": begun})
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert not ledger.events
    database.put(row)
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert len(ledger.events) == 1


def test_a_garbled_message_is_counted_once_and_the_others_too(database):
    ledger = Ledger()
    for row in MESSAGES:
        database.put(row)
    bad = {"id": "msg_bad", "session_id": "s", "time_created": 1, "time_updated": 1}
    database.put(bad, '{"role": "assistant", "tokens": {"input": -1}, "time": {"completed": 5}}')
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    database.put({**MESSAGES[0], "time_updated": MESSAGES[-1]["time_updated"] + 10**6})
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert (ledger.by_model(), ledger.errors) == (truth("opencode"), 1)


REFUSED = next(row for row in MESSAGES if row["data"].get("error"))
U = "anthropic-ratelimit-unified-"
PLAN = {U + "5h-utilization": "1.0", U + "5h-reset": "1795812131", U + "5h-status": "rejected"}


@pytest.mark.parametrize(
    ("headers", "reports", "pauses"),
    [
        pytest.param({"retry-after": "1"}, [], [timedelta(seconds=1)], id="a moment's refusal"),
        pytest.param(PLAN, [("anthropic", "team", "five_hour", 1.0, "rejected")], [], id="a spent plan"),
        pytest.param("?", [], [None], id="headers of another shape"),
    ],
)
def test_a_refused_message_of_opencode_keeps_what_the_provider_said(database, headers, reports, pauses):
    """Once: the message is met again in every pass while nothing newer is written."""
    failure = {**REFUSED["data"]["error"]["data"], "statusCode": 429, "responseHeaders": headers}
    data = {**REFUSED["data"], "providerID": "anthropic", "error": {"name": "APIError", "data": failure}}
    ledger, said = Ledger(), []
    for row in ({**REFUSED, "data": data}, {**MESSAGES[0], "time_updated": REFUSED["time_updated"]}):
        database.put(row)
        said += opencode.scan([database.path], ledger.files, label=LABEL)
        ledger.take(said[-1:])
    observations = [report for batch in said for report in batch.observations]
    assert [(r.provider, r.account, r.window, r.used_ratio, r.standing) for r in observations] == reports
    assert [moment.retry_after for batch in said for moment in batch.throttles] == pauses


GARBLED_ROWS = [
    pytest.param('{"role": "assistant", "tokens": {"inp', 1, id="cut in the middle"),
    pytest.param(b'{"role": "assistant", "x": "\xff\xfe"', 1, id="bytes that are no UTF-8"),
    pytest.param('{"role": "assistant", "tokens": 7}', "yesterday", id="a time that is no number"),
    pytest.param('{"role": "assistant", "tokens": 7}', 2**62, id="a time that never comes"),
    pytest.param("[" * 5000, 1, id="nested without end"),
    pytest.param("", 1, id="nothing at all"),
]


@pytest.mark.parametrize(("data", "updated"), GARBLED_ROWS)
def test_a_garbled_row_is_named_and_hides_no_other(data, updated, database):
    ledger, half = Ledger(), len(MESSAGES) // 2
    for row in MESSAGES[:half]:
        database.put(row)
    database.put({"id": "msg_bad", "session_id": "s", "time_created": 1, "time_updated": updated}, data)
    (first,) = opencode.scan([database.path], ledger.files, label=LABEL)
    ledger.take([first])
    for row in MESSAGES[half:]:
        database.put(row)
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert (first.errors, first.garbled) == (1, (f"{database.path}, message msg_bad",))
    assert ledger.by_model() == truth("opencode")


def test_what_is_written_while_the_clock_is_put_back_counts(database):
    """Half an hour, once: its messages are older than what was read before."""
    ledger, half = Ledger(), len(MESSAGES) // 2
    for row in MESSAGES[:half]:
        database.put(row)
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    for row in MESSAGES[half:]:
        database.put({**row, "time_updated": row["time_updated"] - 30 * 60_000})
    ledger.take(opencode.scan([database.path], ledger.files, label=LABEL))
    assert (ledger.by_model(), ledger.errors) == (truth("opencode"), 0)


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "opencode.db"
    path.write_bytes(b"not a database, whatever its name says" * 40)
    ledger = Ledger()
    ledger.take(opencode.scan([path], {}, label=LABEL))
    assert (len(ledger.unreadable), ledger.errors) == (1, 1)
