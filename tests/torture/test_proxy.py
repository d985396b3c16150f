"""The proxy of the tests does to connections what it says, and nothing else."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.torture.proxy import Proxy


class Echo(socketserver.StreamRequestHandler):
    """Answers each line with itself, and remembers it."""

    def handle(self) -> None:
        for line in self.rfile:
            self.server.heard.append(line)
            self.wfile.write(line)


@pytest.fixture(scope="module")
def echo() -> Iterator[socketserver.ThreadingTCPServer]:
    """A server of lines."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads, server.heard = True, []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: socketserver.ThreadingTCPServer) -> Iterator[Proxy]:
    """A proxy in front of it."""
    echo.heard.clear()
    with Proxy(echo.server_address) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    """A connection that waits a third of a second for an answer."""
    client = socket.create_connection(("127.0.0.1", proxy.port))
    client.settimeout(0.3)
    return client


def ask(client: socket.socket, line: bytes) -> bytes:
    """What comes back for a line; nothing where the connection was reset."""
    try:
        client.sendall(line + b"\n")
        return client.recv(100)
    except ConnectionError:
        return b""


def test_it_forwards_both_ways(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert [ask(client, b"one"), ask(client, b"two")] == [b"one\n", b"two\n"]


def test_an_answer_is_cut_after_the_request_was_carried_out(
    proxy: Proxy, echo: socketserver.ThreadingTCPServer
) -> None:
    proxy.cut_share, proxy.cut_wanted = 1.0, lambda request: b"COMMIT" in request
    with connect(proxy) as client:
        assert [ask(client, b"BEGIN"), ask(client, b"COMMIT")] == [b"BEGIN\n", b""]
    assert (echo.heard, proxy.cuts) == ([b"BEGIN\n", b"COMMIT\n"], 1)


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        pytest.param("black_hole", [], id="a black hole carries nothing"),
        pytest.param("deaf", [b"x\n"], id="half open: the request arrives, its answer does not"),
    ],
)
def test_what_is_held_back_comes_late_and_is_not_lost(proxy: Proxy, echo, fault: str, heard: list[bytes]) -> None:
    with connect(proxy) as client:
        setattr(proxy, fault, True)
        with pytest.raises(TimeoutError):
            ask(client, b"x")
        assert echo.heard == heard
        proxy.heal()
        assert client.recv(100) == b"x\n"


def test_who_connects_is_reset_and_all_that_are_connected(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x\n"
        proxy.refusing = True
        assert proxy.cut_now() == 2
        assert ask(client, b"y") == b""
        with connect(proxy) as late:
            assert ask(late, b"z") == b""
    assert proxy.cuts == 0


def test_slowness_is_as_asked(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.settimeout(5)
        for name, value in (("delay_seconds", 0.05), ("bytes_per_second", 20)):
            setattr(proxy, name, value)
            began = time.monotonic()
            assert ask(client, b"x") == b"x\n"
            assert time.monotonic() - began >= 0.1
            proxy.heal()
