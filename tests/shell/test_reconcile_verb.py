"""``reconcile`` and ``GET /v1/reconciliation``: the same with a service and beside the file."""

from pathlib import Path

import pytest

from quota_scheduler.cli.pictures import width_of
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.store import observations
from tests.builders import DAY, MINUTE
from tests.fakes import FixedClock
from tests.shell.edge import START, event, start
from tests.shell.test_cli import Run, folder, run  # noqa: F401 - fixtures

WEEK = ProviderWindow.WEEKLY


def test_what_a_provider_says_beside_what_was_counted(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "80")
    edge = start(folder, "limits: []", clock=FixedClock(START))
    edge.post("/v1/usage", event("r1", 2_000_000, at="2026-11-22T08:50:00Z"))
    with edge.service.store.transaction() as tx:
        for account in ("", "other\x1b[31m" * 9):
            observations.record(tx, Observation("claude", account, WEEK, START - MINUTE, "hand", 0.43, START + 6 * DAY))
    document = edge.get("/v1/reconciliation")
    edge.service.stop()
    assert [(row["account"][:7], row["cause"]) for row in document["reconciliation"]] == [
        ("default", "rate_not_learned"),
        ("other\x1b[", "nothing_counted_here"),
    ]
    assert document["reconciliation"][0]["own"]["tokens"] == 2_000_000
    lines = run("reconcile").out.splitlines()
    assert lines[0].split() == ["ACCOUNT", "WINDOW", "OWN", "SAID", "BILLED", "DRIFT", "WHY"]
    assert lines[1].split()[:5] == ["anthropic/default", "weekly", "2M", "~43.0%", "-"]
    assert [line for line in lines if width_of(line) > 80 or "\x1b" in line] == []


def test_nothing_to_compare_yet(run: Run, folder: Path) -> None:  # noqa: F811
    start(folder).service.stop()
    assert run("reconcile").out == "Nothing to compare yet: no provider has said anything, and no bill was read.\n"
    assert run("reconcile", "--json").json["reconciliation"] == []
