"""Starting a work item as a process of its own: it outlives a killed plan, settles, and leaves its exit status."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any

from quota_scheduler.plans.commands import SHELL
from quota_scheduler.plans.plan import Command, WorkItem

MODULE = "quota_scheduler.cli.plan_step"
"""What runs one work item under a lease."""


@dataclass(frozen=True)
class RunTerms:
    """What every work item of a run has in common. ``patience`` is in seconds for which a service is tried again."""

    url: str
    once: bool
    patience: float
    variables: Mapping[str, str]
    folder: Path


class ItemProcess:
    """The process of one work item: it is there at once, and runs nothing before ``begin``.

    So whoever writes down its number in between finds it again after a kill, and a kill before that has run nothing.
    """

    def __init__(self, item: WorkItem, key: str, terms: RunTerms, exit_file: Path) -> None:
        self._order = {
            "command": whole(item.commands),
            "key": key,
            "ticket": dict(item.ticket),
            "url": terms.url,
            "wait": 0.0 if terms.once else None,
            "patience": terms.patience,
            "exit_file": str(exit_file),
        }
        exit_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            cwd=terms.folder,
            env={**terms.variables, **item.environment, "PYTHONPATH": _path_of_house(terms.variables)},
            start_new_session=True,  # a signal for the plan is for the plan: it says what becomes of the work
        )

    def begin(self) -> None:
        """Let it ask for its lease, and run."""
        assert self.process.stdin is not None
        try:
            with self.process.stdin as told:
                told.write(json.dumps(self._order).encode())
        except BrokenPipeError:
            return  # it has ended already: its exit status says how

    def end(self) -> None:
        """Ask the command to end; it settles."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status, 128 and the number for one that a signal ended."""
        status = self.process.wait()
        return status if status >= 0 else 128 - status


def whole(commands: tuple[Command, ...]) -> list[str]:
    """Commands as one: each begins when the one before has succeeded."""
    if len(commands) == 1:
        return list(commands[0])
    return [SHELL, "-c", " && ".join(join(command) for command in commands)]


def left_behind(exit_file: Path) -> tuple[str, int] | None:
    """The key and exit status that a work item left; None where it left none."""
    try:
        content: dict[str, Any] = json.loads(exit_file.read_text(encoding="utf-8"))
        return str(content["key"]), int(content["status"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path_of_house(variables: Mapping[str, str]) -> str:
    """Where this program lies, for a plan that is run from a check-out."""
    house = str(Path(__file__).parent.parent.parent)
    others = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path and path != house]
    return os.pathsep.join([house, *others])
