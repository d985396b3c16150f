"""Silences and acknowledgement, over HTTP and from the command line: who may, what is asked, what is told."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quota_scheduler import cli
from quota_scheduler.cli import connection as reach
from tests.shell.edge import Edge, event, start

CONFIG = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 10k, window: day, holdback: 0}
  - {id: team-daily, per: team, unit: tokens, amount: 20k, window: day, holdback: 0}
receivers:
  - {id: ops, url: "json://127.0.0.1:1"}
  - {id: growth, url: "json://127.0.0.1:1", match: {team: [growth, sales]}}
alerts:
  rules:
    usage_high: {for: 0s, keep_firing_for: 0s, repeat: 1h}
    burn_fast: {enabled: false}
    burn_slow: {enabled: false}
    unpriced_usage: {enabled: false}
"""
MINUTE = timedelta(minutes=1)
SILENCE = {"matchers": {"limit": "daily"}, "for": "10m", "comment": "load test"}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """A service whose alerts are told from now on, and nothing used yet."""
    edge = start(tmp_path, CONFIG)
    edge.service.tick()
    yield edge
    edge.service.stop()


def use(edge: Edge, tokens: int, **labels: str) -> None:
    edge.post("/v1/usage", event(f"r{tokens}{labels}", tokens, labels=labels))
    edge.service.tick()


def owed(edge: Edge) -> list[tuple[str, str, str, str]]:
    """What anybody was told."""
    with edge.service.store.reading() as tx:
        return tx.rows("SELECT target, rule, scope, kind FROM outbox ORDER BY id")


def the_alert(edge: Edge) -> dict[str, Any]:
    (found,) = edge.get("/v1/alerts")["alerts"]
    return found


def audited(edge: Edge) -> list[tuple[str, str]]:
    with edge.service.store.reading() as tx:
        return tx.rows("SELECT who, what FROM audit ORDER BY id")


def test_a_silence_from_beginning_to_end(edge: Edge) -> None:
    made = edge.post("/v1/silences", SILENCE)
    assert made == {
        "id": 1, "matchers": {"limit": "daily"}, "author": "local", "comment": "load test", "active": True,
        "alerts": [], "starts_at": "2026-11-22T09:00:00Z", "ends_at": "2026-11-22T09:10:00Z",
    }  # fmt: skip
    use(edge, 8_500)
    assert (the_alert(edge)["phase"], the_alert(edge)["silenced_by"], owed(edge)) == ("firing", [1], [])
    assert edge.get("/v1/silences")["silences"][0]["alerts"] == [the_alert(edge)["id"]]
    edge.clock.advance(10 * MINUTE)
    edge.service.tick()
    assert edge.get("/v1/silences") == {"silences": []}
    assert owed(edge) == [("ops", "usage_high", "daily", "fired")], "what still fires when it ends is told then"


def test_a_silence_may_be_ended_by_hand_once(edge: Edge) -> None:
    edge.post("/v1/silences", SILENCE)
    use(edge, 8_500)
    assert edge.ask("DELETE", "/v1/silences/1").body == {"id": 1, "ended": True}
    edge.service.tick()
    assert owed(edge) == [("ops", "usage_high", "daily", "fired")]
    assert edge.ask("DELETE", "/v1/silences/1").status == 404
    assert audited(edge) == [("local", "silence.added"), ("local", "silence.ended")]


def test_what_does_not_fit_is_told_all_the_same(edge: Edge) -> None:
    edge.post("/v1/silences", {**SILENCE, "matchers": {"limit": ["team-daily/*", "weekly"], "severity": "warning"}})
    use(edge, 8_500)
    assert owed(edge) == [("ops", "usage_high", "daily", "fired")]


def test_an_acknowledged_alert_is_not_repeated_and_its_end_is_told(edge: Edge) -> None:
    use(edge, 8_500)
    number = the_alert(edge)["id"]
    found = edge.post(f"/v1/alerts/{number}/ack", {"author": "ana", "comment": "on it"})
    assert found == {"id": number, "acknowledged_by": "ana"}
    assert the_alert(edge)["acknowledged_by"] == "ana"
    edge.clock.advance(2 * 60 * MINUTE)
    edge.service.tick()
    assert len(owed(edge)) == 1
    assert edge.ask("PATCH", "/v1/limits/daily", {"amount": "100k"}).status == 200
    edge.service.tick()
    assert owed(edge)[1:] == [("ops", "usage_high", "daily", "resolved")]
    assert ("local", "alert.acknowledged") in audited(edge)
    again = edge.ask("POST", f"/v1/alerts/{number}/ack")
    assert (again.status, again.title) == (409, "not_firing")


def test_a_receiver_hears_of_what_it_matches(edge: Edge) -> None:
    use(edge, 17_000, team="growth")
    assert ("growth", "usage_high", "team-daily/growth", "fired") in owed(edge)
    assert not any(target == "growth" and scope == "daily" for target, _, scope, _ in owed(edge))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"matchers": {}}, "/matchers: ", id="nothing to match"),
        pytest.param({"matchers": {"lmit": "x"}}, "nothing is matched by 'lmit'; the names are", id="unknown name"),
        pytest.param({"comment": " "}, "/comment: ", id="no reason"),
        pytest.param({"for": None}, "say until when: give either until or for", id="no end"),
        pytest.param({"until": "2026-11-22T10:00:00Z"}, "say until when", id="two ends"),
        pytest.param({"for": "soon"}, "/for: 'soon' is not a length of time", id="not a length"),
        pytest.param({"for": "0s"}, "/for: ", id="no time at all"),
        pytest.param({"for": "10y"}, "/for: ", id="ten years"),
        pytest.param({"creator": "ana"}, "/creator: unknown key", id="unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_silence_is_one_sentence(edge: Edge, change: dict[str, Any], sentence: str) -> None:
    body = {name: value for name, value in {**SILENCE, **change}.items() if value is not None}
    reply = edge.ask("POST", "/v1/silences", body)
    assert (reply.status, reply.title) == (422, "invalid_body")
    assert reply.body["detail"].startswith(sentence)
    assert edge.get("/v1/silences") == {"silences": []}


def test_a_silence_of_a_rule_that_there_is_not(edge: Edge) -> None:
    reply = edge.ask("POST", "/v1/silences", {**SILENCE, "matchers": {"rule": "usage_hihg"}})
    assert (reply.status, reply.title) == (409, "no_rule")
    assert reply.body["detail"].startswith("/matchers/rule: no rule fits 'usage_hihg'; the rules are")


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        pytest.param("2026-11-22T08:00:00Z", "/until: it would be over before it began", id="over already"),
        pytest.param("2030-11-22T08:00:00Z", "/until: two years at most", id="for years"),
    ],
)
def test_a_silence_that_does_not_fit_the_time_it_is_now(edge: Edge, until: str, sentence: str) -> None:
    body = {name: value for name, value in {**SILENCE, "until": until}.items() if name != "for"}
    reply = edge.ask("POST", "/v1/silences", body)
    assert (reply.status, reply.title) == (409, "wrong_time")
    assert reply.body["detail"].startswith(sentence)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("DELETE", "/v1/silences/7", id="no such silence"),
        pytest.param("DELETE", "/v1/silences/x", id="no id"),
        pytest.param("POST", "/v1/alerts/7/ack", id="no such alert"),
        pytest.param("POST", "/v1/alerts/99999999999999999999/ack", id="no number of ours"),
    ],
)
def test_what_is_not_there(edge: Edge, method: str, path: str) -> None:
    assert (edge.ask(method, path).status, edge.ask(method, path).title) == (404, "not_found")


# The command line


@pytest.fixture
def run(edge: Edge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """The program, talking to the service of this process as it talks to one over the network."""

    def ask(config: Any, method: str, path: str, body: Any = None) -> Any:
        reply = edge.ask(method, path, body)
        return reach._content(reply.status, json.dumps(reply.body).encode(), config)

    def call(*args: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["quota-scheduler", *args])
        capsys.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as leave:
            code = leave.code
        said = capsys.readouterr()
        return code, said.out + said.err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(reach, "ask", ask)
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    return call


def test_silence_from_the_command_line(edge: Edge, run: Any) -> None:
    use(edge, 8_500)
    say = ("--for", "2h", "--comment", "load test")
    assert run("silence", "add", "limit=da*", *say, "--dry-run") == (
        0, "would silence 1 that fire now: usage_high daily\n",
    )  # fmt: skip
    assert run("silence", "list") == (0, "No silences.\n")
    assert run("silence", "add", "limit=da*", "severity=warning", *say) == (
        0, "Silence 1 until Sun 22 Nov 11:00 UTC\nIt covers 1 alert now.\n",
    )  # fmt: skip
    _, listed = run("silence", "list")
    assert listed.splitlines()[1].split() == [
        "1", "limit=da*", "severity=warning", "Sun", "22", "Nov", "11:00", "UTC", "ana", "1", "load", "test",
    ]  # fmt: skip
    assert "silence 1" in run("alerts", "list")[1]
    assert run("silence", "end", "1") == (0, "Ended: silence 1\n")
    assert run("silence", "end", "1")[0] == 1


def test_acknowledge_from_the_command_line(edge: Edge, run: Any) -> None:
    use(edge, 8_500)
    number = str(the_alert(edge)["id"])
    assert run("alerts", "ack", number, "--dry-run") == (0, f"would acknowledge alert {number}\n")
    assert the_alert(edge)["acknowledged_by"] is None
    assert run("alerts", "ack", number, "--author", "ana") == (0, f"Acknowledged by ana: alert {number}\n")
    assert "acknowledged by ana" in run("alerts", "list")[1]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        pytest.param(("silence", "add", "daily", "--for", "1h", "--comment", "x"), "'daily' is no matcher: write NAME=",
                     id="no matcher"),
        pytest.param(("silence", "add", "limit=daily", "--for", "1h"), "Missing option '--comment'", id="no comment"),
        pytest.param(("silence", "add", "limit=daily", "--comment", "x"), "say until when", id="no end"),
        pytest.param(("alerts", "ack", "99"), "there is no alert 99; see GET /v1/alerts", id="no such alert"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_sentence(run: Any, args: tuple[str, ...], sentence: str) -> None:
    code, said = run(*args)
    assert code in (1, 2)
    assert sentence in said
    assert "Traceback" not in said


def test_M17_status_says_which_alerts_are_muted_and_why(edge: Edge) -> None:
    use(edge, 8_500)
    assert edge.get("/v1/limits")["alerts_muted"] == []
    edge.post(f"/v1/alerts/{the_alert(edge)['id']}/ack", {"author": "ada"})
    assert edge.get("/v1/limits")["alerts_muted"] == [
        {"rule": "usage_high", "scope": "daily", "why": "acknowledged by ada"}
    ]
    edge.post("/v1/silences", SILENCE)
    assert edge.get("/v1/limits")["alerts_muted"][0]["why"] == "silenced"


def test_M17_a_limit_that_was_full_at_the_first_import_is_named_as_muted(tmp_path: Path) -> None:
    edge = start(tmp_path, CONFIG)
    use(edge, 8_500)
    assert edge.get("/v1/limits")["alerts_muted"] == [
        {"rule": "usage_high", "scope": "daily", "why": "true already at the first import"}
    ]
    edge.service.stop()
