"""``simulate`` and ``POST /v1/simulate`` beside a service that runs: the same answer, and nothing is changed."""

import http.client
import json
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from quota_scheduler.cli import main
from quota_scheduler.simulated import MOST
from tests.shell.serving import serving_in

CONFIG = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day}
sources: {claude_code: {enabled: false}}
"""
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIRST = TODAY - timedelta(days=20)


def usage(number):
    """Three runs a day of 300 tokens: an hour each, at 1, 5 and 9 o'clock, of two teams."""
    day, hour = FIRST + timedelta(days=number // 6), (1, 1, 5, 5, 9, 9)[number % 6]
    at = day + timedelta(hours=hour + number % 2)
    labels = {"team": "growth" if hour == 9 else "data", "workflow": "nightly"}
    name = f"run-{number // 2}"
    return {
        "provider": "anthropic",
        "key": f"k{number}",
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "output": 150,
        "model": "claude-haiku-4-5",
        "run": name,
        "class": "high" if hour == 9 else "normal",
        "labels": labels,
    }


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    with serving_in(tmp_path_factory.mktemp("simulate"), CONFIG) as running:
        status, answer = running.post("/v1/usage", json.dumps([usage(number) for number in range(6 * 19)]).encode())
        assert status == 200, answer
        yield running


@pytest.fixture(scope="module")
def folder(serving):
    return serving.service.config.database.parent


def ask(serving, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60)
    connection.request("POST", "/v1/simulate", json.dumps(body), {"Content-Type": "application/json", **headers})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """The command line, in this process, on the database of the service that runs."""

    def said(*words):
        options = ["--config", str(folder / "quota.yaml"), "simulate", *words]
        monkeypatch.setattr(sys, "argv", ["quota-scheduler", *options])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        heard = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=heard.out, stderr=heard.err)

    return said


def rows_of(folder):
    with sqlite3.connect(f"file:{folder / 'quota.db'}?mode=ro", uri=True) as db:
        return list(db.iterdump())


def test_the_api_and_the_command_line_say_the_same_and_change_nothing(serving, folder, call):
    before = rows_of(folder)
    status, content = ask(serving, {"policies": ["none", "seed"], "amounts": {"daily": "-20%"}})
    answer = json.loads(content)
    said = call("--policy", "none,seed", "--amount", "-20%", "--json")
    assert (status, said.returncode, said.stderr) == (200, 0, "")
    spoken = json.loads(said.stdout)
    assert spoken["cases"] == answer["cases"]
    assert (answer["runs"], answer["tokens"]) == (36, 36 * 300)
    assert [case["case"] for case in answer["cases"]] == ["as it is", "what if"]
    now, then = ({row["policy"]: row["limits"][0] for row in case["policies"]}["none"] for case in answer["cases"])
    assert (now["limit"], now["windows"], now["used"]) == ("daily", 13, 36 * 300)
    assert (then["amount"], then["used"] < now["used"]) == (now["amount"] * 0.8, True)
    assert rows_of(folder) == before


def test_runs_are_those_of_the_ledger(serving):
    _, content = ask(serving, {"policies": ["safe"], "classes": {"team=growth": "low"}, "last": "5d"})
    answer = json.loads(content)
    classes = [case["policies"][0]["classes"] for case in answer["cases"]]
    assert [(one["high"]["runs"], one["low"]["runs"], one["normal"]["runs"]) for one in classes] == [
        (4, 0, 8),
        (0, 4, 8),
    ]
    assert any("no ticket is known any more" in sentence for sentence in answer["assumed"])


def test_whoever_wants_to_hears_how_far_it_is(serving):
    status, content = ask(serving, {"policies": ["none"]}, Accept="application/x-ndjson")
    lines = [json.loads(line) for line in content.splitlines()]
    assert (status, lines[:-1]) == (200, [{"done": 0.5}, {"done": 1.0}])
    assert lines[-1]["answer"]["runs"] == 36


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"policies": ["best"]}, "there is no policy 'best'", id="an unknown policy"),
        pytest.param({"limits": ["weekly"]}, "there is no limit 'weekly': there are daily", id="an unknown limit"),
        pytest.param(
            {"classes": {"team=x": "low"}}, "no run has the team 'x': there are data, growth", id="no such team"
        ),
        pytest.param({"classes": {"team=data": "urgent"}}, "there is no class 'urgent'", id="an unknown class"),
        pytest.param({"amounts": {"daily": "-5M"}}, "'-5M' is not an amount", id="a negative amount"),
        pytest.param({"last": "soon"}, "'soon' is not a length of time", id="no length of time"),
        pytest.param({"since": "2020-01-01", "until": "2020-01-02"}, "there are no runs to replay", id="no runs"),
        pytest.param({"amount": "-20%"}, "unknown key", id="an unknown key"),
        pytest.param([], "", id="no object"),
    ],
)
def test_what_cannot_be_meant_is_said(serving, body, sentence):
    status, content = ask(serving, body)
    assert status == 422
    assert sentence in json.loads(content)["detail"]


def test_so_many_play_at_a_time_and_who_leaves_makes_room(serving):
    simulations = serving.facade.simulations
    forever = {"policies": ["two-sided"], "quotas": [f"{number}k/day" for number in range(1, 200)]}
    body = json.dumps(forever).encode()
    lines = ("POST /v1/simulate HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    connections = [http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60) for _ in range(MOST)]
    for connection in connections:
        connection.connect()
        connection.sock.sendall(head.encode() + body)
    deadline = time.monotonic() + 20
    while not simulations.is_full() and time.monotonic() < deadline:
        time.sleep(0.005)
    status, content = ask(serving, {})
    for connection in connections:
        connection.close()
    assert (status, json.loads(content)["title"]) == (503, "busy")
    while simulations.playing and time.monotonic() < deadline:
        time.sleep(0.005)
    assert simulations.playing == 0
    assert ask(serving, {"policies": ["none"]})[0] == 200


RUNS = "at,tokens,class\n2026-11-02T01:00Z,600,low\n2026-11-02T02:00Z,700,normal\n2026-11-02T03:00Z,300,high\n"


@pytest.mark.parametrize(
    ("text", "runs", "said"),
    [
        pytest.param(RUNS, 3, "runs.csv: no patience", id="a sound file says what it lacks"),
        pytest.param(RUNS + "2026-11-02T03:00Z,300,high\n", 3, "1 line is there twice, and counted once", id="twice"),
        pytest.param(
            RUNS + "2026-11-02T04:00Z,-5,low\n", 3, "1 line is left out: line 5: tokens '-5' is no", id="negative"
        ),
        pytest.param(RUNS + "soon,5,low\n", 3, "line 5: 'soon' is no instant", id="no instant"),
        pytest.param(RUNS + "2026-11-02T04:00Z,5,urgent\n", 3, "line 5: there is no class 'urgent'", id="no class"),
        pytest.param(RUNS + "2026-11-02T04:00Z,5\n", 3, "line 5 has 2 cells, the header 3", id="a cell too few"),
        pytest.param(RUNS + "2026-11-02T04:00,5,low\n", 4, "1 instant is without a zone", id="no zone"),
        pytest.param(RUNS + "2026-11-09T04:00Z,5,low\n", 4, "(7.0 days): taken as idle", id="a gap"),
        pytest.param(RUNS.replace("class", "Priority"), 3, "no class, so every run is normal", id="no class at all"),
        pytest.param("\ufeff" + RUNS + "\n\n", 3, "", id="a mark at its beginning, empty lines at its end"),
    ],
)
def test_a_file_with_flaws_is_played_without_them(call, tmp_path, text, runs, said):
    (tmp_path / "runs.csv").write_text(text, encoding="utf-8")
    done = call(str(tmp_path / "runs.csv"), "--quota", "1000/day", "--policy", "none", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["runs"]) == (0, "", runs)
    assert said in " ".join(answer["assumed"])


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        pytest.param("when,what\n1,2\n", (), "must name the columns at and tokens", id="another header"),
        pytest.param("", (), "must name the columns at and tokens", id="an empty file"),
        pytest.param("at,tokens\n", (), "no runs after the header", id="no runs"),
        pytest.param("at,tokens,at\n", (), "has the column 'at' twice", id="a column twice"),
        pytest.param("at,tokens\nx,y\n", (), "no runs: line 2: 'x' is no instant", id="nothing that can be meant"),
        pytest.param(RUNS, ("--policy", "best"), "there is no policy 'best'", id="an unknown policy"),
        pytest.param(RUNS, ("--class", "team"), "is not of the form NAME:VALUE", id="a class without its label"),
        pytest.param(RUNS, ("--picture", "x.png"), "pictures are SVG: name the file x.svg", id="another picture"),
        pytest.param("series_id,date,tokens\na,soon,5\n", (), "no days: line 2: 'soon' is no date", id="no days"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(call, tmp_path, text, words, sentence):
    (tmp_path / "runs.csv").write_text(text, encoding="utf-8")
    done = call(str(tmp_path / "runs.csv"), "--quota", "1000/day", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trace_is_cut_into_runs_and_drawn(call, tmp_path):
    lines = [f"s1,2026-06-{day:02},{1000 * (day % 4)}" for day in range(1, 29)]
    (tmp_path / "daily.csv").write_text("\n".join(["series_id,date,tokens", *lines]), encoding="utf-8")
    picture = tmp_path / "what-if.svg"
    done = call(str(tmp_path), "--quota", "9k/week", "--policy", "none", "--picture", str(picture))
    assert (done.returncode, done.stderr) == (0, "")
    assert "holds totals by day" in " ".join(done.stdout.split())
    assert picture.read_text(encoding="utf-8").count("<rect") > 8
    table = call(str(tmp_path), "--policy", "none")
    assert [line.split()[:3] for line in table.stdout.splitlines()[2:8:2]] == [
        ["1,", "month", "none"],
        ["1,", "week", "none"],
        ["1,", "session", "none"],
    ]


def test_several_files_share_the_limits_as_one_fleet(call, tmp_path):
    for name, hour in (("ann", 1), ("bob", 2)):
        text = f"at,tokens,class,run\n2026-11-02T0{hour}:00Z,600,normal,r1\n"
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    files = [str(tmp_path / f"{name}.csv") for name in ("ann", "bob")]
    words = ("--quota", "1000/week", "--policy", "safe", "--json")
    answers = [json.loads(call(*paths, *words).stdout) for paths in (files[:1], files)]
    done = [answer["cases"][-1]["policies"][0]["classes"]["normal"]["done"] for answer in answers]
    assert [(answer["runs"], tokens) for answer, tokens in zip(answers, done, strict=True)] == [(1, 600), (2, 600)]


def test_fleets_that_cannot_be_drawn_are_said(call, tmp_path):
    lines = [f"s1,2026-06-{day:02},{1000 * (day % 4)}" for day in range(1, 29)]
    (tmp_path / "daily.csv").write_text("\n".join(["series_id,date,tokens", *lines]), encoding="utf-8")
    said = call(str(tmp_path), "--policy", "none", "--fleets", "2")
    assert "No fleet was drawn: there are fewer than 6 series of 77 days." in said.stdout


@pytest.mark.parametrize(
    ("model", "used"),
    [
        # a million tokens put out at $25 (Opus 4.8) and at $5 (Haiku 4.5): the price table that ships
        pytest.param("claude-opus-4-8", 25.0, id="as it was"),
        pytest.param("claude-haiku-4-5", 5.0, id="a cheaper model"),
    ],
)
def test_another_model_is_priced_anew(call, tmp_path, model, used):
    line = "2026-11-02T01:00Z,1000000,anthropic,claude-opus-4-8,25"
    (tmp_path / "runs.csv").write_text(f"at,output,provider,model,cost_usd\n{line}\n", encoding="utf-8")
    words = ("--quota", "$100/week", "--policy", "safe", "--json", "--model", f"claude-opus-4-8={model}")
    answer = json.loads(call(str(tmp_path / "runs.csv"), *words).stdout)
    (limit,) = answer["cases"][-1]["policies"][0]["limits"]
    assert (limit["unit"], limit["used"]) == ("usd", used)


def test_limits_that_bind_nothing_are_no_empty_table(call, tmp_path):
    (tmp_path / "runs.csv").write_text(RUNS, encoding="utf-8")
    said = call(str(tmp_path / "runs.csv"), "--budget", "growth=5M/day", "--policy", "none").stdout
    assert "unfinished" not in said
    assert "No limit binds any of the runs: everything started when it asked." in " ".join(said.split())
