"""One pass over files that grow, for every source that reads lines.

changed files ──Tail──► complete lines ──the source's ``take``──► events in an open batch ──► Batch, Batch, … (last)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct, field

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.sources.tail import CHUNK, LONGEST_LINE, ChangedFiles, Tail, trouble_at
from quota_scheduler.sources.word.word import Word

MAX_EVENTS = 5_000
"""A batch ends once it holds this many events: what one transaction takes."""
MOST_UNKNOWN = 50
"""Fields that nobody knows and that one batch names."""
MAX_BYTES = 64 << 20
"""Or once it has read this much: it bounds memory."""


class OpenBatch(Struct):
    """A batch being filled. ``garbled`` names the first bad line of each file, ``errors`` counts all of them."""

    events: list[UsageEvent] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    throttles: list[Throttle] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    totals: list[SessionTotal] = field(default_factory=list)
    inherited: list[Inheritance] = field(default_factory=list)
    going_on: list[GoingOn] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    errors: int = 0
    garbled: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    bytes: int = 0

    def tell(self, word: Word) -> None:
        """Add what a provider said."""
        self.observations += word.observations
        self.throttles += word.throttles
        if len(self.unknown) < MOST_UNKNOWN:
            self.unknown.update(word.unknown)

    def closed(self, done: int, total: int, *, gone: Iterable[str] = (), last: bool = False) -> Batch:
        """The batch as it is stored, with how far the pass is in bytes."""
        return Batch(
            events=tuple(self.events),
            observations=tuple(self.observations),
            throttles=tuple(self.throttles),
            unknown=tuple(sorted(self.unknown)),
            totals=tuple(self.totals),
            inherited=tuple(self.inherited),
            going_on=tuple(self.going_on),
            files=tuple(self.files),
            errors=self.errors,
            garbled=tuple(self.garbled.values()),
            unreadable=tuple(self.unreadable),
            gone=tuple(gone),
            done_bytes=done,
            total_bytes=total,
            last=last,
        )


Take = Callable[[OpenBatch, bytearray, int, str, int], None]
"""Puts what ``text[:end]``, complete lines at an offset of the file at a path, says into a batch. Raises nothing."""


def scan_files(
    listing: ChangedFiles,
    states: Mapping[str, FileState],
    take: Take,
    max_events: int = MAX_EVENTS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Batch]:
    """Read what a listing found since ``states``, batch by batch.

    Store a batch's events and file states in one transaction, then take the next. A file that cannot be read is named
    in its batch and tried again in the next pass; one that was replaced or cut short is read from its start. No line
    and no file, whatever it holds, keeps the others from being read.
    """
    total, done = listing.total_bytes, 0
    batch = OpenBatch(unreadable=list(listing.unreadable.values()))
    buffer = bytearray(CHUNK)
    for todo in listing.todo:
        tail = Tail(todo)
        try:
            for text, end in tail.chunks(buffer):
                batch.bytes += end
                take(batch, text, end, todo.path, tail.state.offset - end)
                done += end
                if len(batch.events) >= max_events or batch.bytes >= max_bytes:
                    batch.files.append(tail.state)
                    yield batch.closed(min(done, total), total)
                    batch = OpenBatch()
        except FileNotFoundError:
            continue  # it went while others were read
        except Exception as error:
            batch.unreadable.append(trouble_at(todo.path, error))
        if tail.skipped:
            batch.errors += tail.skipped
            batch.garbled.setdefault(todo.path, f"{todo.path}, a line of more than {LONGEST_LINE >> 20} MiB")
        batch.files.append(tail.state)
    yield batch.closed(min(done, total), total, gone=listing.gone(states), last=True)
