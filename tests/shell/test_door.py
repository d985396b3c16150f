"""The open door: what a web page in a browser on this machine can make the service do, which is nothing."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest

from quota_scheduler.api.openapi import openapi
from tests.shell.edge import LIMITS, Edge, Reply, event, start, ticket

TOKEN = "the-runner-secret"
ROW = f"tokens: [{{name: ci, role: operator, sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}}}]\n"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A service without tokens."""
    edge = start(tmp_path_factory.mktemp("trusting"), f"listen: '[::1]:0'\n{LIMITS}")
    yield edge
    edge.service.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A service with a token."""
    edge = start(tmp_path_factory.mktemp("guarded"), f"{ROW}{LIMITS}")
    edge.token = TOKEN
    yield edge
    edge.service.stop()


HOSTS = [
    pytest.param("localhost", 200, id="R4: localhost"),
    pytest.param("LocalHost.:8484", 200, id="R4: localhost with a dot, in other letters, with a port"),
    pytest.param("127.0.0.1:8484", 200, id="R4: loopback"),
    pytest.param("127.8.9.10", 200, id="R4: another address of loopback"),
    pytest.param("[::1]:8484", 200, id="R4: loopback of version 6"),
    pytest.param("[::ffff:127.0.0.1]", 200, id="R4: loopback mapped into version 6"),
    pytest.param("evil.example", 421, id="R4: a name that its owner bound to 127.0.0.1"),
    pytest.param("localhost.evil.example", 421, id="R4: a name that begins like ours"),
    pytest.param("127.0.0.1.evil.example", 421, id="R4: a name that begins like our address"),
    pytest.param("evil.example@localhost", 421, id="R4: a name before an @"),
    pytest.param("192.0.2.7", 421, id="R4: an address of a network"),
    pytest.param("[", 421, id="R4: no name at all"),
    pytest.param("", 421, id="R4: an empty name"),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_R4_without_tokens_only_names_of_this_machine_are_answered(trusting: Edge, host: str, status: int) -> None:
    reply = trusting.ask("GET", "/v1/limits", headers={"Host": host})
    assert reply.status == status
    if status == 421:
        assert reply.title == "foreign_host"
        assert "configure tokens" in reply.body["detail"]


def test_R4_with_tokens_any_name_is_answered(guarded: Edge) -> None:
    assert guarded.ask("GET", "/v1/limits", headers={"Host": "quota.example.org"}).status == 200


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/hold", {"on": False}),
    ("POST", "/v1/tickets", ticket("forged", 1)),
    ("POST", "/v1/usage", event("forged", 1)),
    ("POST", "/v1/tickets/t1/start", None),
    ("POST", "/v1/silences", {"matchers": {"rule": "*"}, "for": "1h", "comment": "x"}),
    ("PATCH", "/v1/limits/daily", {"mode": "warn"}),
    ("DELETE", "/v1/leases/l1", None),
    ("DELETE", "/v1/tickets/t1", None),
]
FOREIGN = [
    pytest.param({"Origin": "https://evil.example"}, id="R4: a page of another site"),
    pytest.param({"Origin": "null"}, id="R4: a page without an origin"),
    pytest.param({"Origin": "http://localhost:3000"}, id="R4: a page of another port of this machine"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="R4: the browser says another site"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="R4: the browser says another host of this site"),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
def test_R4_a_page_of_another_site_changes_nothing(
    trusting: Edge, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    reply = trusting.ask(method, path, body, headers=headers)
    assert (reply.status, reply.title) == (403, "foreign_origin")
    assert trusting.get("/v1/queue")["running"] == []


def test_R4_with_tokens_the_browser_is_believed_too(guarded: Edge) -> None:
    assert guarded.ask("POST", "/v1/hold", {"on": False}, headers={"Sec-Fetch-Site": "cross-site"}).status == 403


OWN = [
    pytest.param({}, id="R4: a program"),
    pytest.param({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, id="R4: our own page"),
    pytest.param({"Sec-Fetch-Site": "none"}, id="R4: what a person did"),
]


@pytest.mark.parametrize("headers", OWN)
def test_R4_programs_and_our_own_pages_may(trusting: Edge, headers: dict[str, str]) -> None:
    assert trusting.ask("POST", "/v1/hold", {"on": False}, headers=headers).status == 200


TYPES = [
    pytest.param("text/plain", 415, id="R4: a form's plain text"),
    pytest.param("application/x-www-form-urlencoded", 415, id="R4: a form, and curl -d"),
    pytest.param("", 415, id="R4: no type"),
    pytest.param("application/jsonx", 415, id="R4: nearly the type"),
    pytest.param("application/json", 200, id="R4: JSON"),
    pytest.param("Application/JSON; charset=utf-8", 200, id="R4: JSON in other letters, with a parameter"),
]


@pytest.mark.parametrize(("kind", "status"), TYPES)
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/hold", {"on": False}), ("/v1/usage", event("a")), ("/v1/preflight", ticket("a"))]
)
def test_R4_a_body_says_that_it_is_json(trusting: Edge, kind: str, status: int, path: str, body: Any) -> None:
    reply = trusting.ask("POST", path, body, headers={"Content-Type": kind})
    assert reply.status == status
    if status == 415:
        assert reply.body["detail"].endswith("add -H 'Content-Type: application/json'")


LOOKS = [
    pytest.param("HEAD", {}, "offered", id="R4: HEAD claims nothing"),
    pytest.param("GET", {"Sec-Fetch-Site": "cross-site"}, "offered", id="R4: a picture of another site claims nothing"),
    pytest.param("GET", {"Origin": "https://evil.example"}, "offered", id="R4: a script of another site"),
    pytest.param("GET", {"Sec-Fetch-Site": "none"}, "offered", id="R4: an address typed into a browser"),
    pytest.param("GET", {}, "running", id="R4: a runner claims"),
]


@pytest.mark.parametrize(("method", "headers", "state"), LOOKS)
def test_R4_only_runners_claim_offers(tmp_path: Path, method: str, headers: dict[str, str], state: str) -> None:
    edge = start(tmp_path)
    try:
        edge.submit("a", 900)
        edge.submit("b", 900)
        edge.ask("DELETE", "/v1/tickets/t1")
        assert edge.get("/v1/tickets/t2?claim=no")["state"] == "offered"
        assert edge.ask(method, "/v1/tickets/t2", headers=headers).status == 200
        assert edge.get("/v1/tickets/t2?claim=no")["state"] == state
    finally:
        edge.service.stop()


def test_R19_every_answer_forbids_to_guess_its_type(trusting: Edge) -> None:
    paths = ("/v1/limits", "/nothing", "/metrics", "/v1/usage/summary?format=csv", "/healthz")
    replies = [trusting.ask("GET", path) for path in paths]
    replies.append(trusting.ask("GET", "/v1/limits", headers={"Host": "evil.example"}))
    assert {reply.headers["x-content-type-options"] for reply in replies} == {"nosniff"}


MB = 1 << 20
SIZES = [
    pytest.param("/v1/tickets", MB, 422, id="R7: a megabyte of a ticket is read"),
    pytest.param("/v1/tickets", MB + 1, 413, id="R7: a byte more is not"),
    pytest.param("/v1/leases/l1/renew", MB + 1, 413, id="R7: nor of a report"),
    pytest.param("/v1/hold", MB + 1, 413, id="R7: nor of a switch"),
    pytest.param("/v1/usage", MB + 1, 422, id="R7: usage may be larger"),
    pytest.param("/v1/usage", 32 * MB + 1, 413, id="R7: up to 32 megabytes"),
]


def padded(size: int) -> bytes:
    return b" " * (size - 2) + b"{}"


@pytest.mark.parametrize(("path", "size", "status"), SIZES)
def test_R7_bodies_have_a_size(trusting: Edge, path: str, size: int, status: int) -> None:
    reply = trusting.ask("POST", path, raw=padded(size))
    assert (reply.status == 413) is (status == 413)


async def deliver(edge: Edge, headers: dict[str, str], chunks: AsyncIterator[bytes]) -> tuple[Reply, int]:
    """The reply, and how many bytes of the body had been read when it came."""
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        async for chunk in chunks:
            read += len(chunk)
            yield chunk

    transport = httpx.ASGITransport(app=edge.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        sent = {"Content-Type": "application/json", **headers}
        answer = await client.post("/v1/tickets", content=counted(), headers=sent)
        return Reply(answer.status_code, dict(answer.headers), answer.json()), read


async def megabytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * MB


def test_R7_a_body_that_is_announced_too_large_is_not_read(trusting: Edge) -> None:
    reply, read = asyncio.run(deliver(trusting, {"Content-Length": "99999999999"}, megabytes(50)))
    assert (reply.status, reply.title, read) == (413, "too_large", 0)
    assert reply.headers["connection"] == "close"


def test_R7_a_body_that_announces_no_length_is_read_to_the_cap(trusting: Edge) -> None:
    reply, read = asyncio.run(deliver(trusting, {}, megabytes(50)))
    assert (reply.status, reply.title) == (413, "too_large")
    assert read <= 3 * MB


def test_R19_the_documentation_needs_no_other_host_and_no_script(trusting: Edge) -> None:
    reply = trusting.ask("GET", "/docs")
    assert reply.status == 200
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    for foreign in ("<script", "http://", "https://", "src=", "style="):
        assert foreign not in reply.body.replace("http://127.0.0.1", "")
    for path in openapi()["paths"]:
        assert escape(path) in reply.body
    for name in openapi()["components"]["schemas"]:
        assert f'id="{name}"' in reply.body


def test_R19_the_style_of_the_documentation_is_the_one_its_policy_allows(trusting: Edge) -> None:
    reply = trusting.ask("GET", "/docs")
    style = reply.body.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("closed", "statuses"),
    [
        pytest.param("false", [200, 200, 200, 200, 200], id="R19: as a rule they are open"),
        pytest.param("true", [401, 401, 401, 200, 200], id="R19: metrics_auth closes metrics and docs, not the probes"),
    ],
)
def test_R19_what_metrics_auth_closes(tmp_path: Path, closed: str, statuses: list[int]) -> None:
    edge = start(tmp_path, f"{ROW}metrics_auth: {closed}\n{LIMITS}")
    try:
        paths = ("/metrics", "/docs", "/openapi.json", "/healthz", "/readyz")
        assert [edge.ask("GET", path).status for path in paths] == statuses
        assert {edge.ask("GET", path, token=TOKEN).status for path in paths} == {200}
    finally:
        edge.service.stop()
