"""Claude Code transcripts: where they lie, whose they are, and one pass over what is new in them.

    roots ──walk──► changed files ──tail──► lines ──transcript──► events ──► Batch, Batch, … (last)

Transcripts are append-only JSON lines, one file per session, sub-agents in folders beside it; resumed and forked
sessions repeat earlier lines in other files, which the ledger counts once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from quota_scheduler.core.labels import LabelRule
from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.sources.labelling import PROVIDER, Labelling
from quota_scheduler.sources.tail import CHUNK, Tail, changed_files
from quota_scheduler.sources.transcript import read_lines, usage_lines

NAME = "claude_code"
"""The name of this source in the config and in the store."""
__all__ = ["NAME", "PROVIDER", "find_roots", "labeller", "scan", "session_of"]
PROJECTS = "projects"
MAX_EVENTS = 5_000
MAX_BYTES = 64 << 20
"""A batch ends once it holds this many events or has read this much: what one transaction takes, and bounds memory."""


def find_roots(environ: Mapping[str, str], home: Path, configured: Sequence[str] = ()) -> list[Path]:
    """Return the folders to scan, without repeats; they need not exist yet.

    ``configured`` roots come first, then the comma list ``CLAUDE_CONFIG_DIR``, else both places the client uses by
    default. An entry may be a config folder or its ``projects`` folder; a configured one any folder of transcripts.
    """
    if configured:
        roots = [_configured(_expanded(entry, home)) for entry in configured]
    elif listed := [entry.strip() for entry in environ.get("CLAUDE_CONFIG_DIR", "").split(",") if entry.strip()]:
        roots = [_projects(_expanded(entry, home)) for entry in listed]
    else:
        config = _expanded(environ.get("XDG_CONFIG_HOME") or "~/.config", home)
        roots = [config / "claude" / PROJECTS, home / ".claude" / PROJECTS]
    unique: dict[Path, Path] = {}
    for root in roots:
        unique.setdefault(root.resolve(), root)
    return list(unique.values())


def _expanded(entry: str, home: Path) -> Path:
    return home / entry.removeprefix("~").lstrip("/") if entry == "~" or entry.startswith("~/") else Path(entry)


def _projects(path: Path) -> Path:
    """The ``projects`` folder of an entry that may be it already."""
    return path if path.name == PROJECTS and not (path / PROJECTS).is_dir() else path / PROJECTS


def _configured(path: Path) -> Path:
    return path if path.is_dir() and not (path / PROJECTS).is_dir() else _projects(path)


def labeller(
    rules: Iterable[LabelRule] = (),
    *,
    account: str = "default",
    accounts: Mapping[Path, str] | None = None,
    home: Path | None = None,
    team: str = "",
) -> Labelling:
    """Return what labels transcript lines; ``accounts`` are by folder as ``find_roots`` returns it."""
    return Labelling(rules, account=account, accounts=accounts, home=home, team=team)


def session_of(path: str) -> str:
    """The session a file belongs to by its place: its name, or for sub-agents the folder that holds theirs."""
    holder, inside, _ = path.rpartition("/subagents/")
    return PurePosixPath(holder if inside else path).stem


@dataclass(slots=True)
class _Open:
    """A batch being filled."""

    events: list[UsageEvent] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    errors: int = 0
    unreadable: list[str] = field(default_factory=list)
    bytes: int = 0

    def closed(self, done: int, total: int, *, gone: Iterable[str] = (), last: bool = False) -> Batch:
        return Batch(
            events=tuple(self.events),
            files=tuple(self.files),
            errors=self.errors + len(self.unreadable),
            unreadable=tuple(self.unreadable),
            gone=tuple(gone),
            done_bytes=done,
            total_bytes=total,
            last=last,
        )


def scan(
    roots: Sequence[Path],
    known: Mapping[str, FileState],
    *,
    labeller: Labelling,
    max_events: int = MAX_EVENTS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Batch]:
    """Make one pass: yield what is new under ``roots`` since ``known``, the last batch marked.

    Store a batch's events and file states in one transaction, then take the next. A file that cannot be read is named
    in its batch and tried again in the next pass; one that was replaced or cut short is read from its start.
    """
    found = changed_files(roots, known, suffix=".jsonl")
    total, done = found.total_bytes, 0
    batch = _Open(unreadable=found.unreadable)
    buffer = bytearray(CHUNK)
    for todo in found.todo:
        tail = Tail(todo)
        session = session_of(todo.path)
        try:
            for text, end in tail.chunks(buffer):
                lines = read_lines(usage_lines(text, end), session=session, labeller=labeller.of(todo.path, roots))
                batch.events += lines.events
                batch.errors += lines.errors
                batch.bytes += end
                done += end
                if len(batch.events) >= max_events or batch.bytes >= max_bytes:
                    batch.files.append(tail.state)
                    yield batch.closed(min(done, total), total)
                    batch = _Open()
        except OSError as error:
            batch.unreadable.append(f"{todo.path}: {error.strerror}")
        batch.errors += tail.skipped
        batch.files.append(tail.state)
    gone = () if found.unreadable else sorted(path for path in known if path not in found.seen)
    yield batch.closed(min(done, total), total, gone=gone, last=True)
