"""``status`` by the shortest road says what the whole command line says, and goes it only where that is certain."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler import cli
from quota_scheduler.glance import road
from tests.shell.serving import Serving, serving_in

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: day, match: {provider: anthropic}, amount: 1k, window: day, mode: enforce}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("glance")
    with serving_in(folder, LIMITS) as there:
        there.service.tick()
        yield there


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and working directory with nothing in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("QUOTA_LISTEN", "QUOTA_TOKEN", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def whole(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr("sys.argv", ["quota-scheduler", *arguments])
    with contextlib.suppress(SystemExit):
        cli.main()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["status"], id="for people"),
        pytest.param(["status", "--json"], id="for programs"),
        pytest.param(["status", "--check"], id="by its exit status"),
    ],
)
def test_it_says_what_the_whole_command_line_says(service, home, monkeypatch, capsys, arguments):
    (home / "quota.yaml").write_text(f"listen: 127.0.0.1:{service.port}\n{LIMITS}")
    assert road.glanced(arguments, {"HOME": str(home)}) == 0
    assert capsys.readouterr().out == whole(arguments, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        pytest.param({"QUOTA_LISTEN": "127.0.0.1:{port}"}, "", id="a variable"),
        pytest.param({}, "listen: 127.0.0.1:{port}  # here\n", id="the file"),
        pytest.param({}, "listen: '0.0.0.0:{port}'\n", id="every address"),
        pytest.param({"QUOTA_LEASE": "l1", "QUOTA_LISTEN": "127.0.0.1:{port}"}, "", id="within a run"),
    ],
)
def test_it_finds_the_service_by(service, home, capsys, environ, file):
    (home / "quota.yaml").write_text(file.format(port=service.port))
    environ = {name: value.format(port=service.port) for name, value in environ.items()}
    assert road.glanced(["status"], {"HOME": str(home), **environ}) == 0
    assert "Europe/Berlin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environ", "file"),
    [
        pytest.param(["status", "--url", "http://127.0.0.1:{port}"], {}, "", id="a service elsewhere"),
        pytest.param(["status"], {"QUOTA_URL": "http://127.0.0.1:{port}"}, "", id="one elsewhere by a variable"),
        pytest.param(["status", "--config", "quota.yaml"], {}, "", id="another configuration"),
        pytest.param(["status", "--help"], {}, "", id="help"),
        pytest.param(["status", "more"], {}, "", id="a word too many"),
        pytest.param(["status"], {"QUOTA_TIMEZONE": "UTC"}, "", id="a variable that changes what is said"),
        pytest.param(["status"], {}, "listen: ${{HERE}}\n", id="what has to be worked out"),
        pytest.param(["status"], {}, "{{listen: 127.0.0.1:{port}}}\n", id="a file in another style"),
        pytest.param(["status"], {}, "listen: 127.0.0.1:1\nlisten: 127.0.0.1:{port}\n", id="two answers"),
        pytest.param(["status"], {}, "tls: {{}}\nlisten: 127.0.0.1:{port}\n", id="encryption"),
        pytest.param(["status"], {"QUOTA_LISTEN": "127.0.0.1:1"}, "", id="nothing that answers"),
        pytest.param(["status"], {"QUOTA_CONFIG": "none.yaml"}, "", id="a file that is not there"),
    ],
)
def test_it_leaves_to_the_whole_command_line(service, home, capsys, arguments, environ, file):
    (home / "quota.yaml").write_text(file.format(port=service.port))
    arguments = [word.format(port=service.port) for word in arguments]
    environ = {name: value.format(port=service.port) for name, value in environ.items()}
    there = {} if file else {"QUOTA_LISTEN": f"127.0.0.1:{service.port}"}
    assert road.glanced(arguments, {"HOME": str(home), **there, **environ}) is None
    assert capsys.readouterr().out == ""


WHOLE = json.dumps({"at": "2026-11-28T00:00:00Z", "limits": [], "run_caps": []}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}", id="a refusal"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", id="no object"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", id="half an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", id="pieces"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(WHOLE), WHOLE), id="an older service"),
        pytest.param(b"220 ready\r\n", id="something else"),
    ],
)
def test_an_answer_that_is_not_plain_is_not_shown(home, capsys, answer):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def give() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        giving = threading.Thread(target=give)
        giving.start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        assert road.glanced(["status"], {"HOME": str(home), "QUOTA_LISTEN": address}) is None
        giving.join()
    assert capsys.readouterr().out == ""


def test_next_to_nothing_is_loaded_for_it(service, home):
    """A tenth of a second: the whole command line takes a fifth, of which the configuration is most."""
    code = (
        "import sys, json; sys.argv = ['quota-scheduler', 'status']\n"
        "from quota_scheduler.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as left: status = left.code\n"
        "print(json.dumps([status, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(home), "QUOTA_LISTEN": f"127.0.0.1:{service.port}"},
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    heavy = {"click", "yaml", "http.client", "ssl", "dataclasses", "inspect", "pydantic", "numpy", "logging", "email"}
    assert (status, heavy & set(modules)) == (0, set())
    assert {name for name in modules if name.startswith(("quota_scheduler.config", "quota_scheduler.cli"))} == set()
