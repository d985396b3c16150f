"""A service that a URL names: every verb that asks one asks it, and never tells what a file of this machine says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.serving import Serving, serving_in
from tests.shell.test_cli import LIMITS, Run, folder, run

__all__ = ["folder", "run"]
THERE = """
limits:
  - {id: of-the-other, match: {provider: anthropic}, unit: tokens, amount: 7777, window: day, holdback: 0}
"""
ASKING = [
    pytest.param(["status"], id="status"),
    pytest.param(["status", "--json"], id="status for programs"),
    pytest.param(["watch", "--once"], id="watch"),
    pytest.param(["watch", "--json"], id="watch for programs"),
    pytest.param(["limits", "list"], id="limits list"),
    pytest.param(["limits", "show", "of-the-other"], id="limits show"),
    pytest.param(["limits", "set", "of-the-other", "amount=5"], id="limits set"),
    pytest.param(["limits", "windows"], id="limits windows"),
    pytest.param(["limits", "ceilings"], id="limits ceilings"),
    pytest.param(["forecast"], id="forecast"),
    pytest.param(["queue"], id="queue"),
    pytest.param(["queue", "counts"], id="queue counts"),
    pytest.param(["queue", "explain", "t1"], id="queue explain"),
    pytest.param(["hold", "--reason", "test"], id="hold"),
    pytest.param(["history"], id="history"),
    pytest.param(["suggestions"], id="suggestions"),
    pytest.param(["runs"], id="runs"),
    pytest.param(["efficiency"], id="efficiency"),
    pytest.param(["sources"], id="sources"),
    pytest.param(["reconcile"], id="reconcile"),
    pytest.param(["usage", "export"], id="usage export"),
    pytest.param(["usage", "import", "events.jsonl"], id="usage import"),
    pytest.param(["observe"], id="observe"),
    pytest.param(["alerts", "list"], id="alerts list"),
    pytest.param(["silence", "list"], id="silence list"),
    pytest.param(["audit"], id="audit"),
    pytest.param(["teams"], id="teams"),
    pytest.param(["teams", "report"], id="teams report"),
    pytest.param(["teams", "loans"], id="teams loans"),
    pytest.param(["preflight", "--estimate", "1"], id="preflight"),
]
AWAY = "http://127.0.0.1:9"
"""Nothing answers there: the port is that of the discard protocol, which no machine serves any more."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database and a configuration that tell of other limits."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "events.jsonl").write_text("")
    with serving_in(folder, LIMITS):
        return folder


@pytest.fixture
def here(folder: Path, made: Path) -> Path:
    """This machine's own."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Another service, with other limits."""
    with serving_in(tmp_path_factory.mktemp("there"), THERE) as serving:
        serving.service.read()
        serving.service.tick()
        yield serving


@pytest.mark.parametrize("args", ASKING)
def test_away_it_is_said_and_no_file_is_shown(run: Run, here: Path, monkeypatch, args: list[str]) -> None:
    monkeypatch.setenv("QUOTA_URL", AWAY)
    before = (here / "quota.db").read_bytes()
    said = run(*args)
    assert (said.code in (1, 3, 69), said.out) == (True, ""), said
    assert [word in said.err for word in (AWAY, "QUOTA_URL")] == [True, True], said.err
    assert (here / "quota.db").read_bytes() == before


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("where", "environ"),
    [
        pytest.param([], True, id="named by QUOTA_URL"),
        pytest.param(["--url"], False, id="named by --url"),
    ],
)
def test_another_service_is_asked(run: Run, there: Serving, monkeypatch, where, environ) -> None:
    if environ:
        monkeypatch.setenv("QUOTA_URL", there.url)
    args = [*where, *([there.url] if where else [])]
    for verb in (["status"], ["forecast"], ["limits", "list"], ["watch", "--once"], ["preflight", "--estimate", "1"]):
        said = run(*verb, *args)
        assert (said.code, "of-the-other" in said.out, "daily" in said.out) == (0, True, False), (verb, said)


@pytest.mark.usefixtures("here")
def test_what_the_command_line_names_wins(run: Run, there: Serving, monkeypatch) -> None:
    monkeypatch.setenv("QUOTA_URL", AWAY)
    assert "of-the-other" in run("--listen", f"127.0.0.1:{there.port}", "status").out
    assert "of-the-other" in run("status", "--url", f"{there.url}/").out
    assert run("--listen", "127.0.0.1:1", "status").out.startswith("The file ")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://quota.example", id="another protocol"),
        pytest.param("http://", id="no host"),
        pytest.param("http://quota.example:many", id="a port that is no number"),
        pytest.param("http://[::1", id="half an address"),
    ],
)
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["status"], id="status"),
        pytest.param(["run", "--estimate", "1", "--", "true"], id="run"),
        pytest.param(["preflight", "--estimate", "1"], id="preflight"),
    ],
)
def test_what_is_no_address_is_one_sentence(run: Run, monkeypatch, url: str, args: list[str]) -> None:
    monkeypatch.setenv("QUOTA_URL", url)
    said = run(*args)
    assert (said.code, said.out) == (2, "")
    assert f"QUOTA_URL {url!r} is no address: write http://host:port or https://host" in said.err


def test_a_verb_that_asks_nobody_takes_no_url(run: Run) -> None:
    said = run("doctor", "--url", AWAY)
    assert (said.code, "No such option" in said.err) == (2, True), said
