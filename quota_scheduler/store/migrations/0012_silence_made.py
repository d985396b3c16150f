"""When a silence was made: one of a time to come was made while the clock was ahead; 0 for those from before."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the column."""
    db.execute_sql("ALTER TABLE silences ADD COLUMN made_at BIGINT NOT NULL DEFAULT 0")
