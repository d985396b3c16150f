"""Which door an event came through, and how much of a call it tells; empty for a whole one and for what came before."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the columns."""
    db.execute_sql("ALTER TABLE events ADD COLUMN origin TEXT NOT NULL DEFAULT ''")
    db.execute_sql("ALTER TABLE events ADD COLUMN extent TEXT NOT NULL DEFAULT ''")
