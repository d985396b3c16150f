"""``GET /v1/queue``: all of it in pieces, or a page of those who wait; both say the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.api.queue import ROWS_AT_ONCE
from tests.shell.edge import Edge, start, ticket

WAITING = 2 * ROWS_AT_ONCE + 5
"""Three pieces, and long enough for places that are told now and then."""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder: Path = tmp_path_factory.mktemp("queue")
    edge = start(folder)
    edge.submit("runs", 1000)
    classes = ("low", "high", "normal")
    edge.post("/v1/tickets", [ticket(f"w{n}", 10, **{"class": classes[n % 3]}) for n in range(WAITING)])
    edge.service.tick()
    yield edge
    edge.service.stop()


def test_all_of_it_comes_whole_whatever_its_pieces(edge: Edge) -> None:
    whole = edge.get("/v1/queue")
    assert [row["position"] for row in whole["waiting"]] == list(range(1, WAITING + 1))
    assert [row["key"] for row in whole["waiting"][:2]] == ["w1", "w4"]
    assert [row["key"] for row in whole["running"]] == ["runs"]
    assert (whole["offered"], whole["hold"], whole["breakers"]) == ([], None, [])


@pytest.mark.parametrize(
    ("query", "begin", "end"),
    [
        pytest.param("most=3", 0, 3, id="the first"),
        pytest.param("from=3&most=3", 3, 6, id="those behind them"),
        pytest.param("from=400&most=1000", 400, WAITING, id="the last"),
        pytest.param("from=9999&most=3", WAITING, WAITING, id="nobody stands so far behind"),
    ],
)
def test_a_page_holds_the_rows_of_the_whole_in_their_places(edge: Edge, query: str, begin: int, end: int) -> None:
    whole, page = edge.get("/v1/queue"), edge.get(f"/v1/queue?{query}")
    assert page["waiting"] == whole["waiting"][begin:end]
    assert page["total"] == WAITING
    assert {name: page[name] for name in ("at", "hold", "breakers")} == {
        name: whole[name] for name in ("at", "hold", "breakers")
    }


@pytest.mark.parametrize("query", ["most=0", "most=1001", "most=x", "most=3&from=-1"])
def test_a_page_of_no_size_is_refused(edge: Edge, query: str) -> None:
    reply = edge.ask("GET", f"/v1/queue?{query}")
    assert (reply.status, reply.title) == (422, "invalid_query")
