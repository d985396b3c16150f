"""``doctor --providers``: what agents and providers write that nobody here reads, from files and from answers."""

import json
from pathlib import Path

import pytest

from quota_scheduler import cli
from quota_scheduler.service.upkeep.unknown import remember_unknown
from quota_scheduler.store import Store

KNOWN = {"type": "assistant", "version": "2.2.1", "message": {"usage": {"input_tokens": 1}}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one transcript; no other place is looked at."""
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "PI_CODING_AGENT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUOTA_DATABASE", f"sqlite:///{tmp_path}/quota.db")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".claude" / "projects" / "app").mkdir(parents=True)
    return tmp_path


def write(home: Path, usage: dict[str, int]) -> Path:
    file = home / ".claude" / "projects" / "app" / "S.jsonl"
    file.write_text(json.dumps({**KNOWN, "message": {"usage": usage}}) + "\n")
    return file


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    monkeypatch.setattr("sys.argv", ["quota-scheduler", "doctor", "--providers", *args])
    cli.main()
    return capsys.readouterr().out


def test_it_says_when_all_is_known(home, monkeypatch, capsys):
    write(home, {"input_tokens": 1})
    out = said(monkeypatch, capsys)
    assert out == "every field of usage and limits in the newest files and answers is known\n"


def test_it_names_what_is_new_in_files_and_answers(home, monkeypatch, capsys):
    file = write(home, {"input_tokens": 1, "video_tokens": 2})
    with Store(home / "quota.db") as store, store.transaction() as tx:
        remember_unknown(tx, door="claude_usage", fields=["usage.pool"])
    out = said(monkeypatch, capsys, "--json")
    fields = [(one["source"], one["field"], one["version"], one["where"][:8]) for one in json.loads(out)]
    assert fields == [
        ("claude_code", "message.usage.video_tokens", "2.2.1", str(file)[:8]),
        ("claude_usage", "usage.pool", "", "seen 202"),
    ]
    lines = said(monkeypatch, capsys)
    assert lines.splitlines()[0] == f"claude_code of 2.2.1: message.usage.video_tokens ({file})"
