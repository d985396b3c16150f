"""Apprise against real servers on this machine: delivered, refused, failing, hanging; and no secret in any answer."""

import io
import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from quota_scheduler.core.alerts.rule import AlertRule, Op, Severity
from quota_scheduler.core.alerts.state import NoticeKind, Transition
from quota_scheduler.notify import AppriseNotifier, AppriseReceiver
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.store import Store, outbox
from tests.fakes import FixedClock

SECRETS = ("s3cr3t-path", "s3cr3t-user", "s3cr3t-password", "s3cr3t-header")
ADDRESS = "json://s3cr3t-user:s3cr3t-password@127.0.0.1:{port}/s3cr3t-path?+X-Token=s3cr3t-header&rto=0.5&cto=0.5"
A_MESSAGE = Message("ops", Severity.WARNING, "max-weekly: 82 % used", "max-weekly has used 82 %.\n[usage_high]")
SECONDS = 20.0


class Server(ThreadingHTTPServer):
    """A receiver: keeps what it was sent and answers with ``status``, or never when that is None."""

    daemon_threads = True

    def __init__(self, status: int | None = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.posts: list[dict[str, object]] = []
        self.leave = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(json.loads(body))
        if self.server.status is None:
            self.server.leave.wait(SECONDS)
            return
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"a body that names s3cr3t-path")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.leave.set()
        server.shutdown()
        server.server_close()


def a_server(servers: list[Server], status: int | None = 200) -> Server:
    server = Server(status)
    servers.append(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def a_closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def notifier_to(port: int, *, timeout_seconds: float = 10.0) -> AppriseNotifier:
    return AppriseNotifier((AppriseReceiver("ops", ADDRESS.format(port=port)),), timeout_seconds=timeout_seconds)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param(A_MESSAGE, "warning", id="a warning"),
        pytest.param(Message("ops", Severity.CRITICAL, "s", "b"), "failure", id="critical is failure"),
        pytest.param(Message("ops", Severity.INFO, "s", "b"), "info", id="information"),
        pytest.param(Message("ops", Severity.CRITICAL, "s", "b", resolved=True), "success", id="resolved is success"),
    ],
)
def test_delivered(servers, message, kind):
    server = a_server(servers)
    assert notifier_to(server.server_port).send(message) == Delivery(DeliveryOutcome.DELIVERED, "JSON")
    [post] = server.posts
    assert (post["title"], post["message"], post["type"]) == (message.subject, message.body, kind)


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        pytest.param(500, Delivery(DeliveryOutcome.RETRY, "JSON: HTTP 500", "error"), id="the server fails"),
        pytest.param(403, Delivery(DeliveryOutcome.RETRY, "JSON: HTTP 403", "rejected"), id="the server refuses"),
        pytest.param(
            429,
            Delivery(DeliveryOutcome.RETRY, "JSON: HTTP 429, asked to slow down", "rejected", timedelta(minutes=2)),
            id="too many messages: wait longer",
        ),
        pytest.param(None, Delivery(DeliveryOutcome.RETRY, "JSON: cannot connect, or no valid answer", "error"),
                     id="the server never answers"),
    ],
)  # fmt: skip
def test_an_attempt_that_fails(servers, status, delivery):
    assert notifier_to(a_server(servers, status).server_port).send(A_MESSAGE) == delivery


def test_nobody_listens():
    expected = Delivery(DeliveryOutcome.RETRY, "JSON: cannot connect, or no valid answer", "error")
    assert notifier_to(a_closed_port()).send(A_MESSAGE) == expected


def test_our_own_time_limit_holds_where_the_address_sets_a_longer_one(servers):
    address = f"json://127.0.0.1:{a_server(servers, None).server_port}/?rto=15"
    notifier = AppriseNotifier((AppriseReceiver("ops", address),), timeout_seconds=0.3)
    assert notifier.send(A_MESSAGE) == Delivery(DeliveryOutcome.RETRY, "JSON: no answer in time", "timeout")


PROBLEMS = [
    pytest.param("", "its url is empty: is the environment variable that holds it set?", id="empty"),
    pytest.param("xoxb-s3cr3t-path", "its url has no scheme: write one of the addresses", id="no scheme"),
    pytest.param("slak://s3cr3t-path", "Apprise knows no service slak://; the known ones", id="unknown service"),
    pytest.param("slack://s3cr3t-path", "the slack:// address is not complete or not valid", id="incomplete"),
    pytest.param("json://localhost/a, json://localhost/b", "its url names several services", id="several"),
]


@pytest.mark.parametrize(("url", "problem"), PROBLEMS)
def test_a_wrong_address_is_a_problem_and_names_no_secret(url, problem):
    notifier = AppriseNotifier((AppriseReceiver("ops", url), AppriseReceiver("good", "json://localhost")))
    [told] = notifier.problems()
    assert told.startswith(f"receivers.ops: {problem}")
    assert "s3cr3t" not in told


def test_a_check_that_must_not_wait_says_that_it_is_not_done():
    notifier = AppriseNotifier((AppriseReceiver("ops", "json://localhost"),))
    assert notifier.problems(wait=False) == ["the receivers' addresses are still being checked"]
    notifier.warm()
    assert (notifier.problems(), notifier.problems(wait=False)) == ([], [])


def test_no_receiver_is_no_problem_and_loads_nothing():
    assert AppriseNotifier(()).problems(wait=False) == []


def test_two_receivers_of_one_id_are_a_problem():
    twice = AppriseNotifier(
        (AppriseReceiver("ops", "json://localhost/a"), AppriseReceiver("ops", "json://localhost/b"))
    )
    assert twice.problems() == ["receivers.ops: there are two receivers of this id: rename one"]


def test_a_message_to_a_wrong_address_is_kept_for_when_it_is_put_right():
    delivery = AppriseNotifier((AppriseReceiver("ops", "slack://s3cr3t-path"),)).send(A_MESSAGE)
    assert (delivery.outcome, delivery.reason) == (DeliveryOutcome.RETRY, "nomatch")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What an application that logs everything writes; pytest's capture would also open loggers that are closed."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize("status", [200, 500, None])
def test_no_secret_in_a_log_an_answer_or_a_representation(servers, status, log, capfd):
    logging.getLogger("quota_scheduler.notify").debug("the log is on")
    receiver = AppriseReceiver("ops", ADDRESS.format(port=a_server(servers, status).server_port))
    notifier = AppriseNotifier(
        (receiver, AppriseReceiver("bad", "slak://s3cr3t-path"), AppriseReceiver("worse", "s3cr3t-path"))
    )
    answer, problems = repr(notifier.send(A_MESSAGE)), notifier.problems()
    said = [repr(receiver), answer, *problems, log.getvalue(), *capfd.readouterr()]
    assert "the log is on" in log.getvalue()
    assert [(secret, text) for secret in SECRETS for text in said if secret in text] == []


def test_trap_a_dead_receiver_loses_no_message_and_delays_nobody_else(tmp_path: Path, servers):
    clock = FixedClock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    good, broken = a_server(servers), a_server(servers, 500)
    port = a_closed_port()
    receivers = {"good": good.server_port, "broken": broken.server_port, "refused": port,
                 "hanging": a_server(servers, None).server_port}  # fmt: skip
    rule = AlertRule("high", "ratio", Op.ABOVE, 0.8, 0.7, Severity.WARNING, "High", "", ("",))
    due = Transition(NoticeKind.FIRED, rule, "weekly", "w1", rule.severity, "weekly is high", "weekly is high.")
    notifier = AppriseNotifier(
        tuple(AppriseReceiver(name, f"json://127.0.0.1:{port}/?rto=0.5&cto=0.5") for name, port in receivers.items())
    )
    with Store(tmp_path / "quota.db", clock=clock) as store:
        with store.transaction() as tx:
            outbox.owe(tx, [(target, due) for target in receivers])
        deliverer = Deliverer(store, notifier, tuple(receivers))
        deliverer.deliver()
        assert deliverer.join(SECONDS)
        with store.reading() as tx:
            states = dict(tx.rows("SELECT target, state FROM outbox"))
        assert states == {"good": "delivered", "broken": "owed", "refused": "owed", "hanging": "owed"}
        broken.status = 200
        clock.advance(timedelta(seconds=30))
        deliverer.deliver()
        assert deliverer.join(SECONDS)
    assert (len(good.posts), len(broken.posts)) == (1, 2)
