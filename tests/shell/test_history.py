"""``history`` and ``usage export`` as people, programs and the API see them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from quota_scheduler.cli import pictures
from quota_scheduler.cli.history_table import history_table
from tests.shell.edge import Edge, event, start
from tests.shell.test_cli import Run, folder, run  # noqa: F401 - fixtures

LIMITS = """
timezone: Europe/Berlin
limits: []
"""


@pytest.fixture
def edge(folder: Path) -> Iterator[Edge]:  # noqa: F811 - the fixture
    """Four calls on two days of Berlin, one of a model without a price; the database is left in the folder."""
    edge = start(folder, LIMITS)
    for key, at, model, team in [
        ("r1", "2026-11-20T22:59:00Z", "claude-opus-5", "growth"),
        ("r2", "2026-11-20T23:00:00Z", "claude-opus-5", "growth"),
        ("r3", "2026-11-21T08:00:00Z", "claude-nova-9", ""),
        ("r4", "2026-11-21T09:00:00Z", "claude-opus-5", "名前"),
    ]:
        more = {"at": at, "model": model, "session": f"s-{model}", "input": 1_000, "cache_read": 9_000}
        edge.post("/v1/usage", event(key, 1_000, labels={"team": team}, **more))
    yield edge
    edge.service.stop()


def lines(document, width):
    return [line + picture for line, picture in history_table(document, width)]


def test_days_for_people(edge: Edge, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "80")
    assert edge.service is not None
    assert run("history", "--since", "2026-11-19", "--until", "2026-11-22").out.splitlines() == [
        "2026-11-19 00:00 to 2026-11-23 00:00 (Europe/Berlin)",
        "DAY         TOKENS  FRESH  WRITTEN  READ  OUTPUT  HIT    COST",
        "2026-11-20     11k     1k        0    9k      1k  90%   $0.03  ████▊",
        "2026-11-21     33k     3k        0   27k      3k  90%  ~$0.12  █████████████████",
        "2026-11-22       -",
        "total          44k     4k        0   36k      4k  90%  ~$0.16",
        "~ 11k tokens have no known price and are charged a little above their kin.",
    ]


def test_what_the_service_and_the_file_say_is_the_same(edge: Edge, run: Run) -> None:  # noqa: F811
    for by in (["day"], ["model", "team"], ["hour"], ["session"]):
        service = edge.get(f"/v1/usage/history?by={','.join(by)}&last=3d&timezone=America/New_York")
        file = run("history", *by, "--last", "3d", "--timezone", "America/New_York", "--json").json
        # the clock of the file's reader is that of the wall: what is asked for with an end is the same
        assert {name: service[name] for name in ("by", "timezone")} == {name: file[name] for name in ("by", "timezone")}
    span = ("--since", "2026-11-20", "--until", "2026-11-21")
    query = "by=model,team&since=2026-11-20&until=2026-11-21"
    assert run("history", "model", "team", *span, "--json").json == edge.get(f"/v1/usage/history?{query}")
    csv = edge.ask("GET", f"/v1/usage/history?{query}&format=csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert run("history", "model", "team", *span, "--csv").out == csv.body


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        pytest.param("by=weather", "'weather' is nothing to add up by", id="by nothing there is"),
        pytest.param("since=soon", "'soon' is no time", id="no time"),
        pytest.param("top=0", "top='0' must be a whole number from 1 to 100000", id="no rows"),
    ],
)
def test_what_is_no_question_is_refused(edge: Edge, query: str, detail: str) -> None:
    reply = edge.ask("GET", f"/v1/usage/history?{query}")
    assert (reply.status, reply.title) == (422, "invalid_query")
    assert reply.body["detail"].startswith(detail)


def test_no_question_on_the_command_line_is_one_sentence(edge: Edge, run: Run) -> None:  # noqa: F811
    said = run("history", "--since", "soon")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "quota-scheduler: 'soon' is no time: write a day such as 2026-11-27, or an instant such as 2026-11-27T09:00Z\n"
    )
    assert run("history", "weather").code == 2
    assert edge.service is not None


def test_nothing_yet_and_nothing_there(run: Run, folder: Path) -> None:  # noqa: F811
    assert run("history").code == 3
    start(folder, LIMITS).service.stop()
    assert run("history", "--since", "2026-11-20", "--until", "2026-11-21").out == (
        "Nothing was used from 2026-11-20 00:00 to 2026-11-22 00:00 (Europe/Berlin).\n"
    )


def test_an_export_is_imported_again(edge: Edge, run: Run, folder: Path) -> None:  # noqa: F811
    exported = run("usage", "export").out
    assert exported == "".join(
        json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n"
        for one in edge.get("/v1/usage/events")["events"]
    )
    (folder / "events.jsonl").write_text(exported)
    other = ("--database", f"sqlite:///{folder}/other.db")
    assert run("usage", "import", "events.jsonl", *other).out == "4 accepted, 0 updated, 0 known already\n"
    assert run("usage", "import", "events.jsonl", *other).out == "0 accepted, 0 updated, 4 known already\n"
    span = ("--since", "2026-11-20", "--until", "2026-11-21")
    assert run("history", "model", *span, "--json", *other).json == run("history", "model", *span, "--json").json
    assert run("usage", "export", "--csv").out.count("\n") == 5
    assert run("usage", "export", "--since", "2026-11-21", "--rollups").out.count("\n") == 3


def row(name, tokens, cost=0.0, **more):
    figures = {
        "input": 0, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0, "output": tokens,
        "tokens": tokens, "requests": 1,
        "cost_usd": cost, "unpriced_tokens": 0, "cache_hit_rate": None, "unlisted_tokens": 0, "partial_requests": 0,
    }  # fmt: skip
    return {"team": name, **figures, **more}


def a_document(*rows, **more):
    total = row("", sum(one["tokens"] for one in rows), sum(one["cost_usd"] for one in rows))
    for name in ("unlisted_tokens", "partial_requests"):
        total[name] = sum(one[name] for one in rows)
    return {
        "since": "2026-11-20T00:00:00Z", "until": "2026-11-27T00:00:00Z", "timezone": "UTC", "by": ["team"],
        "usage": list(rows), "others": None, "forgotten": None, "total": total, "notes": [], **more,
    }  # fmt: skip


STRANGE = ("", "名前" * 30, "x" * 300, "a\u0301" * 20, "=1+1", "\x1b[31mred", "emoji 🎉 party")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(width):
    document = a_document(*(row(name, 10**9 * n, 1234.5 * n) for n, name in enumerate(STRANGE)))
    wide = [line for line in lines(document, width) if pictures.width_of(line) > width]
    assert wide == []


def test_what_is_cut_off_shows():
    text = "\n".join(lines(a_document(row("x" * 300, 1, 1.0)), 80))
    assert "x" * 37 + "…" in text
    assert "x" * 38 not in text


def test_what_stands_apart_is_said():
    assert "\x1b" not in "".join(lines(a_document(row("\x1b[31mred", 1)), 80))
    document = a_document(row("growth", 5_000, 1.0, unlisted_tokens=2_000, partial_requests=1), row("sales", 1, 0.001))
    assert lines(document, 100)[1:] == [
        "TEAM    TOKENS  FRESH  WRITTEN  READ  OUTPUT  UNLISTED  HIT  REQUESTS    COST",
        "growth      5k      0        0     0      5k        2k    -         1   $1.00  █████████████████████",
        "sales        1      0        0     0       1              -         1  <$0.01  ▏",
        "total       5k      0        0     0      5k        2k    -         1   $1.00",
        "UNLISTED: 2k tokens stand in no call, only in the sums of their sessions.",
        "1 request was interrupted: the rest of what they used is not known.",
    ]


def test_periods_without_use_are_lines_few_and_one_line_many():
    periods = [f"2026-11-{day:02}" for day in range(1, 11)]
    rows = [{**row("", 1, 1.0), "day": day} for day in ("2026-11-02", "2026-11-04", "2026-11-10")]
    document = a_document(*rows, by=["day"], periods=periods)
    assert [line.split("  ")[0] for line in lines(document, 80)[2:-1]] == [
        "2026-11-02", "2026-11-03", "2026-11-04", "5 days: nothing", "2026-11-10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "width", "picture"),
    [
        pytest.param(1.0, 4, "████", id="all"),
        pytest.param(0.5, 4, "██", id="half"),
        pytest.param(0.53, 4, "██▏", id="to an eighth"),
        pytest.param(0.0001, 4, "▏", id="something shows"),
        pytest.param(0.0, 4, "", id="nothing does not"),
        pytest.param(2.0, 4, "████", id="never longer than its room"),
    ],
)
def test_bars(share, width, picture):
    assert pictures.bar(share, width) == picture
