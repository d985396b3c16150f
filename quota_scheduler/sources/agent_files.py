"""Files that agents append lines to: one pass over what is new in them, with a reader for each file.

    roots ──changed_files──► grown files ──► lines ──the file's reader──► calls ──label──► events ──► Batch

A reader remembers what earlier lines of its file said. It lives as long as the process: after a restart a file that has
grown is read from its first line again, and the ledger counts what it knows already once. What a provider said in lines
that were read before is not said again: a refusal of yesterday is no news.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.sources.calls import FileReader, Label, ModelCall, OpenReader, event_of, word_of
from quota_scheduler.sources.passes import OpenBatch, scan_files
from quota_scheduler.sources.records import BadLine
from quota_scheduler.sources.tail import Look, changed_files

SUFFIX = ".jsonl"

OPENS, CLOSES, WHITE = b"{"[0], b"}"[0], b" \t\r"
"""How the lines of all these files begin and end."""


class _OpenFile(Struct):
    """A file's reader, the offset it has read to, and where the lines begin that no earlier pass has told of."""

    reader: FileReader
    news: int
    read_to: int = 0


class AgentFiles:
    """The files of the agent ``origin``; ``open_reader`` begins a file, ``label`` says who spent it.

    ``look`` finds what has changed; without one everything is looked at.
    """

    def __init__(
        self, origin: str, roots: Sequence[Path], open_reader: OpenReader, label: Label, look: Look | None = None
    ) -> None:
        self.roots, self._open_reader, self._label, self._origin = roots, open_reader, label, origin
        self._open: dict[str, _OpenFile] = {}
        self._look = look or partial(changed_files, roots, suffix=SUFFIX)

    def scan(self, states: Mapping[str, FileState]) -> Iterator[Batch]:
        """Make one pass: yield what is new since ``states``, the last batch marked; see ``scan_files``."""
        listing = self._look(states)
        listing.todo = [self._from_its_start(todo) for todo in listing.todo]
        for batch in scan_files(listing, states, self._take):
            for path in batch.gone:
                self._open.pop(path, None)
            yield batch

    def _from_its_start(self, todo: FileState) -> FileState:
        """The file from where its reader stands; from its first line where none stands there.

        None does in a new process, and where the last pass was read but could not be stored.
        """
        file = self._open.get(todo.path)
        if file and todo.offset == file.read_to != 0:
            return todo
        self._open[todo.path] = _OpenFile(self._open_reader(todo.path), todo.offset)
        return replace(todo, offset=0)

    def _take(self, batch: OpenBatch, text: bytearray, end: int, path: str, offset: int) -> None:
        """Hand complete lines to their file's reader; one that cannot be understood is counted, the next is read."""
        if offset == 0 != self._open[path].read_to:  # it was overwritten: what it said before is of another file
            self._open[path] = _OpenFile(self._open_reader(path), 0)
        start, file = 0, self._open[path]
        while start < end:
            stop = text.find(b"\n", start, end)
            is_news = offset + start >= file.news
            try:
                for said in file.reader.read(_record(text, start, stop)):
                    if isinstance(said, ModelCall):
                        batch.events.append(event_of(said, path, self._label, self._origin))
                    elif is_news:
                        batch.tell(word_of(said, path, self._label))
            except Exception:  # whatever a line holds, it keeps no other from being read
                if is_news:
                    batch.errors += 1
                    batch.garbled.setdefault(path, f"{path}, byte {offset + start}")
            start = stop + 1
        file.read_to = offset + end


def _record(text: bytearray, start: int, stop: int) -> bytes:
    """The line there. Raises BadLine for a torn or overwritten one: readers decode few, and would miss most of them."""
    line = bytes(text[start:stop]).rstrip(WHITE)
    if line and (line[0] != OPENS or line[-1] != CLOSES):
        raise BadLine("a line that is no record")
    return line
