"""``sources`` and ``GET /v1/sources``: with a service, without one, with nothing yet."""

from pathlib import Path

import pytest

from quota_scheduler.cli.pictures import width_of
from tests.shell.edge import event, start
from tests.shell.test_cli import Run, folder, run  # noqa: F401 - fixtures


def test_what_was_pushed_and_what_a_provider_said(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "80")
    edge = start(folder)
    edge.post("/v1/usage", event("r1", 100))
    edge.post("/v1/usage", event("r2", 100, origin="litellm"))
    document = edge.get("/v1/sources")
    assert [(row["origin"], row["door"], row["events"], row["tokens"]) for row in document["sources"]] == [
        ("claude_code", "files", 0, 0),
        ("litellm", "pushed", 1, 100),
        ("unnamed", "pushed", 1, 100),
    ]
    assert document["sources"][0]["lag_seconds"] is not None
    assert [(door["agent"], door["told_by"], door["counts"]) for door in document["doors"]] == [
        ("litellm", "gateway", True)
    ]
    lines = run("sources").out.splitlines()
    edge.service.stop()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["SOURCE", "DOOR"],
        ["litellm", "pushed"],
        ["unnamed", "pushed"],
    ]
    assert lines[3] == "What they cannot see:"
    assert [line for line in lines if width_of(line) > 80] == []


def test_nothing_yet(run: Run, folder: Path) -> None:  # noqa: F811
    start(folder).service.stop()
    assert run("sources").out.startswith("Nothing has come from anywhere yet")
    assert run("sources", "--json").json["sources"] == []
