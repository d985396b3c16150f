"""What clients write is shown in terminals, messages and spreadsheets: it does nothing there."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler.cli import connection
from tests.shell.edge import Edge, event, start, ticket


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = start(tmp_path)
    yield edge
    edge.service.stop()


SIGNS = [
    pytest.param("\x1b[2J", id="R18: an escape sequence"),
    pytest.param("a\nb", id="R18: a line break"),
    pytest.param("a\x00b", id="R18: a null"),
    pytest.param("a\x7fb", id="R18: a delete"),
    pytest.param("a\x9bb", id="R18: an escape of eight bits"),
    pytest.param("a\u2028b", id="R18: a line separator"),
    pytest.param("a\u202eb", id="R18: writing turned around"),
]
PLACES: list[Any] = [
    pytest.param("/v1/tickets", lambda text: {**ticket("a"), "key": text}, id="a key"),
    pytest.param("/v1/tickets", lambda text: ticket("a", labels={"provider": "p", "team": text}), id="a label"),
    pytest.param("/v1/tickets", lambda text: ticket("a", session=text), id="a session"),
    pytest.param("/v1/tickets", lambda text: ticket("a", flags=[text]), id="a flag"),
    pytest.param("/v1/usage", lambda text: event("a", model=text), id="a model"),
    pytest.param("/v1/usage", lambda text: event("a", labels={"project": text}), id="a label of an event"),
    pytest.param("/v1/hold", lambda text: {"reason": text}, id="a reason"),
    pytest.param("/v1/silences", lambda text: {"matchers": {"rule": "*"}, "for": "1h", "comment": text}, id="what for"),
]


@pytest.mark.parametrize("text", SIGNS)
@pytest.mark.parametrize(("path", "body"), PLACES)
def test_R18_control_characters_are_refused(edge: Edge, path: str, body: Any, text: str) -> None:
    reply = edge.ask("POST", path, body(text))
    assert reply.status == 422
    assert "write plain text on one line" in reply.body["detail"]
    assert text not in reply.body["detail"]


@pytest.mark.parametrize("text", ["größe", "数据", "a b", "team-1/x", "🚀 start", "=1+1"])
def test_R18_other_text_is_taken(edge: Edge, text: str) -> None:
    assert edge.submit("a", labels={"provider": "anthropic", "team": text})["verdict"] == "admit"


def test_R18_terminals_see_what_names_hold_and_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    connection.say("a\x1b[2Jb\nc\u202ed")
    assert capsys.readouterr().out == "a\\x1b[2Jb\nc\\u202ed\n"
    assert connection.table([["a\x1bb", "c\nd"], ["e", "f"]]) == "a\\x1bb  c\\nd\ne       f"


@pytest.mark.parametrize(
    ("model", "cell"),
    [
        pytest.param("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0", id="R18: a formula"),
        pytest.param("+1", "'+1", id="R18: a sum"),
        pytest.param("-1", "'-1", id="R18: a difference"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="R18: a function"),
        pytest.param("claude-opus-5", "claude-opus-5", id="a model"),
    ],
)
def test_R18_spreadsheets_calculate_nothing(edge: Edge, model: str, cell: str) -> None:
    edge.post("/v1/usage", event("a", model=model))
    text = edge.get("/v1/usage/summary?format=csv&by=model")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["model"] == cell


ALLOWED = [
    pytest.param("POST", "/v1/limits/daily", "GET, HEAD, PATCH", id="R21: a limit"),
    pytest.param("PUT", "/v1/tickets/t1", "DELETE, GET, HEAD, PATCH", id="R21: a ticket"),
    pytest.param("GET", "/v1/tickets", "POST", id="R21: tickets"),
    pytest.param("DELETE", "/v1/silences", "GET, HEAD, POST", id="R21: silences"),
]


@pytest.mark.parametrize(("method", "path", "allowed"), ALLOWED)
def test_R21_what_a_path_allows_is_named_whole(edge: Edge, method: str, path: str, allowed: str) -> None:
    reply = edge.ask(method, path, {} if method in ("PUT", "POST") else None)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)


def test_R21_one_wrong_event_is_a_problem_and_in_an_array_it_has_its_index(edge: Edge) -> None:
    alone = edge.ask("POST", "/v1/usage", {"provider": "a"})
    assert (alone.status, alone.title) == (422, "invalid_body")
    assert [row["index"] for row in edge.post("/v1/usage", [{"provider": "a"}, 5])["rejected"]] == [0, 1]


def test_R21_lengths_of_time_are_described_as_they_are_taken() -> None:
    from quota_scheduler.api.openapi import openapi

    assert '"format": "duration"' not in str(openapi()).replace("'", '"')
