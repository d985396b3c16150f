"""How far every source has been read."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """One row per file of a source; ``offset`` is in bytes, always at the start of a line."""
    db.execute_sql("""
        CREATE TABLE source_files (
            source TEXT NOT NULL,
            path TEXT NOT NULL,
            inode INTEGER NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            "offset" INTEGER NOT NULL,
            PRIMARY KEY (source, path)
        )
    """)
