"""How far a plan has come: one file, replaced whole with every step, so that a kill at any instant loses no step.

pending ─► running ─► done | failed | paused_quota          skipped: it never began
   ▲          │ killed
   └──────────┴─ next run: its command may still be going on; its exit status is waited for, not run twice
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PENDING, RUNNING, DONE, FAILED, PAUSED, SKIPPED = "pending", "running", "done", "failed", "paused_quota", "skipped"
VERSION = 1


class StateUnusable(Exception):
    """The state cannot be used: the text says why, and the way out."""


@dataclass
class ItemState:
    """How far one work item is. ``process`` and ``born`` (clock ticks since boot) name its command while it runs."""

    state: str = PENDING
    reason: str = ""
    exit_status: int | None = None
    attempt: int = 0
    digest: str = ""
    started_at: str = ""
    ended_at: str = ""
    process: int = 0
    born: int = 0


@dataclass
class PlanState:
    """How far a plan is: ``state`` is running, completed, failed, skipped, paused_quota or interrupted."""

    run: str
    state: str = RUNNING
    reason: str = ""
    until: str = ""
    started_at: str = ""
    items: dict[str, ItemState] = field(default_factory=dict)

    def item(self, name: str) -> ItemState:
        """One work item; one that nobody has met is pending."""
        return self.items.setdefault(name, ItemState())


class StateFile:
    """Where the state of one plan lies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exit_file(self) -> Path:
        """Where a command's exit status is left for whoever comes after a killed run."""
        return self.path.with_name(f"{self.path.name}.exit")

    def load(self) -> PlanState | None:
        """The state, None where there is none. Raises StateUnusable."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content.pop("version") != VERSION:
                raise ValueError("another version wrote it")
            items = {name: ItemState(**item) for name, item in content.pop("items").items()}
            return PlanState(**content, items=items)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StateUnusable(
                f"{self.path} cannot be read ({error}): begin the plan anew with --restart, which replaces it"
            ) from None

    def save(self, state: PlanState) -> None:
        """Replace the file whole, on the disk before this returns. Raises StateUnusable."""
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump({"version": VERSION, **asdict(state)}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise StateUnusable(
                f"{self.path} cannot be written ({error.strerror}): name another with --state"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else run the plan meanwhile. Raises StateUnusable where somebody does."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        try:
            file = lock.open("a+")
        except OSError as error:
            raise StateUnusable(f"{lock} cannot be written ({error.strerror}): name another with --state") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                who = file.read().strip() or "another process"
                raise StateUnusable(f"process {who} runs this plan already: wait for it, or end it") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def state_path(plan: Path, environ: Mapping[str, str]) -> Path:
    """Beside the plan; where that folder cannot be written, in the user's state folder."""
    beside = plan.with_name(f"{plan.name}.state.json")
    if os.access(plan.parent, os.W_OK):
        return beside
    named = Path(environ.get("XDG_STATE_HOME", ""))
    home = named if named.is_absolute() else Path.home() / ".local/state"
    folder = home / "quota-scheduler" / "plans"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{plan.name}-{hashlib.blake2b(str(plan.resolve()).encode(), digest_size=6).hexdigest()}.json"


def birth_of(process: int) -> int:
    """When a process began, in clock ticks since boot; 0 where it is gone or nobody can tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def still_runs(item: ItemState) -> bool:
    """Whether the command that a killed run has started goes on."""
    return bool(item.process and item.born) and birth_of(item.process) == item.born


def document(state: PlanState) -> dict[str, Any]:
    """The state as JSON types."""
    return asdict(state)
