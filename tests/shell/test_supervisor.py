"""What systemd hears over the socket that it names."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from quota_scheduler.supervisor import Supervisor
from tests.system.service_process import Place, ServiceProcess


@pytest.fixture(params=["a path", "an abstract name"])
def listening(request, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        name = str(tmp_path / "notify") if request.param == "a path" else f"\0{tmp_path}"
        heard.bind(name)
        heard.settimeout(30)
        yield heard, name.replace("\0", "@")


def test_it_is_told_over_a_socket_of_either_kind(listening):
    heard, name = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    supervisor.ready()
    supervisor.alive(5.0)  # nobody asked for it
    supervisor.stopping()
    assert [heard.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_the_watchdog_hears_it_twice_as_often_as_it_asks(listening):
    heard, name = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000000"})
    for second in range(7):
        supervisor.alive(100.0 + second)
    supervisor.stopping()
    assert [heard.recv(100) for _ in range(5)] == [b"WATCHDOG=1"] * 4 + [b"STOPPING=1"]


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="nobody started it"),
        pytest.param({"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1000"}, id="who started it is gone"),
    ],
)
def test_nobody_to_tell_is_no_trouble(environment):
    supervisor = Supervisor(environment)
    supervisor.ready()
    supervisor.alive(1.0)
    supervisor.stopping()


def test_another_process_watchdog_is_not_fed(listening):
    heard, name = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    supervisor.alive(1.0)
    supervisor.stopping()
    assert heard.recv(100) == b"STOPPING=1"


def test_a_supervisor_that_does_not_read_holds_nothing_up(listening):
    """A datagram socket takes about ten unread ones; the eleventh would wait for good."""
    heard, name = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"})
    for second in range(1_000):
        supervisor.alive(float(second))
    heard.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while heard.recv(100) == b"WATCHDOG=1":
            taken += 1
    assert 0 < taken < 1_000


@pytest.mark.system
def test_a_service_says_when_it_is_ready_and_that_it_ends(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(60)
        place = Place(tmp_path)
        variables = place.variables() | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        monkeypatch.setattr(Place, "variables", lambda _: variables)
        with ServiceProcess(place) as service:
            assert heard.recv(100) == b"READY=1"
            assert service.ask("GET", "/healthz").status == 200
            assert heard.recv(100) == b"WATCHDOG=1"
            reader = ThreadPoolExecutor(1).submit(lambda: list(iter(lambda: heard.recv(100), b"STOPPING=1")))
            assert service.terminate() == 0
            assert set(reader.result(60)) <= {b"WATCHDOG=1"}
