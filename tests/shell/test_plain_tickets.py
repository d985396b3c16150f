"""Plain tickets go the short way: what is taken there is what the routes would have made of it, and odd ones go on."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.api.plain_tickets import plain_draft
from quota_scheduler.api.tickets import TICKET
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.usage import Usage
from tests.shell.serving import Serving, serving_in

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
BASIS = EstimateBasis(mixes={"workflow:nightly": Usage(1, 7, 1, 0, 1), "provider:openai": Usage(3, 0, 0, 0, 1)})
PLAIN: dict[str, Any] = {"key": "a", "labels": {"provider": "anthropic"}, "estimate": {"tokens": 1000}}
MOST = [
    pytest.param(PLAIN, id="only what is needed"),
    pytest.param({**PLAIN, "class": "low", "estimate": {"input": 100, "output": 900}}, id="a class, tokens by kind"),
    pytest.param(
        {**PLAIN, "estimate": {"input": 1, "cache_read": 2, "cache_write_5m": 0, "cache_write_1h": 4, "requests": 0}},
        id="every kind, and how many requests",
    ),
    pytest.param(
        {
            "labels": {"agent": "a", "task_type": "t", "workflow": "nightly", "project": "p", "team": "x", "model": "m",
                       "account": "c", "provider": "Vertex_AI"},
            "estimate": {"tokens": 12_345}, "key": "b", "session": "s", "run": "r r", "model": "claude-opus-4-5",
            "class": "interactive", "ttl": "600s",
        },
        id="what the Python client sends, in another order",
    ),
]  # fmt: skip
ODD = [
    pytest.param({**PLAIN, "key": " a "}, id="a key with spaces around it"),
    pytest.param({**PLAIN, "key": "ä"}, id="a letter beyond ASCII"),
    pytest.param({**PLAIN, "key": "a\u007f"}, id="a control character"),
    pytest.param({**PLAIN, "key": 'a"b'}, id="an escape"),
    pytest.param({**PLAIN, "key": ""}, id="an empty key"),
    pytest.param({**PLAIN, "run": ""}, id="an empty run"),
    pytest.param({**PLAIN, "key": "k" * 201}, id="a key that is too long"),
    pytest.param({**PLAIN, "estimate": {"tokens": 0}}, id="an estimate of nothing"),
    pytest.param({**PLAIN, "estimate": {"tokens": 5, "input": 5}}, id="an estimate in two ways"),
    pytest.param({**PLAIN, "estimate": {"tokens": "2.5k"}}, id="an amount as people write it"),
    pytest.param({**PLAIN, "estimate": {"cost_usd": 1}}, id="an estimate in dollars"),
    pytest.param({**PLAIN, "estimate": {"tokens": 10**11}}, id="more tokens than there are"),
    pytest.param({**PLAIN, "ttl": "soon"}, id="no length of time"),
    pytest.param({**PLAIN, "flags": ["x"]}, id="flags"),
    pytest.param({**PLAIN, "deadline": "2026-11-28T10:00:00Z"}, id="a deadline"),
    pytest.param({**PLAIN, "unknown": 1}, id="a word nobody knows"),
    pytest.param({**PLAIN, "class": None}, id="a class that is none"),
    pytest.param([PLAIN], id="an array"),
    pytest.param({}, id="nothing at all"),
]


@pytest.mark.parametrize("body", MOST)
@pytest.mark.parametrize("separators", [pytest.param((",", ":"), id="close"), pytest.param((", ", ": "), id="spaced")])
def test_most_bodies_are_plain_and_make_the_same_ticket(body: Any, separators: tuple[str, str]):
    raw = json.dumps(body, separators=separators).encode()
    assert plain_draft(raw, BASIS, NOW) == TICKET.validate_json(raw).draft(BASIS, now=NOW)


@pytest.mark.parametrize("body", ODD)
def test_odd_bodies_are_not_for_the_short_way(body: Any):
    assert plain_draft(json.dumps(body, ensure_ascii=False).encode(), BASIS, NOW) is None


WORDS = st.text(st.sampled_from("aZ0 _-/.:{},"), max_size=4)
COUNTS = st.one_of(st.integers(0, 3), st.just(10**10), st.none(), st.booleans(), st.floats(0, 9), WORDS)
NAMES = ("account", "model", "team", "project", "workflow", "task_type", "agent")
BODIES = st.fixed_dictionaries(
    {
        "key": WORDS,
        "labels": st.fixed_dictionaries({"provider": WORDS}, optional=dict.fromkeys(NAMES, WORDS)),
        "estimate": st.dictionaries(st.sampled_from(["input", "output", "cache_read", "requests", "tokens"]), COUNTS),
    },
    optional={
        "class": st.sampled_from(["low", "high", "urgent"]),
        "run": WORDS,
        "session": WORDS,
        "model": WORDS,
        "ttl": st.sampled_from(["5m", "1h30m", "0s", "9000d", "1h 30m"]),
        "flags": st.just([]),
    },
)


@given(BODIES)
def test_whatever_is_taken_is_what_the_routes_make_of_it(body: dict[str, Any]):
    raw = json.dumps(body).encode()
    draft = plain_draft(raw, BASIS, NOW)
    assert draft is None or draft == TICKET.validate_json(raw).draft(BASIS, now=NOW)


# Over a socket


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_in(
        tmp_path_factory.mktemp("plain"),
        "limits:\n  - {id: all, match: {provider: anthropic}, unit: tokens, amount: 100k, window: day, holdback: 0}\n",
    ) as one:
        one.post("/v1/tickets", json.dumps({**PLAIN, "key": "first: its price is looked up beside"}).encode())
        yield one


def request(key: str, *headers: str, method: str = "POST", more: str = "") -> bytes:
    body = json.dumps({**PLAIN, "key": key, "class": "interactive"})
    head = [f"{method} /v1/tickets{more} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"]
    return ("\r\n".join([*head, "", ""]) + body).encode()


JSON = "Content-Type: application/json"
ROUTES = "Content-Type: application/json; charset=utf-8"
"""Says the same, and is not so plain."""


def answers(served: Serving, *packets: bytes, count: int = 1) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """What comes back for packets sent one after another: status line, headers and body of each answer."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        for packet in packets:
            connection.sendall(packet)
        file, told = connection.makefile("rb"), []
        for _ in range(count):
            status = file.readline().decode().strip()
            lines = iter(lambda: file.readline().decode().strip(), "")
            headers = dict(sorted(line.split(": ", 1) for line in lines))
            told.append((status, headers, json.loads(file.read(int(headers["content-length"])))))
        return told


def test_an_answer_is_that_of_the_routes_to_the_byte(served: Serving):
    ((status, headers, body),) = answers(served, request("same", JSON))
    ((status_there, headers_there, body_there),) = answers(served, request("same", ROUTES))
    assert status == status_there == "HTTP/1.1 200 OK"
    assert headers | {"date": ""} == headers_there | {"date": ""}
    assert body == body_there
    assert body["verdict"] == "admit"


def test_a_head_that_is_known_changes_no_answer(served: Serving):
    first, second, third = answers(served, request("k1", JSON), request("k2", JSON), request("k1", JSON), count=3)
    ids = {told[2]["id"] for told in (first, second)}
    assert len(ids) == 2
    assert (first[0], first[1] | {"date": ""}, first[2]) == (third[0], third[1] | {"date": ""}, third[2])


@pytest.mark.parametrize(
    ("packets", "count"),
    [
        pytest.param(
            [request("k1", JSON), request("k2", JSON) + request("k3", JSON), request("k4", JSON)],
            4,
            id="two at once behind a head that is known",
        ),
        pytest.param(
            [request("k1", JSON), request("k2", JSON)[:90], request("k2", JSON)[90:], request("k3", JSON)],
            3,
            id="split behind a head that is known",
        ),
        pytest.param([request(f"k{n}", JSON) for n in range(8)], 8, id="eight without waiting for an answer"),
        pytest.param(
            [request("k1", JSON), request("k2", JSON), request("k3", JSON, "Connection: close")],
            3,
            id="the last of which closes the connection",
        ),
        pytest.param([request("p1", JSON) + request("p2", JSON)], 2, id="two at once"),
        pytest.param([request("s1", JSON)[:40], request("s1", JSON)[40:150], request("s1", JSON)[150:]], 1, id="split"),
        pytest.param([request("m1", JSON) + request("m2", ROUTES) + request("m3", JSON)], 3, id="both ways in turn"),
        pytest.param([request("c1", JSON, "Connection: close")], 1, id="that closes the connection"),
    ],
)
def test_requests_come_as_they_come(served: Serving, packets: list[bytes], count: int):
    told = answers(served, *packets, count=count)
    assert [(status, body["verdict"]) for status, _, body in told] == [("HTTP/1.1 200 OK", "admit")] * count


def test_whoever_waits_for_a_continue_is_told_to(served: Serving):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        head, _, body = request("e1", JSON, "Expect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("packet", "status", "code"),
    [
        pytest.param(request("o1", JSON, "Origin: https://example.com"), 403, "foreign_origin", id="a page elsewhere"),
        pytest.param(request("o2", JSON, "Host: example.com"), 421, "foreign_host", id="another name"),
        pytest.param(request("o3", "Content-Type: text/plain"), 415, "not_declared_json", id="no JSON"),
        pytest.param(
            request("same", JSON).replace(b"1000", b"2000"),
            409,
            "key_reused",
            id="other work under a key that is known",
        ),
    ],
)
def test_what_is_refused_is_refused_as_ever(served: Serving, packet: bytes, status: int, code: str):
    answers(served, request("same", JSON))
    ((line, headers, body),) = answers(served, packet)
    assert (line.split()[1], headers["content-type"], body["title"]) == (str(status), "application/problem+json", code)
    assert headers["x-frame-options"] == "DENY"


# Behind proxies, and for names that ask often

PROXIED = """
trusted_proxies: [{proxy}]
limits:
  - {{id: all, match: {{provider: anthropic}}, unit: tokens, amount: 100k, window: day, holdback: 0}}
"""


@pytest.mark.parametrize(
    ("proxy", "said", "is_strict"),
    [
        pytest.param("127.0.0.1", "https", True, id="one that is trusted was asked over HTTPS"),
        pytest.param("127.0.0.1", "http", False, id="one that is trusted was asked in the clear"),
        pytest.param("127.0.0.1", "gopher", False, id="one that is trusted says what is no scheme of ours"),
        pytest.param("10.0.0.1", "https", False, id="somebody else says so"),
    ],
)
def test_a_proxy_is_believed_as_on_the_way_of_the_routes(tmp_path: Path, proxy: str, said: str, is_strict: bool):
    proto = f"X-Forwarded-Proto: {said}"
    with serving_in(tmp_path, PROXIED.format(proxy=proxy)) as served:
        served.post("/v1/tickets", json.dumps(PLAIN).encode())
        ((_, headers, body),) = answers(served, request("same", JSON, proto))
        ((_, headers_there, body_there),) = answers(served, request("same", ROUTES, proto))
    assert (headers | {"date": ""}, body) == (headers_there | {"date": ""}, body_there)
    assert ("strict-transport-security" in headers) is is_strict


ONCE = """
tokens: [{name: ci, role: runner, sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}]
rate_limit: {per_second: 0.01, burst: 3}
"""


def test_both_ways_are_counted_as_one(tmp_path: Path):
    with serving_in(tmp_path, ONCE) as served:
        token = "Authorization: Bearer secret"
        told = [answers(served, request("a", kind, token)) for kind in (ROUTES, JSON, JSON, JSON, ROUTES)]
    assert [status.split()[1] for ((status, _, _),) in told] == ["200", "200", "200", "429", "429"]
