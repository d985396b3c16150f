"""Half requests end after a time, and do not lock others out: real sockets, a short patience."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from quota_scheduler import server
from quota_scheduler.assemble import assemble
from quota_scheduler.config import Listen, load
from quota_scheduler.facade import Facade
from quota_scheduler.half_requests import Patience
from tests.shell.edge import LIMITS

PATIENCE = Patience(seconds=0.5, most=10)
LONGEST = 20.0
"""Seconds within which everything here must have happened, on a busy machine too."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("half")
    (folder / "quota.yaml").write_text(f"database: sqlite:///quota.db\n{LIMITS}")
    service = assemble(load(folder / "quota.yaml", {"HOME": str(folder)}))
    service.writer.start()
    where = server.listen(Listen("127.0.0.1", 0))
    serving = server.server(service, Facade(service), reload=lambda: None, patience=PATIENCE)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [where]})
    thread.start()
    yield where.getsockname()[1]
    serving.should_exit = True
    thread.join(LONGEST)
    service.stop()


def connected(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=LONGEST)
    connection.sendall(sent)
    return connection


def said(connection: socket.socket) -> bytes:
    """Everything until the other side closes; nothing but b"" where it was closed hard."""
    text = b""
    try:
        while chunk := connection.recv(65536):
            text += chunk
    except ConnectionResetError:
        pass
    connection.close()
    return text


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALVES = [
    pytest.param(b"", id="R20: nothing"),
    pytest.param(b"GET /heal", id="R20: half a line"),
    pytest.param(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", id="R20: half the headers"),
    pytest.param(WHOLE + b"GET /heal", id="R20: half a line behind a whole request"),
]


@pytest.mark.parametrize("half", HALVES)
def test_R20_a_half_request_ends_after_a_time(port: int, half: bytes) -> None:
    started = time.monotonic()
    text = said(connected(port, half))
    assert time.monotonic() - started >= PATIENCE.seconds * 0.9
    assert text.count(b"200 OK") == half.count(WHOLE)
    assert text.endswith(b"the request did not come whole: 408")


def test_R20_a_byte_now_and_then_buys_no_time(port: int) -> None:
    connection, started = connected(port, b"GET /healthz HTTP/1.1\r\n"), time.monotonic()
    closed = threading.Event()

    def trickle() -> None:
        while not closed.wait(0.05):
            try:
                connection.sendall(b"X-A: b\r\n")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    said(connection)
    closed.set()
    thread.join(LONGEST)
    assert time.monotonic() - started < LONGEST


def test_R20_half_requests_do_not_lock_others_out(port: int) -> None:
    halves = [connected(port, b"GET /heal") for _ in range(PATIENCE.most * 5)]
    text = said(connected(port, WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
    assert text.startswith(b"HTTP/1.1 200 OK")
    first = halves[0]
    assert said(first).endswith(b"408")  # the oldest made room
    for connection in halves[1:]:
        connection.close()


def test_a_crowd_that_comes_in_one_moment_is_answered(port: int) -> None:
    """Thousands of runners may connect at once: whoever sends its request soon is none of too many half ones."""
    crowd = [connected(port, b"") for _ in range(PATIENCE.most * 4)]
    for connection in crowd:
        connection.sendall(WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert {said(connection)[:15] for connection in crowd} == {b"HTTP/1.1 200 OK"}


def test_R20_a_parked_request_waits_as_long_as_it_asked_to(port: int) -> None:
    body = b'{"key": "%s", "labels": {"provider": "anthropic"}, "estimate": {"output": 900}}'
    post = b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    for key in (b"a", b"b"):
        content = body % key
        said(connected(port, post + b"Content-Length: %d\r\n\r\n%s" % (len(content), content)))
    started = time.monotonic()
    text = said(connected(port, b"GET /v1/tickets/t2?wait=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    assert (b'"state":"waiting"' in text, time.monotonic() - started >= 2) == (True, True)


def test_R20_who_hangs_up_in_the_middle_of_a_body_is_no_fault_of_ours(port: int) -> None:
    def failed() -> bytes:
        text = said(connected(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        return next(line for line in text.splitlines() if line.startswith(b"quota_scheduler_failed_answers_total "))

    before = failed()
    head = b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connected(port, head + b"Content-Length: 99\r\n\r\n{").close()
    time.sleep(0.2)  # the answer is nobody's: there is nothing to wait for
    assert failed() == before


def test_R20_a_half_body_is_closed_too(port: int) -> None:
    post = (
        b"POST /v1/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    started = time.monotonic()
    said(connected(port, post))
    assert time.monotonic() - started < LONGEST
