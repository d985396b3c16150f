"""Tokens that are bound to labels: what they send carries them, what they see is theirs or shared, on every route."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from quota_scheduler.api import ROUTES
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
from tests.shell.edge import Edge, start

MARKER = "zebra"
"""Stands in everything that the other team names; no answer to this one may hold it."""
CONFIG = """
metrics_auth: true
limits:
  - {id: everybody, match: {provider: anthropic}, unit: tokens, amount: 5000, window: day, holdback: 0}
  - {id: team-daily, per: team, unit: tokens, amount: 1000, window: day, holdback: 0, parent: pool, borrow: 100,
     overrides: {team-zebra: 2000}}
  - {id: pool, match: {team: [growth, team-zebra]}, unit: tokens, amount: 9000, window: day, holdback: 0}
  - {id: of-zebra, match: {team: team-zebra}, unit: tokens, amount: 900, window: day, holdback: 0}
  - {id: by-workflow, per: workflow, unit: tokens, amount: 5000, window: day, holdback: 0}
  - {id: by-account, per: account, unit: tokens, amount: 5000, window: day, holdback: 0}
  - {id: cap, unit: tokens, amount: 850, window: run}
  - {id: cap-of-zebra, match: {team: team-zebra}, unit: tokens, amount: 800, window: run}
tokens:
"""
TOKENS = {"growth": {"team": "growth"}, "theirs": {"team": "team-zebra"}, "all": {}, "acct": {"account": "max-1"}}
LABELS = {"team": "team-zebra", "workflow": "flow-zebra", "project": "project-zebra", "account": "account-zebra"}


def rows() -> str:
    lines = [f"  - {{name: {name}, role: runner, sha256: {hashed(name)}, labels: {json.dumps(labels)}}}\n"
             for name, labels in TOKENS.items()]  # fmt: skip
    return "".join([*lines, f"  - {{name: boss-zebra, role: operator, sha256: {hashed('boss')}}}\n"])


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def ticket(key: str, tokens: int = 100, **labels: str) -> dict[str, Any]:
    return {"key": key, "labels": {"provider": "anthropic", **labels}, "estimate": {"output": tokens}}


def event(key: str, tokens: int = 100, **more: Any) -> dict[str, Any]:
    return {"provider": "anthropic", "key": key, "at": "2026-11-22T08:59:00Z", "output": tokens, **more}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A service in which the other team has done everything there is to do, and this one a little."""
    edge = start(tmp_path_factory.mktemp("scope"), f"{CONFIG}{rows()}")
    for key, tokens in (("run-zebra", 100), ("large-zebra", 700), ("wait-zebra", 600)):
        sent = edge.ask("POST", "/v1/tickets", ticket(key, tokens, **LABELS) | {"run": key}, token="theirs")
        assert sent.status == 200, sent
    used = event("call-zebra", 300, labels=LABELS, run="run-zebra", session="session-zebra", model="claude-opus-5")
    assert edge.ask("POST", "/v1/usage", used, token="theirs").body["accepted"] == 1
    word = {"provider": "anthropic", "account": "account-zebra", "window": "weekly", "used_percent": 40}
    assert edge.ask("POST", "/v1/observations", word, token="theirs").body["accepted"] == 1
    throttled = {"provider": "anthropic", "account": "account-zebra", "throttled": True, "retry_after": 3000}
    assert edge.ask("POST", "/v1/observations", throttled, token="theirs").status == 200
    assert edge.ask("POST", "/v1/tickets", ticket("mine"), token="growth").status == 200
    assert edge.ask("POST", "/v1/usage", event("own-call", 50, run="own-run"), token="growth").body["accepted"] == 1
    silence = {"matchers": {"scope": "of-zebra"}, "comment": "zebra", "for": "1h"}
    assert edge.ask("POST", "/v1/silences", silence, token="boss").status == 200
    edge.service.tick()
    edge.clock.tick(seconds=30) if hasattr(edge.clock, "tick") else None
    edge.service.tick()
    yield edge
    edge.service.stop()


OWN, SHARED, OPERATORS, REFUSED, OPEN = "own", "shared", "operators", "refused", "open"
DECISIONS: dict[tuple[str, str], str] = {
    ("POST", "/v1/tickets"): OWN,
    ("GET", "/v1/tickets/{ticket}"): OWN,
    ("DELETE", "/v1/tickets/{ticket}"): OWN,
    ("POST", "/v1/leases/{lease}/renew"): OWN,
    ("POST", "/v1/leases/{lease}/release"): OWN,
    ("POST", "/v1/preflight"): OWN,
    ("POST", "/v1/plans/estimate"): OWN,
    ("POST", "/v1/simulate"): REFUSED,
    ("GET", "/v1/queue"): OWN,
    ("GET", "/v1/decisions"): SHARED,
    ("POST", "/v1/hold"): OPERATORS,
    ("POST", "/v1/tickets/{ticket}/hold"): OPERATORS,
    ("POST", "/v1/tickets/{ticket}/start"): OPERATORS,
    ("DELETE", "/v1/leases/{lease}"): OPERATORS,
    ("PATCH", "/v1/tickets/{ticket}"): OPERATORS,
    ("PATCH", "/v1/limits/{limit}"): OPERATORS,
    ("POST", "/v1/consequences"): OPERATORS,
    ("POST", "/v1/usage"): OWN,
    ("POST", "/v1/shipments"): OWN,
    ("POST", "/v1/observations"): SHARED,
    ("GET", "/v1/observations"): SHARED,
    ("POST", "/v1/logs"): OWN,
    ("POST", "/v1/metrics"): OWN,
    ("POST", "/v1/traces"): OWN,
    ("POST", "/v1/litellm"): OWN,
    ("POST", "/v1/headless"): OWN,
    ("GET", "/v1/limits"): SHARED,
    ("GET", "/v1/limits/{limit}"): SHARED,
    ("GET", "/v1/limits/{limit:path}/forecast"): SHARED,
    ("GET", "/api/quota/forecast"): SHARED,
    ("GET", "/v1/efficiency"): OWN,
    ("GET", "/v1/runs"): OWN,
    ("GET", "/v1/suggestions"): OWN,
    ("GET", "/v1/usage/summary"): OWN,
    ("GET", "/v1/usage/history"): OWN,
    ("GET", "/v1/usage/events"): OWN,
    ("GET", "/v1/windows"): SHARED,
    ("GET", "/v1/loans"): SHARED,
    ("GET", "/v1/ceilings"): SHARED,
    ("GET", "/v1/sources"): REFUSED,
    ("GET", "/v1/reconciliation"): REFUSED,
    ("GET", "/v1/alerts"): SHARED,
    ("POST", "/v1/alerts/{alert}/ack"): OPERATORS,
    ("GET", "/v1/silences"): SHARED,
    ("POST", "/v1/silences"): OPERATORS,
    ("DELETE", "/v1/silences/{silence}"): OPERATORS,
    ("GET", "/v1/audit"): OPERATORS,
    ("GET", "/v1/page"): SHARED,
    ("GET", "/v1/page/queue"): OWN,
    ("GET", "/v1/page/more"): OWN,
    ("GET", "/v1/page/events"): SHARED,
    ("GET", "/metrics"): REFUSED,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
}
"""What was decided about each route: a route that is not among them has been forgotten."""


def test_every_route_has_a_decision_about_scope() -> None:
    assert {(method, path) for method, path, _ in ROUTES} == set(DECISIONS)


BODIES = {
    "/v1/tickets": ticket("fresh"),
    "/v1/preflight": ticket("ask", 400),
    "/v1/plans/estimate": {"items": [ticket("one", 900), ticket("two", 900)]},
    "/v1/leases/{lease}/renew": {"fence": 1},
    "/v1/leases/{lease}/release": {"fence": 1},
    "/v1/usage": event("another"),
}
QUERIES = {
    "/v1/tickets/{ticket}": ["?claim=no"],
    "/v1/decisions": ["?by=limit", "?by=day,limit,class,reason"],
    "/v1/efficiency": ["", "?by=team", "?by=model"],
    "/v1/usage/summary": ["?by=team,workflow,project,account", "?by=day,team&format=csv"],
    "/v1/usage/history": [
        "?by=team",
        "?by=session",
        "?by=run",
        "?by=agent",
        "?by=workflow&format=csv",
        "?team=team-zebra",
    ],
    "/v1/usage/events": ["", "?kind=rollups"],
    "/v1/page/queue": ["", "?find=a"],
    "/v1/windows": ["", "?limit=by-workflow"],
    "/v1/limits/{limit:path}/forecast": [""],
    "/api/quota/forecast": ["", "?limit=nothing", "?limit=everybody"],
}
LIMITS = ("everybody", "team-daily", "pool", "by-workflow", "by-account", "team-daily/growth", "nothing")
SEEN = [pytest.param(*route, id=" ".join(route)) for route in DECISIONS]


@pytest.mark.parametrize(("method", "path"), SEEN)
def test_no_answer_holds_a_name_of_another_team(
    edge: Edge, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.service, "draining", path.endswith("/events"))  # a stream ends by itself only then
    urls = [path + query for query in QUERIES.get(path, [""])]
    if "{limit" in path:
        names = [name for name in LIMITS if "/" not in name or ":path" in path]
        urls = [path.replace("{limit:path}", name).replace("{limit}", name) for name in names]
    urls = [
        url.replace("{ticket}", f"t{number}").replace("{lease}", f"l{number}").replace("{alert}", str(number))
        for url in urls
        for number in ((1, 2, 3) if "{" in url else (1,))
    ]
    raw = b"{}" if method in ("POST", "PATCH") else None
    body = BODIES.get(path)
    answers = [
        edge.ask(method, url, body, raw=None if body else raw, token=token)
        for url in urls
        for token in ("growth", "acct")
    ]
    told = [answer.body for answer in answers if MARKER in json.dumps([answer.body, dict(answer.headers)], default=str)]
    assert told == []
    statuses = {answer.status for answer in answers}
    assert {
        OWN: not statuses & {500, 403},
        SHARED: not statuses & {500, 403},
        OPERATORS: statuses == {403},
        REFUSED: statuses == {403},
        OPEN: statuses <= {200, 503},
    }[DECISIONS[method, path]], statuses


OF_OTHERS = [
    pytest.param("GET", "/v1/tickets/t1", None, id="look at it"),
    pytest.param("GET", "/v1/tickets/t1?wait=30", None, id="wait for it"),
    pytest.param("DELETE", "/v1/tickets/t1", None, id="withdraw it"),
    pytest.param("POST", "/v1/leases/l1/renew", {"fence": 1}, id="renew it"),
    pytest.param("POST", "/v1/leases/l1/release", {"fence": 1, "usage": {"output": 9}}, id="release it"),
    pytest.param("POST", "/v1/leases/l1/release", {"fence": 99}, id="release it with a stale fence"),
]


@pytest.mark.parametrize(("method", "url", "body"), OF_OTHERS)
def test_a_ticket_of_others_is_as_one_that_never_was(edge: Edge, method: str, url: str, body: Any) -> None:
    theirs = edge.ask(method, url, body, token="growth")
    nobodys = edge.ask(method, url.replace("t1", "t99999").replace("l1", "l99999"), body, token="growth")
    assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body)
    assert theirs.status == 404
    assert edge.ask("GET", "/v1/tickets/t1", token="theirs").body["state"] == "running"


def test_the_same_key_in_two_teams_is_two_tickets(edge: Edge) -> None:
    mine, theirs = (edge.ask("POST", "/v1/tickets", ticket("both"), token=token).body for token in ("growth", "theirs"))
    assert mine["id"] != theirs["id"]
    assert [mine["key"], theirs["key"]] == ["both", "both"]
    again = edge.ask("POST", "/v1/tickets", ticket("both"), token="growth").body
    assert again["id"] == mine["id"]


CLAIMS = [
    pytest.param("/v1/tickets", ticket("x", team="team-zebra"), 422, id="a ticket"),
    pytest.param("/v1/preflight", ticket("x", team="team-zebra"), 422, id="a preflight"),
    pytest.param("/v1/plans/estimate", {"items": [ticket("x", team="team-zebra")]}, 422, id="a plan"),
    pytest.param("/v1/usage", event("x", labels={"team": "team-zebra"}), 422, id="usage"),
]


@pytest.mark.parametrize(("path", "body", "status"), CLAIMS)
def test_who_claims_to_be_of_another_team_is_refused(edge: Edge, path: str, body: Any, status: int) -> None:
    answer = edge.ask("POST", path, body, token="growth")
    assert (answer.status, answer.title) == (status, "invalid_body")
    assert "this token is bound to team 'growth': leave it out, or send a token of the other" in answer.body["detail"]


def test_what_is_wrong_with_one_of_an_array_keeps_the_others(edge: Edge) -> None:
    sent = [event("good-1"), event("bad", labels={"team": "team-zebra"}), event("good-2", labels={"team": "growth"})]
    answer = edge.ask("POST", "/v1/usage", sent, token="growth").body
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (2, [1])


def test_what_claims_nothing_is_filled_in(edge: Edge) -> None:
    edge.ask("POST", "/v1/usage", event("filled", 7, run="night", labels={"workflow": "night"}), token="growth")
    summary = edge.ask("GET", "/v1/usage/summary?by=team,workflow", token="all").body["usage"]
    assert ("growth", "night", 7) in [(row["team"], row["workflow"], row["tokens"]) for row in summary]
    names = [row["run"] for row in edge.ask("GET", "/v1/runs", token="all").body["runs"]]
    assert "team=growth/night" in names
    assert "night" in [row["run"] for row in edge.ask("GET", "/v1/runs", token="growth").body["runs"]]


def test_a_call_of_others_cannot_be_made_larger(edge: Edge) -> None:
    before = edge.ask("GET", "/v1/usage/summary?by=team", token="theirs").body
    answer = edge.ask("POST", "/v1/usage", event("call-zebra", 900), token="growth").body
    assert (answer["accepted"], answer["updated"], answer["duplicate"]) == (0, 0, 1)
    assert edge.ask("GET", "/v1/usage/summary?by=team", token="theirs").body == before


def test_a_session_of_others_is_not_charged(edge: Edge) -> None:
    before = edge.ask("GET", "/v1/usage/history?by=session", token="theirs").body["usage"]
    edge.ask("POST", "/v1/usage", event("sneaked", 11, session="session-zebra"), token="growth")
    assert edge.ask("GET", "/v1/usage/history?by=session", token="theirs").body["usage"] == before
    assert "session-zebra" not in str(edge.ask("GET", "/v1/usage/history?by=session", token="growth").body)


def test_a_run_cap_of_others_is_not_used_up(edge: Edge) -> None:
    """400 of 850 are used and promised there: 500 more would pass the cap."""
    theirs = edge.ask("POST", "/v1/preflight", ticket("more", 500) | {"run": "run-zebra"}, token="theirs").body
    mine = edge.ask("POST", "/v1/preflight", ticket("more", 500) | {"run": "run-zebra"}, token="growth").body
    assert (theirs["reason"], mine["verdict"] != "reject") == ("run_cap", True), (theirs, mine)


def test_who_is_bound_to_an_account_speaks_of_that_alone(edge: Edge) -> None:
    word = {"provider": "anthropic", "window": "weekly", "used_percent": 41}
    assert edge.ask("POST", "/v1/observations", word, token="acct").status == 200
    foreign = edge.ask("POST", "/v1/observations", word | {"account": DEFAULT_ACCOUNT}, token="acct")
    assert foreign.status == 422
    assert [one["account"] for one in edge.ask("GET", "/v1/observations", token="acct").body["observations"]] == [
        "max-1"
    ]


def test_positions_are_told_among_all(edge: Edge) -> None:
    waiting = edge.ask("GET", "/v1/queue", token="all").body["waiting"]
    own = edge.ask("GET", "/v1/queue", token="theirs").body["waiting"]
    assert {row["position"] for row in own} <= {row["position"] for row in waiting}
    assert "wait-zebra" in [row["key"] for row in own]
    assert {row["labels"]["team"] for row in own} == {"team-zebra"}


def test_an_operator_sees_whose_names_they_are(edge: Edge) -> None:
    lists = edge.ask("GET", "/v1/queue", token="boss").body
    assert "team=growth/mine" in {row["key"] for name in ("waiting", "offered", "running") for row in lists[name]}


def test_a_limit_of_others_is_as_one_that_never_was(edge: Edge) -> None:
    told = edge.ask("GET", "/v1/limits/of-zebra", token="growth")
    assert told.status == 404
    assert "cap-of-zebra" not in told.body["detail"]
    assert {one["limit"] for one in edge.ask("GET", "/v1/limits", token="growth").body["limits"]} == {
        "everybody",
        "pool",
        "team-daily/growth",
    }
