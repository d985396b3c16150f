"""How far every source has been read: one row per file, moved in the transaction that records its events."""

from collections.abc import Iterable

from quota_scheduler.core.ledger.source_batch import FileState
from quota_scheduler.store import Transaction

_LOAD = 'SELECT path, inode, size, mtime_ns, "offset" FROM source_files WHERE source = ?'
_SAVE = """
INSERT INTO source_files (source, path, inode, size, mtime_ns, "offset") VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (source, path) DO UPDATE SET
    inode = excluded.inode, size = excluded.size, mtime_ns = excluded.mtime_ns, "offset" = excluded."offset"
"""
_FORGET = "DELETE FROM source_files WHERE source = ? AND path = ?"


def load(tx: Transaction, source: str) -> dict[str, FileState]:
    """The stored states of a source, by path."""
    return {row[0]: FileState(*row) for row in tx.rows(_LOAD, (source,))}


def save(tx: Transaction, source: str, states: Iterable[FileState]) -> None:
    """Store states, each in place of the one with its path."""
    tx.many(_SAVE, [(source, s.path, s.inode, s.size, s.mtime_ns, s.offset) for s in states])


def forget(tx: Transaction, source: str, paths: Iterable[str]) -> None:
    """Drop the states of files that exist no more."""
    tx.many(_FORGET, [(source, path) for path in paths])
