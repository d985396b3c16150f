"""The usage endpoint, asked of a real server on loopback: politely, and without leaving a token anywhere."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.sources.usage_poll import CREDENTIALS, UsagePoll

NOW = datetime(2026, 10, 2, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TOKEN = "an-access-token-of-nobody"
GOOD = {"five_hour": {"utilization": 29.0, "resets_at": "2026-10-02T19:09:59.528743+00:00"}}
REPORT = Observation(
    "anthropic",
    "max-1",
    ProviderWindow.FIVE_HOUR,
    NOW,
    "usage_endpoint",
    0.29,
    datetime(2026, 10, 2, 19, 10, tzinfo=UTC),
)


@dataclass
class Endpoint:
    """A server that answers the next of its answers: status, headers, body."""

    answers: list[tuple[int, dict[str, str], bytes]]
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    there = Endpoint([])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there.asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            status, headers, body = there.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}/api/oauth/usage"
    Thread(target=server.serve_forever, daemon=True).start()
    yield there
    server.shutdown()
    server.server_close()


class Account:
    """One account that is polled, by a clock that is set."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.now, self.states = folder, url, NOW, {}
        self.log_in()
        self.begin()

    def begin(self) -> None:
        """Start, or start again: what was stored is all that is known."""
        self.poll = UsagePoll([(self.folder, "max-1")], clock=lambda: self.now, url=self.url)

    def log_in(self, **login) -> None:
        login = {"accessToken": TOKEN, "expiresAt": (NOW + timedelta(days=1)).timestamp() * 1000, **login}
        (self.folder / CREDENTIALS).write_text(json.dumps({"claudeAiOauth": login}))

    def scan(self):
        (batch,) = self.poll.scan(self.states)
        self.states.update((state.path, state) for state in batch.files)
        return batch

    def after(self, pause: timedelta):
        """What a pass says once the answer to the request of an earlier one is there; nothing where none was made."""
        self.now += pause
        batch, patience = self.scan(), time.monotonic() + 10
        while self.poll._asking and time.monotonic() < patience:
            batch = self.scan()
        return batch


@pytest.fixture
def account(tmp_path, endpoint) -> Account:
    return Account(tmp_path, endpoint.url)


def good() -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(GOOD).encode()


def test_it_says_what_is_left_and_asks_again_after_five_minutes(account, endpoint):
    endpoint.answers = [good(), good()]
    assert account.after(0 * MINUTE).observations == (REPORT,)
    assert account.after(4 * MINUTE).observations == ()
    account.begin()
    assert account.after(0 * MINUTE).observations == (), "a restart is no reason to ask"
    assert len(account.after(2 * MINUTE).observations) == 1
    assert [(one["path"], one["authorization"], one["anthropic-beta"]) for one in endpoint.asked] == [
        ("/api/oauth/usage", f"Bearer {TOKEN}", "oauth-2025-04-20")
    ] * 2


@pytest.mark.parametrize(
    ("answer", "problem", "pause"),
    [
        pytest.param((429, {"Retry-After": "3000"}, b""), "asked too often", 50 * MINUTE, id="it says for how long"),
        pytest.param(
            (429, {"Retry-After": "1"}, b""), "asked too often", 5 * MINUTE, id="never sooner than five minutes"
        ),
        pytest.param((500, {}, b""), "answered 500", 5 * MINUTE, id="a fault of its own"),
        pytest.param((401, {}, b""), "not accepted", 5 * MINUTE, id="a login that was withdrawn"),
        pytest.param((302, {"Location": "http://127.0.0.1:9/"}, b""), "answered 302", 5 * MINUTE, id="sent elsewhere"),
        pytest.param((200, {}, b"<html>"), "no JSON", 5 * MINUTE, id="a page"),
        pytest.param((200, {}, b"{}"), "without any window", 5 * MINUTE, id="nothing in it"),
        pytest.param((200, {"Content-Length": "900"}, b"{"), "no JSON", 5 * MINUTE, id="an answer that breaks off"),
    ],
)
def test_after_a_problem_it_waits_and_says_why(account, endpoint, answer, problem, pause):
    endpoint.answers = [answer, good()]
    failed = account.after(0 * MINUTE)
    assert (len(failed.unreadable), problem in failed.unreadable[0]) == (1, True)
    assert (failed.observations, failed.throttles) == ((), ())
    assert account.after(pause - MINUTE).unreadable == failed.unreadable
    later = account.after(2 * MINUTE)
    assert (len(later.observations), later.unreadable, len(endpoint.asked)) == (1, (), 2)


def test_the_pause_doubles_up_to_an_hour(account, endpoint):
    endpoint.answers = [(500, {}, b"")] * 9
    pauses = []
    for _ in range(7):
        account.after(0 * MINUTE)
        (state,) = account.states.values()
        pauses.append(round((state.offset - account.now.timestamp()) / 60))
        account.now = datetime.fromtimestamp(state.offset, UTC)
    assert pauses == [5, 10, 20, 40, 60, 60, 60]


@pytest.mark.parametrize(
    ("login", "problem"),
    [
        pytest.param({"expiresAt": NOW.timestamp() * 1000}, "expired", id="expired"),
        pytest.param({"accessToken": ""}, "no login of a claude.ai account", id="none"),
        pytest.param({"accessToken": "a\r\nHost: elsewhere"}, "no login of a claude.ai account", id="no token at all"),
    ],
)
def test_without_a_login_it_does_not_ask(account, endpoint, login, problem):
    account.log_in(**login)
    assert problem in account.after(0 * MINUTE).unreadable[0]
    account.log_in()
    endpoint.answers = [good()]
    assert account.after(6 * MINUTE).observations, "the file is read anew each time"
    assert len(endpoint.asked) == 1


def test_a_folder_without_a_login_is_left_alone(account):
    (account.folder / CREDENTIALS).unlink()
    batch = account.after(0 * MINUTE)
    assert (batch.unreadable, batch.files) == ((), ())


def test_the_token_is_nowhere(account, endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    endpoint.answers = [(401, {}, TOKEN.encode()), good()]
    batches = [account.after(0 * MINUTE), account.after(6 * MINUTE)]
    assert TOKEN not in repr(batches) + repr(account.states) + caplog.text + repr(vars(account.poll))


def test_a_token_is_not_sent_in_the_clear(tmp_path):
    with pytest.raises(ValueError, match="https"):
        UsagePoll([(tmp_path, "max-1")], clock=lambda: NOW, url="http://example.com/usage")
