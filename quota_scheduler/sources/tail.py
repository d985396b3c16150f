"""Growing files: which of them have grown, and their new complete lines, a chunk at a time.

    stored state ──stat──► unchanged: nothing       grown: from its offset       replaced or cut short: from 0

Files grow by whole lines, except when they are replaced, cut short, or torn by a crash: what stands after the last
newline is left for the next pass. Files are read, not mapped: one that is cut short while mapped kills the process.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from stat import S_ISREG

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.ledger.source_batch import FileState

CHUNK = 1 << 20
"""Bytes read at once; stays in the processor's cache while it is searched."""
LONGEST_LINE = 1 << 26
"""A line longer than 64 MiB is skipped and counted as garbled, so that one file cannot take all memory."""


_LARGEST_INTEGER = 2**63 - 1
"""The largest a database column holds; some file systems number their files beyond it."""


class ChangedFiles(Struct):
    """What one look over the roots met: files to read with the offset to start at, oldest change first.

    ``unreadable`` are folders, links and files that could not be looked at, with the reason; ``linked`` files that
    stand elsewhere. ``missing`` None: whatever is not among the ``seen`` is gone; else only some files were looked at,
    and these were not there.
    """

    todo: list[FileState] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)
    missing: set[str] | None = None

    @property
    def total_bytes(self) -> int:
        """How much there is to read."""
        return sum(state.size - state.offset for state in self.todo)

    def gone(self, states: Mapping[str, FileState]) -> list[str]:
        """The files of earlier passes that exist no more."""
        if self.missing is not None:
            return sorted(self.missing & states.keys())
        return sorted(path for path in states if path not in self.seen and not self.hides(path))

    def look_at(self, path: str, states: Mapping[str, FileState]) -> None:
        """Take one file in that was named, in a look that is not over all of them."""
        assert self.missing is not None
        try:
            stat = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self.missing.add(path)
        except Exception as error:
            _name(path, error, self)
        else:
            _note(path, stat, states, self)

    def sort(self) -> None:
        """Put the oldest change first, so that history comes in about the order it happened."""
        self.todo.sort(key=lambda state: (state.mtime_ns, state.path))

    def hides(self, path: str) -> bool:
        """Whether a file that was not seen may be there all the same: a folder above it could not be read."""
        return any(path == bad or path.startswith(f"{bad}{os.sep}") for bad in self.unreadable)


Enter = Callable[[str], None]
"""Told each folder before it is looked into."""
Look = Callable[[Mapping[str, FileState]], ChangedFiles]
"""From what is known of files to those that may hold new lines."""


def changed_files(
    roots: Sequence[Path], states: Mapping[str, FileState], *, suffix: str, enter: Enter = lambda _: None
) -> ChangedFiles:
    """List the files under ``roots`` that may hold new lines. A root that does not exist yet holds none.

    Each state returned is as found on disk, with the offset from which to read. Oldest change first, so that history
    arrives in about the order it happened and originals come before their copies. One entry that cannot be looked at,
    whatever it is, hides no other.
    """
    listing = ChangedFiles()
    for root in roots:
        walk(str(root), states, suffix, listing, enter)
    listing.sort()
    return listing


def walk(root: str, states: Mapping[str, FileState], suffix: str, listing: ChangedFiles, enter: Enter) -> None:
    """Take everything below a folder in."""
    folders, links = [root], set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        enter(folder)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if inside := _look(entry, states, suffix, listing, links):
                        folders.append(inside)
        except FileNotFoundError:
            continue
        except Exception as error:
            if not (folder == root and isinstance(error, NotADirectoryError)):
                _name(folder, error, listing)


def _look(
    entry: "os.DirEntry[str]",
    states: Mapping[str, FileState],
    suffix: str,
    listing: ChangedFiles,
    links: set[tuple[int, int]],
) -> str:
    """Take one entry of a folder in; returns the path of a folder to go into, else nothing."""
    try:
        if entry.name.endswith(suffix):
            entry.path.encode()
            if entry.is_symlink():
                listing.linked.add(entry.path)
            _note(entry.path, entry.stat(), states, listing)
        elif entry.is_dir() and (not entry.is_symlink() or _is_new(entry, links)):
            return entry.path
    except FileNotFoundError:
        return ""
    except Exception as error:
        _name(entry.path, error, listing)
    return ""


def _is_new(entry: "os.DirEntry[str]", links: set[tuple[int, int]]) -> bool:
    """Whether a linked folder is met for the first time: links may lead in a circle."""
    stat = entry.stat()
    met = (stat.st_dev, stat.st_ino) in links
    links.add((stat.st_dev, stat.st_ino))
    return not met


def _note(path: str, stat: os.stat_result, states: Mapping[str, FileState], listing: ChangedFiles) -> None:
    if not S_ISREG(stat.st_mode) or path in listing.seen:
        return
    listing.seen.add(path)
    old = states.get(path)
    inode = stat.st_ino & _LARGEST_INTEGER
    if old and (old.inode, old.size, old.mtime_ns) == (inode, stat.st_size, stat.st_mtime_ns):
        return
    same = old is not None and old.inode == inode and old.offset <= stat.st_size
    listing.todo.append(FileState(path, inode, stat.st_size, stat.st_mtime_ns, old.offset if old and same else 0))


def _name(path: str, error: Exception, listing: ChangedFiles) -> None:
    listing.unreadable[path] = trouble_at(path, error)


def trouble_at(path: str, error: Exception) -> str:
    """A path and why it cannot be read, in words that can be printed."""
    reason = str(error) or type(error).__name__
    if isinstance(error, OSError):
        reason = error.strerror or reason
    elif isinstance(error, UnicodeError):
        reason = "its name is not UTF-8"
    return f"{os.fsencode(path).decode(errors='replace')}: {reason}"


class Tail:
    """Reads one file from its state's offset to its state's size; ``chunks`` may stop and go on at any time.

    ``state`` is what to store after the last chunk taken, ``skipped`` how many lines were too long.
    """

    def __init__(self, todo: FileState, *, longest_line: int = LONGEST_LINE) -> None:
        self._todo = todo
        self._longest = longest_line
        self.skipped = 0
        self.state = todo
        self._reached(todo.offset)

    def chunks(self, buffer: bytearray) -> Iterator[tuple[bytearray, int]]:
        """Yield complete lines again and again, as a text and the length they take in it; ``buffer`` is used for it.

        Raises OSError.
        """
        with open(self._todo.path, "rb", buffering=0) as file:
            offset, text = self._start(file.fileno()), buffer
            while offset < self._todo.size:
                got = os.preadv(file.fileno(), [memoryview(text)[: self._todo.size - offset]], offset)
                if end := text.rfind(b"\n", 0, got) + 1:
                    offset += end
                    self._reached(offset)
                    yield text, end
                    text = buffer
                elif got < len(text):
                    break
                elif len(text) < self._longest:
                    text = bytearray(len(text) * 2)
                elif behind := self._behind_line(file.fileno(), offset):
                    offset = behind
                    self.skipped += 1
                else:
                    break
            self.state = replace(self._todo, offset=offset)

    def _start(self, fileno: int) -> int:
        """The offset to read from: 0 if what stands before the stored one is no newline, so not what was read."""
        offset = self._todo.offset
        if offset and os.pread(fileno, 1, offset - 1) != b"\n":
            return 0
        return offset

    def _behind_line(self, fileno: int, offset: int) -> int:
        """Where the line at ``offset`` ends, 0 if it does not end yet."""
        while piece := os.pread(fileno, min(CHUNK, self._todo.size - offset), offset):
            if (newline := piece.find(b"\n")) >= 0:
                return offset + newline + 1
            offset += len(piece)
        return 0

    def _reached(self, offset: int) -> None:
        self.state = replace(self._todo, size=offset, mtime_ns=0, offset=offset)
