"""Files that agents append lines to: one pass over what is new in them, with a reader for each file.

    roots ──changed_files──► grown files ──► lines ──the file's reader──► calls ──label──► events ──► Batch

A reader remembers what earlier lines of its file said. It lives as long as the process: after a restart a file that has
grown is read from its first line again, and the ledger counts what it knows already once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.sources.calls import FileReader, Label, OpenReader, event_of
from quota_scheduler.sources.passes import OpenBatch, scan_files
from quota_scheduler.sources.tail import Look, changed_files

SUFFIX = ".jsonl"


class AgentFiles:
    """The files of the agent ``origin``; ``open_reader`` begins a file, ``label`` says who spent it.

    ``look`` finds what has changed; without one everything is looked at.
    """

    def __init__(
        self, origin: str, roots: Sequence[Path], open_reader: OpenReader, label: Label, look: Look | None = None
    ) -> None:
        self.roots, self._open_reader, self._label, self._origin = roots, open_reader, label, origin
        self._readers: dict[str, FileReader] = {}
        self._look = look or partial(changed_files, roots, suffix=SUFFIX)

    def scan(self, states: Mapping[str, FileState]) -> Iterator[Batch]:
        """Make one pass: yield what is new since ``states``, the last batch marked; see ``scan_files``."""
        listing = self._look(states)
        listing.todo = [self._from_its_start(todo) for todo in listing.todo]
        for batch in scan_files(listing, states, self._take):
            for path in batch.gone:
                self._readers.pop(path, None)
            yield batch

    def _from_its_start(self, todo: FileState) -> FileState:
        """The file from where its reader stands; from its first line where nobody has read that in this process."""
        if todo.offset and todo.path in self._readers:
            return todo
        self._readers[todo.path] = self._open_reader(todo.path)
        return replace(todo, offset=0)

    def _take(self, batch: OpenBatch, text: bytearray, end: int, path: str, offset: int) -> None:
        """Hand complete lines to their file's reader; one that cannot be understood is counted, the next is read."""
        start, reader = 0, self._readers[path]
        while start < end:
            stop = text.find(b"\n", start, end)
            try:
                calls = reader.read(bytes(text[start:stop]))
                batch.events += [event_of(call, path, self._label, self._origin) for call in calls]
            except Exception:  # whatever a line holds, it keeps no other from being read
                batch.errors += 1
                batch.garbled.setdefault(path, f"{path}, byte {offset + start}")
            start = stop + 1
