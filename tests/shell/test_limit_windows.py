"""``limits windows``: what past windows came to, with a service and beside the file."""

from pathlib import Path

import pytest

from tests.builders import HOUR
from tests.fakes import FixedClock
from tests.shell.edge import START, event, start
from tests.shell.test_cli import Run, folder, run  # noqa: F401 - fixtures

LIMITS = """
limits:
  - {id: session, match: {provider: anthropic}, unit: tokens, amount: 1000, window: {session: 5h}, holdback: 0}
  - {id: team, per: team, unit: usd, amount: 10, window: day}
"""


def test_windows_one_after_another(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "80")
    clock = FixedClock(START)
    edge = start(folder, LIMITS, clock=clock)
    edge.post("/v1/usage", event("r1", 250, at="2026-11-22T08:00:00Z", labels={"team": "growth"}))
    clock.advance(5 * HOUR)
    edge.service.tick()
    edge.post("/v1/usage", event("r2", 900, at="2026-11-22T13:30:00Z"))
    document = edge.get("/v1/windows?limit=session")
    assert [(row["starts_at"], row["used"], row["usage_ratio"], row["open"]) for row in document["windows"]] == [
        ("2026-11-22T13:30:00Z", 900, 0.9, True),
        ("2026-11-22T08:00:00Z", 250, 0.25, False),
    ]
    assert {row["limit"] for row in edge.get("/v1/windows")["windows"]} == {"session", "team/growth", "team/none"}
    assert edge.ask("GET", "/v1/windows?last=soon").title == "invalid_query"
    edge.service.stop()
    lines = run("--config", "quota.yaml", "limits", "windows", "session", "--last", "400d").out.splitlines()
    assert lines[0].split() == ["LIMIT", "FROM", "TO", "USED", "OF"]
    assert [line.split()[-3:-1] for line in lines[1:]] == [["1k", "90%"], ["1k", "25%"]]
    assert lines[2].endswith("█") or lines[2][-1] in "▏▎▍▌▋▊▉"
    assert run("--config", "quota.yaml", "limits", "windows", "nobody").out == "No window of nobody in the last 7d.\n"
    assert run("limits", "windows", "--last", "soon").code == 1
