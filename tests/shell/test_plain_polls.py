"""Who waits for a turn is parked without a task, and is told what the routes tell, over real sockets."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.shell.serving import LONGEST, Serving, serving_in

LIMITS = "limits:\n  - {id: one-at-a-time, unit: leases, amount: 1, mode: enforce}\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_in(tmp_path_factory.mktemp("polls"), LIMITS) as one:
        yield one


@pytest.fixture
def running(served: Serving) -> Iterator[dict[str, Any]]:
    """A run that leaves room for nobody."""
    ticket = ask_for(served, f"first {time.monotonic()}", 900)
    yield ticket
    release(served, ticket)


@pytest.fixture
def waiting(served: Serving, running: dict[str, Any]) -> Iterator[str]:
    """The ticket that waits for it."""
    assert running["state"] == "running"
    ticket = ask_for(served, f"second {time.monotonic()}", 500)
    yield ticket["id"]
    told(park(served, "0", ticket["id"], method="DELETE"))


def ask_for(served: Serving, key: str, tokens: int) -> dict[str, Any]:
    body = {"key": key, "labels": {"provider": "mistral"}, "estimate": {"tokens": tokens}}
    answer: dict[str, Any] = served.post("/v1/tickets", json.dumps(body).encode())[1]
    return answer


def release(served: Serving, ticket: dict[str, Any]) -> None:
    lease = ticket["lease"]
    served.post(f"/v1/leases/{lease['id']}/release", json.dumps({"fence": lease["fence"]}).encode())


def park(served: Serving, wait: str, ticket: str, *headers: str, method: str = "GET") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=LONGEST)
    head = [f"{method} /v1/tickets/{ticket}?wait={wait} HTTP/1.1", "Host: localhost", *headers, "", ""]
    connection.sendall("\r\n".join(head).encode())
    return connection


def told(connection: socket.socket, *, stays: bool = False) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Status line, headers and body of the answer."""
    with connection.makefile("rb") as file:
        status = file.readline().decode().strip()
        lines = iter(lambda: file.readline().decode().strip(), "")
        headers = dict(sorted(line.split(": ", 1) for line in lines))
        body = json.loads(file.read(int(headers["content-length"])))
    if not stays:
        connection.close()
    return status, headers | {"date": ""}, body


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def timeless(answer: tuple[str, dict[str, str], dict[str, Any]]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The answer without what is counted from the instant of the question."""
    status, headers, body = answer
    return status, headers | {"content-length": ""}, body | {"expected_start": sorted(body.get("expected_start", ()))}


TWICE = ("X-Twice: 1", "X-Twice: 2")
"""Headers that send a question to the routes."""


@pytest.mark.parametrize("ticket", [pytest.param("", id="that waits"), pytest.param("t999999", id="that is not there")])
def test_an_answer_is_that_of_the_routes(served: Serving, waiting: str, ticket: str):
    plain, by_routes = (timeless(told(park(served, "0.05", ticket or waiting, *more))) for more in ((), TWICE))
    assert plain == by_routes
    assert plain[0] == ("HTTP/1.1 404 Not Found" if ticket else "HTTP/1.1 200 OK")


def test_who_waits_is_told_when_its_turn_comes(served: Serving, running: dict[str, Any], waiting: str):
    connection = park(served, "20", waiting)
    until(lambda: served.service.waiters.parked == 1)
    release(served, running)
    _, _, body = told(connection)
    assert (body["id"], body["state"]) == (waiting, "running")
    release(served, body)
    assert served.service.waiters.parked == 0


def test_who_is_parked_takes_no_task(served: Serving, waiting: str):
    """Tasks, and all that the framework has on its stack, were two thirds of what one weighed."""
    loop = served.service.waiters._loop
    assert loop is not None
    before = len(asyncio.all_tasks(loop))
    connections = [park(served, "20", waiting) for _ in range(20)]
    until(lambda: served.service.waiters.parked == 20)
    assert len(asyncio.all_tasks(loop)) == before
    for connection in connections:
        connection.close()
    until(lambda: served.service.waiters.parked == 0)


def test_a_connection_goes_on_after_its_answer(served: Serving, waiting: str):
    connection = park(served, "0.05", waiting)
    assert told(connection, stays=True)[2]["state"] == "waiting"
    connection.sendall(f"GET /v1/tickets/{waiting}?wait=0.05 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert told(connection)[2]["state"] == "waiting"


@pytest.mark.parametrize(
    ("wait", "status"),
    [
        pytest.param("soon", 422, id="no number"),
        pytest.param("-1", 422, id="less than nothing"),
        pytest.param("0.05&claim=no", 200, id="only looking"),
        pytest.param("0", 200, id="not waiting at all"),
    ],
)
def test_what_is_not_plain_is_answered_by_the_routes(served: Serving, waiting: str, wait: str, status: int):
    assert told(park(served, wait, waiting))[0].split()[1] == str(status)


def test_an_end_of_the_service_answers_who_is_parked(tmp_path):
    with serving_in(tmp_path, LIMITS) as served:
        ask_for(served, "first", 900)
        ticket = ask_for(served, "second", 500)["id"]
        connection = park(served, "20", ticket)
        until(lambda: served.service.waiters.parked == 1)
        served.service.drain()
        status, _, body = told(connection)
        assert (status, body["id"], body["state"]) == ("HTTP/1.1 200 OK", ticket, "waiting")
        assert served.service.waiters.parked == 0
