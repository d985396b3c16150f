"""Apprise against real servers on this machine: delivered, refused, failing, hanging; and no secret in any answer."""

import io
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.state import NoticeKind, Transition
from quota_scheduler.notify.addresses import AppriseReceiver
from quota_scheduler.notify.notifier import AppriseNotifier
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.store import Store, outbox
from tests.fakes import FixedClock

SECRETS = ("s3cr3t-path", "s3cr3t-user", "s3cr3t-password", "s3cr3t-header")
ADDRESS = "json://s3cr3t-user:s3cr3t-password@127.0.0.1:{port}/s3cr3t-path?+X-Token=s3cr3t-header&rto={rto}&cto={rto}"
A_MESSAGE = Message("ops", Severity.WARNING, "max-weekly: 82 % used", "max-weekly has used 82 %.\n[usage_high]")
SECONDS = 20.0


class Server(ThreadingHTTPServer):
    """A receiver: keeps what it was sent and answers with ``status``, or never when that is None.

    It takes ``delay`` seconds for it, and with ``trickles`` its text does not end. ``topics`` have their own status.
    """

    daemon_threads = True

    def __init__(self, status: int | None = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.headers = status, dict(headers or {})
        self.body = b"a body that names s3cr3t-path"
        self.delay, self.trickles = 0.0, False
        self.topics: dict[str, int] = {}
        self.posts: list[dict[str, object]] = []
        self.methods: list[str] = []
        self.leave = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.methods.append(self.command)
        post = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        self.server.posts.append(post)
        if self.server.status is None or self.server.leave.wait(self.server.delay):
            self.server.leave.wait(SECONDS)
            return
        self.send_response(self.server.topics.get(str(post.get("topic")), self.server.status))
        for name, value in self.server.headers.items():
            if name != "Date":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)
        with suppress(OSError):  # who listens may end before we do
            while self.server.trickles and not self.server.leave.wait(0.05):
                self.wfile.write(b".")

    do_GET = do_POST

    def date_time_string(self, timestamp: float | None = None) -> str:
        """What a receiver's own clock says."""
        return self.server.headers.get("Date") or super().date_time_string(timestamp)

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


def a_server(servers: list[Server], status: int | None = 200, headers: Mapping[str, str] | None = None) -> Server:
    server = Server(status, headers)
    servers.append(server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def a_closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def notifier_to(port: int, *, timeout_seconds: float = SECONDS, rto: float = SECONDS) -> AppriseNotifier:
    """A notifier that gives one server, on a busy machine too, the time to answer; ``rto`` for one that never does."""
    receiver = AppriseReceiver("ops", ADDRESS.format(port=port, rto=rto))
    return AppriseNotifier((receiver,), timeout_seconds=timeout_seconds)


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
    assert notifier_to(server.server_port).send(message) == Delivery(
        DeliveryOutcome.DELIVERED, "JSON: HTTP 200: a body that names …"
    )
    [post] = server.posts
    assert (post["title"], post["message"], post["type"]) == (message.subject, message.body, kind)


SAID = "a body that names …"


@pytest.mark.parametrize(
    ("status", "headers", "delivery"),
    [
        pytest.param(
            500, {}, Delivery(DeliveryOutcome.RETRY, f"JSON: HTTP 500: {SAID}", "error"), id="the server fails"
        ),
        pytest.param(
            403, {}, Delivery(DeliveryOutcome.RETRY, f"JSON: HTTP 403: {SAID}", "rejected"), id="the server refuses"
        ),
        pytest.param(
            429,
            {},
            Delivery(
                DeliveryOutcome.RETRY, f"JSON: HTTP 429: {SAID} (asked to wait 120 s)", "rejected", timedelta(minutes=2)
            ),
            id="too many messages: wait longer",
        ),
        pytest.param(
            429,
            {"Retry-After": "600"},
            Delivery(
                DeliveryOutcome.RETRY,
                f"JSON: HTTP 429: {SAID} (asked to wait 600 s)",
                "rejected",
                timedelta(minutes=10),
            ),
            id="ten minutes are asked for and kept",
        ),
        pytest.param(
            503,
            {"Retry-After": "600"},
            Delivery(
                DeliveryOutcome.RETRY, f"JSON: HTTP 503: {SAID} (asked to wait 600 s)", "error", timedelta(minutes=10)
            ),
            id="also by a server that fails",
        ),
        pytest.param(
            429,
            {"Retry-After": "Mon, 23 Nov 2026 08:10:00 GMT", "Date": "Mon, 23 Nov 2026 08:00:00 GMT"},
            Delivery(
                DeliveryOutcome.RETRY,
                f"JSON: HTTP 429: {SAID} (asked to wait 600 s)",
                "rejected",
                timedelta(minutes=10),
            ),
            id="until an instant, by the receiver's own clock",
        ),
        pytest.param(
            429,
            {"Retry-After": "99999999"},
            Delivery(
                DeliveryOutcome.RETRY, f"JSON: HTTP 429: {SAID} (asked to wait 3600 s)", "rejected", timedelta(hours=1)
            ),
            id="no longer than an hour",
        ),
        pytest.param(
            429,
            {"Retry-After": "soon"},
            Delivery(
                DeliveryOutcome.RETRY, f"JSON: HTTP 429: {SAID} (asked to wait 120 s)", "rejected", timedelta(minutes=2)
            ),
            id="a wish that cannot be read is none",
        ),
        pytest.param(
            None,
            {},
            Delivery(DeliveryOutcome.RETRY, "JSON: connected, and no answer in time", "timeout"),
            id="the server never answers",
        ),
    ],
)
def test_an_attempt_that_fails(servers, status, headers, delivery):
    server = a_server(servers, status, headers)
    assert notifier_to(server.server_port, rto=0.5 if status is None else SECONDS).send(A_MESSAGE) == delivery


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_no_delivery_and_names_the_address_to_use(servers, status):
    elsewhere = a_server(servers)
    server = a_server(servers, status, {"Location": f"http://127.0.0.1:{elsewhere.server_port}/new/s3cr3t-path"})
    assert notifier_to(server.server_port).send(A_MESSAGE) == Delivery(
        DeliveryOutcome.RETRY,
        f"JSON: HTTP {status}, the address answers with a redirect to "
        f"http://127.0.0.1:{elsewhere.server_port}/new/…: use that address",
        "rejected",
    )
    assert (server.methods, elsewhere.methods) == (["POST"], [])


def test_a_redirect_is_not_followed_though_the_address_asks_for_it(servers):
    elsewhere = a_server(servers)
    server = a_server(servers, 302, {"Location": f"http://127.0.0.1:{elsewhere.server_port}/"})
    address = f"json://127.0.0.1:{server.server_port}/?redirect=yes"
    assert AppriseNotifier((AppriseReceiver("ops", address),)).send(A_MESSAGE).outcome is DeliveryOutcome.RETRY
    assert elsewhere.methods == []


def test_a_receiver_that_answers_after_five_seconds_is_delivered(servers):
    server = a_server(servers)
    server.delay = 5.0
    address = f"json://127.0.0.1:{server.server_port}/"
    assert AppriseNotifier((AppriseReceiver("ops", address),)).send(A_MESSAGE).outcome is DeliveryOutcome.DELIVERED
    assert len(server.posts) == 1


def test_an_answer_that_comes_after_the_limit_is_told_and_until_then_nothing_is_sent_again(servers):
    server = a_server(servers)
    server.delay = 1.0
    notifier = AppriseNotifier(
        (AppriseReceiver("ops", f"json://127.0.0.1:{server.server_port}/"),), timeout_seconds=0.2
    )
    came: list[Delivery] = []
    arrived = threading.Event()

    def late(delivery: Delivery) -> None:
        came.append(delivery)
        arrived.set()

    assert notifier.send(A_MESSAGE, late) == Delivery(DeliveryOutcome.RETRY, "JSON: no answer in 0.2 s", "timeout")
    again = notifier.send(A_MESSAGE, late)
    assert (again.outcome, again.reason) == (DeliveryOutcome.RETRY, "timeout")
    assert "nothing was sent" in again.detail
    assert arrived.wait(SECONDS)
    assert (came, len(server.posts)) == (
        [Delivery(DeliveryOutcome.DELIVERED, "JSON: HTTP 200: a body that names s3cr3t-path")],
        1,
    )


def test_a_text_that_does_not_end_is_not_waited_for(servers):
    server = a_server(servers)
    server.trickles = True
    notifier = notifier_to(server.server_port, timeout_seconds=0.5)
    expected = Delivery(DeliveryOutcome.DELIVERED, "JSON: HTTP 200, and a text that did not end in 0.5 s")
    assert notifier.send(A_MESSAGE) == expected


def test_R10_a_process_ends_although_a_receiver_trickles(servers):
    server = a_server(servers)
    server.trickles = True
    program = (
        "from quota_scheduler.notify.addresses import AppriseReceiver\n"
        "from quota_scheduler.notify.notifier import AppriseNotifier\n"
        "from quota_scheduler.core.alerts.message import Message\n"
        "from quota_scheduler.core.alerts.rule import Severity\n"
        f"receiver = AppriseReceiver('ops', 'json://127.0.0.1:{server.server_port}/')\n"
        "notifier = AppriseNotifier([receiver], timeout_seconds=0.5)\n"
        "print(notifier.send(Message('ops', Severity.INFO, 's', 'b')).outcome.value)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "delivered\n")


def test_topics_behind_one_address_are_targets_of_their_own(servers):
    server = a_server(servers)
    notifier = AppriseNotifier((AppriseReceiver("ops", f"ntfy://127.0.0.1:{server.server_port}/one/two/three"),))
    server.topics = {"two": 403}
    targets = notifier.parts("ops")
    began = time.monotonic()
    outcomes = [notifier.send(replace(A_MESSAGE, target=target)).outcome for target in targets]
    assert targets == ("ops/1", "ops/2", "ops/3")
    assert outcomes == [DeliveryOutcome.DELIVERED, DeliveryOutcome.RETRY, DeliveryOutcome.DELIVERED]
    assert [post["topic"] for post in server.posts] == ["one", "two", "three"]
    assert time.monotonic() - began < 5, "no topic waits for the one before it"


@pytest.mark.parametrize(
    ("url", "count"),
    [
        pytest.param("json://localhost/a/b", 1, id="a path is no list of targets"),
        pytest.param("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general/#ops", 2, id="two channels"),
        pytest.param("mailto://user:s3cr3t@example.com?to=a@x.example,b@x.example", 2, id="two mailboxes"),
        pytest.param("tgram://123456789:abcdefg_hijklmnop/12315544/@chan", 2, id="two chats"),
        pytest.param("mmost://localhost/3ccdd113474722377935511fc85d3dd4?channels=a,b", 2, id="channels as a list"),
    ],
)
def test_how_many_targets_an_address_names(url, count):
    parts = AppriseNotifier((AppriseReceiver("ops", url),)).parts("ops")
    assert parts == (tuple(f"ops/{n}" for n in range(1, count + 1)) if count > 1 else ("ops",))


def test_a_test_message_to_a_receiver_goes_to_all_its_targets(servers):
    server = a_server(servers)
    notifier = AppriseNotifier((AppriseReceiver("ops", f"ntfy://127.0.0.1:{server.server_port}/one/two"),))
    assert notifier.send(A_MESSAGE).outcome is DeliveryOutcome.DELIVERED
    assert [post["topic"] for post in server.posts] == ["one", "two"]


def test_R18_mentions_are_taken_apart_and_a_subject_stays_one_line(servers):
    server = a_server(servers)
    message = Message(
        "ops", Severity.INFO, "team\r\nBcc: x@everyone", "\x1b[31mhigh: <!channel> @here <@U123>\nopus@default"
    )
    notifier_to(server.server_port).send(message)
    [post] = server.posts
    assert (post["title"], post["message"]) == (
        "team Bcc: x@\u200beveryone",
        "[31mhigh: <\u200b!channel> @\u200bhere <\u200b@\u200bU123>\nopus@default",
    )


def test_what_a_receiver_says_is_cut_and_looks_like_no_page(servers):
    server = a_server(servers, 502)
    server.body = b"<html><style>p{}</style>\r\n<h1>Bad gateway</h1> key AbC123dEf456GhI789jKl0 " + b"x" * 5000
    told = notifier_to(server.server_port).send(A_MESSAGE).detail
    assert told == "JSON: HTTP 502: " + ("Bad gateway key … " + "x" * 5000)[:200]


def test_nobody_listens():
    expected = Delivery(DeliveryOutcome.RETRY, "JSON: cannot connect, or no valid answer", "error")
    assert notifier_to(a_closed_port()).send(A_MESSAGE) == expected


def test_our_own_time_limit_holds_where_the_address_sets_a_longer_one(servers):
    address = f"json://127.0.0.1:{a_server(servers, None).server_port}/?rto=15"
    notifier = AppriseNotifier((AppriseReceiver("ops", address),), timeout_seconds=0.3)
    assert notifier.send(A_MESSAGE) == Delivery(DeliveryOutcome.RETRY, "JSON: no answer in 0.3 s", "timeout")


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
    receiver = AppriseReceiver("ops", ADDRESS.format(port=a_server(servers, status).server_port, rto=0.5))
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
    rule = AlertRule("high", "ratio", Op.ABOVE, 0.8, 0.7, Severity.WARNING, RuleTexts("High", "", ("",)))
    due = Transition(NoticeKind.FIRED, rule, "weekly", "w1", rule.severity, "weekly is high", "weekly is high.")
    notifier = AppriseNotifier(
        tuple(
            AppriseReceiver(name, f"json://127.0.0.1:{port}/?rto={0.5 if name == 'hanging' else SECONDS}")
            for name, port in receivers.items()
        )
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
