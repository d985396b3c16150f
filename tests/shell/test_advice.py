"""Suggestions, runs and efficiency over the API and as verbs, with the service and from its file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from quota_scheduler import cli
from tests.shell.edge import START, Edge, start

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 100M, window: day, holdback: 0}
  - {id: cap, match: {provider: anthropic}, unit: tokens, amount: 1M, window: run}
"""


def run_of(number: int, model: str, **more: Any) -> dict[str, Any]:
    return {
        "provider": "anthropic", "key": f"{model}-{number}", "at": f"2026-11-21T08:0{number}:00Z", "model": model,
        "output": 50_000, "input": 10_000, "run": f"{model}-{number}", "status": "completed",
        "labels": {"workflow": "nightly", "team": "growth"}, **more,
    }  # fmt: skip


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """Five runs with a dear model and five with a cheap one, all completed; one of those is near its cap."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUOTA_LISTEN", "127.0.0.1:1")
    edge = start(tmp_path, LIMITS)
    runs = [run_of(number, model) for number in range(5) for model in ("claude-opus-4-5", "claude-haiku-4-5")]
    runs[1]["input"] = 800_000
    edge.post("/v1/usage", runs)
    yield edge
    edge.service.stop()


def test_a_cheaper_model_and_a_run_near_its_cap_are_suggested_with_what_shows_it(edge: Edge) -> None:
    answer = edge.get("/v1/suggestions")
    by_kind = {one["kind"]: one for one in answer["suggestions"]}
    assert (answer["days"], answer["runs"], sorted(by_kind)) == (30, 10, ["cheaper_model", "oversized_runs"])
    cheaper = by_kind["cheaper_model"]
    # Opus 4.5, $5 and $25 a million: $1.30 a run, five of them; Haiku 4.5, $1 and $5: $0.26, the large $1.05
    assert cheaper["saving_usd"] == pytest.approx(5 * 1.30 - (4 * 0.26 + 1.05), abs=1e-6)
    assert (cheaper["runs"], cheaper["confidence"]) == (5, 0.33)
    assert cheaper["evidence"] == [f"claude-opus-4-5-{number}" for number in range(5)]
    assert by_kind["oversized_runs"]["evidence"] == ["claude-haiku-4-5-0"]
    assert (answer["peaks"]["busiest_weekday"], answer["peaks"]["busiest_hour"]) == ("Saturday", 9)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/v1/suggestions?days=1", 200, id="a day"),
        pytest.param("/v1/suggestions?days=0", 422, id="no day"),
        pytest.param("/v1/suggestions?days=x", 422, id="no number"),
        pytest.param("/v1/efficiency?by=day", 422, id="runs cannot be grouped by that"),
    ],
)
def test_questions_that_can_and_cannot_be_answered(edge: Edge, path: str, status: int) -> None:
    assert edge.ask("GET", path).status == status


def test_efficiency_is_grouped_by_what_runs_carry(edge: Edge) -> None:
    rows = edge.get("/v1/efficiency?by=model")["models"]
    assert [(row["model"], row["runs"], row["success_rate"]) for row in rows] == [
        ("claude-haiku-4-5", 5, 1.0), ("claude-opus-4-5", 5, 1.0),
    ]  # fmt: skip
    assert "workflow" not in rows[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            ["suggestions"],
            ["claude-haiku-4-5 in place of", "confidence 33%; runs: claude-opus-4-5-0", "Busiest: Saturday (100%"],
            id="suggestions with saving, confidence and runs",
        ),
        pytest.param(
            ["suggestions", "--days", "1"], ["Nothing to suggest: 0 runs of 1 days"], id="silence without evidence",
        ),
        pytest.param(["runs", "--limit", "1"], ["claude-haiku-4-5-0  nightly", "850k"], id="the largest run"),
        pytest.param(["efficiency", "--by", "team"], ["TEAM", "growth", "100%"], id="by team"),
        pytest.param(["runs", "--days", "1"], ["No runs in the last 1 days."], id="no runs"),
    ],
)  # fmt: skip
def test_the_verbs_read_the_file_where_no_service_answers(
    edge: Edge,
    words: list[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edge.service.stop()
    monkeypatch.setattr("sys.argv", ["quota-scheduler", *words])
    with freeze_time(START):
        cli.main()
    out = " ".join(capsys.readouterr().out.split())
    assert [text for text in expected if " ".join(text.split()) not in out] == [], out


def test_a_limit_at_risk_is_told_by_its_band_with_figures(edge: Edge) -> None:
    days = [f"2026-11-{day:02}" for day in range(6, 23)]
    usage = [run_of(1, "x", key=day, run=day, at=f"{day}T08:00:00Z", output=120_000_000, labels={}) for day in days]
    edge.post("/v1/usage", usage)
    assert "quota_at_risk" not in {one["kind"] for one in edge.get("/v1/suggestions")["suggestions"]}
    edge.service.tick()
    (one,) = [one for one in edge.get("/v1/suggestions")["suggestions"] if one["kind"] == "quota_at_risk"]
    assert one["subject"] == "daily"
    assert one["text"].startswith("daily: its risk is critical. Four of five forecasts end below 12")
    assert " of 100M tokens (1" in one["text"]
    assert "at the reset, 2026-11-22T23:00:00Z, " in one["text"]
