"""Every deed of an operator is one row of the audit log: who, what, and what exactly."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.api import ROUTES
from quota_scheduler.assemble import reload, reload_tokens
from quota_scheduler.config import load
from tests.shell.edge import LIMITS, Edge, start, ticket

RULES = """
  - {id: narrow, match: {provider: anthropic, workflow: narrow}, unit: tokens, amount: 10, window: day, holdback: 0}
"""


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


LINES = f"operator:ana:{hashed('ana')}\nrunner:ci:{hashed('ci')}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def edge(folder: Path) -> Iterator[Edge]:
    """A service with one ticket that runs and two that wait."""
    (folder / "tokens").write_text(LINES)
    edge = start(folder, f"tokens_file: tokens\n{LIMITS}{RULES}")
    for key in ("runs", "waits-1", "waits-2", "waits-3"):
        body = ticket(key, 9, labels={"provider": "anthropic", "workflow": "narrow"})
        assert edge.ask("POST", "/v1/tickets", body, token="ci").status == 200
    yield edge
    edge.service.stop()


SILENCE = {"matchers": {"rule": "*"}, "comment": "deploy", "for": "1h"}
DEEDS: list[tuple[str, str, Any, str, dict[str, Any]]] = [
    ("PATCH", "/v1/limits/daily", {"amount": 900}, "limit.changed", {"limit": "daily", "fields": {"amount": 900}}),
    ("POST", "/v1/hold", {"on": True, "reason": "incident"}, "hold.all", {"reason": "incident"}),
    ("POST", "/v1/hold", {"on": False}, "hold.ended", {"reason": ""}),
    ("POST", "/v1/tickets/t2/hold", {"on": True}, "ticket.held", {"ticket": 2}),
    ("POST", "/v1/tickets/t2/hold", {"on": False}, "ticket.unheld", {"ticket": 2}),
    ("PATCH", "/v1/tickets/t2", {"class": "high"}, "ticket.reclassed", {"ticket": 2, "into": "high"}),
    ("POST", "/v1/tickets/t3/start", None, "ticket.forced", {"ticket": 3}),
    ("DELETE", "/v1/tickets/t4", None, "ticket.withdrawn", {"ticket": 4}),
    ("DELETE", "/v1/leases/l1", None, "lease.revoked", {"ticket": 1}),
    ("POST", "/v1/silences", SILENCE, "silence.added", {"id": 1, "comment": "deploy"}),
    ("DELETE", "/v1/silences/1", None, "silence.ended", {"silence": 1}),
]
CHANGES_NOTHING = {("POST", "/v1/consequences"), ("GET", "/v1/audit")}
ELSEWHERE = {("POST", "/v1/alerts/{alert}/ack")}
"""An alert has to fire for that: test_alerts_api.py looks at its row."""


def rows(edge: Edge, query: str = "") -> list[dict[str, Any]]:
    return list(edge.ask("GET", f"/v1/audit{query}", token="ana").body["audit"])


@pytest.mark.parametrize(("method", "url", "body", "what", "detail"), DEEDS, ids=[deed[3] for deed in DEEDS])
def test_a_deed_is_one_row(folder: Path, method: str, url: str, body: Any, what: str, detail: dict[str, Any]) -> None:
    """Each by itself on a service of its own, so that the order of tests does not matter."""
    place = folder / what
    place.mkdir()
    (place / "tokens").write_text(LINES)
    edge = start(place, f"tokens_file: tokens\n{LIMITS}{RULES}")
    try:
        for key in ("runs", "waits-1", "waits-2", "waits-3"):
            sent = ticket(key, 9, labels={"provider": "anthropic", "workflow": "narrow"})
            edge.ask("POST", "/v1/tickets", sent, token="ci")
        if what == "ticket.unheld":
            edge.ask("POST", "/v1/tickets/t2/hold", {"on": True}, token="ana")
        if what == "silence.ended":
            edge.ask("POST", "/v1/silences", SILENCE, token="ana")
        before = len(rows(edge))
        answer = edge.ask(method, url, body, token="ana")
        assert answer.status == 200, answer
        after = rows(edge)
        assert len(after) == before + 1
        assert (after[0]["who"], after[0]["what"]) == ("ana", what)
        assert detail.items() <= after[0]["detail"].items()
    finally:
        edge.service.stop()


def test_every_operators_route_is_among_them() -> None:
    from tests.shell.test_auth import documented_role

    operators = {(method, path) for method, path, _ in ROUTES if documented_role(method, path) == "operator"}
    told = {
        (method, path)
        for method, path in operators
        for deed_method, url, *_ in DEEDS
        if method == deed_method and shape(path) == shape(url)
    }
    assert operators - told == CHANGES_NOTHING | ELSEWHERE


def shape(path: str) -> tuple[str, ...]:
    """A path with its ids taken out."""
    parts = path.strip("/").split("/")
    return tuple("*" if number == 2 else part for number, part in enumerate(parts))


def test_what_a_runner_does_with_its_own_is_no_deed(edge: Edge) -> None:
    before = len(rows(edge))
    assert edge.ask("DELETE", "/v1/tickets/t2", token="ci").status == 200
    assert len(rows(edge)) == before


def test_files_that_are_read_again_are_deeds(edge: Edge, folder: Path) -> None:
    before = len(rows(edge))

    def reread() -> Any:
        return load(folder / "quota.yaml", {"HOME": str(folder)})

    (folder / "tokens").write_text(f"{LINES}viewer:ben:{hashed('ben')}\n")
    reload_tokens(edge.service, reread)
    reload_tokens(edge.service, reread)
    reload(edge.service, reread)
    told = rows(edge)[: len(rows(edge)) - before]
    assert [(row["who"], row["what"], row["detail"]) for row in reversed(told)] == [
        ("configuration", "tokens.changed", {"names": ["ben"], "tokens": 3}),
        ("configuration", "config.reloaded", {"limits": 2, "tokens": 3}),
    ]


CHOICES = [
    pytest.param("?what=silence.*", {"silence.added", "silence.ended"}, id="a kind of deeds"),
    pytest.param("?what=silence.ended", {"silence.ended"}, id="one deed"),
    pytest.param("?what=silence_ended", set(), id="a sign that stands for itself"),
    pytest.param("?who=ana", {"silence.added", "silence.ended"}, id="whose"),
    pytest.param("?who=ben", set(), id="nobody's"),
    pytest.param("?what=silence.*&since=2026-11-22T09:00:00Z", {"silence.added", "silence.ended"}, id="since"),
    pytest.param("?since=2026-11-22T09:00:01Z", set(), id="since later"),
    pytest.param("?until=2026-11-22T09:00:00Z", set(), id="until"),
]


@pytest.mark.parametrize(("query", "whats"), CHOICES)
def test_what_is_wanted_of_it(edge: Edge, query: str, whats: set[str]) -> None:
    if not rows(edge, "?what=silence.ended"):
        number = edge.ask("POST", "/v1/silences", SILENCE, token="ana").body["id"]
        edge.ask("DELETE", f"/v1/silences/{number}", token="ana")
    assert {row["what"] for row in rows(edge, query)} == whats


@pytest.mark.parametrize("query", ["?since=yesterday", "?until=2026-11-22T09:00:00", "?limit=0"])
def test_a_query_that_does_not_fit_is_said(edge: Edge, query: str) -> None:
    answer = edge.ask("GET", f"/v1/audit{query}", token="ana")
    assert (answer.status, answer.title) == (422, "invalid_query")
