"""What the page is told over HTTP, and what a deed would do."""

import gzip
import json
import re
import time

import pytest

from quota_scheduler.api import page_files
from quota_scheduler.page.assets import POLICY
from tests.page.tokens import TOKENS, VIEWER
from tests.shell.edge import Edge, event, start, ticket

THREE = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 2}
"""


@pytest.fixture
def edge(tmp_path):
    edge = start(tmp_path, THREE)
    yield edge
    edge.service.stop()


def waiting(edge: Edge, count: int = 3, **more) -> None:
    """Two run, and some wait for a lease."""
    for number in range(2 + count):
        edge.submit(f"k{number}", 100, **more)


def test_the_page_needs_no_token_and_holds_no_figure(tmp_path):
    edge = start(tmp_path, THREE + TOKENS)
    reply = edge.ask("GET", "/")
    assert (reply.status, reply.headers["content-security-policy"]) == (200, POLICY)
    assert edge.ask("GET", "/page/app.js").status == 200
    assert edge.ask("GET", "/v1/page").status == 401
    edge.service.stop()


def test_an_unchanged_file_is_not_sent_again(edge):
    tag = edge.ask("GET", "/page/page.css").headers["etag"]
    assert edge.ask("GET", "/page/page.css", headers={"If-None-Match": tag}).status == 304
    assert edge.ask("GET", "/page/page.css", headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nothing.js", id="a file that is not there"),
        pytest.param("..%2Fassets.py", id="a file outside"),
        pytest.param("__init__.py", id="code of the service"),
    ],
)
def test_nothing_else_is_served(edge, name):
    assert edge.ask("GET", f"/page/{name}").status == 404


def test_what_stands_on_the_page_is_what_the_api_says(edge):
    waiting(edge)
    edge.post("/v1/usage", event("e1", 400))
    edge.service.tick()
    page, limits, queue = edge.get("/v1/page"), edge.get("/v1/limits"), edge.get("/v1/queue")
    of_page = {row["limit"]: row for row in page["limits"]}
    for row in limits["limits"]:
        same = of_page[row["limit"]].keys() & row.keys() - {"forecast"}
        assert {name: of_page[row["limit"]][name] for name in same} == {name: row[name] for name in same}
    assert (page["running"], page["offered"], page["hold"]) == (queue["running"], queue["offered"], queue["hold"])
    assert page["queue"]["waiting"] == len(queue["waiting"]) == 3
    assert page["you"] == {"name": "local", "role": "operator", "operator": True}


def test_the_queue_has_its_order_and_says_why_in_words(edge):
    waiting(edge)
    answer = edge.get("/v1/page/queue")
    assert (answer["waiting"], answer["matching"], answer["from"]) == (3, 3, 0)
    assert [(row["position"], row["id"]) for row in answer["rows"]] == [(1, "t3"), (2, "t4"), (3, "t5")]
    assert [(row["why"], row["limits"]) for row in answer["rows"]] == [("too many run at once", ["runs"])] * 3
    asked = edge.get("/v1/tickets/t3?claim=no")
    assert (answer["rows"][0]["message"], answer["rows"][0]["expected_start"]) == (
        asked["message"],
        asked["expected_start"],
    )


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        pytest.param("most=2", [1, 2], id="the first page"),
        pytest.param("most=2&from=2", [3, 4], id="the next one"),
        pytest.param("most=2&from=4", [5], id="the last one"),
        pytest.param("most=2&from=400", [5], id="behind the end stands the last"),
        pytest.param("find=T6", [4], id="one is found by its id, and keeps its place"),
        pytest.param("find=nobody", [], id="nobody is found"),
    ],
)
def test_the_queue_is_paged(edge, query, rows):
    waiting(edge, 5)
    assert [row["position"] for row in edge.get(f"/v1/page/queue?{query}")["rows"]] == rows


def test_what_is_large_is_packed(edge):
    waiting(edge)
    reply = edge.ask("GET", "/v1/page/queue", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(str(reply.body).encode())) < 4_000


@pytest.mark.parametrize(
    ("body", "starts", "state"),
    [
        pytest.param({"deed": "cancel", "ticket": "t1"}, 1, "closed", id="a lease taken away lets the next one start"),
        pytest.param({"deed": "cancel", "ticket": "t4"}, 0, "closed", id="a cancelled ticket lets nobody start"),
        pytest.param({"deed": "hold", "ticket": "t3", "on": True}, 0, "waiting", id="a held ticket waits"),
        pytest.param({"deed": "start", "ticket": "t3"}, 0, "offered", id="a forced ticket starts alone"),
        pytest.param({"deed": "class", "ticket": "t5", "class": "high"}, 0, "waiting", id="a higher class waits, too"),
        pytest.param({"deed": "limit", "limit": "runs", "amount": 4}, 2, None, id="two more leases let two start"),
        pytest.param({"deed": "limit", "limit": "runs", "amount": 1}, 0, None, id="less lets nobody start"),
        pytest.param({"deed": "hold_all", "on": True}, 0, None, id="holding everything lets nobody start"),
    ],
)
def test_what_a_deed_would_do_is_what_it_does(edge, body, starts, state):
    waiting(edge)
    said = edge.post("/v1/consequences", body)
    assert (said["starts"], said["state"]) == (starts, state)
    before = {row["id"] for row in edge.get("/v1/queue")["waiting"]}
    done(edge, body)
    after = edge.get("/v1/queue")
    others = {row["id"] for row in [*after["offered"], *after["running"]]} & before - {body.get("ticket")}
    assert len(others) == starts


def done(edge: Edge, body: dict) -> None:
    """Do what was asked about."""
    ticket_ = body.get("ticket", "")
    match body["deed"]:
        case "cancel":
            edge.ask("DELETE", f"/v1/tickets/{ticket_}")
        case "limit":
            assert edge.ask("PATCH", f"/v1/limits/{body['limit']}", {"amount": body["amount"]}).status == 200
        case "class":
            assert edge.ask("PATCH", f"/v1/tickets/{ticket_}", {"class": body["class"]}).status == 200
        case "hold_all":
            edge.post("/v1/hold", {"on": body["on"]})
        case "hold":
            edge.post(f"/v1/tickets/{ticket_}/hold", {"on": body["on"]})
        case "start":
            edge.post(f"/v1/tickets/{ticket_}/start")
    edge.get("/v1/tickets/t2?claim=no")  # a cycle behind it


def test_letting_everything_go_on_says_who_starts(edge):
    edge.post("/v1/hold", {"on": True, "reason": "incident"})
    waiting(edge, 0)
    said = edge.post("/v1/consequences", {"deed": "hold_all", "on": False})
    assert (said["starts"], said["by_class"], said["sentence"]) == (
        2,
        {"normal": 2},
        "2 tickets would start: 2 normal.",
    )
    assert [row["id"] for row in said["named"]] == ["t1", "t2"]


def test_a_thousand_would_start_and_nothing_has(tmp_path):
    edge = start(tmp_path, "limits: [{id: d, unit: tokens, amount: 1M, window: day}]")
    edge.post("/v1/hold", {"on": True})
    edge.post("/v1/tickets", [ticket(f"k{n}", 100) for n in range(1000)])
    said = edge.post("/v1/consequences", {"deed": "hold_all", "on": False})
    assert (said["starts"], said["at_least"], len(said["named"])) == (1000, False, 10)
    assert len(edge.get("/v1/queue")["waiting"]) == 1000
    edge.service.stop()


def test_starting_by_force_names_the_limits_it_takes_over(edge):
    edge.post("/v1/usage", event("e1", 950))
    edge.submit("k1", 100)
    said = edge.post("/v1/consequences", {"deed": "start", "ticket": "t1"})
    assert said["over"] == [{"limit": "daily", "ratio": 1.05}]


def test_a_ticket_changes_its_class_and_the_audit_log_says_who(edge):
    waiting(edge)
    body = edge.ask("PATCH", "/v1/tickets/t5", {"class": "high"}).body
    assert (body["class"], body["position"]) == ("high", 1)
    entry = edge.get("/v1/audit")["audit"][0]
    assert (entry["who"], entry["what"], entry["detail"]) == (
        "local",
        "ticket.reclassed",
        {"ticket": 5, "into": "high"},
    )
    edge.service.writer.forget()
    assert [row["id"] for row in edge.get("/v1/queue")["waiting"]] == ["t5", "t3", "t4"]


def test_a_class_of_what_runs_stays_and_nothing_is_written_down(edge):
    waiting(edge)
    reply = edge.ask("PATCH", "/v1/tickets/t1", {"class": "high"})
    assert (reply.status, reply.title) == (409, "not_waiting")
    assert edge.get("/v1/audit")["audit"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"deed": "start", "ticket": "t99"}, 404, id="a ticket that is not there"),
        pytest.param({"deed": "start", "ticket": "zz"}, 404, id="no ticket id"),
        pytest.param({"deed": "class", "ticket": "t3"}, 422, id="no class"),
        pytest.param({"deed": "limit", "limit": "none", "amount": 1}, 404, id="a limit that is not there"),
        pytest.param({"deed": "limit", "limit": "daily", "amount": "a lot"}, 422, id="no amount"),
        pytest.param({"deed": "explode"}, 422, id="no deed"),
    ],
)
def test_a_deed_that_cannot_be_is_refused(edge, body, status):
    waiting(edge)
    assert edge.ask("POST", "/v1/consequences", body).status == status


def test_costs_and_efficiency_with_the_week_before(edge):
    for day in range(14):
        runs = [event(f"d{day}", 100, at=f"2026-11-{22 - day:02}T08:00:00Z", run=f"r{day}", labels={"workflow": "w"})]
        edge.post("/v1/usage", runs)
    more = edge.get("/v1/page/more")
    (row,) = more["efficiency"]
    assert (row["workflow"], row["runs"], row["before"]["runs"]) == ("w", 7, 7)
    assert row["before"]["tokens_per_run"] == 100
    assert len(more["costs"]["usage"]) == 14
    assert set(more) == {"at", "efficiency", "costs", "loans", "sources", "audit"}


def first_of(reply) -> dict:
    """The block of data in the page, parsed; empty where there is none."""
    found = re.findall(r'<script type="application/json" id="first">(.*)</script></body>', reply.body, re.DOTALL)
    return json.loads(found[0]) if found else {}


@pytest.mark.parametrize("takes", [pytest.param("gzip", id="packed"), pytest.param("identity", id="as it is")])
def test_the_page_comes_with_what_it_shows_first(edge, takes):
    waiting(edge)
    reply = edge.ask("GET", "/", headers={"Accept-Encoding": takes})
    assert reply.headers.get("content-encoding", "identity") == takes
    assert (reply.headers["cache-control"], reply.headers["content-security-policy"]) == ("no-store", POLICY)
    queue = edge.get("/v1/page/queue?from=0&most=20")
    assert first_of(reply) == {"now": queue["at"], "state": edge.get("/v1/page"), "queue": queue}


def test_nothing_in_a_label_ends_the_block_of_data(edge):
    label = "</script><script>alert(1)</script><!--"
    waiting(edge, labels={"provider": "anthropic", "team": label})
    reply = edge.ask("GET", "/")
    assert first_of(reply)["queue"]["rows"][0]["labels"]["team"] == label
    assert reply.body.count("<script") == 2
    assert "<!--" not in reply.body


def test_where_somebody_has_to_say_who_asks_no_figure_comes_with_the_page(tmp_path):
    edge = start(tmp_path, THREE + TOKENS)
    replies = [edge.ask("GET", "/"), edge.ask("GET", "/", token=VIEWER)]
    assert [(reply.status, first_of(reply), reply.headers["cache-control"]) for reply in replies] == [
        (200, {}, "no-cache")
    ] * 2
    edge.service.stop()


def test_figures_that_take_too_long_do_not_keep_the_page_back(edge, monkeypatch):
    waiting(edge)
    monkeypatch.setattr(page_files, "FIRST_SECONDS", 0.05)
    busy = edge.service.writer.do(lambda _tx: time.sleep(0.5))  # rows of the queue are decided behind this
    reply = edge.ask("GET", "/")
    busy.result(60)
    assert (reply.status, first_of(reply)) == (200, {})
    assert reply.body.endswith("</body>\n</html>\n")
    monkeypatch.undo()
    assert first_of(edge.ask("GET", "/"))["queue"]["waiting"] == 3


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        pytest.param("?v={tag}", "public, max-age=31536000, immutable", id="by its tag it is kept for good"),
        pytest.param("", "no-cache", id="without one it is asked about"),
        pytest.param("?v=0123456789abcdef", "no-cache", id="by the tag of another version, too"),
    ],
)
def test_how_long_a_file_is_kept(edge, query, kept):
    tag = edge.ask("GET", "/page/page.css").headers["etag"].strip('"')
    assert edge.ask("GET", f"/page/page.css{query.format(tag=tag)}").headers["cache-control"] == kept
