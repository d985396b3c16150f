"""Verbs beside an agent, piece by piece: their options, where the service is, and what one leaves for the next."""

from pathlib import Path

import pytest

from quota_scheduler.aside.address import ServiceAddress
from quota_scheduler.aside.begin import options_of
from quota_scheduler.aside.memory import MOST_UNSENT, Kept
from quota_scheduler.aside.teller import folder_of


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param([], ("", "", "", ()), id="none"),
        pytest.param(["--account", "max-1"], ("max-1", "", "", ()), id="an account"),
        pytest.param(["--account=a=b", "--listen=h:1"], ("a=b", "h:1", "", ()), id="with equals signs"),
        pytest.param(["--then", "a | b"], ("", "", "a | b", ()), id="a command for a shell"),
        pytest.param(["--", "prog", "--then", "--"], ("", "", "", ("prog", "--then", "--")), id="a program"),
        pytest.param(["--"], None, id="no program"),
        pytest.param(["--then", "a", "--", "b"], None, id="two lines"),
        pytest.param(["--help"], None, id="help is for the whole command line"),
        pytest.param(["--account"], None, id="a value that is missing"),
        pytest.param(["prog"], None, id="a program without --"),
        pytest.param(["--config", "x"], None, id="what only the whole command line knows"),
    ],
)
def test_options(arguments, options):
    found = options_of(arguments)
    assert (found and (found.account, found.listen, found.then, found.command)) == options


@pytest.mark.parametrize(
    ("given", "environ", "file", "address"),
    [
        pytest.param("", {}, "", ("127.0.0.1", 8484), id="by default"),
        pytest.param("h:1", {"QUOTA_LISTEN": "i:2"}, "listen: j:3", ("h", 1), id="the option wins"),
        pytest.param("", {"QUOTA_LISTEN": "i:2"}, "listen: j:3", ("i", 2), id="then the variable"),
        pytest.param(
            "", {}, "limits: []\nlisten: 10.0.0.7:9000  # here\n", ("10.0.0.7", 9000), id="then the user's file"
        ),
        pytest.param("", {}, 'listen: "127.0.0.1:9001"\r\n', ("127.0.0.1", 9001), id="in quotes"),
        pytest.param("", {}, "listen: ${HERE}:9000\n", ("127.0.0.1", 8484), id="nothing that has to be worked out"),
        pytest.param("", {}, "other:\n  listen: j:3\n", ("127.0.0.1", 8484), id="nor what stands inside"),
        pytest.param("0.0.0.0:7", {}, "", ("127.0.0.1", 7), id="everywhere is here"),
        pytest.param("[::]:7", {}, "", ("::1", 7), id="everywhere by IPv6"),
        pytest.param("[::1]:7", {}, "", ("::1", 7), id="here by IPv6"),
        pytest.param("http://h:1/", {}, "", ("h", 1), id="as an address of the web"),
    ],
)
def test_where_the_service_is(tmp_path: Path, given, environ, file, address):
    folder = tmp_path / ".config/quota-scheduler"
    folder.mkdir(parents=True)
    (folder / "quota.yaml").write_bytes(file.encode())
    found = ServiceAddress(given, {"HOME": str(tmp_path), **environ})
    assert (found.host, found.port) == address


def test_a_folder_that_an_agent_works_in_does_not_choose_who_is_told(tmp_path: Path, monkeypatch):
    (tmp_path / "quota.yaml").write_text("listen: 192.0.2.1:80\n")
    monkeypatch.chdir(tmp_path)
    found = ServiceAddress("", {"HOME": str(tmp_path / "home")})
    assert (found.host, found.port) == ("127.0.0.1", 8484)


def a_report(window: str = "weekly", **changes: object) -> dict[str, object]:
    return {"provider": "anthropic", "window": window, "used_ratio": 0.1, **changes}


def test_what_could_not_be_sent_is_the_newest_of_each_window(tmp_path: Path):
    kept = Kept(str(tmp_path / "not" / "there"))
    kept.keep([a_report(), a_report("five_hour"), a_report(used_ratio=0.2), a_report(account="b")])
    assert kept.unsent() == [a_report("five_hour"), a_report(used_ratio=0.2), a_report(account="b")]


def test_it_never_grows_without_bound(tmp_path: Path):
    kept = Kept(str(tmp_path))
    kept.keep([a_report(account=str(number)) for number in range(500)])
    assert [report["account"] for report in kept.unsent()] == [str(n) for n in range(500 - MOST_UNSENT, 500)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"unsent": 7, "waiting": "x", "heard_at": []}', b"\xff"])
def test_a_file_that_is_no_memory_is_none(tmp_path: Path, content):
    (tmp_path / "aside.json").write_bytes(content)
    kept = Kept(str(tmp_path))
    assert (kept.unsent(), kept.queue(), kept.was_just_sent("", 0.0, 30.0)) == ([], (0, 0.0), False)
    kept.sent("words", 100.0, 3)
    assert (kept.queue(), kept.was_just_sent("words", 129.0, 30.0), kept.was_just_sent("words", 131.0, 30.0)) == (
        (3, 100.0),
        True,
        False,
    )


def test_only_its_owner_reads_it(tmp_path: Path):
    Kept(str(tmp_path / "new")).keep([a_report()])
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "new", tmp_path / "new/aside.json")]
    assert modes == [0o700, 0o600]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["aside.json"]


@pytest.mark.parametrize(
    ("told", "environ", "folder"),
    [
        pytest.param({"transcript_path": "/h/.claude/projects/p/s.jsonl"}, {}, "/h/.claude", id="by its transcript"),
        pytest.param({"transcript_path": "/h/a/projects/p"}, {"CLAUDE_CONFIG_DIR": "/w"}, "/w", id="as it was told"),
        pytest.param({"transcript_path": "/elsewhere"}, {}, "", id="a transcript that lies elsewhere"),
        pytest.param({"transcript_path": 7}, {}, "", id="no path"),
    ],
)
def test_whose_folder_it_is(told, environ, folder):
    assert folder_of(told, environ) == folder
