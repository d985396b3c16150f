"""``backtest`` and ``forecast`` as people call them: over traces, over the own ledger, and over bad input."""

import json
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from quota_scheduler.cli import main
from tests.shell.edge import START, event, start

Run = Callable[..., SimpleNamespace]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line on a database of its own; no service answers where it listens."""

    def call(*words: str) -> SimpleNamespace:
        options = ["--config", str(tmp_path / "quota.yaml"), "--listen", "127.0.0.1:9"]
        monkeypatch.setattr(sys, "argv", ["quota-scheduler", *options, *words])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    (tmp_path / "quota.yaml").write_text("database: sqlite:///quota.db\n")
    return call


def write_traces(folder: Path, days: int) -> Path:
    folder.mkdir()
    first = date(2026, 1, 5)
    rows = [f"a,{first + timedelta(days=n)},{100 + n % 7 * 20}" for n in range(days)]
    (folder / "daily.csv").write_text("\n".join(["series_id,date,tokens", *rows, ""]))
    return folder


def test_a_folder_of_traces_is_judged_by_every_method(run: Run, tmp_path: Path) -> None:
    folder = write_traces(tmp_path / "traces", 60)
    said = run("backtest", str(folder), "--json", "--svg", str(tmp_path / "errors.svg"))
    found = json.loads(said.out)
    assert {row["method"] for row in found["rows"]} == {"weighted-mean", "pro-rata", "mean-7", "ours"}
    assert {row["cases"] for row in found["rows"]} == {
        f"{kind} {at}%" for kind in ("30 days", "month", "week") for at in (25, 50, 75)
    }
    assert found["leak_free"] == dict.fromkeys(("weighted-mean", "pro-rata", "mean-7", "ours"), True)
    assert (tmp_path / "errors.svg").read_text().startswith("<svg")


def test_only_the_methods_asked_for(run: Run, tmp_path: Path) -> None:
    said = run("backtest", str(write_traces(tmp_path / "traces", 30)), "--methods", "seed, mean-7")
    assert "leak-free: weighted-mean yes, mean-7 yes" in said.out
    assert "ours" not in said.out


def a_ledger(folder: Path, days: int) -> None:
    limits = """
limits:
  - {id: budget, match: {provider: anthropic}, unit: tokens, amount: 100k, window: week}
  - {id: block, match: {provider: anthropic}, unit: tokens, amount: 10k, window: {session: 5h}}
"""
    edge = start(folder, limits)
    try:
        past = [
            event(f"e{n}", 100 + n % 7 * 20, at=(START - timedelta(days=n)).isoformat()) for n in range(days, 0, -1)
        ]
        edge.post("/v1/usage", past)
        edge.service.tick()
    finally:
        edge.service.stop()


def test_the_own_ledger_is_judged_limit_by_limit(run: Run, tmp_path: Path) -> None:
    a_ledger(tmp_path, 40)
    found = json.loads(run("backtest", "--json", "--methods", "ours").out)
    kinds = {row["cases"] for row in found["rows"]}
    assert {"week 50%", "30 days 50%", "5h 40%"} <= kinds
    assert all(row["n"] > 0 for row in found["rows"])


def test_the_own_ledger_is_judged_by_provider_on_request(run: Run, tmp_path: Path) -> None:
    a_ledger(tmp_path, 40)
    found = json.loads(run("backtest", "--json", "--by", "provider", "--methods", "mean-7").out)
    assert {row["cases"].split(" ")[0] for row in found["rows"]} == {"30", "week"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(
            ["backtest", "{folder}", "--methods", "guess"],
            "there is no method 'guess'; there are: weighted-mean, pro-rata, mean-7, ours",
            id="an unknown method",
        ),
        pytest.param(["backtest", "{empty}"], "holds neither daily.csv nor hourly.csv", id="a folder without traces"),
        pytest.param(["backtest", "{columns}"], "the first line must name the columns", id="other columns"),
        pytest.param(
            ["backtest", "{letters}"], "no days: line 2: 'many' is no number of tokens", id="letters for tokens"
        ),
        pytest.param(["backtest", "{short}"], "has 5 whole days: a week of history and", id="too short a trace"),
        pytest.param(["backtest"], "no database at", id="no ledger yet"),
    ],
)
def test_bad_input_gets_one_sentence(run: Run, tmp_path: Path, words: list[str], sentence: str) -> None:
    places = {name: tmp_path / name for name in ("folder", "empty", "columns", "letters", "short")}
    write_traces(places["folder"], 30)
    write_traces(places["short"], 5)
    for name, text in (("columns", "who,when\na,b\n"), ("letters", "series_id,date,tokens\na,2026-01-01,many\n")):
        places[name].mkdir()
        (places[name] / "daily.csv").write_text(text)
    places["empty"].mkdir()
    said = run(*(word.format(**places) for word in words))
    assert said.code in (1, 3)
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_ledger_that_has_just_begun_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    a_ledger(tmp_path, 3)
    assert "a week of history and a whole week to forecast are needed" in run("backtest").err


def test_forecast_explains_itself_in_five_lines(run: Run, tmp_path: Path) -> None:
    a_ledger(tmp_path, 40)
    lines = run("forecast", "budget", "--explain").out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("budget: ")
    assert " more expected before " in lines[0]
    assert [line[:2] for line in lines[1:]] == ["  "] * 4
    assert lines[1].startswith("  Usual level ")
    assert lines[2].startswith("  80 % interval ")
    assert "judged intervals" in lines[3]
    assert "within 10 %" in lines[4]
    plain = run("forecast", "budget").out
    assert "of the last judged intervals" in plain
