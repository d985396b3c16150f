"""The command line of an agent: which it is, how it goes on with a session, and the settings of one run."""

import json

import pytest

from quota_scheduler.wrapper import command as commands
from quota_scheduler.wrapper.run import default_url

OURS = {"autoContinueAtUsageLimit": False, "hooks": {"PostToolUse": ["ours"]}}


@pytest.mark.parametrize(
    ("command", "resumed"),
    [
        pytest.param(["claude", "-p", "go"], ["claude", "--resume", "S", "-p", "go"], id="claude"),
        pytest.param(
            ["/opt/codex", "exec", "--json", "go"], ["/opt/codex", "exec", "resume", "S", "--json", "go"], id="codex"
        ),
        pytest.param(["gemini", "-p", "go"], ["gemini", "--resume", "S", "-p", "go"], id="gemini"),
        pytest.param(["opencode", "run", "go"], ["opencode", "run", "--session", "S", "go"], id="opencode"),
        pytest.param(["claude", "--resume", "S"], ["claude", "--resume", "S"], id="it says so itself"),
        pytest.param(["./nightly.sh"], ["./nightly.sh"], id="a script finds it in its environment"),
    ],
)
def test_going_on_with_a_session(command, resumed):
    assert commands.resuming(command, "S") == resumed
    assert commands.resuming(command, "") == command


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(["claude", "--resume", "S"], ("S", "", False), id="claude, resumed"),
        pytest.param(["claude", "--resume=S", "--model=opus"], ("S", "opus", False), id="with an equals sign"),
        pytest.param(["codex", "exec", "fork", "T", "--json"], ("T", "", True), id="codex, forked"),
        pytest.param(["opencode", "run", "-m", "x/gpt-5.5", "--format", "json"], ("", "gpt-5.5", True), id="opencode"),
        pytest.param(["claude", "-p", "-r", "--verbose"], ("", "", False), id="resumed by choice"),
    ],
)
def test_what_a_command_line_says(command, said):
    assert (commands.resumed_session(command), commands.model_of(command), commands.is_for_programs(command)) == said


@pytest.mark.parametrize(
    ("command", "names"),
    [
        pytest.param(["claude", "-p", "go"], True, id="a new one of its own"),
        pytest.param(["/opt/claude", "--print", "--model", "opus", "go"], True, id="by its path"),
        pytest.param(["claude", "-p", "--resume", "S", "go"], False, id="it goes on with one"),
        pytest.param(["claude", "-p", "--session-id=S", "go"], False, id="it names one"),
        pytest.param(["claude", "-c", "-p", "go"], False, id="it goes on with the last"),
        pytest.param(["claude", "mcp", "list"], False, id="no prompt"),
        pytest.param(["codex", "exec", "-p", "work"], False, id="another agent"),
    ],
)
def test_a_session_has_its_name_before_it_begins(command, names):
    line, session = commands.with_session(command)
    assert line == ([command[0], "--session-id", session, *command[1:]] if names else command)
    assert bool(session) == names


@pytest.mark.parametrize(
    ("command", "merged", "problem"),
    [
        pytest.param(["claude", "-p"], OURS, "", id="none of its own"),
        pytest.param(
            ["claude", "--settings", '{"model": "opus", "hooks": {"PostToolUse": ["theirs"]}}', "-p"],
            {"model": "opus", "autoContinueAtUsageLimit": False, "hooks": {"PostToolUse": ["theirs", "ours"]}},
            "",
            id="its own beside ours",
        ),
        pytest.param(["claude", "--settings={}", "-p"], OURS, "", id="with an equals sign"),
        pytest.param(
            ["claude", "--settings", "nowhere.json", "-p"], None, "cannot be read", id="a file that is not there"
        ),
    ],
)
def test_settings_of_one_run(command, merged, problem):
    line, said = commands.with_settings(command, OURS)
    assert problem in said
    assert line[-1] == "-p" or merged is not None
    if merged is None:
        assert line == command
    else:
        assert line.count("--settings") == 1
        assert json.loads(line[line.index("--settings") + 1]) == merged


@pytest.mark.parametrize(
    ("written", "url"),
    [
        pytest.param("listen: 127.0.0.1:9000\n", "http://127.0.0.1:9000", id="without a certificate"),
        pytest.param("listen: 127.0.0.1:9000\ntls: {certificate: c.pem, key: k.pem}\n", "https://127.0.0.1:9000",
                     id="with one"),
        pytest.param("# tls: none yet\n", "http://127.0.0.1:8484", id="one that is only spoken of"),
    ],
)  # fmt: skip
def test_the_service_is_asked_the_way_its_file_says(written, url, tmp_path):
    (tmp_path / "quota.yaml").write_text(written)
    assert default_url("", {"QUOTA_CONFIG": str(tmp_path / "quota.yaml")}) == url
