"""Agents' files as the service finds them by itself: counted to the token, also when it is killed while it reads."""

import json
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.sources.test_agents import DATA, MESSAGES, TRUTH, OpenCode
from tests.system.service_process import Place, ServiceProcess, until

pytestmark = pytest.mark.system
HOMES = {
    "codex": ".codex",
    "gemini": ".gemini",
    "qwen": ".qwen",
    "pi": ".pi/agent",
    "copilot": ".copilot",
}
CONFIG = "limits: [{id: all, unit: tokens, amount: 1T, window: month}]\n"


def truth(programs: Iterable[str]) -> dict[str, int]:
    """What the models answered, all kinds of tokens together."""
    names = ("uncached", "cached", "cache_write", "output")
    sums: dict[str, int] = {}
    for model, answered in (pair for program in programs for pair in TRUTH[program].items()):
        sums[model] = sums.get(model, 0) + sum(answered[name] for name in names)
    return sums


def used(service: ServiceProcess) -> dict[str, int]:
    """Tokens by model, as the service adds them up."""
    rows = service.get("/v1/usage/summary?days=366&by=model")["usage"]
    return {row["model"]: row["tokens"] for row in rows}


def test_all_agents_of_a_machine_are_found_and_counted_to_the_token(tmp_path: Path) -> None:
    place = Place(tmp_path / "home")
    for program, folder in HOMES.items():
        shutil.copytree(DATA / program, place.home / folder)
    database = OpenCode(place.home / ".local/share/opencode/opencode.db")
    for row in MESSAGES:
        database.put(row)
    answered = truth((*HOMES, "opencode"))
    config = tmp_path / "quota.yaml"
    config.write_text(CONFIG)
    with ServiceProcess(place, "--config", str(config)) as service:
        service.ready()
        until(lambda: used(service) == answered, what=json.dumps(answered))
        service.process.send_signal(signal.SIGKILL)
    with ServiceProcess(place, "--config", str(config)) as service:
        service.ready()
        until(lambda: used(service) == answered, what=json.dumps(answered))
