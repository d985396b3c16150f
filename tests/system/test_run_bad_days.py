"""``run`` where something answers that is not the service, or not as it was: one sentence, and no usage lost."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from quota_scheduler.wrapper.statuses import UNAVAILABLE
from tests.system.service_process import Place, ServiceProcess, free_port

pytestmark = pytest.mark.system
USED = {"claude-sonnet-5": {"inputTokens": 900, "outputTokens": 100}}
RESULT = json.dumps({"type": "result", "session_id": "s", "uuid": "u", "model_usage_since_last_result": USED})
LEASE = {"id": "l1", "fence": 1, "expires_at": "2030-01-01T00:00:00Z", "reserved": {"month": 1000}}
ADMITS = {"id": "t1", "key": "k", "state": "running", "verdict": "admit", "reason": "fits", "lease": LEASE}
OTHER = "is not this service, or one of another version: check QUOTA_URL"


class Answering:
    """Answers tickets with one thing and everything else with another, the status and the body; kept is what it got."""

    def __init__(self, port: int, tickets: tuple[int, Any], others: tuple[int, Any]) -> None:
        self.kept: list[str] = []
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                here.kept.append(self.path)
                status, body = tickets if self.path == "/v1/tickets" else others
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_DELETE = do_POST

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def port(place: Place) -> int:
    port = free_port()
    place.environ["QUOTA_LISTEN"] = f"127.0.0.1:{port}"
    place.config("limits:\n  - {id: month, match: {provider: anthropic}, unit: tokens, amount: 1M, window: month}\n")
    return port


def run(place: Place, *args: str) -> Any:
    return place.run("run", "--patience", "0", "--key", "k", "--estimate", "2k", *args, "--", "echo", RESULT)


@pytest.fixture
def answering(port: int, request: pytest.FixtureRequest) -> Iterator[Answering]:
    answering = Answering(port, *request.param)
    yield answering
    answering.end()


NOT_FOUND = {"type": "about:blank", "title": "not_found", "status": 404, "detail": "there is no such lease"}
NO_TOKEN = {"type": "about:blank", "title": "unauthorized", "status": 401, "detail": "no such token: set QUOTA_TOKEN"}


@pytest.mark.parametrize(
    ("answering", "status", "sentence"),
    [
        pytest.param(((503, "<html>"), (503, "")), UNAVAILABLE, "the service answered 503", id="a proxy's 503"),
        pytest.param(((200, {}), (200, {})), UNAVAILABLE, OTHER, id="an object that says nothing"),
        pytest.param(((200, []), (200, [])), UNAVAILABLE, OTHER, id="a list"),
        pytest.param(((200, "<html>"), (200, "")), UNAVAILABLE, OTHER, id="a page"),
        pytest.param(((200, {"id": "t", "state": "running"}), (200, {})), UNAVAILABLE, OTHER, id="no lease"),
        pytest.param(((200, ADMITS | {"lease": "l1"}), (200, {})), UNAVAILABLE, OTHER, id="a lease of another version"),
        pytest.param(((404, "<html>"), (404, "")), UNAVAILABLE, OTHER, id="another program's 404"),
        pytest.param(((401, NO_TOKEN), (401, NO_TOKEN)), 2, "set QUOTA_TOKEN", id="a token that is refused"),
    ],
    indirect=["answering"],
)
@pytest.mark.usefixtures("answering")
def test_what_is_not_the_service_is_said_in_one_sentence(place: Place, status, sentence) -> None:
    done = run(place)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param(((200, ADMITS), (500, "")), id="500"),
        pytest.param(((200, ADMITS), (401, NO_TOKEN)), id="a token that was changed meanwhile"),
        pytest.param(((200, ADMITS), (200, [])), id="a list"),
    ],
    indirect=True,
)
def test_a_release_that_is_not_taken_is_told_to_the_service_that_comes_back(
    place: Place, port: int, answering: Answering
) -> None:
    with ServiceProcess(place, port=free_port()) as service:  # the one that grants the lease that is spoken of
        service.ready()
        ticket = {"key": "k", "labels": {"provider": "anthropic"}, "estimate": {"tokens": 2_000}}
        assert service.ask("POST", "/v1/tickets", ticket).body["lease"]["id"] == LEASE["id"]
        service.kill()
    done = run(place)
    assert (done.returncode, done.stdout) == (0, f"{RESULT}\n")
    assert "how this run ended is kept, and told with the next" in done.stderr
    assert "Traceback" not in done.stderr
    answering.end()
    with ServiceProcess(place, port=port) as service:
        service.ready()
        assert place.run("run", "--estimate", "1k", "--", "true").returncode == 0
        usage = service.get("/v1/usage/summary?days=1&by=provider")["usage"]
        assert ([row["tokens"] for row in usage], service.get("/v1/queue")["running"]) == ([1_000], [])
