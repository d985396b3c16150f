"""Two real services on a real PostgreSQL, and a receiver that takes every message and never answers, by real sockets.

Whoever answers is told each alert once, and nothing else waits: not tickets, not ticks, not the end of a process.
"""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from tests.replicas.test_on_postgres import Pair, release, submit
from tests.system.service_process import HttpReceiver, ServiceProcess, until

pytestmark = pytest.mark.system
SOON = 4.0
"""Seconds within which a question is answered on a busy machine; a receiver is waited for thirty."""


class StuckReceiver:
    """Takes connections and reads what comes; answers nothing until it is told to. Ends with the ``with`` block."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._answers = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address as Apprise has it."""
        return f"json://127.0.0.1:{self._socket.getsockname()[1]}"

    def answer(self) -> None:
        """Answer what was asked, and all that will be."""
        self._answers.set()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as said:
            length = 0
            while (line := said.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.told.append(json.loads(said.read(length))["title"])
            self._answers.wait()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer()
        self._socket.close()


def test_whoever_answers_is_told_once_and_nothing_waits_for_who_does_not(postgres_dsn: str, tmp_path: Path) -> None:
    with HttpReceiver() as box, StuckReceiver() as stuck:
        pair = Pair(tmp_path, postgres_dsn, box, more=f", {{id: stuck, url: '{stuck.url}'}}")
        with pair.here, pair.there:
            for service in pair.both:
                service.ready()
            use(pair.there, "p", "loud")
            until(lambda: len(stuck.told) == 1 and "daily" in str(box.titles), what="a message to both")
            for service in pair.both:
                assert_nothing_waits(service)
            use(pair.here, "q", "louder")
            until(lambda: "weekly" in str(box.titles), what="the next alert for who answers")
            assert len(stuck.told) == 1, "one message to an address at a time"
            leader, follower = pair.leader()
            until(lambda: settled(leader, "box") == len(box.titles), what="what was told written down")
            leader.kill()
            until(lambda: leads(follower), what="another leader")
            until(lambda: len(stuck.told) == 2, what="what was handed over as its sender died")
            assert_nothing_waits(follower)
            stuck.answer()
            until(
                lambda: not follower.sample("quota_notification_outbox_oldest_timestamp_seconds"), what="nothing owed"
            )
            assert len(stuck.told) == 2, stuck.told
            assert len(set(box.titles)) == len(box.titles), box.titles
            assert follower.terminate() == 0


def test_a_receiver_that_does_not_answer_keeps_no_leader_from_ending(postgres_dsn: str, tmp_path: Path) -> None:
    with HttpReceiver() as box, StuckReceiver() as stuck:
        pair = Pair(tmp_path, postgres_dsn, box, more=f", {{id: stuck, url: '{stuck.url}'}}")
        with pair.here, pair.there:
            for service in pair.both:
                service.ready()
            use(pair.there, "p", "loud")
            until(lambda: stuck.told and box.titles, what="a message to both")
            leader, follower = pair.leader()
            assert leader.terminate() == 0
            until(lambda: leads(follower), seconds=2 * SOON, what="another leader, at once")
            assert len(set(box.titles)) == len(box.titles), box.titles


def use(service: ServiceProcess, provider: str, key: str) -> None:
    """Use all that a limit allows."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"provider": provider, "key": key, "at": at, "output": 1000}
    assert service.ask("POST", "/v1/usage", event).status == 200


def leads(service: ServiceProcess) -> bool:
    return bool(service.get("/v1/limits")["replica"]["leader"].endswith(f":{service.port}"))


def settled(service: ServiceProcess, target: str) -> float:
    """How many messages to somebody are known to have arrived."""
    return sum(service.sample("quota_notifications_total", target=target).values())


def assert_nothing_waits(service: ServiceProcess) -> None:
    """Tickets come and go, usage is taken, a tick follows the other, and it says that it is ready."""
    began = time.monotonic()
    for number in range(5):
        ticket = submit(service, f"{service.port}-{began}-{number}", 1, "nobody's")
        assert release(service, ticket, 1).status == 200
    seen: set[str] = set()
    until(lambda: seen.add(service.get("/v1/limits")["at"]) or len(seen) > 2, seconds=SOON, what="two ticks")
    assert service.ask("GET", "/readyz").status == 200
    assert time.monotonic() - began < 2 * SOON
