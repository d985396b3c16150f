"""The command line beside a database file: what verbs print, their JSON and exit codes, and wrong command lines."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from quota_scheduler import cli
from quota_scheduler.cli import VERBS, Verbs, quota_scheduler_command
from quota_scheduler.glance.words import LEGEND, limits_table, words_of
from tests.shell.edge import Edge, event, start

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 5}
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing in it, where no service answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUOTA_LISTEN", "127.0.0.1:1")
    monkeypatch.delenv("QUOTA_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*args: str) -> Said:
        monkeypatch.setattr("sys.argv", ["quota-scheduler", *args])
        capsys.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as leave:
            code = leave.code or 0
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    assert folder.is_dir()
    return call


@pytest.fixture
def edge(folder: Path) -> Iterator[Edge]:
    """A service that used 150, runs one ticket and has one waiting; its database is left in the working directory."""
    edge = start(folder, LIMITS)
    edge.post("/v1/usage", event("r1", 150, run="n1", model="claude-sonnet-5", labels={"workflow": "nightly"}))
    edge.submit("first", 800)
    edge.submit("second", 400, **{"class": "low"})
    edge.service.tick()
    yield edge
    edge.service.stop()


def test_the_file_is_read_beside_a_running_writer(edge: Edge, run: Run) -> None:
    status = run("status", "--json")
    assert status.code == 0
    assert [(each["limit"], each["used"], each["reserved"]) for each in status.json["limits"]] == [
        ("daily", 150, 800),
        ("runs", 0, 1),
    ]
    queue = run("queue", "--json").json
    assert [[each["key"] for each in queue[state]] for state in ("waiting", "offered", "running")] == [
        ["second"],
        [],
        ["first"],
    ]
    assert edge.service.writer.waiting == 0


def test_status_for_people(edge: Edge, run: Run) -> None:
    head, columns, daily, runs, *legend, note = run("status").out.splitlines()
    assert head.startswith("The file ")
    assert columns.split() == [
        "LIMIT", "USED", "OF", "RESERVED", "RESETS", "MEDIAN", "P80", "RUNS", "OUT", "RISK", "LEVEL", "WAITING",
    ]  # fmt: skip
    assert "\n".join(legend) == LEGEND
    assert daily.split()[:6] == ["daily", "150", "1k", "15%", "800", "Mon"]
    assert "00:00 Europe/Berlin" in daily
    assert daily.split()[-1] == "1"
    assert runs.split()[:4] == ["runs", "1", "5", "1"]
    assert note.startswith("No receiver is configured")
    assert edge.clock() is not None


def a_row(**forecast: Any) -> dict[str, Any]:
    return {
        "limit": "week", "mode": "enforce", "unit": "tokens", "period": "week", "timezone": "UTC", "leases": 0,
        "used": 500_000, "amount": 1_000_000, "usage_ratio": 0.5, "reserved": 0, "ends_at": "2026-11-30T00:00:00Z",
        "risk": "high", "level": "open", "waiting": [], "forecast": forecast,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("observed", "lines"),
    [
        pytest.param(None, [], id="no provider reports on it"),
        pytest.param({"freshness": "live", "why": "", "noticed": [], "elsewhere_points": 0.0}, [], id="all is well"),
        pytest.param(
            {"freshness": "stale", "why": "Nobody has.", "noticed": ["It was reset early."], "elsewhere_points": 4.5},
            ["max-session (stale): Nobody has. It was reset early. 4.5 points were used elsewhere."],
            id="everything there is to say",
        ),
    ],
)
def test_status_says_what_there_is_to_a_providers_word(observed: dict[str, Any] | None, lines: list[str]) -> None:
    assert words_of([{"limit": "max-session", "observed": observed}]) == lines


def test_status_says_what_was_lent() -> None:
    row = {"limit": "team/a", "unit": "usd", "used": 20, "amount": 10, "borrowed": [{"from": "team/b", "amount": 10}]}
    assert words_of([row]) == ["team/a: $20.00 of $10.00 used; $10.00 lent by team/b"]


@pytest.mark.parametrize(
    ("forecast", "cells"),
    [
        pytest.param(
            {"expected": 570_000, "expected_ratio": 0.57, "sufficient": True, "p80": 870_000, "exhaustion_at": None},
            "570k (57%)  870k (87%)  -         high  open",
            id="M17: the risk is told beside the figure that it follows from",
        ),
        pytest.param(
            {"expected": 1_200_000, "expected_ratio": 1.2, "sufficient": True, "p80": 1_400_000,
             "exhaustion_at": "2026-11-28T06:00:00Z"},
            "1.2M (120%)  1.4M (140%)  Sat 28 Nov 06:00 UTC  high  open",
            id="M17: when it runs out",
        ),
        pytest.param(
            {"expected": 570_000, "expected_ratio": 0.57, "sufficient": False, "p80": 1, "exhaustion_at": None},
            "570k (57%)  little history  -         high  open",
            id="too little history for an interval",
        ),
    ],
)  # fmt: skip
def test_status_says_median_and_p80(forecast: dict[str, Any], cells: str) -> None:
    assert cells in limits_table([a_row(**forecast)]).splitlines()[1]


def test_queue_for_people(edge: Edge, run: Run) -> None:
    columns, waiting, running = run("queue").out.splitlines()
    assert columns.split() == ["#", "TICKET", "STATE", "CLASS", "TOKENS", "SINCE", "WHY", "KEY"]
    since = "Sun 22 Nov 10:00 Europe/Berlin"
    assert re.split("  +", waiting) == ["1", "t2", "waiting", "low", "400", since, "no_headroom", "second"]
    assert re.split("  +", running.strip()) == ["t1", "running", "normal", "800", since, "fits", "first"]
    assert edge.clock() is not None


def test_forecast_of_all_and_of_one(edge: Edge, run: Run) -> None:
    said = run("forecast", "daily", "--explain")
    assert said.code == 0
    assert said.out.startswith("daily: ")
    assert "insufficient history" in said.out
    assert [each["limit"] for each in run("forecast", "--json").json] == ["daily"]
    unknown = run("forecast", "weekly")
    assert (unknown.code, unknown.err) == (
        1,
        "quota-scheduler: there is no forecast for 'weekly'; there are: daily\n",
    )
    assert edge.clock() is not None


def test_doctor_says_what_adds_up_and_what_does_not(edge: Edge, run: Run, folder: Path) -> None:
    sound = run("doctor", "--json")
    assert sound.code == 0
    assert [each["check"] for each in sound.json if each["wrong"]] == []
    edge.service.stop()
    with sqlite3.connect(folder / "quota.db") as database:
        database.execute("UPDATE windows SET used = used + 1 WHERE used = 150")
    broken = run("doctor")
    assert broken.code == 1
    (line,) = [line for line in broken.out.splitlines() if line.startswith("WRONG")]
    assert "counted 151 tokens, the ledger adds up to 150 tokens" in line


def test_doctor_lets_go_of_kept_histories_while_no_service_holds_the_file(edge: Edge, run: Run, folder: Path) -> None:
    edge.service.tick()
    refused = run("doctor", "--mend")
    assert (refused.code, "is in use by process" in refused.err) == (1, True), refused
    edge.service.stop()
    counted = "SELECT (SELECT count(*) FROM kept_histories), (SELECT count(*) FROM meta WHERE name = 'histories_kept')"
    with sqlite3.connect(folder / "quota.db") as database:
        before = database.execute(counted).fetchone()
    assert run("doctor", "--mend").code == 0
    with sqlite3.connect(folder / "quota.db") as database:
        assert (before, database.execute(counted).fetchone()) == ((1, 1), (0, 0))


def test_alerts_are_listed(edge: Edge, run: Run) -> None:
    assert run("alerts", "list").out == "No alerts.\n"
    assert run("alerts", "list", "--json").json == {"alerts": []}
    assert edge.clock() is not None


# Importing


def lines(*events: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in events)


def test_usage_is_imported_once_and_every_bad_line_is_named(folder: Path, run: Run) -> None:
    (folder / "quota.yaml").write_text(LIMITS)
    (folder / "events.jsonl").write_text(
        lines(event("r1"), event("r2", 50)) + "not json\n\n" + lines(event("r3", -1), event("r1"))
    )
    first = run("usage", "import", "events.jsonl", "--json")
    assert first.code == 1
    assert first.json == {
        "accepted": 2,
        "updated": 0,
        "duplicate": 1,
        "rejected": [
            {"line": 3, "reason": "not JSON: Expecting value: line 1 column 1 (char 0)"},
            {"line": 5, "reason": "/output: Input should be greater than or equal to 0, got -1"},
        ],
    }
    again = run("usage", "import", "events.jsonl")
    assert again.out == "0 accepted, 0 updated, 3 known already\n"
    assert again.err.splitlines()[1] == "line 5: /output: Input should be greater than or equal to 0, got -1"
    assert run("doctor").code == 0


def test_a_dry_run_checks_and_records_nothing(folder: Path, run: Run) -> None:
    (folder / "events.jsonl").write_text(lines(event("r1")))
    said = run("usage", "import", "events.jsonl", "--dry-run")
    assert (said.code, said.out) == (0, "1 would be accepted, 0 updated, 0 known already\n")
    assert not list(folder.rglob("quota.db"))


def test_while_a_process_without_an_answer_holds_the_database_nothing_is_written(edge: Edge, run: Run) -> None:
    said = run("usage", "import", "-")
    assert said.code == 1
    assert "is in use by process" in said.err
    assert edge.clock() is not None


# Configuration


def test_a_starter_file_is_written_once_and_is_sound(folder: Path, run: Run) -> None:
    assert run("config", "init", "mine.yaml").out == (
        "Wrote mine.yaml. Next: quota-scheduler --config mine.yaml config check\n"
    )
    assert run("--config", "mine.yaml", "config", "check").code == 0
    again = run("config", "init", "mine.yaml")
    assert (again.code, again.err) == (
        1,
        "quota-scheduler: mine.yaml exists already: choose another name, or remove it first\n",
    )
    assert run("config", "init", "other.yaml", "--dry-run").out == (folder / "mine.yaml").read_text() + "\n"
    assert not (folder / "other.yaml").exists()


def test_every_problem_of_a_configuration_is_told_with_its_place_value_and_fix(folder: Path, run: Run) -> None:
    (folder / "quota.yaml").write_text(
        "listne: 1\ntimezone: Mars/Olympus\nlimits:\n  - {id: a, amount: lots, window: day}\n"
        "receivers:\n  - {id: ops, url: 'nonsense'}\n"
    )
    for verb in (["config", "check"], ["serve"], ["status"]):
        said = run(*verb)
        assert said.code == 2, said
        assert said.out == ""
        problems = said.err.splitlines()
        assert [name for name in ("listne", "Mars/Olympus", "lots") if name in said.err] == [
            "listne",
            "Mars/Olympus",
            "lots",
        ]
        assert all(line.startswith("quota-scheduler: quota.yaml:") for line in problems)
        assert "Traceback" not in said.err


DEEP = [
    pytest.param("receivers: [{id: ops, url: 'nonsense'}]\n", "receiver", id="a receiver nobody can reach"),
    pytest.param("alerts: {rules: {usage_hihg: {threshold: 75%}}}\n", "usage_hihg", id="a rule there is not"),
]


@pytest.mark.parametrize(("text", "named"), DEEP)
def test_config_check_looks_as_deep_as_serve(folder: Path, run: Run, text: str, named: str) -> None:
    (folder / "quota.yaml").write_text(text)
    said = run("config", "check")
    assert said.code == 2
    assert named in said.err
    assert "Traceback" not in said.err


def test_config_check_prints_what_is_in_force_without_secrets(folder: Path, run: Run) -> None:
    (folder / "quota.yaml").write_text("receivers: [{id: ops, url: 'json://user:hidden@127.0.0.1:9'}]\n")
    said = run("config", "check", "--json")
    assert said.code == 0
    assert said.json["receivers"][0]["url"] == "***"
    assert "hidden" not in said.out


def test_a_new_token_works_as_printed(folder: Path, run: Run) -> None:
    made = run("config", "token", "ci", "--role", "viewer", "--json").json
    (folder / "tokens").write_text(f"viewer:ci:{made['sha256']}\n")
    (folder / "quota.yaml").write_text("tokens_file: tokens\n")
    assert "1 token;" in run("config", "check").out
    shown = run("config", "token", "ci").out.splitlines()
    assert len(shown) == 2
    assert shown[1].split()[-1].startswith("runner:ci:")


def test_a_bound_token_that_ends_works_as_printed(folder: Path, run: Run) -> None:
    made = run("config", "token", "growth", "--label", "team=growth", "--label", "account=max-1",
               "--expires", "2027-01-31T01:00:00+01:00", "--json").json  # fmt: skip
    bound, ends = {"account": "max-1", "team": "growth"}, "2027-01-31T00:00:00Z"
    assert (made["labels"], made["expires"], made["role"]) == (bound, ends, "runner")
    printed = run("config", "token", "growth", "--label", "team=growth", "--expires", "2027-01-31T00:00:00Z").out
    line = printed.splitlines()[1].partition("runner:")
    (folder / "tokens").write_text(f"{line[1]}{line[2]}\n")
    (folder / "quota.yaml").write_text("tokens_file: tokens\nmetrics_auth: true\n")
    (token,) = run("config", "check", "--json").json["tokens"]
    assert token == {
        "name": "growth", "role": "runner", "sha256": "***", "labels": {"team": "growth"}, "expires": ends,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(("--label", "team"), "team", id="a label without a value"),
        pytest.param(("--label", "colour=red"), "colour", id="a label that is none"),
        pytest.param(("--expires", "soon"), "soon", id="no instant"),
        pytest.param(("--expires", "2027-01-31T00:00:00"), "2027-01-31", id="an instant without a zone"),
    ],
)
def test_a_token_that_cannot_be_is_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    said = run("config", "token", "x", *words)
    assert (said.code, sentence in said.err, "Traceback" in said.err) == (2, True, False), said


# Asking wrongly


def test_a_database_that_is_not_there(run: Run) -> None:
    for verb in ("status", "forecast", "queue", "doctor"):
        said = run(verb)
        assert said.code == 3
        assert "no database at" in said.err
        assert len(said.err.splitlines()) == 1


FOREIGN = [
    pytest.param(b"just text, and more of it than a header has. " * 9, "is not a Quota Scheduler database", id="text"),
    pytest.param(b"SQLite format 3\0" + b"\1" * 300, "is not a Quota Scheduler database", id="another program's"),
]


@pytest.mark.parametrize(("content", "sentence"), FOREIGN)
def test_a_database_that_is_not_ours(folder: Path, run: Run, content: bytes, sentence: str) -> None:
    (folder / "other.db").write_bytes(content)
    for verb in ("status", "doctor", "serve"):
        said = run("--database", "other.db", "--listen", "127.0.0.1:0", verb)
        assert said.code == 1
        assert sentence in said.err
        assert "--database" in said.err
    assert (folder / "other.db").read_bytes() == content


def test_a_real_database_of_another_program_is_left_alone(folder: Path, run: Run) -> None:
    with sqlite3.connect(folder / "other.db") as database:
        database.execute("CREATE TABLE photos (id INTEGER)")
    for verb in ("status", "doctor", "serve"):
        said = run("--database", "other.db", "--listen", "127.0.0.1:0", verb)
        assert said.code == 1
        assert "is not a Quota Scheduler database" in said.err
    with sqlite3.connect(folder / "other.db") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]


ASKED = [
    pytest.param(["nothing"], 2, "No such command 'nothing'", id="a verb there is not"),
    pytest.param(["status", "--nothing"], 2, "No such option", id="an option there is not"),
    pytest.param(["--config", "no.yaml", "status"], 2, "no.yaml", id="a file there is not"),
    pytest.param(["--listen", "nowhere:x", "status"], 2, "listen", id="an address that is none"),
    pytest.param(["--database", "http://x/y", "status"], 2, "sqlite:///", id="a database of another kind"),
    pytest.param(["usage", "import", "no.jsonl"], 1, "cannot read no.jsonl", id="events that are not there"),
    pytest.param(["alerts", "test", "ops"], 1, "there is no receiver ops", id="a receiver there is not"),
]


@pytest.mark.parametrize(("args", "code", "sentence"), ASKED)
def test_a_wrong_command_line_is_one_sentence(run: Run, args: list[str], code: int, sentence: str) -> None:
    said = run(*args)
    assert said.code == code, said
    assert sentence in said.err
    assert "Traceback" not in said.err


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        if command.invoke_without_command:
            yield path, command
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, (*path, name))
    else:
        yield path, command


EVERY = [pytest.param(path, id=" ".join(path)) for path, _ in leaves(quota_scheduler_command)]


@pytest.mark.parametrize("path", EVERY)
def test_every_verb_explains_itself_with_examples(run: Run, path: tuple[str, ...]) -> None:
    said = run(*path, "--help")
    assert said.code == 0
    examples = said.out.partition("Examples:")[2].partition("Options:")[0]
    assert len([line for line in examples.splitlines() if " ".join(path) in line]) >= (2 if path != ("queue",) else 1)
    assert "--json" in said.out or path in {
        ("serve",),
        ("statusline",),
        ("hook",),
        ("mcp",),
    }  # these print for no program


def test_verbs_are_listed_in_the_order_people_need_them() -> None:
    assert isinstance(quota_scheduler_command, Verbs)
    assert quota_scheduler_command.list_commands(click.Context(quota_scheduler_command)) == list(VERBS)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("--config q.yaml config check --json", id="before the verb"),
        pytest.param("config --config q.yaml check --json", id="between verb and verb"),
        pytest.param("config check --json --config q.yaml", id="after the verb"),
        pytest.param("--config other.yaml config check --json --config q.yaml", id="twice: the last one wins"),
    ],
)
def test_common_options_stand_anywhere(run, folder, line):
    (folder / "q.yaml").write_text("timezone: Asia/Tokyo\n")
    said = run(*line.split())
    assert (said.code, said.json["timezone"]) == (0, "Asia/Tokyo")


def test_M11_what_serve_refuses_the_check_refuses(run: Run, folder: Path) -> None:
    (folder / "quota.yaml").write_text("listen: 0.0.0.0:8484\n")
    checked = run("--listen", "0.0.0.0:8484", "config", "check")
    assert checked.code == 2
    assert "can be reached from outside and no token is configured: add tokens" in checked.err


@pytest.mark.parametrize(
    ("verb", "meant"),
    [
        pytest.param("statsu", "status", id="M16: letters in another order"),
        pytest.param("limit", "limits", id="M16: a letter too few"),
        pytest.param("quueue", "queue", id="M16: a letter too many"),
    ],
)
def test_M16_a_misspelt_verb_is_told_which_may_be_meant(run: Run, verb: str, meant: str) -> None:
    said = run(verb)
    assert (said.code, f"there is no verb {verb!r}: did you mean {meant!r}?" in said.err) == (2, True)


def test_M3_the_file_alone_says_that_everything_is_held(run: Run, edge: Edge) -> None:
    edge.post("/v1/hold", {"reason": "provider incident"})
    for verb in ("status", "queue"):
        out = run(verb).out
        assert "Everything is held by local since Sun 22 Nov 10:00 Europe/Berlin: provider incident" in out
    assert run("audit", "--json").json[0]["what"] == "hold.all"
    assert "hold.all" in run("audit").out


@pytest.mark.parametrize(
    ("wanted", "whats"),
    [
        pytest.param((), ["limit.changed", "hold.all", "limit.changed"], id="all"),
        pytest.param(("--limit", "1"), ["limit.changed"], id="the newest"),
        pytest.param(("--what", "limit.*"), ["limit.changed", "limit.changed"], id="a kind"),
        pytest.param(("--who", "local", "--what", "hold.all"), ["hold.all"], id="whose and what"),
        pytest.param(("--who", "ana"), [], id="somebody who did nothing"),
        pytest.param(("--since", "2026-11-22T09:30Z"), ["limit.changed", "hold.all"], id="from an instant on"),
        pytest.param(("--until", "2026-11-22T09:30Z"), ["limit.changed"], id="until an instant"),
        pytest.param(("--since", "2026-11-22", "--until", "2026-11-23"), ["limit.changed", "hold.all", "limit.changed"],
                     id="a day of the configuration's zone"),
        pytest.param(("--since", "2026-11-23"), [], id="the next day"),
    ],
)  # fmt: skip
def test_audit_chooses_by_time_who_and_what(run: Run, edge: Edge, wanted: tuple[str, ...], whats: list[str]) -> None:
    edge.ask("PATCH", "/v1/limits/daily", {"amount": 2000})
    edge.clock.advance(timedelta(hours=1))
    edge.post("/v1/hold", {"reason": "provider incident"})
    edge.ask("PATCH", "/v1/limits/daily", {"amount": 3000})
    assert [entry["what"] for entry in run("audit", *wanted, "--json").json] == whats


@pytest.mark.parametrize("word", ["yesterday", "2026-13-01", "09:00"])
def test_audit_says_which_time_is_none(run: Run, word: str) -> None:
    said = run("audit", "--since", word)
    assert (said.code, f"{word!r} is no time" in said.err) == (2, True)


def test_limits_are_listed_from_the_configuration(run: Run, folder: Path) -> None:
    (folder / "quota.yaml").write_text(LIMITS)
    rows = [line.split()[0] for line in run("limits", "list").out.splitlines()]
    assert rows == ["LIMIT", "daily", "runs"]
    assert [spec["amount"] for spec in run("limits", "list", "--json").json] == [1000, 5]


@pytest.mark.parametrize("change", ["amount", "size=5", "overrides=5", "amount.x=5", "mode.a=warn"])
def test_a_change_of_a_limit_is_a_field_and_a_value(run: Run, change: str) -> None:
    said = run("limits", "set", "daily", change)
    assert (said.code, "is no change: write FIELD=VALUE" in said.err) == (1, True)


def test_an_error_leads_to_where_it_is_explained(run: Run, folder: Path) -> None:
    assert run("status").err.rstrip().endswith("(docs/reference/errors.md#nothing_there)")
    (folder / "quota.yaml").write_text("listne: 1\n")
    assert run("status").err.rstrip().endswith("(docs/reference/errors.md#config)")
