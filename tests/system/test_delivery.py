"""Delivered, as a process: who heard is not told twice, who has not is told again, and nobody keeps it from ending."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.service_process import PATIENCE_SECONDS, Place, ServiceProcess, until
from tests.system.test_alerts import config
from tests.system.transcripts import Agent


class Receiver(ThreadingHTTPServer):
    """Answers topics as told, and with ``trickles`` never ends its text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuses = ""
        self.trickles = False
        self.location = ""
        self.got: list[tuple[str, str]] = []
        self.leave = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        topic = str(json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("topic", ""))
        self.server.got.append((self.command, topic))
        self.send_response(302 if self.server.location else 403 if topic == self.server.refuses else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        with suppress(OSError):  # who listens may end before we do
            while self.server.trickles and not self.server.leave.wait(0.2):
                self.wfile.write(b".")

    def do_GET(self) -> None:
        self.server.got.append((self.command, ""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.leave.set()
    server.shutdown()
    server.server_close()


def outbox(place: Place) -> list[tuple[str, str, str]]:
    """Target, state and detail of every notification."""
    with sqlite3.connect(f"file:{place.database}?mode=ro", uri=True) as database:
        return database.execute("SELECT target, state, detail FROM outbox ORDER BY target").fetchall()


def crossing(place: Place, url: str) -> ServiceProcess:
    """A service whose limit has just been passed, so that somebody is to be told."""
    place.config(config([("ops", url)]))
    agent = Agent(place.home).spend(input=100, output=10)
    service = ServiceProcess(place).caught_up()
    agent.spend(input=90_000, output=10)
    return service


def test_R10_sigterm_ends_it_although_a_receiver_trickles(place: Place, receiver: Receiver) -> None:
    receiver.trickles = True
    with crossing(place, f"json://127.0.0.1:{receiver.server_port}/") as service:
        until(lambda: receiver.got, what="a message")
        assert service.terminate(seconds=PATIENCE_SECONDS) == 0


def test_a_topic_that_refuses_repeats_nothing_to_the_others(place: Place, receiver: Receiver) -> None:
    receiver.refuses = "two"
    with crossing(place, f"ntfy://127.0.0.1:{receiver.server_port}/one/two/three"):
        until(lambda: len(outbox(place)) > 2 and all(detail for *_, detail in outbox(place)), what="three attempts")
        states = {target: state for target, state, _ in outbox(place)}
    assert states == {"ops/1": "delivered", "ops/2": "owed", "ops/3": "delivered"}


def test_a_redirect_is_owed_and_says_where_to(place: Place, receiver: Receiver) -> None:
    receiver.location = "http://127.0.0.1:9/login"
    with crossing(place, f"json://127.0.0.1:{receiver.server_port}/hook"):
        until(lambda: any(detail for *_, detail in outbox(place)), what="an attempt")
        [(_, state, detail), *_] = outbox(place)
    assert (state, detail) == (
        "owed",
        "JSON: HTTP 302, the address answers with a redirect to http://127.0.0.1:9/login: use that address",
    )
