"""Usage in: what a source of usage records hands to the journey that records them.

    files on disk ──scan(known states)──► Batch, Batch, …, the last one ──► one transaction each: events and states

A batch and the states in it belong into one transaction: then a crash between two batches loses nothing and counts
nothing twice, and reading something again is harmless, because the ledger counts every response once.
"""

from msgspec import Struct

from quota_scheduler.core.ledger.plain_events import NOTHING, PlainEvents
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.usage import UsageEvent

__all__ = ["Batch", "FileState"]


class FileState(Struct, frozen=True):
    """One file and the ``offset`` in bytes up to which it has been read, always the start of a line.

    ``size`` and ``mtime_ns`` are those the file had when it was read to its last complete line, so that a file that
    still has them costs one stat. In the middle of a file ``mtime_ns`` is 0, which no file has, so it is read on.
    """

    path: str
    inode: int
    size: int
    mtime_ns: int
    offset: int


class Batch(Struct, frozen=True):
    """A part of one pass over a source; the pass ends with the batch that is ``last``, which may be empty.

    ``errors`` counts garbled lines, and ``garbled`` names the places of the first of each file, as ``path, byte 12``.
    ``unreadable`` names folders, links and files that could not be read, with the reason, in every pass anew.
    ``plain`` are events beside the others, by columns, where another process has read them.
    ``observations`` and ``throttles`` are what the files tell of the provider's word, in the order they were read, and
    ``unknown`` the fields of it that nobody here knows.
    ``totals`` are what sessions state of themselves, ``inherited`` from whom forks have copied, and ``going_on`` are
    sessions that tell something at an instant after a total that was the last they had told.
    ``gone`` are files of earlier passes that exist no more. ``done_bytes`` of ``total_bytes`` of the pass are read.
    """

    events: tuple[UsageEvent, ...] = ()
    plain: PlainEvents = NOTHING
    observations: tuple[Observation, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    unknown: tuple[str, ...] = ()
    totals: tuple[SessionTotal, ...] = ()
    inherited: tuple[Inheritance, ...] = ()
    going_on: tuple[GoingOn, ...] = ()
    files: tuple[FileState, ...] = ()
    errors: int = 0
    garbled: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    done_bytes: int = 0
    total_bytes: int = 0
    last: bool = False

    def all_events(self) -> list[UsageEvent]:
        """Every event, also those that came by columns."""
        return [*self.events, *self.plain.events()]
