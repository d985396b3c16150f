"""Whose ticket it is: the token's that sent it, and operators'."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.edge import LIMITS, Edge, start, ticket

TOKENS = {"ana": "runner", "ben": "runner", "eye": "viewer", "ops": "operator"}


def secret(name: str) -> str:
    return f"the-secret-of-{name}"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    rows = "".join(
        f"  - {{name: {name}, role: {role}, sha256: {hashlib.sha256(secret(name).encode()).hexdigest()}}}\n"
        for name, role in TOKENS.items()
    )
    edge = start(tmp_path, f"{LIMITS}tokens:\n{rows}")
    edge.token = secret("ana")
    yield edge
    edge.service.stop()


REPORT = {"fence": 1, "usage": {"output": 1}}
DEEDS: list[Any] = [
    pytest.param("POST", "/v1/leases/l1/renew", REPORT, id="R13: renew"),
    pytest.param("POST", "/v1/leases/l1/release", REPORT, id="R13: release"),
    pytest.param("DELETE", "/v1/tickets/t1", None, id="R13: withdraw"),
    pytest.param("POST", "/v1/tickets", ticket("a"), id="R13: submit the same key"),
]


@pytest.mark.parametrize(("method", "path", "body"), DEEDS)
def test_R13_another_token_may_not(edge: Edge, method: str, path: str, body: Any) -> None:
    edge.submit("a")
    before = edge.get("/v1/tickets/t1")
    reply = edge.ask(method, path, body, token=secret("ben"))
    assert (reply.status, reply.title) == (403, "not_owner")
    assert reply.body["detail"].startswith("this ticket belongs to another token")
    assert edge.get("/v1/tickets/t1") == before


@pytest.mark.parametrize(("method", "path", "body"), DEEDS[:3])
@pytest.mark.parametrize("name", [pytest.param("ana", id="its own"), pytest.param("ops", id="an operator's")])
def test_R13_its_own_token_and_operators_may(edge: Edge, method: str, path: str, body: Any, name: str) -> None:
    edge.submit("a")
    assert edge.ask(method, path, body, token=secret(name)).status == 200


@pytest.mark.parametrize(
    ("name", "fence"),
    [
        pytest.param("ana", 1, id="R13: its own token sees it"),
        pytest.param("ops", 1, id="R13: an operator sees it"),
        pytest.param("ben", None, id="R13: another runner does not"),
        pytest.param("eye", None, id="R13: a viewer does not"),
    ],
)
def test_R13_who_sees_the_fence(edge: Edge, name: str, fence: int | None) -> None:
    edge.submit("a")
    reply = edge.ask("GET", "/v1/tickets/t1?claim=no", token=secret(name))
    assert (reply.status, reply.body["lease"]["fence"]) == (200, fence)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        pytest.param("ben", "offered", id="R13: another runner claims nothing"),
        pytest.param("ana", "running", id="R13: its own token claims"),
        pytest.param("ops", "running", id="R13: an operator claims"),
    ],
)
def test_R13_who_claims_an_offer(edge: Edge, name: str, state: str) -> None:
    edge.submit("a", 900)
    edge.submit("b", 900)
    edge.ask("DELETE", "/v1/tickets/t1")
    assert edge.ask("GET", "/v1/tickets/t2", token=secret(name)).body["state"] == state


def test_R13_what_was_sent_without_tokens_belongs_to_every_runner_and_its_fence_to_no_viewer(tmp_path: Path) -> None:
    before = start(tmp_path)
    before.submit("a")
    before.service.stop()
    row = f"{{name: ben, role: runner, sha256: {hashlib.sha256(secret('ben').encode()).hexdigest()}}}"
    view = f"{{name: eye, role: viewer, sha256: {hashlib.sha256(secret('eye').encode()).hexdigest()}}}"
    edge = start(tmp_path, f"{LIMITS}tokens: [{row}, {view}]\n")
    try:
        assert edge.ask("GET", "/v1/tickets/t1?claim=no", token=secret("eye")).body["lease"]["fence"] is None
        assert edge.ask("GET", "/v1/tickets/t1?claim=no", token=secret("ben")).body["lease"]["fence"] == 1
        assert edge.ask("POST", "/v1/leases/l1/renew", REPORT, token=secret("ben")).status == 200
    finally:
        edge.service.stop()


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        pytest.param("POST", "/v1/leases/l9/renew", REPORT, "lease", id="M16: renew"),
        pytest.param("POST", "/v1/leases/l9/release", {"fence": 1}, "lease", id="M16: release"),
        pytest.param("DELETE", "/v1/leases/l9", None, "lease", id="M16: revoke"),
        pytest.param("DELETE", "/v1/tickets/t9", None, "ticket", id="M16: withdraw"),
    ],
)
def test_M16_what_is_not_there_is_called_by_its_name(edge: Edge, method: str, path: str, body: Any, what: str) -> None:
    reply = edge.ask(method, path, body, token=secret("ops"))
    assert (reply.status, reply.body["detail"]) == (
        404,
        f"there is no such {what}; it may have been closed more than a day ago",
    )
