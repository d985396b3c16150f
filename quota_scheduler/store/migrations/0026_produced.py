"""What sessions produced: commits and pull requests."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``number`` is under what an export counts once; ``run`` is what the export says, by default its session."""
    db.execute_sql(
        "CREATE TABLE produced (number TEXT PRIMARY KEY, at BIGINT NOT NULL, product TEXT NOT NULL, "
        "session TEXT NOT NULL, run TEXT NOT NULL, value BIGINT NOT NULL)"
    )
    db.execute_sql("CREATE INDEX produced_at ON produced (at)")
