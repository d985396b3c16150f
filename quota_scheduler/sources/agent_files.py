"""Files that agents append lines to: one pass over what is new in them, with a reader for each file.

    roots ──changed_files──► grown files ──Tail──► lines ──the file's reader──► calls ──label──► events ──► Batch

A reader remembers what earlier lines of its file said. It lives as long as the process: after a restart a file that has
grown is read from its first line again, and the ledger counts what it knows already once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.sources.calls import FileReader, Label, OpenReader, event_of
from quota_scheduler.sources.records import BadLine
from quota_scheduler.sources.tail import CHUNK, Tail, changed_files

MAX_EVENTS = 5_000
"""Events that one batch, and so one transaction, takes."""


@dataclass(slots=True)
class _Part:
    """A batch being filled."""

    events: list[UsageEvent] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    errors: int = 0


class AgentFiles:
    """The files of one agent under its roots; ``open_reader`` begins a file, ``label`` says who spent it."""

    def __init__(self, roots: Sequence[Path], open_reader: OpenReader, label: Label, *, suffix: str = ".jsonl") -> None:
        self.roots, self._open_reader, self._label, self._suffix = roots, open_reader, label, suffix
        self._readers: dict[str, FileReader] = {}

    def scan(self, known: Mapping[str, FileState], *, max_events: int = MAX_EVENTS) -> Iterator[Batch]:
        """Make one pass: yield what is new since ``known``, the last batch marked.

        Store a batch's events and file states in one transaction, then take the next. A file that cannot be read is
        named in its batch and tried again in the next pass; one that was replaced or cut short is read from its start.
        """
        listing = changed_files(self.roots, known, suffix=self._suffix)
        unreadable, total, done = list(listing.unreadable), listing.total_bytes, 0
        part = _Part()
        for todo in map(self._from_its_start, listing.todo):
            tail, reader = Tail(todo), self._readers[todo.path]
            try:
                for text, end in tail.chunks(bytearray(CHUNK)):
                    self._take(text, end, reader, part)
                    done += end
                    if len(part.events) >= max_events:
                        yield _batch([*part.events], [*part.files, tail.state], part.errors, min(done, total), total)
                        part = _Part()
            except OSError as error:
                unreadable.append(f"{todo.path}: {error.strerror}")
            part.errors += tail.skipped
            part.files.append(tail.state)
        gone = [] if listing.unreadable else sorted(path for path in known if path not in listing.seen)
        for path in gone:
            self._readers.pop(path, None)
        last = _batch(part.events, part.files, part.errors + len(unreadable), min(done, total), total)
        yield replace(last, unreadable=tuple(unreadable), gone=tuple(gone), last=True)

    def _from_its_start(self, todo: FileState) -> FileState:
        """The file from where its reader stands; from its first line where nobody has read that in this process."""
        if todo.offset == 0 or todo.path not in self._readers:
            self._readers[todo.path] = self._open_reader(todo.path)
            return replace(todo, offset=0)
        return todo

    def _take(self, text: bytearray, end: int, reader: FileReader, part: _Part) -> None:
        """Hand complete lines to the reader; one that cannot be understood is counted, and the next one is read."""
        for line in _lines(text, end):
            try:
                part.events += [event_of(call, self._label) for call in reader.read(line)]
            except (BadLine, RecursionError):
                part.errors += 1


def _lines(text: bytearray, end: int) -> Iterator[bytes]:
    start = 0
    while start < end:
        stop = text.find(b"\n", start, end)
        yield bytes(text[start:stop])
        start = stop + 1


def _batch(events: Iterable[UsageEvent], files: Iterable[FileState], errors: int, done: int, total: int) -> Batch:
    return Batch(tuple(events), tuple(files), errors, (), (), done, total, last=False)
