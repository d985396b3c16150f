"""``config init`` proposes limits for what was seen, and what it writes is sound."""

from pathlib import Path

from quota_scheduler.config import load
from quota_scheduler.core.observations.observation import Observation, ProviderWindow
from quota_scheduler.core.units import Unit
from quota_scheduler.store import observations
from tests.builders import DAY, HOUR
from tests.shell.edge import START, start
from tests.shell.test_cli import Run, folder, run  # noqa: F401 - fixtures

ODD = "max: 1, {x}"


def ids(path: Path) -> list[tuple[str, str]]:
    return [(limit.id, limit.unit.value) for limit in load(path, {"HOME": str(path.parent)}).limits]


def test_without_anything_seen_it_is_a_number_of_tokens(run: Run, folder: Path) -> None:  # noqa: F811
    assert run("config", "init").code == 0
    assert ids(folder / "quota.yaml") == [("anthropic-monthly", "tokens"), ("run-cap", "tokens")]


def test_files_of_an_agent_propose_its_windows(run: Run, folder: Path) -> None:  # noqa: F811
    (folder / ".codex/sessions").mkdir(parents=True)
    assert run("config", "init").code == 0
    assert ids(folder / "quota.yaml") == [
        ("codex-five-hour", "percent"), ("codex-weekly", "percent"), ("run-cap", "tokens"),
    ]  # fmt: skip
    assert run("--config", "quota.yaml", "config", "check").code == 0


def test_what_a_provider_reported_is_proposed_with_what_it_said(run: Run, folder: Path) -> None:  # noqa: F811
    edge = start(folder)
    with edge.service.store.transaction() as tx:
        for account, window in [(ODD, ProviderWindow.FIVE_HOUR), ("", ProviderWindow.WEEKLY)]:
            observations.record(tx, Observation("claude", account, window, START - HOUR, "hand", 0.43, START + DAY))
    edge.service.stop()
    said = run("--config", "quota.yaml", "config", "init", "new.yaml")
    assert said.code == 0, said
    limits = load(folder / "new.yaml", {"HOME": str(folder)}).limits
    observed = [limit for limit in limits if limit.unit is Unit.PERCENT]
    assert {limit.id: limit.observed.account for limit in observed if limit.observed} == {
        "claude-max-1-x-five-hour": ODD,
        "claude-weekly": "default",
    }
    assert "# Reported 43% used" in (folder / "new.yaml").read_text()
    assert run("--config", "new.yaml", "config", "check").code == 0
