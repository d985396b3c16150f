"""Agents whose files are read: where each keeps them, and who reads them. Another is one module and one entry here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.sources import codex, copilot, gemini, opencode, pi, qwen
from quota_scheduler.sources.agent_files import AgentFiles
from quota_scheduler.sources.calls import FileReader, Label, OpenReader
from quota_scheduler.sources.tail import Look

Scan = Callable[[Mapping[str, FileState]], Iterator[Batch]]
"""One pass over what is new since the known states."""


class Agent(Struct, frozen=True):
    """One program whose files are read.

    ``folder`` is its own below the home folder, unless the variable ``moved_by`` names another; what is read stands in
    ``inside`` of it. ``provider`` is whose models it calls as a rule: while its files are read for the first time,
    enforced limits of that provider wait. Empty for programs that call anybody's.
    """

    name: str
    folder: str
    inside: tuple[str, ...]
    reader: Callable[[Path], OpenReader] | None
    provider: str = ""
    moved_by: str = ""

    def bases(self, variables: Mapping[str, str], home: Path, configured: Sequence[Path] = ()) -> list[Path]:
        """The folders that hold what it keeps, those configured or its own; they need not exist yet."""
        moved = variables.get(self.moved_by, "") if self.moved_by else ""
        return list(configured) or [Path(moved) / self._below_moved if moved else home / self.folder]

    @property
    def _below_moved(self) -> str:
        """What a variable that moves a whole tree leaves of the folder."""
        return "opencode" if self.moved_by == "XDG_DATA_HOME" else ""

    def places(self, bases: Sequence[Path]) -> list[Path]:
        """The folders and files that are read below these folders."""
        return [base / name for base in bases for name in self.inside]

    def scan(self, bases: Sequence[Path], label: Label, look: Look | None = None) -> Scan:
        """The function that makes one pass over these folders; ``look`` finds which of their files have changed."""
        if self.reader is None:
            return partial(opencode.scan, self.places(bases), label=label)
        readers = {str(base): self.reader(base) for base in bases}

        def open_reader(path: str) -> FileReader:
            return readers[max((base for base in readers if path.startswith(f"{base}/")), key=len)](path)

        return AgentFiles(self.name, self.places(bases), open_reader, label, look).scan


AGENTS = {
    agent.name: agent
    for agent in (
        Agent(codex.NAME, ".codex", codex.FOLDERS, lambda _: codex.CodexReader, codex.PROVIDER, "CODEX_HOME"),
        Agent(gemini.NAME, ".gemini", ("tmp",), lambda base: gemini.Folders(base).open, gemini.PROVIDER),
        Agent(opencode.NAME, ".local/share/opencode", (opencode.DATABASE,), None, "", "XDG_DATA_HOME"),
        Agent(pi.NAME, ".pi/agent", ("sessions",), lambda _: pi.PiReader, "", "PI_CODING_AGENT_DIR"),
        Agent(qwen.NAME, ".qwen", ("projects",), lambda _: qwen.QwenReader, qwen.PROVIDER),
        Agent(copilot.NAME, ".copilot", ("session-state",), lambda _: copilot.CopilotReader, copilot.PROVIDER),
    )
}
