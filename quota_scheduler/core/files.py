"""How far a growing file has been read, as a value that the store keeps between passes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileState:
    """One file and the ``offset`` in bytes up to which it has been read, always the start of a line.

    ``size`` and ``mtime_ns`` are those the file had when it was read to its last complete line, so that a file that
    still has them costs one stat. In the middle of a file ``mtime_ns`` is 0, which no file has, so it is read on.
    """

    path: str
    inode: int
    size: int
    mtime_ns: int
    offset: int
